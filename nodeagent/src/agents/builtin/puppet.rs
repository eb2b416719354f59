//! The agent `puppet`.

use orch_wire::body::{Answer, code};

use crate::agents::Job;

/// Runs one action.
pub(super) async fn run(job: &Job) -> Answer {
    Answer::rejected(code::UNKNOWN_ACTION, format!("`puppet` has no action `{}`", job.work.action))
}
