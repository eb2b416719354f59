//! A script that another one runs, as a part of its run.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::path::Path;

use serde_json::{Map, Value};

use super::branch::Branch;
use super::context::{ScriptParts, SharedRun};
use super::evaluate::{Broken, Ending, evaluate};
use crate::diagnostic::{Diagnostic, Severity, SourceText};
use crate::script::check::Known;
use crate::script::engine::STACK;
use crate::script::local::read_text;
use crate::script::program::{Compiled, Library, compile};
use crate::script::types::{Failure, Kind, Outcome, interrupted, usage};

/// Most scripts within each other.
const MOST_DEEP: usize = 8;

/// Runs a script of the project to its end, and gives what it handed out.
pub(crate) fn run_inside(
    run: &SharedRun,
    path: &str,
    params: Map<String, Value>,
) -> Outcome<Map<String, Value>> {
    Branch::check()?;
    if run.depth >= MOST_DEEP {
        let message = format!("`{path}` is not run: {MOST_DEEP} scripts are within each other already");
        return Err(Failure::new(Kind::Script, message).help("does one run itself?").into());
    }
    let (text, place) = read_text(&run.local, path)?;
    let project = run.local.project()?;
    let folder = place.parent().unwrap_or(Path::new("/")).to_owned();
    let source = SourceText::new(path, &text);
    let library = Library::project(project.root(), &folder, project.modules.clone());
    let known = Known { schemas: &run.schemas, library: Some(&library), facts: None };
    let script = compile(&source, known).map_err(|faults| {
        let failure = Failure::new(Kind::Script, format!("`{path}` cannot be run: it has mistakes"));
        faults.iter().filter(|fault| fault.severity == Severity::Error).fold(failure, with_fault)
    })?;
    script.check_params(&params).map_err(|faults| {
        let failure = Failure::new(Kind::Parameter, format!("`{path}` cannot be run with these parameters"));
        // Their way out is that of a command line, which this is not.
        let faults = faults.iter().map(|fault| fault.message.as_str());
        faults.fold(failure, Failure::note).help("write them as `#{ name: value }` behind the path")
    })?;
    let inner = run.inside(ScriptParts {
        decisions: script.decisions(),
        name: source.name.clone(),
        params,
        digest: orch_wire::ids::Digest::of(text.as_bytes()).to_string(),
        local: run.local.in_folder(folder),
        fallbacks: script.fallbacks.clone(),
    });
    match on_its_own_stack(&inner, &script)? {
        Ok(()) => Ok(inner.take_emitted()),
        Err(broken) => Err(error(path, broken)),
    }
}

/// Evaluates a script on a thread of its own: each script may use all of the stack that there is for one.
fn on_its_own_stack(run: &SharedRun, script: &Compiled) -> Outcome<Result<(), Broken>> {
    let branch = Branch::here();
    let ended = std::thread::scope(|scope| {
        let work = || catch_unwind(AssertUnwindSafe(|| branch.run(|| evaluate(run, script))));
        let thread = std::thread::Builder::new().name("script".to_owned()).stack_size(STACK);
        thread.spawn_scoped(scope, work).map(std::thread::ScopedJoinHandle::join)
    });
    match ended {
        Ok(Ok(Ok(ended))) => Ok(ended),
        Ok(Ok(Err(panic)) | Err(panic)) => resume_unwind(panic),
        Err(error) => Err(usage(format!("no thread for the script: {error}"))),
    }
}

fn with_fault(failure: Failure, fault: &Diagnostic) -> Failure {
    let place = match (&fault.file, fault.span) {
        (Some(file), Some(span)) => format!("{}:{}:{}: ", file.name, span.line, span.column),
        _ => String::new(),
    };
    let failure = failure.note(format!("{place}{}", fault.message));
    fault.help.iter().fold(failure, |failure, help| failure.help(help))
}

/// The error of a script as that of the call that ran it, with the way through its file.
fn error(path: &str, broken: Broken) -> Box<rhai::EvalAltResult> {
    let diagnostic = match broken.ending {
        Ending::Failed(diagnostic) => diagnostic,
        Ending::Finished | Ending::Interrupted => return interrupted(),
    };
    let mut failure = match broken.failure {
        Some(failure) => *failure,
        None => Failure::new(Kind::Runtime, diagnostic.message.clone()),
    };
    let place = match (&diagnostic.file, diagnostic.span) {
        (Some(file), Some(span)) => format!("at {}:{}:{}", file.name, span.line, span.column),
        _ => format!("in {path}"),
    };
    failure.notes = std::iter::once(place).chain(diagnostic.notes).collect();
    failure.help = diagnostic.help;
    failure.causes = diagnostic.causes;
    failure.into()
}
