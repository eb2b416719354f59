//! Errors of the engine as diagnostics: what went wrong in an operator's words, and where.

use rhai::{Dynamic, Engine, EvalAltResult, LexError, ParseErrorType, Position};

use super::dry::{Stop, is_refusal};
use super::nearest::nearest;
use super::program::{Files, Tokens, function_names, point};
use super::run::Memory;
use super::types::{Failure, Kind};
use crate::diagnostic::{Code, Diagnostic, Label, SourceText};
use crate::schemas::Schemas;

/// Most calls of functions that are told, the innermost first.
const FRAMES: usize = 8;

/// A script that does not parse.
pub(crate) fn of_parsing(
    engine: &Engine,
    source: &SourceText,
    kind: &ParseErrorType,
    position: Position,
) -> Diagnostic {
    let tokens = Tokens::of(engine, &source.text);
    let code = match kind {
        ParseErrorType::VariableUndefined(_) | ParseErrorType::ModuleUndefined(_) => Code::Undefined,
        ParseErrorType::LiteralTooLarge(..)
        | ParseErrorType::ExprTooDeep
        | ParseErrorType::TooManyFunctions => Code::Limit,
        _ => Code::Syntax,
    };
    let mut diagnostic = Diagnostic::error(code, parse_message(kind));
    let here = tokens.at(position).or_else(|| tokens.end_before(Position::new(u16::MAX, u16::MAX)));
    let before = matches!(kind, ParseErrorType::MissingToken(..) | ParseErrorType::UnexpectedEOF);
    if let Some(end) = before.then(|| tokens.end_before(position)).flatten() {
        diagnostic = diagnostic.at(source, end).label(missing(kind));
        let next = tokens.token_at(position);
        diagnostic.labels.extend(next.map(|span| Label { span, text: "before this".to_owned() }));
    } else if let Some(here) = here {
        diagnostic = diagnostic.at(source, here);
    }
    match kind {
        ParseErrorType::VariableUndefined(name) if tokens.declares_constant(name) => {
            diagnostic = diagnostic
                .note("functions do not see the constants of the script by their bare names")
                .help(format!("write `global::{name}`"));
        }
        ParseErrorType::VariableUndefined(name) => {
            let functions = function_names(engine);
            let known = tokens.names().chain(functions.iter().map(String::as_str));
            if let Some(near) = nearest(name, known) {
                diagnostic = diagnostic.help(format!("did you mean `{near}`?"));
            }
        }
        ParseErrorType::Reserved(word) => {
            diagnostic = diagnostic.help(format!(
                "`{word}` can be the name of an action, an input or a field, not of a variable"
            ));
        }
        _ => {}
    }
    diagnostic
}

fn missing(kind: &ParseErrorType) -> String {
    match kind {
        ParseErrorType::MissingToken(token, _) => format!("`{token}` is missing here"),
        _ => "something is missing here".to_owned(),
    }
}

fn parse_message(kind: &ParseErrorType) -> String {
    match kind {
        ParseErrorType::UnexpectedEOF => "the script ends too early".to_owned(),
        ParseErrorType::MissingToken(token, why) => {
            format!("`{token}` is missing {why}").trim_end().to_owned()
        }
        ParseErrorType::VariableUndefined(name) => format!("`{name}` is not defined"),
        ParseErrorType::ModuleUndefined(name) => format!("there is no module `{name}`"),
        ParseErrorType::Reserved(word) => format!("`{word}` is a reserved word"),
        ParseErrorType::BadInput(LexError::UnterminatedString) => "a string does not end".to_owned(),
        ParseErrorType::AssignmentToConstant(name) => format!("`{name}` is a constant"),
        other => in_sentence(&other.to_string()),
    }
}

/// A message of the engine as ours begin: in lower case, names in backticks.
fn in_sentence(message: &str) -> String {
    let message = message.replace('\'', "`");
    let mut chars = message.chars();
    match chars.next() {
        Some(first) => first.to_lowercase().chain(chars).collect(),
        None => message,
    }
}

