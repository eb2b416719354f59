//! Agents that do all that an agent should not: each ends in time, as what it was, leaves nothing behind and keeps the node from
//! nothing.

use std::os::unix::fs::PermissionsExt;

use anyhow::{Context, Result};
use orch_tests::fleet::{Fleet, Node};
use orch_tests::wait;
use serde_json::json;

use super::kit::{Call, call, configure};

/// Each action is a way to misbehave. What runs is written down in `pids`.
const PROGRAM: &str = r#"#!/bin/sh
cd "$ORCH_AGENT_STATE" || exit 1
action=$(sed 's/.*"action":"\([a-z]*\)".*/\1/' "$1")
echo $$ >> pids
case $action in
forks)
    for one in 1 2 3; do (sleep 600 & echo $! >> pids; wait) & echo $! >> pids; done
    echo begun > begun
    wait ;;
stubborn)
    trap '' TERM INT HUP
    (trap '' TERM INT HUP; sleep 600) & echo $! >> pids
    echo begun > begun
    while :; do sleep 1; done ;;
endless) echo begun > begun; exec sleep 600 ;;
floods) echo begun > begun; exec head -c 1073741824 /dev/zero ;;
swells) echo begun > begun; exec head -c 1073741824 /dev/zero > "$2" ;;
greedy) x=aaaaaaaaaaaaaaaa; while :; do x="$x$x"; done ;;
paints) printf '\033[2J\033]0;title\007red' >&2; exit 1 ;;
shows) printf '{"statuscode":0,"data":{"text":"\\u001b[2J\\u009b31m"}}' > "$2" ;;
breaks) echo '{"statuscode": 0, "data": ' > "$2" ;;
says) echo all is well ;;
dies) kill -9 $$ ;;
esac
"#;

const ACTIONS: [&str; 11] = [
    "forks", "stubborn", "endless", "floods", "swells", "greedy", "paints", "shows", "breaks", "says", "dies",
];

fn fleet() -> Result<Fleet> {
    let mut fleet = Fleet::start()?;
    let action = |name: &str| {
        json!({
            "action": name, "description": "Misbehaves", "effect": "read", "display": "always", "input": {},
            "output": { "text": { "description": "A text", "display_as": "Text", "type": "string" } },
        })
    };
    let schema = json!({
        "metadata": {
            "name": "unruly", "description": "Misbehaves", "author": "orch", "license": "MIT", "version": "1.0.0",
            "url": "https://example.com", "timeout": 60, "provider": "external",
        },
        "actions": ACTIONS.map(action),
    });
    fleet.agent("unruly", &schema, PROGRAM)?;
    fleet.add(&Node::named("n01"))?;
    fleet.kill_node("n01")?;
    // Nothing is read again here: what has changed is found when it is to run.
    configure(&fleet, "n01", |text| {
        text.replace("[agents]\n", "[limits]\naction_memory = 64\n[agents]\nwatch = \"0s\"\n")
    })?;
    fleet.start_node("n01")?;
    fleet.await_here(&["n01".to_owned()]);
    Ok(fleet)
}

fn await_begun(fleet: &Fleet) -> Result<()> {
    let begun = fleet.agent_state("n01", "unruly", "begun");
    wait::until("the action has begun", || if begun.exists() { Ok(()) } else { Err("not yet") });
    std::fs::remove_file(begun).context("removing a sign")
}

fn answers(fleet: &Fleet) {
    fleet.run(&["ping", "-I", "n01"]).expect_code(0);
}

/// Waits until none of the agent's processes is left.
fn await_none_left(fleet: &Fleet) -> Result<()> {
    let pids = std::fs::read_to_string(fleet.agent_state("n01", "unruly", "pids"))?;
    assert!(!pids.is_empty());
    for pid in pids.lines() {
        wait::until(&format!("process {pid} is gone"), || {
            match std::fs::read_to_string(format!("/proc/{pid}/stat")) {
                // A zombie has ended; only its parent has not looked yet.
                Ok(stat) if !stat.contains(") Z ") => Err(stat),
                _ => Ok(()),
            }
        });
    }
    let runs = std::fs::read_dir(fleet.path("run/calls"))?.count();
    assert_eq!(runs, 0, "files of runs are left");
    Ok(())
}

