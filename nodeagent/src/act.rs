//! One action beside the node's task: recorded where it writes, run within its time, always with an answer.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use orch_link::entropy;
use orch_wire::body::{Answer, Ending, code};
use tokio::task::spawn_blocking;
use tokio::time::{Instant, timeout};
use tokio_util::sync::CancellationToken;

use crate::agents::Job;
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
            record.begin(message, call, expires, entropy::now())
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
        let (ending, code) = (answer.ending.unwrap_or(Ending::Failed), answer.code.clone());
        let recorded = spawn_blocking(move || {
            let mut record = started.lock().unwrap_or_else(PoisonError::into_inner);
            record.end(call, ending, code, entropy::now())
        });
        if let Ok(Err(error)) = recorded.await {
            tracing::warn!(%call, error = error.full(), "the end of a write cannot be recorded");
        }
    }
    answer
}

/// The answer of an action that the end of the agent cut short.
pub(crate) fn interrupted() -> Answer {
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
