//! What all functions of one run share: the fleet, the schemas, where output goes, and what has happened.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use orch_wire::schema::AgentSchema;
use rhai::NativeCallContext;
use serde_json::{Map, Value};
use tokio::runtime::Handle;
use tokio_util::sync::CancellationToken;

use super::access::FleetAccess;
use super::failure::{Outcome, interrupted, usage};
use super::output::{Output, OutputSink};
use crate::client::{CallEvent, CallReport, EventSink, Manner};
use crate::schemas::Schemas;

/// Whether a call has a part in the exit code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// It counts, tolerated or not.
    Counts,
    /// Its error was caught by the script.
    Caught,
}

/// A call that the script made. Those made while waiting for a condition are not recorded.
#[derive(Debug, Clone)]
pub struct CallRecord {
    /// The agent, with what its schema says of labels and aggregates.
    pub schema: Arc<AgentSchema>,
    /// The action.
    pub action: String,
    /// The arguments, secrets masked.
    pub args: Map<String, Value>,
    /// What came of it, nodes in natural order.
    pub report: Arc<CallReport>,
    /// Whether it has a part in the exit code.
    pub standing: Standing,
    /// Whether the script asked for it not to be shown.
    pub quiet: bool,
}

#[derive(Default)]
pub(crate) struct State {
    pub(crate) calls: Vec<CallRecord>,
    /// Numbers of the calls that raised an error.
    pub(crate) raised: Vec<usize>,
    pub(crate) emitted: Map<String, Value>,
    /// Nodes that did not answer when a selection was resolved.
    pub(crate) unanswered: usize,
    pub(crate) acted_on_nothing: bool,
}

/// One run of one script.
pub(crate) struct Run {
    pub(crate) fleet: FleetAccess,
    pub(crate) schemas: Schemas,
    pub(crate) output: OutputSink,
    pub(crate) cancel: CancellationToken,
    pub(crate) runtime: Handle,
    /// Time limit of actions instead of that of their schemas.
    pub(crate) timeout: Option<Duration>,
    pub(crate) manner: Manner,
    pub(crate) params: Map<String, Value>,
    /// Blake3 of the script.
    pub(crate) digest: String,
    pub(crate) commit: Option<String>,
    /// How many `wait_until` are around what runs now.
    polling: AtomicUsize,
    state: Mutex<State>,
}

/// The run as engine and values hold it.
pub(crate) type SharedRun = Arc<Run>;

/// What [`Run`] is made of.
pub(crate) struct RunParts {
    pub(crate) fleet: FleetAccess,
    pub(crate) schemas: Schemas,
    pub(crate) output: OutputSink,
    pub(crate) cancel: CancellationToken,
    pub(crate) runtime: Handle,
    pub(crate) timeout: Option<Duration>,
    pub(crate) manner: Manner,
    pub(crate) params: Map<String, Value>,
    pub(crate) digest: String,
    pub(crate) commit: Option<String>,
}

impl Run {
    pub(crate) fn new(parts: RunParts) -> SharedRun {
        let RunParts { fleet, schemas, output, cancel, runtime, timeout, manner, params, digest, commit } =
            parts;
        Arc::new(Self {
            fleet,
            schemas,
            output,
            cancel,
            runtime,
            timeout,
            manner,
            params,
            digest,
            commit,
            polling: AtomicUsize::new(0),
            state: Mutex::default(),
        })
    }

    /// The run that a function was called in. There is none while a script is only compiled.
    pub(crate) fn of(context: &NativeCallContext<'_>) -> Outcome<SharedRun> {
        let run = context.tag().and_then(|tag| tag.read_lock::<SharedRun>().map(|run| run.clone()));
        run.ok_or_else(|| usage("this needs a run of a script"))
    }

    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn say(&self, output: Output) {
        (self.output)(output);
    }

    pub(crate) fn warn(&self, message: impl Into<String>) {
        self.say(Output::Log { level: super::output::LogLevel::Warn, message: message.into() });
    }

    /// Passes the events of a call on; of quiet ones only what the operator has to know.
    pub(crate) fn events(&self, quiet: bool) -> EventSink {
        let output = self.output.clone();
        Arc::new(move |event| {
            if !quiet || matches!(event, CallEvent::Notice(_)) {
                output(Output::Event(event));
            }
        })
    }

    /// Ends the script when the run was cancelled.
    pub(crate) fn check_cancelled(&self) -> Outcome<()> {
        if self.cancel.is_cancelled() { Err(interrupted()) } else { Ok(()) }
    }

    /// Runs something whose calls have no part in the exit code.
    pub(crate) fn while_polling<T>(&self, work: impl FnOnce() -> T) -> T {
        self.polling.fetch_add(1, Ordering::Relaxed);
        let done = work();
        self.polling.fetch_sub(1, Ordering::Relaxed);
        done
    }

    pub(crate) fn is_polling(&self) -> bool {
        self.polling.load(Ordering::Relaxed) > 0
    }
}

impl std::fmt::Debug for Run {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Run").finish_non_exhaustive()
    }
}
