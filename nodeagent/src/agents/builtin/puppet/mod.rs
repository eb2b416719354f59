//! The agent `puppet`: the Puppet agent of the node, through its program and its own files.

mod once;
mod program;
mod state;

use orch_wire::body::Answer;
use serde_json::json;

use self::program::Settings;
pub(super) use self::program::{puppet, yaml};
use self::state::{State, Summary};
use super::{outputs, text, unknown_action};
use crate::agents::Job;
use crate::agents::ending::{Done, failed};
use crate::agents::tool::Tools;

/// Runs one action.
pub(super) async fn run(job: &Job) -> Answer {
    act(job).await.unwrap_or_else(|answer| *answer)
}

async fn act(job: &Job) -> Done<Answer> {
    let tools = Tools::of(job);
    match job.work.action.as_str() {
        "runonce" => once::run(job, &tools).await,
        "status" => Ok(outputs(State::read(&Settings::read(&tools).await?)?.outputs())),
        "enable" => enable(job, &tools).await,
        "disable" => disable(job, &tools).await,
        "last_run_summary" => match Summary::read(&Settings::read(&tools).await?)? {
            Some(summary) => Ok(outputs(summary.outputs())),
            None => Err(failed("puppet has not run on this node yet")),
        },
        "resource_count" => match state::resource_count(&Settings::read(&tools).await?)? {
            Some((count, types)) => Ok(outputs(json!({"count": count, "types": types}))),
            // `puppet apply` keeps it only when told to.
            None => Err(failed(
                "puppet keeps no list of its resources: it has not run, or without `write_catalog_summary`",
            )),
        },
        _ => Err(unknown_action(job)),
    }
}

async fn enable(job: &Job, tools: &Tools<'_>) -> Done<Answer> {
    let settings = Settings::read(tools).await?;
    let changes = State::read(&settings)?.disabled.is_some();
    if changes && !job.work.dry_run {
        tools.run(puppet("agent").args(["--enable"])).await?.ok()?;
        if State::read(&settings)?.disabled.is_some() {
            return Err(failed("puppet was enabled, and is disabled"));
        }
    }
    Ok(outputs(json!({"enabled": true, "changed": changes})))
}

/// A puppet that is disabled already keeps the message that it has, and it is that one that is answered.
async fn disable(job: &Job, tools: &Tools<'_>) -> Done<Answer> {
    let settings = Settings::read(tools).await?;
    if let Some(message) = State::read(&settings)?.disabled {
        return Ok(outputs(json!({"enabled": false, "disable_message": message, "changed": false})));
    }
    let given = text(job, "message");
    let message =
        if given.is_empty() { format!("disabled by {}", job.work.caller) } else { given.to_owned() };
    if job.work.dry_run {
        return Ok(outputs(json!({"enabled": false, "disable_message": message, "changed": true})));
    }
    tools.run(puppet("agent").args([format!("--disable={message}")])).await?.ok()?;
    match State::read(&settings)?.disabled {
        Some(message) => Ok(outputs(json!({"enabled": false, "disable_message": message, "changed": true}))),
        None => Err(failed("puppet was disabled, and is enabled")),
    }
}