#[test]
fn what_does_not_end_is_killed_with_all_its_processes_and_the_node_answers_meanwhile() -> Result<()> {
    let fleet = fleet()?;
    for action in ["forks", "stubborn", "endless"] {
        let mut running = Call::begin(&fleet, &[&format!("unruly.{action}"), "--timeout", "3s"])?;
        await_begun(&fleet)?;
        answers(&fleet);
        assert!(running.runs()?, "{action} ended before the node was asked");
        running.answer()?.expect("timed_out", "timeout", "killed after 3 s with all its processes");
        await_none_left(&fleet)?;
    }
    Ok(())
}

#[test]
fn a_gigabyte_is_cut_short() -> Result<()> {
    let fleet = fleet()?;
    for (action, message) in
        [("floods", "more output than an action may"), ("swells", "its reply grew beyond")]
    {
        let running = Call::begin(&fleet, &[&format!("unruly.{action}")])?;
        await_begun(&fleet)?;
        answers(&fleet);
        running.answer()?.expect("failed", "reply", message);
        await_none_left(&fleet)?;
    }
    Ok(())
}

#[test]
fn each_wrong_end_has_its_own_message() -> Result<()> {
    let fleet = fleet()?;
    for (action, code, message) in [
        ("breaks", "reply", "the agent's reply is not as agreed: EOF while parsing"),
        ("says", "reply", "the agent wrote no reply"),
        ("dies", "action", "killed by signal 9"),
        ("greedy", "action", "may have 64 MiB of memory: limits.action_memory"),
        ("paints", "action", "red"),
    ] {
        call(&fleet, &[&format!("unruly.{action}")])?.expect("failed", code, message);
        answers(&fleet);
    }
    await_none_left(&fleet)
}

#[test]
fn what_steers_a_terminal_is_shown_and_not_sent() -> Result<()> {
    let fleet = fleet()?;
    for (action, code, shown) in [("paints", 2, "red"), ("shows", 0, "[2J")] {
        let ended = fleet.run(&["call", &format!("unruly.{action}"), "-I", "n01"]).expect_code(code);
        let told = format!("{}{}", ended.stdout, ended.stderr);
        assert!(told.contains(shown), "{told}");
        assert!(!told.contains(['\u{1b}', '\u{7}', '\u{9b}']), "{told:?}");
    }
    let log = fleet.path("nodes/n01/log");
    assert!(!std::fs::read_to_string(log)?.contains(['\u{1b}', '\u{7}', '\u{9b}']));
    Ok(())
}

#[test]
fn what_became_unusable_after_it_was_loaded_is_refused() -> Result<()> {
    let fleet = fleet()?;
    let (folder, program) = (fleet.path("agents"), fleet.path("agents/unruly"));
    call(&fleet, &["unruly.shows"])?.expect("ok", "", "");
    for (path, mode, message) in [
        (&program, 0o644, "is not executable"),
        (&program, 0o757, "can be written by others"),
        (&folder, 0o777, "can be written by others"),
    ] {
        std::fs::set_permissions(path, PermissionsExt::from_mode(mode))?;
        call(&fleet, &["unruly.shows"])?.expect("rejected", "missing_tool", message);
        answers(&fleet);
        std::fs::set_permissions(path, PermissionsExt::from_mode(0o755))?;
    }
    call(&fleet, &["unruly.shows"])?.expect("ok", "", "");
    std::fs::remove_file(&program)?;
    call(&fleet, &["unruly.shows"])?.expect("rejected", "missing_tool", "No such file");
    Ok(())
}
