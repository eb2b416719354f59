//! Where secrets come from.

use std::time::Duration;

use super::files::read_text;
use super::process::Program;
use super::surroundings::{Question, Wants};
use crate::script::run::{Branch, Run};
use crate::script::types::{Failure, Kind, Outcome, Secret, interrupted, usage};

/// How long a program may take to give a secret: it may ask somebody itself.
const LIMIT: Duration = Duration::from_secs(60);

/// Gets a secret: from `env:NAME`, `file:PATH`, `prompt:QUESTION` or `exec:PROGRAM ARGUMENT …`.
pub(crate) fn reveal(run: &Run, source: &str) -> Outcome<Secret> {
    let none = |why: String| Failure::new(Kind::Secret, why);
    let unknown = || {
        usage(
            "a secret comes from \"env:NAME\", \"file:PATH\", \"prompt:QUESTION\" or \"exec:PROGRAM ARGUMENT …\"",
        )
    };
    let (sort, rest) = source.split_once(':').ok_or_else(unknown)?;
    let text = match sort {
        "env" => {
            run.local.permissions.env(rest)?;
            let value = run.local.variables.get(rest).cloned();
            value.ok_or_else(|| none(format!("`{rest}` is not set in the environment")))?
        }
        "file" => ended(read_text(&run.local, rest)?.0),
        "prompt" => asked(run, rest)?,
        "exec" => given(run, rest)?,
        _ => return Err(unknown()),
    };
    if text.is_empty() {
        return Err(none(format!("`{sort}:{rest}` gives an empty secret")).into());
    }
    run.masks.add(&text);
    Ok(Secret::new(&text))
}

fn asked(run: &Run, question: &str) -> Outcome<String> {
    let nobody = |why: &str| {
        Failure::new(Kind::Secret, format!("nobody can be asked for `{question}`: {why}"))
            .help("give the secret in another way: a parameter of the type `secret` takes it from a file or the environment")
    };
    match answer(run, question, Wants::Secret)? {
        Ok(Some(text)) if !text.is_empty() => Ok(text),
        Ok(_) => Err(Failure::new(Kind::Secret, format!("`{question}` was not answered")).into()),
        Err(why) => Err(nobody(&why).into()),
    }
}

/// Asks the operator, and waits for the answer or the end of the branch.
pub(crate) fn answer(run: &Run, question: &str, wants: Wants) -> Outcome<Result<Option<String>, String>> {
    let Some(prompt) = &run.local.prompt else { return Ok(Err("there is no terminal".to_owned())) };
    let cancel = Branch::here().cancel;
    let question = Question { text: question.to_owned(), wants };
    let asking = async { cancel.run_until_cancelled(prompt(question, cancel.clone())).await };
    let answer = run.runtime.block_on(asking).ok_or_else(interrupted)?;
    // A question that was ended with the run has no answer either, and that is no refusal to give one.
    Branch::check()?;
    Ok(answer)
}

fn given(run: &Run, command: &str) -> Outcome<String> {
    let argv: Vec<String> = command.split_whitespace().map(str::to_owned).collect();
    let Some(name) = argv.first() else { return Err(usage("`exec:` names a program")) };
    run.local.permissions.exec(name)?;
    let folder = run.local.project()?.folder();
    let program = Program { argv: &argv, folder, input: None, limit: LIMIT };
    let ended_as = run.runtime.block_on(program.run(Branch::here().cancel))?;
    if ended_as.code != 0 {
        // What it wrote to its output may be part of the secret, and is not told.
        let failure = Failure::new(Kind::Secret, format!("`{name}` ended with code {}", ended_as.code));
        return Err(ended_as.stderr.lines().take(5).fold(failure, Failure::note).into());
    }
    Ok(ended(ended_as.stdout))
}

/// A text without the line break at its end, which editors and programs add.
fn ended(mut text: String) -> String {
    if text.ends_with('\n') {
        text.pop();
        if text.ends_with('\r') {
            text.pop();
        }
    }
    text
}
