//! Commands of a shell: only where the node's configuration asks for them.

use anyhow::Result;
use orch_tests::fleet::{Fleet, Node};
use orch_tests::wait;
use rustix::process::Signal;
use serde_json::json;

use super::kit::{await_gone, call, fleet_with_shell, is_alive};

#[test]
fn a_node_has_no_shell_unless_it_is_told_to() -> Result<()> {
    let fleet = Fleet::with([Node::named("n01")])?;
    call(&fleet, &["shell.run", "command=true"])?.ended("rejected", "unknown_action");
    Ok(())
}

#[test]
fn a_command_runs_streams_and_says_how_it_ended() -> Result<()> {
    let fleet = fleet_with_shell()?;
    let ran = call(&fleet, &["shell.run", "command=echo one | tr o O"])?.ok();
    assert_eq!((&ran["stdout"], &ran["exitcode"]), (&json!("One\n"), &json!(0).clone()));
    let failed = call(&fleet, &["shell.run", "command=echo no >&2; exit 7"])?.ended("failed", "action");
    assert_eq!((failed.message.as_str(), &failed.data["exitcode"]), ("exited with status 7: no", &json!(7)));
    let streamed =
        fleet.run(&["call", "shell.run", "command=echo live", "-I", "n01", "--stream"]).expect_code(0);
    assert!(streamed.stdout.starts_with("n01: live\n"), "{streamed:#?}");
    call(&fleet, &["shell.run", "command=sleep 600", "--timeout", "1s"])?.ended("timed_out", "timeout");
    Ok(())
}

#[test]
fn a_job_outlives_its_call_but_neither_its_end_nor_the_agent() -> Result<()> {
    let mut fleet = fleet_with_shell()?;
    let started = || -> Result<(String, String)> {
        let data = call(&fleet, &["shell.start", "command=echo $$; sleep 600 & echo $!; wait"])?.ok();
        let handle = format!("handle={}", data["handle"].as_str().unwrap_or_default());
        let child = wait::until("the job says who it is", || {
            let status = call(&fleet, &["shell.status", &handle]).map_err(|e| format!("{e:#}"))?.ok();
            let output = status["output"].as_str().unwrap_or_default();
            output.lines().nth(1).map(str::to_owned).ok_or_else(|| status.to_string())
        });
        Ok((handle, child))
    };
    let (handle, child) = started()?;
    assert!(is_alive(&child));
    let all = call(&fleet, &["shell.status"])?.ok();
    assert_eq!((&all["jobs"][0]["state"], &all["jobs"][0]["caller"]), (&json!("running"), &json!("alice")));
    let killed = call(&fleet, &["shell.kill", &handle])?.ok();
    assert_eq!(killed, json!({"state": "killed", "changed": true}));
    await_gone(&child);

    let (_, child) = started()?;
    let node = fleet.node("n01")?;
    node.signal(Signal::TERM)?;
    node.wait()?;
    await_gone(&child);
    assert!(fleet.node("n01")?.log().contains("jobs of the shell end with the node's agent"));
    Ok(())
}
