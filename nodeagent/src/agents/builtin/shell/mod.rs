//! The agent `shell`: commands of a shell, only where the node's configuration asks for it.
//!
//! | module | what it does |
//! | --- | --- |
//! | `command` | one command line, and how the shell is started for it |
//! | `run` | a command that ends with its call |
//! | `jobs` | those that go on after their call: kept, bounded, ended |
//! | `start` | the actions that start, show and kill them |

mod command;
mod jobs;
mod run;
mod start;

pub(crate) use jobs::Jobs;

use orch_wire::body::Answer;

use super::{outputs, text, unknown_action};
use crate::agents::Job;
use crate::agents::ending::{Done, failed, refused};

/// Runs one action.
pub(super) async fn run(job: &Job) -> Answer {
    let done = match job.work.action.as_str() {
        "run" => run::run(job).await,
        "start" => start::start(job),
        "status" => start::status(job),
        "kill" => start::kill(job).await,
        _ => Err(unknown_action(job)),
    };
    done.unwrap_or_else(|answer| *answer)
}

#[cfg(test)]
mod tests;
