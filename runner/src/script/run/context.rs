//! What all functions of one run share: the fleet, the schemas, where output goes, and what has happened.

use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak};
use std::time::Duration;

use orch_wire::schema::AgentSchema;
use rhai::{Engine, NativeCallContext};
use serde_json::{Map, Value};
use tokio::runtime::Handle;
use tokio_util::sync::CancellationToken;

use super::access::FleetAccess;
use super::branch::Branch;
use super::evaluate::Bounds;
use super::output::{Output, OutputSink};
use super::tasks::Tasks;
use crate::client::{CallError, CallEvent, CallReport, CallRequest, Discovery, EventSink, Manner, Scope};
use crate::schemas::Schemas;
use crate::script::dry::{Decisions, DryRun, plain};
use crate::script::local::{Local, Masks};
use crate::script::program::Fallbacks;
use crate::script::types::{Outcome, usage};

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
    /// The agent; `selection` for a whole roll-out.
    pub agent: String,
    /// The action; `rollout` for one.
    pub action: String,
    /// What says how its results are shown; none for a roll-out.
    pub schema: Option<Arc<AgentSchema>>,
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
    /// Nodes that did not answer when a selection was resolved.
    pub(crate) unanswered: usize,
    pub(crate) acted_on_nothing: bool,
}

/// One run of one script.
pub(crate) struct Run {
    pub(crate) fleet: FleetAccess,
    pub(crate) schemas: Schemas,
    pub(crate) output: OutputSink,
    pub(crate) runtime: Handle,
    /// Time limit of actions instead of that of their schemas.
    pub(crate) timeout: Option<Duration>,
    pub(crate) manner: Manner,
    pub(crate) params: Map<String, Value>,
    /// Blake3 of the script.
    pub(crate) digest: String,
    pub(crate) commit: Option<String>,
    /// How many nodes may be changed.
    pub(crate) bounds: Bounds,
    /// The name of the script.
    pub(crate) name: Arc<str>,
    /// Where nothing may change: what is listed instead.
    pub(crate) dry: Option<Arc<DryRun>>,
    /// What it reaches on the operator's machine.
    pub(crate) local: Local,
    /// What must not be seen of it.
    pub(crate) masks: Masks,
    /// Where a secret is got that is only the default of a parameter, by the name of that.
    pub(crate) fallbacks: Fallbacks,
    /// Ends what was deferred too.
    pub(crate) skip: CancellationToken,
    /// How many scripts are around this one.
    pub(super) depth: usize,
    /// What runs beside the script, and at its end.
    pub(crate) tasks: Tasks,
    /// The engine of the run, as long as it lasts.
    engine: OnceLock<Weak<Engine>>,
    /// Values that the script handed out.
    emitted: Mutex<Map<String, Value>>,
    /// Shared with the scripts around this one.
    state: Arc<Mutex<State>>,
}

/// The run as engine and values hold it.
pub(crate) type SharedRun = Arc<Run>;

/// What [`Run`] is made of.
pub(crate) struct RunParts {
    pub(crate) fleet: FleetAccess,
    pub(crate) schemas: Schemas,
    pub(crate) output: OutputSink,
    pub(crate) runtime: Handle,
    pub(crate) timeout: Option<Duration>,
    pub(crate) manner: Manner,
    pub(crate) commit: Option<String>,
    pub(crate) bounds: Bounds,
    pub(crate) dry_run: bool,
    pub(crate) skip: CancellationToken,
}

/// What belongs to one script alone.
pub(crate) struct ScriptParts {
    /// On what it decides by `switch`.
    pub(crate) decisions: Decisions,
    pub(crate) name: Arc<str>,
    pub(crate) params: Map<String, Value>,
    pub(crate) digest: String,
    pub(crate) local: Local,
    pub(crate) fallbacks: Fallbacks,
}

