//! The agent `file`: files looked at, read, written, and pushed and fetched in blocks.
//!
//! | module | what it does |
//! | --- | --- |
//! | `place` | the paths that callers name, and what is there now |
//! | `attributes` | owner, group and mode: those that are wanted, those that are there |
//! | `stat`, `read` | what a file is and holds |
//! | `install` | puts content in the place of a file, whole or not at all |
//! | `write`, `push` | content in one call, and in blocks |

mod attributes;
mod install;
mod place;
mod push;
mod read;
mod stat;
mod write;

use orch_wire::body::Answer;

use super::errand::Errand;
use super::{outputs, unknown_action};
use crate::agents::Job;
use crate::agents::ending::{Done, failed, refused};

/// Runs one action.
pub(super) async fn run(job: &Job) -> Answer {
    let act: fn(&Errand) -> Done<Answer> = match job.work.action.as_str() {
        "stat" => stat::stat,
        "read" => read::read,
        "fetch" => read::fetch,
        "write" => write::write,
        "touch" => write::touch,
        "remove" => write::remove,
        "push" => push::push,
        // No action that can be called: the data function `file` asks so.
        "query" => stat::query,
        _ => return *unknown_action(job),
    };
    Errand::run(job, act).await
}

#[cfg(test)]
mod tests;
