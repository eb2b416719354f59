//! The actions that start, show and kill jobs.

use std::time::Duration;

use orch_wire::body::{Answer, code};
use serde_json::{Value, json};
use tokio::time::timeout;

use super::command::CommandLine;
use super::{Done, failed, outputs, refused, text};
use crate::agents::Job;

/// A job that was killed is gone within its grace and a moment.
const KILLING: Duration = Duration::from_secs(5);

/// Starts a job.
pub(super) fn start(job: &Job) -> Done<Answer> {
    let command = CommandLine::of(job)?;
    let longest = job.info.limits.action_timeout;
    let lasts = match job.work.args.get("lasts") {
        None => longest,
        Some(seconds) => match seconds.as_u64() {
            Some(seconds @ 1..) => Duration::from_secs(seconds).min(longest),
            _ => return Err(refused("`lasts` must be 1 second or more")),
        },
    };
    let handle = job.work.call;
    job.info.jobs.start(handle, job.work.caller.to_string(), command, lasts).map_err(|full| {
        let why = format!("{} jobs run here already", full.0);
        Box::new(Answer::rejected(code::OVERLOADED, why))
    })?;
    Ok(outputs(json!({"handle": handle})))
}

/// Tells of one job, or of all.
pub(super) fn status(job: &Job) -> Done<Answer> {
    let jobs = &job.info.jobs;
    match text(job, "handle") {
        "" => {
            let all: Vec<Value> = jobs.all().iter().map(|job| job.described()).collect();
            Ok(outputs(json!({"jobs": all})))
        }
        handle => Ok(outputs(jobs.get(handle).ok_or_else(unknown)?.details())),
    }
}

/// Ends a job with all its processes, and waits until it has ended.
pub(super) async fn kill(job: &Job) -> Done<Answer> {
    let found = job.info.jobs.get(text(job, "handle")).ok_or_else(unknown)?;
    let changed = found.is_running();
    found.stop.cancel();
    if timeout(KILLING, found.ended.cancelled()).await.is_err() {
        return Err(failed("the job was asked to end and has not yet"));
    }
    Ok(outputs(json!({"state": found.state(), "changed": changed})))
}

fn unknown() -> Box<Answer> {
    failed("this node knows of no job with this handle: it has forgotten it, or its agent was started again")
}
