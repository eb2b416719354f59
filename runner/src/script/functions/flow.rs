//! The functions that end, pause or wait.

use std::time::{Duration, Instant};

use rhai::{Dynamic, EvalAltResult, FnPtr, NativeCallContext, Position};

use crate::script::dry::{Place, Unknown};
use crate::script::run::{Branch, Run};
use crate::script::types::{Failure, Kind, Outcome, interrupted, span, usage};
use crate::script::vocabulary::{Example, Family, Function, no_types};

/// Shortest time between two looks at a condition: a script that asks without pause keeps the fleet busy.
const SHORTEST: Duration = Duration::from_millis(20);

fn fail(message: &str) -> Outcome<()> {
    Err(Failure::new(Kind::Fail, message).into())
}

fn sleep(context: NativeCallContext<'_>, time: Dynamic) -> Outcome<()> {
    let time = span(&time).map_err(usage)?;
    pause(&*Run::of(&context)?, time)
}

/// Pauses, but not past the end of the run.
pub(super) fn pause(run: &Run, time: Duration) -> Outcome<()> {
    if run.dry.is_some() {
        return Branch::check();
    }
    // The timer is made inside of the runtime: this thread is none of its own.
    let whole = run
        .runtime
        .block_on(async { Branch::here().cancel.run_until_cancelled(tokio::time::sleep(time)).await });
    whole.ok_or_else(interrupted)
}

/// Asks until the answer is true. An error of a call counts as "not yet": nodes that restart do not answer.
fn wait_until(context: NativeCallContext<'_>, limit: Dynamic, every: Dynamic, holds: FnPtr) -> Outcome<()> {
    let run = Run::of(&context)?;
    let limit = span(&limit).map_err(usage)?;
    let every = span(&every).map_err(usage)?.max(SHORTEST);
    let began = Instant::now();
    loop {
        let answer = Branch::poll(|| truth(holds.call_within_context::<Dynamic>(&context, ())?));
        let why = match answer {
            Ok(Some(true)) => return Ok(()),
            Ok(_) => None,
            Err(error) => match Failure::within(&error) {
                Some(failure) if failure.kind == Kind::Call => Some(failure),
                _ => return Err(error),
            },
        };
        if let Some(dry) = &run.dry {
            // What it waits for may be what was not done.
            let does = format!("wait up to {} for the condition", shown(limit));
            dry.does(&run, does, Place::of(&context, &run));
            return Ok(());
        }
        let left = limit.saturating_sub(began.elapsed());
        if left.is_zero() {
            let failure =
                Failure::new(Kind::Wait, format!("the condition did not hold within {}", shown(limit)));
            let failure = why.into_iter().fold(failure, |failure, why| {
                why.notes
                    .iter()
                    .fold(failure.cause(why.message.clone()), |failure, note| failure.note(note.clone()))
            });
            return Err(failure.into());
        }
        pause(&run, every.min(left))?;
    }
}

/// What a condition gave; none where nobody knows.
fn truth(answer: Dynamic) -> Outcome<Option<bool>> {
    match answer.as_bool() {
        Ok(holds) => Ok(Some(holds)),
        Err(_) if answer.is::<Unknown>() => Ok(None),
        Err(found) => {
            let wrong =
                EvalAltResult::ErrorMismatchOutputType("bool".to_owned(), found.to_owned(), Position::NONE);
            Err(wrong.into())
        }
    }
}

fn shown(span: Duration) -> String {
    crate::report::span(span)
}

pub(super) const FAMILY: Family = Family {
    title: "Flow",
    text: "What ends a script, and what makes it wait.",
    types: no_types,
    functions: &[
        Function {
            forms: &["fail(message: string)"],
            text: "Ends the script with this message, and the program with exit code 1.",
            example: Example {
                script: r#"try { fail("the shop is closed"); } catch (error) { print(`${error.kind}: ${error.message}`); }"#,
                prints: "fail: the shop is closed",
            },
            register: |engine| {
                engine.register_fn("fail", fail);
            },
        },
        Function {
            forms: &["wait_until(limit: span, every: span, holds: || bool)"],
            text: "Asks again and again until the closure gives true; fails when that takes longer than the limit. Calls \
                   inside of it that fail mean \"not yet\", and have no part in the exit code.",
            example: Example {
                script: r##"
                    let db = nodes("role::db");
                    wait_until("30s", "1s", || db.service.status(#{ service: "shop" }).all(|r| r.status == "stopped"));
                    print("stopped");"##,
                prints: "stopped",
            },
            register: |engine| {
                engine.register_fn("wait_until", wait_until);
            },
        },
        Function {
            forms: &["sleep(time: span)"],
            text: "Waits for a span of time.",
            example: Example { script: r#"sleep("10ms"); sleep(0); print("later");"#, prints: "later" },
            register: |engine| {
                // One for each type, as the engine's own: a function of exactly the type goes before one of any type.
                engine
                    .register_fn("sleep", |context: NativeCallContext<'_>, seconds: rhai::INT| {
                        sleep(context, seconds.into())
                    })
                    .register_fn("sleep", |context: NativeCallContext<'_>, seconds: rhai::FLOAT| {
                        sleep(context, seconds.into())
                    })
                    .register_fn("sleep", |context: NativeCallContext<'_>, time: &str| {
                        sleep(context, time.into())
                    });
            },
        },
    ],
};
