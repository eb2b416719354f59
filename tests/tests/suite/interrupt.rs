//! An interrupt ends a call within a second and shows what came in.

use std::io::Write;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use orch_tests::fleet::{Fleet, Node};
use orch_tests::process::Ended;
use orch_tests::terminal::{on_a_terminal, without_colours};
use orch_tests::wait;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::json;

/// An agent whose action lasts until it is killed on the node `slow`, and ends at once elsewhere.
fn nap_agent(fleet: &Fleet) -> Result<()> {
    let schema = json!({
        "metadata": {
            "name": "nap", "description": "Sleeps on some nodes", "author": "orch", "license": "MIT",
            "version": "1.0.0", "url": "https://example.com", "timeout": 60, "provider": "external",
        },
        "actions": [{
            "action": "take", "description": "Sleeps", "effect": "read", "display": "always", "input": {},
            "output": { "rested": { "description": "Whether it slept", "display_as": "Rested", "type": "boolean" } },
        }],
    });
    let program = "#!/bin/sh\n\
        echo began > \"$ORCH_AGENT_STATE/began\"\n\
        case $ORCH_AGENT_STATE in */slow/*) exec sleep 600 ;; esac\n\
        echo '{\"statuscode\": 0, \"data\": {\"rested\": true}}' > \"$2\"\n";
    fleet.agent("nap", &schema, program)
}

fn start() -> Result<Fleet> {
    let mut fleet = Fleet::start()?;
    nap_agent(&fleet)?;
    for name in ["fast1", "fast2", "slow"] {
        fleet.add(&Node::named(name))?;
    }
    fleet.await_here(&["fast1".into(), "fast2".into(), "slow".into()]);
    Ok(fleet)
}

fn interrupt(child: &Child, signal: Signal) -> Result<()> {
    let pid = i32::try_from(child.id()).ok().and_then(Pid::from_raw).context("pid")?;
    kill_process(pid, signal).context("signalling")
}

/// How often a node has said `accepted`.
fn accepted(fleet: &mut Fleet, node: &str) -> Result<usize> {
    Ok(fleet.node(node)?.log().matches("accepted: it takes longer").count())
}

fn all_accepted(fleet: &mut Fleet) -> Result<usize> {
    ["fast1", "fast2", "slow"].into_iter().map(|node| accepted(fleet, node)).sum()
}

/// Starts a command, waits until the two fast nodes have answered and the slow one has begun, and interrupts it.
fn interrupted(fleet: &mut Fleet, arguments: &[&str], signal: Signal) -> Result<(Ended, Duration)> {
    let before = (fleet.status()?.replies_forwarded, accepted(fleet, "slow")?, all_accepted(fleet)?);
    let child = fleet.orch().args(arguments).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
    // Two final answers, and the slow node's `accepted`. On a busy machine the fast ones say that too.
    wait::until("two nodes have answered and one has begun", || {
        let see = |error: anyhow::Error| format!("{error:#}");
        let slow = accepted(fleet, "slow").map_err(see)? - before.1;
        let all = u64::try_from(all_accepted(fleet).map_err(see)? - before.2).unwrap_or_default();
        let forwarded = fleet.status().map_err(see)?.replies_forwarded - before.0;
        if slow == 1 && forwarded >= 2 + all {
            Ok(())
        } else {
            Err(format!("{forwarded} with {all} accepted"))
        }
    });
    let begun = Instant::now();
    interrupt(&child, signal)?;
    let ended = Ended::from(child.wait_with_output()?);
    Ok((ended, begun.elapsed()))
}

#[test]
fn a_call_ends_within_a_second_and_shows_what_came_in() -> Result<()> {
    let mut fleet = start()?;
    let call = ["call", "nap.take", "--format", "json"];
    for (signal, code) in [(Signal::INT, 130), (Signal::TERM, 143)] {
        let (ended, took) = interrupted(&mut fleet, &call, signal)?;
        let ended = ended.expect_code(code);
        assert!(took < Duration::from_secs(1), "{took:?}");
        let call = ended.json()?;
        assert_eq!((&call["counts"]["ok"], &call["counts"]["silent"]), (&json!(2), &json!(1)), "{call:#}");
        assert_eq!(call["interrupted"], true);
        let slow =
            call["results"].as_array().and_then(|all| all.iter().find(|result| result["node"] == "slow"));
        assert_eq!(slow.context("slow is missing")?["began"], true);
        // What only reads is cancelled: the node has nothing running any more and answers the next call.
        fleet.run(&["ping", "-I", "slow"]).expect_code(0);
    }
    Ok(())
}

