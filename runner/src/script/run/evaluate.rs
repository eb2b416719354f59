//! Running a script to its end, on a thread of its own.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use rhai::{Engine, EvalAltResult};
use serde_json::{Map, Value};
use tokio::runtime::Handle;
use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;

use super::access::FleetAccess;
use super::branch::Branch;
use super::context::{CallRecord, Run, RunParts, ScriptParts, SharedRun, Standing, State};
use super::output::{Output, OutputSink};
use crate::client::Manner;
use crate::diagnostic::{Code, Diagnostic};
use crate::exit::{Exit, Tally};
use crate::schemas::Schemas;
use crate::script::dry::{Would, plain_values};
use crate::script::engine::{STACK, engine_of};
use crate::script::errors;
use crate::script::local::Local;
use crate::script::program::{Compiled, Loaded};
use crate::script::types::{Failure, Outcome};

/// How many nodes a run may change: what it changes is refused as a whole where that does not hold.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Bounds {
    /// Exactly so many.
    pub expect: Option<usize>,
    /// At most so many.
    pub most: Option<usize>,
}

/// What a script runs with.
#[derive(Clone)]
pub struct RunOptions {
    /// The way to the nodes.
    pub fleet: FleetAccess,
    /// The agents it was compiled with.
    pub schemas: Schemas,
    /// Parameters as they were given: texts from the command line, or values of a file. They were checked
    /// with [`Compiled::check_params`].
    pub params: Map<String, Value>,
    /// Where output goes.
    pub output: OutputSink,
    /// Ends the run: calls in progress are cancelled, and no `catch` holds it. What was deferred runs.
    pub cancel: CancellationToken,
    /// Ends what was deferred too.
    pub skip: CancellationToken,
    /// Time limit of actions, instead of that of their schemas.
    pub timeout: Option<Duration>,
    /// How calls are made.
    pub manner: Manner,
    /// Commit of the script's repository, for the audit on the nodes.
    pub commit: Option<String>,
    /// How many nodes each of its writes and roll-outs may be for.
    pub bounds: Bounds,
    /// Do nothing that changes anything: ask agents what they would change, where they can say, and list the rest.
    pub dry_run: bool,
    /// What it reaches on the operator's machine.
    pub local: Local,
}

/// How a script ended.
#[derive(Debug, Clone)]
pub enum Ending {
    /// It came to its end.
    Finished,
    /// It failed.
    Failed(Box<Diagnostic>),
    /// It was cancelled.
    Interrupted,
}

/// What came of a run.
#[derive(Debug, Clone)]
pub struct RunReport {
    /// Values that the script handed out, by name.
    pub emitted: Map<String, Value>,
    /// Its calls, in the order in which they were made.
    pub calls: Vec<CallRecord>,
    /// How it ended.
    pub ending: Ending,
    /// What its calls came to.
    pub tally: Tally,
    /// Of a dry run: what it did not do, in order.
    pub would: Option<Vec<Would>>,
}

impl RunReport {
    /// How the program ends after this run.
    pub fn exit(&self) -> Exit {
        match &self.ending {
            Ending::Interrupted => Exit::Interrupted,
            Ending::Finished => self.tally.exit(),
            Ending::Failed(diagnostic) => match diagnostic.code {
                // The call itself is in the tally.
                Code::Call | Code::Rollout => self.tally.exit(),
                code => Exit::of_failure(code),
            },
        }
    }
}

/// Runs a compiled script. Dropping the future cancels the run.
pub async fn run(script: &Compiled, options: RunOptions) -> RunReport {
    let RunOptions {
        fleet,
        schemas,
        params,
        output,
        cancel,
        skip,
        timeout,
        manner,
        commit,
        bounds,
        dry_run,
        local,
    } = options;
    let digest = orch_wire::ids::Digest::of(script.source.text.as_bytes()).to_string();
    // A child: what ends with this future is the run, and nothing of the caller's.
    let cancel = cancel.child_token();
    let _ends_with_us = cancel.clone().drop_guard();
    let skip = skip.child_token();
    let _skipped_without_us = skip.clone().drop_guard();
    let runtime = Handle::current();
    let branch = Branch::new(cancel.clone());
    let parts = RunParts { fleet, schemas, output, runtime, timeout, manner, commit, bounds, dry_run, skip };
    let fallbacks = script.fallbacks.clone();
    let run = Run::new(
        parts,
        ScriptParts {
            decisions: script.decisions(),
            name: script.source.name.clone(),
            params,
            digest,
            local,
            fallbacks,
        },
    );

    let (done, ended) = oneshot::channel();
    let (worker, compiled) = (run.clone(), script.clone());
    let thread = std::thread::Builder::new().name("script".to_owned()).stack_size(STACK).spawn(move || {
        let ending =
            std::panic::catch_unwind(AssertUnwindSafe(|| branch.run(|| evaluate(&worker, &compiled))));
        let _ = done.send(ending);
    });
    let outcome = match thread {
        Err(error) => Err(internal(format!("no thread for the script: {error}"))),
        Ok(_) => match ended.await {
            Ok(Ok(outcome)) => outcome,
            Ok(Err(panic)) => Err(internal(panic_message(&*panic))),
            Err(_) => Err(internal("the script's thread ended".to_owned())),
        },
    };
    report(&run, outcome)
}

