//! Parameters of a script: from a file, the command line and the environment, and what `--help` says of them.

use std::path::Path;

use serde_json::{Map, Value};

use super::failure::Failure;
use super::fleet::Ground;
use super::script::read;
use crate::exit::Exit;
use crate::report::clean;
use crate::script::{Compiled, Param, ParamType};

/// Parameters as they were given: of the file, then of the command line.
pub(super) fn given(file: Option<&Path>, arguments: &[String]) -> Result<Map<String, Value>, Failure> {
    let mut params = match file {
        Some(file) => read_params(file)?,
        None => Map::new(),
    };
    for text in arguments {
        let Some((name, value)) = text.split_once('=').filter(|(name, _)| !name.is_empty()) else {
            return Err(Failure::usage(format!(
                "`{}` is no parameter: write NAME=VALUE",
                text.escape_debug()
            )));
        };
        params.insert(name.to_owned(), Value::String(value.to_owned()));
    }
    Ok(params)
}

/// The same with those that the environment has; says what others can see of a secret on the command line.
pub(super) fn complete(
    ground: &Ground<'_>,
    declared: &[Param],
    arguments: &[String],
    mut params: Map<String, Value>,
) -> Map<String, Value> {
    for param in declared {
        let variable = variable(&param.name);
        if let Some(text) = ground.environment.inherited.get(&variable)
            && !params.contains_key(&param.name)
        {
            params.insert(param.name.clone(), Value::String(text.clone()));
        }
        let is_argument =
            || arguments.iter().any(|text| text.split_once('=').is_some_and(|(name, _)| name == param.name));
        if param.kind == ParamType::Secret && is_argument() {
            ground.printer.note(&format!(
                "others on this machine see `{}` in the list of processes; {variable} or --params-file hides it",
                param.name
            ));
        }
    }
    params
}

/// The variable of the environment that a parameter is taken from.
fn variable(param: &str) -> String {
    let letter = |c: char| if c.is_ascii_alphanumeric() { c.to_ascii_uppercase() } else { '_' };
    format!("ORCH_PARAM_{}", param.chars().map(letter).collect::<String>())
}

/// What a script is for, and its parameters.
pub(super) fn described(file: &Path, script: &Compiled) -> String {
    let mut text = String::new();
    let doc = script.doc();
    if !doc.is_empty() {
        text.push_str(&format!("{}\n\n", clean(&doc)));
    }
    text.push_str(&format!(
        "Usage: orch script {} [NAME=VALUE]... [OPTIONS]\n",
        clean(&file.display().to_string())
    ));
    if script.params().is_empty() {
        text.push_str("\nIt has no parameters.\n");
        return text;
    }
    text.push_str("\nParameters:\n");
    let written = |param: &Param| format!("{}={}", param.name, param.kind.to_string().to_uppercase());
    let width = script.params().iter().map(|param| written(param).chars().count()).max().unwrap_or(0);
    for param in script.params() {
        let default = match &param.default {
            _ if param.required => " (required)".to_owned(),
            _ if param.source.is_some() => format!(" [from {}]", param.source.as_deref().unwrap_or_default()),
            // Written out in the script it hides from nobody, and still not from a terminal.
            Some(_) if param.kind == ParamType::Secret => " [default: ***]".to_owned(),
            Some(Value::String(text)) => format!(" [default: {text}]"),
            Some(Value::Null) | None => String::new(),
            Some(other) => format!(" [default: {other}]"),
        };
        let line = format!("  {:width$}  {}{default}", written(param), param.help);
        text.push_str(&format!("{}\n", clean(line.trim_end())));
    }
    text.push_str("\nEach may also stand in --params-file, or in ORCH_PARAM_NAME of the environment.\n");
    text
}

fn read_params(file: &Path) -> Result<Map<String, Value>, Failure> {
    let text = read(file)?;
    // No message repeats what stands there: it may be secret.
    let parsed: Result<Map<String, Value>, String> = match file.extension().and_then(|ending| ending.to_str())
    {
        Some("toml") => toml::from_str(&text).map_err(|error| {
            let before = error.span().and_then(|span| text.get(..span.start)).unwrap_or_default();
            format!("line {}: {}", before.matches('\n').count() + 1, error.message())
        }),
        Some("yaml" | "yml") => {
            serde_saphyr::from_str(&text).map_err(|error| error.without_snippet().to_string())
        }
        _ => serde_json::from_str(&text).map_err(|error| error.to_string()),
    };
    parsed.map_err(|error| Failure::new(Exit::Data, format!("{}: {error}", file.display())))
}