/// A script that failed while it ran.
pub(crate) fn of_running(
    engine: &Engine,
    schemas: &Schemas,
    files: &Files,
    error: &EvalAltResult,
) -> Diagnostic {
    let mut frames = Vec::new();
    let mut inner = error;
    let mut source = files.script().map(|file| &file.source);
    loop {
        match inner {
            EvalAltResult::ErrorInFunctionCall(name, within, deeper, position) => {
                // The call stands in the file of the frame before.
                frames.push((name.as_str(), source, *position));
                source = files.named(within).map(|file| &file.source).or(source);
                inner = deeper;
            }
            EvalAltResult::ErrorInModule(path, deeper, position) => {
                frames.push((path.as_str(), source, *position));
                let within = files.named(path).map(|file| &file.source);
                source = within.or(source);
                inner = deeper;
            }
            _ => break,
        }
    }
    let mut diagnostic = message(engine, schemas, inner);
    let called = frames.iter().rev().map(|(_, source, position)| (*source, *position));
    let place = std::iter::once((source, inner.position())).chain(called);
    for (source, position) in place.filter(|(_, position)| !position.is_none()).take(1) {
        let span = source.and_then(|source| Tokens::of(engine, &source.text).at(position));
        if let (Some(source), Some(span)) = (source, span) {
            diagnostic = diagnostic.at(source, span);
        }
    }
    let told = frames.iter().rev().take(FRAMES);
    for (name, source, position) in told {
        let name = framed(name);
        diagnostic = match (source, point(*position)) {
            (Some(source), Some(at)) => {
                diagnostic.note(format!("in {name}, called at {}:{}:{}", source.name, at.line, at.column))
            }
            _ => diagnostic.note(format!("in {name}")),
        };
    }
    if frames.len() > FRAMES {
        diagnostic = diagnostic.note(format!("and {} more calls around it", frames.len() - FRAMES));
    }
    diagnostic
}

/// An error of the engine as `catch` is given it: a map, which nobody else makes so.
pub(crate) fn of_engine(value: &Dynamic) -> Option<Failure> {
    let map = value.as_map_ref().ok()?;
    let (sort, message) = (map.get("error")?, map.get("message")?);
    let sort = sort.as_immutable_string_ref().ok()?;
    if !sort.starts_with("Error") || !map.contains_key("line") {
        return None;
    }
    let message = message.as_immutable_string_ref().ok()?;
    Some(Failure::new(Kind::Runtime, in_sentence(&message)))
}

/// The name of a frame: of a function, or words for what else calls.
fn framed(name: &str) -> String {
    if name.starts_with("anon$") {
        "a closure".to_owned()
    } else if name.contains(' ') {
        name.to_owned()
    } else {
        format!("`{name}`")
    }
}

fn message(engine: &Engine, schemas: &Schemas, error: &EvalAltResult) -> Diagnostic {
    match error {
        EvalAltResult::ErrorRuntime(value, _) => thrown(value),
        EvalAltResult::ErrorParsing(kind, _) => Diagnostic::error(Code::Syntax, parse_message(kind)),
        EvalAltResult::ErrorFunctionNotFound(signature, _) => no_function(engine, schemas, signature),
        EvalAltResult::ErrorVariableNotFound(name, _) => {
            Diagnostic::error(Code::Runtime, format!("`{name}` is not defined"))
        }
        EvalAltResult::ErrorPropertyNotFound(name, _) => {
            Diagnostic::error(Code::UnknownProperty, format!("there is no property `{name}`"))
        }
        EvalAltResult::ErrorDotExpr(what, _) => Diagnostic::error(Code::UnknownProperty, in_sentence(what)),
        EvalAltResult::ErrorAssignmentToConstant(name, _)
        | EvalAltResult::ErrorNonPureMethodCallOnConstant(name, _) => {
            Diagnostic::error(Code::Runtime, format!("`{name}` cannot be changed"))
                .note("it is a constant, or a selection or results that a closure reads")
                .help("give the new value a new name: `let other = …`")
        }
        EvalAltResult::ErrorTerminated(why, _) if why.is_string() => {
            let most = Memory::described();
            Diagnostic::error(Code::Limit, format!("the script takes more than {most} of memory"))
                .help("look at what grows: a text or a list that is added to in a loop")
        }
        EvalAltResult::ErrorTerminated(why, _) if why.is::<Stop>() => {
            let origin = why.read_lock::<Stop>().map(|stop| stop.origin.to_string()).unwrap_or_default();
            undecided(&format!("{origin}, which was not done"))
        }
        EvalAltResult::ErrorTerminated(..) => Diagnostic::error(Code::Interrupted, "the run was interrupted"),
        EvalAltResult::ErrorTooManyOperations(_)
        | EvalAltResult::ErrorTooManyVariables(_)
        | EvalAltResult::ErrorTooManyModules(_)
        | EvalAltResult::ErrorDataTooLarge(..) => Diagnostic::error(Code::Limit, bare(error)),
        EvalAltResult::ErrorStackOverflow(_) => {
            Diagnostic::error(Code::Limit, "functions call each other too deep")
        }
        other if is_refusal(&other.to_string()) => undecided("something that was not done"),
        _ => Diagnostic::error(Code::Runtime, bare(error)),
    }
}

