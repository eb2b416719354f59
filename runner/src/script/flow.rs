//! The functions that end, pause or wait.

use std::time::{Duration, Instant};

use rhai::{Dynamic, Engine, FnPtr, NativeCallContext};

use super::context::Run;
use super::failure::{Failure, Kind, Outcome, interrupted, usage};
use super::values::span;

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
fn pause(run: &Run, time: Duration) -> Outcome<()> {
    // The timer is made inside of the runtime: this thread is none of its own.
    let whole =
        run.runtime.block_on(async { run.cancel.run_until_cancelled(tokio::time::sleep(time)).await });
    whole.ok_or_else(interrupted)
}

/// Asks until the answer is true. An error of a call counts as "not yet": nodes that restart do not answer.
fn wait_until(context: NativeCallContext<'_>, limit: Dynamic, every: Dynamic, holds: FnPtr) -> Outcome<()> {
    let run = Run::of(&context)?;
    let limit = span(&limit).map_err(usage)?;
    let every = span(&every).map_err(usage)?.max(SHORTEST);
    let began = Instant::now();
    loop {
        let answer = run.while_polling(|| holds.call_within_context::<bool>(&context, ()));
        let why = match answer {
            Ok(true) => return Ok(()),
            Ok(false) => None,
            Err(error) => match Failure::within(&error) {
                Some(failure) if failure.kind == Kind::Call => Some(failure),
                _ => return Err(error),
            },
        };
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

fn shown(span: Duration) -> String {
    crate::report::span(span)
}

pub(crate) fn register(engine: &mut Engine) {
    engine.register_fn("fail", fail).register_fn("wait_until", wait_until);
    // One for each type, as the engine's own: a function of exactly the type goes before one of any type.
    engine
        .register_fn("sleep", |context: NativeCallContext<'_>, seconds: rhai::INT| {
            sleep(context, seconds.into())
        })
        .register_fn("sleep", |context: NativeCallContext<'_>, seconds: rhai::FLOAT| {
            sleep(context, seconds.into())
        })
        .register_fn("sleep", |context: NativeCallContext<'_>, time: &str| sleep(context, time.into()));
}
