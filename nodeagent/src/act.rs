//! One action beside the node's task: recorded where it writes, run within its time, always with an answer.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use orch_link::entropy;
use orch_wire::body::{Answer, Ending, code};
use orch_wire::ids::CallId;
use tokio::task::spawn_blocking;
use tokio::time::{Instant, timeout};
use tokio_util::sync::CancellationToken;

use crate::agents::{Here, Job};
use crate::files::FileError;
use crate::started::Started;

/// A program's own limit kills it; this much later the action is given up even if that failed.
const BEYOND: Duration = Duration::from_secs(3);

/// Runs an action to its answer. The record of its begin is on disk before anything is done. When `closing` is set, what
/// stops the action is the end of the agent.
pub(crate) async fn act(job: Job, started: Arc<Mutex<Started>>, closing: CancellationToken) -> Answer {
    let (call, message, expires) = (job.work.call, job.work.message, job.work.expires);
    let is_write = job.work.is_write;
    if entropy::now() > expires {
        return Answer::rejected(code::OVERLOADED, "waited for other actions until it was too late to begin");
    }
    if is_write {
        let record = Arc::clone(&started);
        let recorded = spawn_blocking(move || {
            let mut record = record.lock().unwrap_or_else(PoisonError::into_inner);
            let unsynced = record.begin(message, call, expires, entropy::now())?;
            drop(record);
            unsynced.sync()
        });
        let problem = match recorded.await {
            Ok(Ok(())) => None,
            Ok(Err(error)) => Some(error.full()),
            Err(error) => Some(error.to_string()),
        };
        if let Some(problem) = problem {
            tracing::error!(%call, problem, "a write is refused because its begin cannot be recorded");
            return Answer::rejected(code::STATE, "this node cannot record that the action begins");
        }
    }
    let mut answer = run(job).await;
    if closing.is_cancelled() && answer.code.as_deref() == Some(code::CANCELLED) {
        answer = Answer { elapsed: answer.elapsed, ..interrupted() };
    }
    if is_write {
        record_end(call, &answer, started).await;
    }
    answer
}

/// Appends one line without waiting for the disk, which is not worth another thread; only making the file small is.
async fn record_end(call: CallId, answer: &Answer, started: Arc<Mutex<Started>>) {
    let (ending, code) = (answer.ending.unwrap_or(Ending::Failed), answer.code.clone());
    let lock = |started: &Mutex<Started>| -> Result<bool, FileError> {
        let mut record = started.lock().unwrap_or_else(PoisonError::into_inner);
        record.end(call, ending, code, entropy::now())?;
        Ok(record.wants_compacting())
    };
    let recorded = match lock(&started) {
        Ok(false) => Ok(()),
        Ok(true) => {
            let compacted = spawn_blocking(move || {
                started.lock().unwrap_or_else(PoisonError::into_inner).compact(entropy::now())
            });
            compacted.await.unwrap_or(Ok(()))
        }
        Err(error) => Err(error),
    };
    if let Err(error) = recorded {
        tracing::warn!(%call, error = error.full(), "the end of a write cannot be recorded");
    }
}

/// Runs an action that is answered from memory. One that crashes costs only itself.
pub(crate) fn act_at_once(here: Here, job: &Job) -> Answer {
    let began = Instant::now();
    let mut answer = catch_unwind(AssertUnwindSafe(|| here.run(job))).unwrap_or_else(|_| {
        tracing::error!(call = %job.work.call, "an action ended abnormally");
        crashed()
    });
    answer.elapsed = began.elapsed().into();
    answer
}

/// The answer of an action that crashed.
pub(crate) fn crashed() -> Answer {
    Answer::failed(code::INTERRUPTED, "the action crashed")
}

/// The answer of an action that the end of the agent cut short.
pub fn interrupted() -> Answer {
    Answer::failed(code::INTERRUPTED, "the node's agent ended while the action ran")
}

async fn run(job: Job) -> Answer {
    let began = Instant::now();
    let limit = job.work.timeout;
    let mut answer = match timeout(limit.saturating_add(BEYOND), job.run()).await {
        Ok(answer) => answer,
        Err(_) => Answer::timed_out(format!("given up after {} s", limit.as_secs_f64())),
    };
    answer.elapsed = began.elapsed().into();
    answer
}