/// A dry run that cannot go on.
fn undecided(what: &str) -> Diagnostic {
    Diagnostic::error(Code::DryRun, format!("the dry run stops here: what comes next depends on {what}"))
}

/// The engine's message without the position, which stands beside the excerpt.
fn bare(error: &EvalAltResult) -> String {
    let text = error.to_string();
    let end = text.rfind(" (line ").unwrap_or(text.len());
    in_sentence(text.get(..end).unwrap_or(&text))
}

fn thrown(value: &Dynamic) -> Diagnostic {
    let Some(failure) = value.read_lock::<Failure>() else {
        // What scripts throw themselves: a text, or a map with a message as the engine makes them.
        let told = value.as_map_ref().ok().and_then(|map| map.get("message").map(ToString::to_string));
        return Diagnostic::error(Code::Runtime, told.unwrap_or_else(|| value.to_string()));
    };
    let mut diagnostic = Diagnostic::error(failure.kind.code(), &failure.message);
    diagnostic.notes.clone_from(&failure.notes);
    diagnostic.help.clone_from(&failure.help);
    diagnostic.causes.clone_from(&failure.causes);
    diagnostic
}

/// `name (type, type)`, for which no function was found.
fn no_function(engine: &Engine, schemas: &Schemas, signature: &str) -> Diagnostic {
    let (name, arguments) = signature.split_once(" (").unwrap_or((signature, ""));
    let arguments = arguments.trim_end_matches(')').replace("&str | ImmutableString | String", "string");
    let arguments: Vec<&str> = arguments.split(", ").map(type_name).collect();
    let arguments = arguments.join(", ");
    let receiver = arguments.split(", ").next().unwrap_or_default();
    if receiver == "agent" {
        let actions = || schemas.iter().flat_map(|schema| schema.actions.keys().map(String::as_str));
        if actions().any(|action| action == name) {
            return Diagnostic::error(Code::Arguments, format!("the arguments of `{name}` are a map"))
                .help(format!("write `{name}(#{{ … }})`"));
        }
        let unknown = Diagnostic::error(Code::UnknownAgent, format!("no agent has an action `{name}`"));
        return match nearest(name, actions()) {
            Some(near) => unknown.help(format!("did you mean `{near}`?")),
            None => unknown,
        };
    }
    let functions = function_names(engine);
    if functions.iter().any(|known| known == name) || !rhai::is_valid_identifier(name) {
        let diagnostic =
            Diagnostic::error(Code::UnknownFunction, format!("`{name}` does not take these arguments"))
                .note(format!("it was called with ({arguments})"));
        return forms(engine, name).into_iter().fold(diagnostic, Diagnostic::note);
    }
    let diagnostic = Diagnostic::error(Code::UnknownFunction, format!("there is no function `{name}`"));
    match nearest(name, functions.iter().map(String::as_str)) {
        Some(near) => diagnostic.help(format!("did you mean `{near}`?")),
        None => diagnostic.note(format!("it was called with ({arguments})")),
    }
}

/// What scripts call a type.
fn type_name(name: &str) -> &str {
    match name {
        "i64" => "int",
        "f64" => "float",
        "()" => "nothing",
        "Fn" => "closure",
        other => other,
    }
}

/// The ways in which a function can be called, as far as the engine knows the types.
fn forms(engine: &Engine, name: &str) -> Vec<String> {
    if !rhai::is_valid_identifier(name) {
        return Vec::new();
    }
    let mut counts = engine.collect_fn_metadata(
        None,
        |function| (function.metadata.name == name).then_some(function.metadata.num_params),
        true,
    );
    counts.sort_unstable();
    counts.dedup();
    let counts: Vec<String> = counts.iter().map(ToString::to_string).collect();
    vec![format!("it takes {} arguments, its receiver included", counts.join(" or "))]
}
