//! An action that waits for the disk, on a thread that may: all that it needs, and when it has to end.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use orch_wire::body::Answer;
use serde_json::{Map, Value};
use tokio::task::spawn_blocking;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::act::crashed;
use crate::agents::Job;
use crate::agents::ending::{Done, cancelled, failed, refused, timed_out};
use crate::files::FileError;

/// One action, apart from the task that runs it.
#[derive(Debug, Clone)]
pub(super) struct Errand {
    pub(super) args: Map<String, Value>,
    pub(super) dry_run: bool,
    pub(super) caller: String,
    pub(super) state_dir: Arc<PathBuf>,
    pub(super) limit: Duration,
    pub(super) began: Instant,
    pub(super) stop: CancellationToken,
}

impl Errand {
    /// Runs an action on a thread that may wait.
    pub(super) async fn run(job: &Job, act: fn(&Errand) -> Done<Answer>) -> Answer {
        let work = &job.work;
        let errand = Self {
            args: work.args.clone(),
            dry_run: work.dry_run,
            caller: work.caller.to_string(),
            state_dir: Arc::clone(&job.info.state_dir),
            limit: work.timeout,
            began: Instant::now(),
            stop: job.stop.clone(),
        };
        let done = spawn_blocking(move || act(&errand).unwrap_or_else(|answer| *answer)).await;
        done.unwrap_or_else(|_| crashed())
    }

    /// A text among the arguments; the schema has checked it.
    pub(super) fn text(&self, name: &str) -> Option<&str> {
        self.args.get(name).and_then(Value::as_str)
    }

    /// A number among the arguments that cannot be below 0.
    pub(super) fn number(&self, name: &str) -> Done<Option<u64>> {
        match self.args.get(name) {
            None => Ok(None),
            Some(value) => match value.as_u64() {
                Some(number) => Ok(Some(number)),
                None => Err(refused(format!("`{name}` must be 0 or more"))),
            },
        }
    }

    /// Whether a switch among the arguments is on.
    pub(super) fn is(&self, name: &str) -> bool {
        self.args.get(name).and_then(Value::as_bool).unwrap_or_default()
    }

    /// Gives the answer when the action has to end now. For between two steps.
    pub(super) fn check_time(&self) -> Done<()> {
        if self.stop.is_cancelled() {
            return Err(cancelled());
        }
        if self.began.elapsed() >= self.limit {
            return Err(timed_out(self.limit));
        }
        Ok(())
    }
}

impl From<FileError> for Box<Answer> {
    fn from(error: FileError) -> Self {
        failed(error.full())
    }
}
