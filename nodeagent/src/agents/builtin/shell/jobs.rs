//! Commands that go on after their call: kept by name, bounded in number and output, and ended with the node's agent.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use orch_link::entropy;
use orch_link::task::{self, Task};
use orch_wire::ids::CallId;
use orch_wire::time::Timestamp;
use serde_json::{Value, json};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::command::CommandLine;
use crate::agents::process::{self, End};
use crate::output::Outputs;

/// Jobs that run at one time.
const RUNNING: usize = 32;
/// Jobs that are known, running or not; the oldest that have ended are forgotten.
const KNOWN: usize = 128;
/// Of the output of a job the last so many bytes are kept.
const TAIL: usize = 64 * 1024;

/// The jobs of a node. The handle of a job is the call that started it, so that whoever started it knows the handle even when no
/// answer came.
#[derive(Debug, Clone, Default)]
pub(crate) struct Jobs(Arc<Mutex<Table>>);

#[derive(Debug, Default)]
struct Table {
    jobs: BTreeMap<CallId, Kept>,
}

#[derive(Debug)]
struct Kept {
    job: Arc<ShellJob>,
    /// Runs it; dropped, it kills the job with all its processes.
    _task: Task<()>,
}

/// One job.
#[derive(Debug)]
pub(super) struct ShellJob {
    handle: CallId,
    caller: String,
    command: CommandLine,
    started: Timestamp,
    began: Instant,
    /// Asks it to end.
    pub(super) stop: CancellationToken,
    /// It has ended.
    pub(super) ended: CancellationToken,
    now: Mutex<Now>,
}

#[derive(Debug)]
struct Now {
    state: State,
    /// How long it ran, once it has ended.
    elapsed: Option<Duration>,
    tail: String,
    truncated: bool,
}

/// How a job stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum State {
    Running,
    /// By itself; with its exit status where no signal ended it.
    Exited(Option<i32>),
    TimedOut,
    Killed,
    /// It wrote more output than an action may.
    Flooded,
    /// It could not be run.
    Broken,
}

impl State {
    fn word(&self) -> &'static str {
        match self {
            State::Running => "running",
            State::Exited(_) => "exited",
            State::TimedOut => "timed_out",
            State::Killed => "killed",
            State::Flooded => "flooded",
            State::Broken => "broken",
        }
    }

    fn exitcode(&self) -> Option<i32> {
        match self {
            State::Exited(code) => *code,
            _ => None,
        }
    }
}

/// As many jobs run as may.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Full(pub(super) usize);

impl Jobs {
    fn table(&self) -> MutexGuard<'_, Table> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Starts a job.
    pub(super) fn start(
        &self,
        handle: CallId,
        caller: String,
        command: CommandLine,
        lasts: Duration,
    ) -> Result<(), Full> {
        let mut table = self.table();
        let running = table.jobs.values().filter(|kept| kept.job.is_running()).count();
        if running >= RUNNING {
            return Err(Full(running));
        }
        while table.jobs.len() >= KNOWN {
            let oldest =
                table.jobs.iter().find(|(_, kept)| !kept.job.is_running()).map(|(handle, _)| *handle);
            let Some(oldest) = oldest else { break };
            table.jobs.remove(&oldest);
        }
        let job = Arc::new(ShellJob {
            handle,
            caller,
            command,
            started: entropy::now(),
            began: Instant::now(),
            stop: CancellationToken::new(),
            ended: CancellationToken::new(),
            now: Mutex::new(Now {
                state: State::Running,
                elapsed: None,
                tail: String::new(),
                truncated: false,
            }),
        });
        tracing::info!(%handle, caller = job.caller, "a job of the shell begins");
        let task = task::spawn(run(Arc::clone(&job), lasts));
        table.jobs.insert(handle, Kept { job, _task: task });
        Ok(())
    }

    /// A job by its handle.
    pub(super) fn get(&self, handle: &str) -> Option<Arc<ShellJob>> {
        let handle = handle.parse().ok()?;
        self.table().jobs.get(&handle).map(|kept| Arc::clone(&kept.job))
    }

    /// All that are known, the oldest first.
    pub(super) fn all(&self) -> Vec<Arc<ShellJob>> {
        self.table().jobs.values().map(|kept| Arc::clone(&kept.job)).collect()
    }
}

impl Drop for Table {
    fn drop(&mut self) {
        let running = self.jobs.values().filter(|kept| kept.job.is_running()).count();
        if running > 0 {
            tracing::warn!(running, "jobs of the shell end with the node's agent");
        }
    }
}

async fn run(job: Arc<ShellJob>, lasts: Duration) {
    let (outputs, mut pieces) = Outputs::new();
    let output = outputs.of(job.handle);
    let running = process::run(job.command.spec(lasts, 0, Some(&output), &job.stop));
    let mut running = std::pin::pin!(running);
    let ran = loop {
        tokio::select! {
            ran = &mut running => break ran,
            Some(piece) = pieces.recv() => job.hears(&piece.text),
        }
    };
    while let Ok(piece) = pieces.try_recv() {
        job.hears(&piece.text);
    }
    let state = match ran {
        Ok(ran) => match ran.end {
            End::Exited(status) => State::Exited(status.code()),
            End::TimedOut => State::TimedOut,
            End::Stopped => State::Killed,
            End::Flooded => State::Flooded,
        },
        Err(error) => {
            job.hears(&format!("the shell cannot be started: {error}\n"));
            State::Broken
        }
    };
    tracing::info!(handle = %job.handle, caller = job.caller, state = state.word(), "a job of the shell has ended");
    {
        let mut now = job.now();
        now.state = state;
        now.elapsed = Some(job.began.elapsed());
    }
    job.ended.cancel();
}

impl ShellJob {
    fn now(&self) -> MutexGuard<'_, Now> {
        self.now.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn is_running(&self) -> bool {
        self.now().state == State::Running
    }

    pub(super) fn state(&self) -> &'static str {
        self.now().state.word()
    }

    fn hears(&self, text: &str) {
        let mut now = self.now();
        now.tail.push_str(text);
        let mut over = now.tail.len().saturating_sub(TAIL);
        now.truncated |= over > 0;
        while !now.tail.is_char_boundary(over) {
            over += 1;
        }
        now.tail.drain(..over);
    }

    /// One line about it, for a list.
    pub(super) fn described(&self) -> Value {
        let now = self.now();
        json!({
            "handle": self.handle,
            "state": now.state.word(),
            "exitcode": now.state.exitcode(),
            "command": self.command.text.chars().take(200).collect::<String>(),
            "caller": self.caller,
            "started": self.started.to_string(),
            "elapsed": now.elapsed.unwrap_or_else(|| self.began.elapsed()).as_secs(),
        })
    }

    /// All about it: itself in a list of one, its state and its output.
    pub(super) fn details(&self) -> Value {
        let described = self.described();
        let now = self.now();
        json!({
            "jobs": [described],
            "state": now.state.word(),
            "exitcode": now.state.exitcode(),
            "output": now.tail,
            "truncated": now.truncated,
        })
    }
}
