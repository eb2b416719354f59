//! `orch help CODE` and `orch help FUNCTION`: what a code or a function of the language means.

use clap::{Args, CommandFactory};

use super::failure::Failure;
use super::root::Orch;
use crate::diagnostic::Code;
use crate::exit::Exit;
use crate::report::{Printer, clean};
use crate::script::{Family, Function, families, reference};

const EXAMPLES: &str = "\
Examples:
  orch help E0203        what a finding means, and what to do
  orch help rollout      a function of the language
  orch help call         a command
  orch help functions    every function of the language, one line each
  orch help language     the whole reference, in Markdown";

/// Explain a code, a function of the language, or a command
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Help {
    /// A code such as `E0203`, a function such as `rollout`, or a command
    #[arg(value_name = "CODE|FUNCTION|COMMAND")]
    what: Option<String>,
}

impl Help {
    pub(super) fn run(&self, printer: &Printer) -> Result<Exit, Failure> {
        let mut orch = Orch::command();
        orch.build();
        let Some(what) = &self.what else {
            printer.data(&orch.render_help().to_string());
            return Ok(Exit::Success);
        };
        if what == "language" {
            printer.data(&reference());
            return Ok(Exit::Success);
        }
        if what == "functions" {
            printer.data(&overview());
            return Ok(Exit::Success);
        }
        let code = Code::ALL.iter().find(|code| code.as_str().eq_ignore_ascii_case(what));
        if let Some(code) = code {
            printer.data(&format!("{}: {}\n\n{}\n", code.as_str(), code.title(), code.explanation().trim()));
            return Ok(Exit::Success);
        }
        let functions: Vec<&Function> = families()
            .iter()
            .flat_map(|family| family.functions)
            .filter(|function| function.is_named(what))
            .collect();
        if !functions.is_empty() {
            let texts: Vec<String> = functions.into_iter().map(described).collect();
            printer.data(&texts.join("\n"));
            return Ok(Exit::Success);
        }
        if let Some(command) = orch.find_subcommand_mut(what) {
            printer.data(&command.render_help().to_string());
            return Ok(Exit::Success);
        }
        Err(Failure::usage(format!("there is nothing called `{}`", clean(what)))
            .help("`orch help functions` lists the language; codes look like E0203"))
    }
}

fn described(function: &Function) -> String {
    let forms: Vec<&str> = function.forms.to_vec();
    format!(
        "{}\n\n{}\n\nExample:\n{}\nprints:\n{}\n",
        forms.join("\n"),
        function.text,
        indented(function.example.script),
        indented(function.example.prints)
    )
}

/// Lines moved to an indentation of four.
fn indented(text: &str) -> String {
    crate::script::dedented(text).iter().map(|line| format!("    {line}\n")).collect()
}

fn overview() -> String {
    let line = |function: &Function| {
        let first = function.text.split_inclusive(". ").next().unwrap_or(function.text).trim();
        let names: Vec<String> = function.forms.iter().map(|form| short(form)).collect();
        let mut names = names;
        names.dedup();
        format!("  {}\n      {first}\n", names.join(", "))
    };
    let section = |family: &Family| {
        let lines: String = family.functions.iter().map(line).collect();
        format!("{}\n{lines}", family.title)
    };
    families().iter().map(section).collect::<Vec<_>>().join("\n")
}

/// A form without its types: enough to recognise it.
fn short(form: &str) -> String {
    let end = form.find(['(', ' ']).unwrap_or(form.len());
    let name = form.get(..end).unwrap_or(form);
    match form.get(end..end + 1) {
        Some("(") => format!("{name}(…)"),
        Some(" ") if form.contains(" - ") || form.contains(" + ") || form.contains(" & ") => {
            form.split(" ->").next().unwrap_or(form).to_owned()
        }
        _ => name.to_owned(),
    }
}