#[test]
fn a_script_ends_within_a_second_and_goes_no_further() -> Result<()> {
    let mut fleet = start()?;
    let script = fleet.script("nap.orch", "nodes().nap.take();\nprint(\"went on\");\n")?;
    let script = script.display().to_string();
    let (ended, took) = interrupted(&mut fleet, &["script", &script, "--format", "json"], Signal::INT)?;
    let ended = ended.expect_code(130);
    assert!(took < Duration::from_secs(1), "{took:?}");
    assert!(!ended.stdout.contains("went on") && !ended.stderr.contains("went on"), "{ended:#?}");
    assert_eq!(ended.json()?["calls"][0]["counts"]["ok"], 2, "{ended:#?}");
    Ok(())
}

#[test]
fn ctrl_c_in_a_roll_out_runs_what_was_deferred_and_tells_of_every_node() -> Result<()> {
    let mut fleet = start()?;
    fleet.add(&Node::named("zulu"))?;
    fleet.await_here(&["zulu".into()]);
    let text = "let all = nodes(\"identity =~ .\").expect(4);\n\
                defer(|| print(`deferred for ${all.count}`));\n\
                all.rollout(#{ batch: 1 }, |group| { group.nap.take(); });\n\
                print(\"went on\");\n";
    let path = fleet.script("roll.orch", text)?.display().to_string();
    let Some(mut child) = on_a_terminal(&fleet, &["script", &path])? else { return Ok(()) };
    wait::until("the slow node has begun", || match accepted(&mut fleet, "slow") {
        Ok(0) => Err("not yet".to_owned()),
        Ok(_) => Ok(()),
        Err(error) => Err(format!("{error:#}")),
    });
    let mut keys = child.stdin.take().context("keyboard")?;
    keys.write_all(&[3])?;
    let ended = Ended::from(child.wait_with_output()?).expect_code(130);
    drop(keys);
    let told = &ended.stdout;
    for words in ["interrupted: nothing more is sent", "running 1 deferred closure", "deferred for 4"] {
        assert!(told.contains(words), "{words}: {told}");
    }
    assert!(!told.contains("went on"), "{told}");
    let table: Vec<Vec<&str>> = told
        .lines()
        .skip_while(|line| !line.contains("last call"))
        .skip(1)
        .map(|line| line.split_whitespace().collect())
        .take(3)
        .collect();
    let lines: Vec<String> = table.iter().map(|words| words.join(" ")).collect();
    let plain: Vec<String> = lines.iter().map(|line| without_colours(line)).collect();
    assert_eq!(
        plain,
        [
            "not started zulu selection.rollout",
            "ok fast[1-2] selection.rollout",
            "silent (had begun) slow selection.rollout"
        ],
        "{told}"
    );
    Ok(())
}

#[test]
fn a_second_ctrl_c_skips_what_was_deferred() -> Result<()> {
    let mut fleet = start()?;
    let text = "let all = nodes(\"identity =~ .\").expect(3);\n\
                defer(|| print(\"never\"));\n\
                defer(|| { print(\"deferring\"); all.nap.take(); });\n\
                all.nap.take();\n";
    let path = fleet.script("twice.orch", text)?.display().to_string();
    let Some(mut child) = on_a_terminal(&fleet, &["script", &path])? else { return Ok(()) };
    let begun = |fleet: &mut Fleet, times: usize| {
        wait::until("the slow node has begun", || match accepted(fleet, "slow") {
            Ok(count) if count >= times => Ok(()),
            Ok(count) => Err(format!("{count} times")),
            Err(error) => Err(format!("{error:#}")),
        });
    };
    let mut keys = child.stdin.take().context("keyboard")?;
    begun(&mut fleet, 1);
    keys.write_all(&[3])?;
    begun(&mut fleet, 2);
    keys.write_all(&[3])?;
    let ended = Ended::from(child.wait_with_output()?).expect_code(130);
    drop(keys);
    assert!(ended.stdout.contains("deferring") && !ended.stdout.contains("never"), "{}", ended.stdout);
    assert!(ended.stdout.contains("what was deferred is skipped"), "{}", ended.stdout);
    Ok(())
}