impl Run {
    pub(crate) fn new(parts: RunParts, script: ScriptParts) -> SharedRun {
        let RunParts { fleet, schemas, output, runtime, timeout, manner, commit, bounds, dry_run, skip } =
            parts;
        let ScriptParts { decisions, name, params, digest, local, fallbacks } = script;
        let masks = Masks::default();
        let output = if dry_run { plain(output) } else { output };
        Arc::new(Self {
            fleet,
            schemas,
            output: masks.before(output),
            runtime,
            timeout,
            manner,
            params,
            digest,
            commit,
            bounds,
            name,
            dry: dry_run.then(|| Arc::new(DryRun::new(decisions))),
            local,
            masks,
            fallbacks,
            skip,
            depth: 0,
            tasks: Tasks::default(),
            engine: OnceLock::new(),
            emitted: Mutex::default(),
            state: Arc::default(),
        })
    }

    /// A run of another script inside of this one: its calls and secrets are this one's.
    pub(super) fn inside(&self, script: ScriptParts) -> SharedRun {
        let ScriptParts { decisions, name, params, digest, local, fallbacks } = script;
        Arc::new(Self {
            fleet: self.fleet.clone(),
            schemas: self.schemas.clone(),
            output: self.output.clone(),
            runtime: self.runtime.clone(),
            timeout: self.timeout,
            manner: self.manner,
            params,
            digest,
            commit: self.commit.clone(),
            bounds: self.bounds,
            name,
            dry: self.dry.as_ref().map(|dry| Arc::new(dry.inside(decisions))),
            local,
            masks: self.masks.clone(),
            fallbacks,
            skip: self.skip.clone(),
            depth: self.depth + 1,
            tasks: Tasks::default(),
            engine: OnceLock::new(),
            emitted: Mutex::default(),
            state: Arc::clone(&self.state),
        })
    }

    /// Hands out a value: to whoever runs the script, or to the script that does.
    pub(crate) fn emit(&self, name: &str, value: Value) {
        self.emitted.lock().unwrap_or_else(PoisonError::into_inner).insert(name.to_owned(), value.clone());
        if self.depth == 0 {
            self.say(Output::Emit { name: name.to_owned(), value });
        }
    }

    /// The values that the script has handed out.
    pub(super) fn take_emitted(&self) -> Map<String, Value> {
        std::mem::take(&mut *self.emitted.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Remembers the engine, for what runs on other threads.
    pub(super) fn runs_on(&self, engine: &Arc<Engine>) {
        let _ = self.engine.set(Arc::downgrade(engine));
    }

    /// The engine; none when the run is over.
    pub(crate) fn engine(&self) -> Option<Arc<Engine>> {
        self.engine.get().and_then(Weak::upgrade)
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

    /// Tells of a call that has ended, and keeps it, unless it was only a look at whether a condition holds. Gives its number.
    pub(crate) fn record(&self, record: CallRecord) -> Option<usize> {
        self.say(Output::CallEnded(record.clone()));
        if Branch::is_polling() {
            return None;
        }
        let mut state = self.state();
        state.calls.push(record);
        Some(state.calls.len() - 1)
    }

    /// Notes that something was to be done on nodes, and there are none.
    pub(crate) fn acted_on_nothing(&self, what: &str, selection: &str) {
        if !Branch::is_polling() {
            self.state().acted_on_nothing = true;
            self.warn(format!("{what} was called on no nodes: `{selection}` selects none"));
        }
    }

    /// Makes a call and waits for what comes of it, or for the end of the branch.
    pub(crate) fn call(&self, request: CallRequest, quiet: bool) -> Result<CallReport, CallError> {
        self.runtime.block_on(self.fleet.call(request, self.events(quiet), Branch::here().cancel))
    }

    /// Finds the nodes of a scope.
    pub(crate) fn discover(&self, scope: Scope, quiet: bool) -> Result<Discovery, CallError> {
        self.runtime.block_on(self.fleet.discover(scope, self.events(quiet), Branch::here().cancel))
    }
}

impl std::fmt::Debug for Run {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Run").finish_non_exhaustive()
    }
}