/// Why a script did not come to its end.
pub(super) struct Broken {
    pub(super) ending: Ending,
    /// The error of the language that nobody caught, if it was one.
    pub(super) failure: Option<Box<Failure>>,
}

fn internal(why: String) -> Broken {
    let diagnostic = Diagnostic::error(Code::Internal, format!("orch itself made a mistake: {why}"))
        .help("please report it with the script that shows it");
    Broken { ending: Ending::Failed(Box::new(diagnostic)), failure: None }
}

fn panic_message(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_else(|| "a panic".to_owned())
}

/// Evaluates the script, waits for what runs beside it, and runs what was put off, whatever came before.
pub(super) fn evaluate(run: &SharedRun, script: &Compiled) -> Result<(), Broken> {
    let skip = &run.skip;
    let mut engine = engine_of(run);
    engine.set_module_resolver(Loaded::new(script.files.clone()));
    let engine = Arc::new(engine);
    run.runs_on(&engine);
    // A mistake of ours must not keep from running what was put off.
    let judged = |work: &dyn Fn() -> Outcome<()>| match std::panic::catch_unwind(AssertUnwindSafe(work)) {
        Ok(ended) => ended.or_else(|error| broken(&engine, run, script, &error)),
        Err(panic) => Err(internal(panic_message(&*panic))),
    };
    let mut ended = judged(&|| engine.run_ast(&script.ast));
    if ended.is_err() {
        run.tasks.cancel();
    }
    let joined = judged(&|| run.tasks.join());
    ended = ended.and(joined);
    if run.tasks.deferred() > 0 && !skip.is_cancelled() {
        run.say(Output::Deferred { count: run.tasks.deferred(), interrupted: ended.is_err() });
    }
    while let Some(work) = run.tasks.next_deferred().filter(|_| !skip.is_cancelled()) {
        // What ended the script does not end this.
        let done = Branch::new(skip.clone()).run(|| {
            judged(&|| {
                let done = work.call(&engine, Vec::new()).map(|_| ());
                if done.is_err() {
                    run.tasks.cancel();
                }
                let joined = run.tasks.join();
                done.and(joined)
            })
        });
        match (done, &ended) {
            (Err(Broken { ending: Ending::Interrupted, .. }), Ok(())) => {
                ended = Err(Broken { ending: Ending::Interrupted, failure: None });
            }
            (Err(failed), Ok(())) => ended = Err(failed),
            // The first error is the script's; this one must not be lost either.
            (Err(Broken { ending: Ending::Failed(diagnostic), .. }), Err(_)) => {
                run.say(Output::Trouble(diagnostic))
            }
            _ => {}
        }
    }
    ended
}

/// What an error of the engine makes of the run.
fn broken(engine: &Engine, run: &SharedRun, script: &Compiled, error: &EvalAltResult) -> Result<(), Broken> {
    match error.unwrap_inner() {
        EvalAltResult::Exit(..) => return Ok(()),
        // No `catch` holds the end of a script that takes too much memory; it is a failure all the same.
        EvalAltResult::ErrorTerminated(why, _) if why.is_unit() => {
            return Err(Broken { ending: Ending::Interrupted, failure: None });
        }
        _ => {}
    }
    let diagnostic = errors::of_running(engine, &run.schemas, &script.files, error);
    let failure = Failure::within(error).map(Box::new);
    Err(Broken { ending: Ending::Failed(Box::new(diagnostic)), failure })
}

fn report(run: &Arc<Run>, outcome: Result<(), Broken>) -> RunReport {
    let State { mut calls, raised, unanswered, acted_on_nothing } = std::mem::take(&mut *run.state());
    let mut emitted = run.take_emitted();
    let (mut ending, uncaught) = match outcome {
        Ok(()) => (Ending::Finished, None),
        Err(Broken { ending, failure }) => (ending, failure.and_then(|failure| failure.call)),
    };
    run.masks.map(&mut emitted);
    plain_values(&mut emitted);
    calls.iter_mut().for_each(|record| run.masks.record(record));
    if let Ending::Failed(diagnostic) = &mut ending {
        run.masks.diagnostic(diagnostic);
    }
    // An error that did not end the script was caught.
    for number in raised.into_iter().filter(|number| Some(*number) != uncaught) {
        if let Some(record) = calls.get_mut(number) {
            record.standing = Standing::Caught;
        }
    }
    let mut tally = Tally { unanswered, acted_on_nothing, ..Tally::default() };
    for record in calls.iter().filter(|record| record.standing == Standing::Counts) {
        tally.note(&record.report);
    }
    let mut would = run.dry.as_ref().map(|dry| dry.all());
    would.iter_mut().flatten().for_each(|would| run.masks.would(would));
    RunReport { emitted, calls, ending, tally, would }
}
