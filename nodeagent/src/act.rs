//! One action beside the node's task: recorded where it writes, run within its time, always with an answer.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use orch_link::entropy;
use orch_wire::body::{Answer, code};
use tokio::task::spawn_blocking;
use tokio::time::{Instant, timeout};
use tokio_util::sync::CancellationToken;

use crate::agents::{Here, Job};
use crate::record::Record;
use crate::work::Work;

/// A program's own limit kills it; this much later the action is given up even if that failed.
const BEYOND: Duration = Duration::from_secs(3);

/// Runs a program's action to its answer. The record of its begin is on disk before anything is done. When `closing` is
/// set, what stops the action is the end of the agent.
pub(crate) async fn act(job: Job, record: Record, closing: CancellationToken) -> Answer {
    let (call, is_write) = (job.work.call, job.work.is_write);
    if let Some(answer) = too_late(&job.work) {
        return answer;
    }
    let mut job = job;
    if is_write {
        let begins = record.clone();
        let begun = spawn_blocking(move || (begins.begin(&job.work), job));
        job = match begun.await {
            Ok((None, job)) => job,
            Ok((Some(refusal), _)) => return refusal,
            Err(_) => return crashed(),
        };
    }
    let mut answer = run(job).await;
    if closing.is_cancelled() && answer.code.as_deref() == Some(code::CANCELLED) {
        answer = Answer { elapsed: answer.elapsed, ..interrupted() };
    }
    // Appending one line is not worth another thread; making the file small is.
    if is_write && record.end(call, &answer) {
        let _ = spawn_blocking(move || record.compact(call)).await;
    }
    answer
}

/// Runs a write that is a function of this process, on a thread that may wait for the disk: all of it in one go, since
/// changing threads costs more than the rest.
pub(crate) fn act_on_this_thread(here: Here, job: &Job, record: &Record) -> Answer {
    let call = job.work.call;
    if let Some(answer) = too_late(&job.work) {
        return answer;
    }
    if let Some(refusal) = record.begin(&job.work) {
        return refusal;
    }
    let answer = act_at_once(here, job);
    if record.end(call, &answer) {
        record.compact(call);
    }
    answer
}

fn too_late(work: &Work) -> Option<Answer> {
    let message = "waited for other actions until it was too late to begin";
    (entropy::now() > work.expires).then(|| Answer::rejected(code::OVERLOADED, message))
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

/// Runs an action within its time.
pub(crate) async fn run(job: Job) -> Answer {
    let began = Instant::now();
    let limit = job.work.timeout;
    let mut answer = match timeout(limit.saturating_add(BEYOND), job.run()).await {
        Ok(answer) => answer,
        Err(_) => Answer::timed_out(format!("given up after {} s", limit.as_secs_f64())),
    };
    answer.elapsed = began.elapsed().into();
    answer
}
