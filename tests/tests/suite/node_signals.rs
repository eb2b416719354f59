//! What a node does when it is told to read its configuration again, and when it is told to stop: in both cases calls in progress
//! come to their end.

use anyhow::{Context, Result};
use orch_tests::fleet::{Fleet, Node};
use orch_tests::wait;
use orch_wire::control::Presence;
use rustix::process::Signal;
use serde_json::{Value, json};

use super::external::kit::{Call, asked, call, configure, problems, write};

/// An agent whose `change` lasts until a file tells it to end; its `stick` lasts for ever.
const PROGRAM: &str = r#"#!/bin/sh
cd "$ORCH_AGENT_STATE" || exit 1
case $(cat "$1") in
*'"action":"stick"'*) echo begun > stuck; exec sleep 600 ;;
*'"action":"change"'*) echo begun > begun; while [ -d . ] && [ ! -e open ]; do sleep 0.02; done ;;
esac
echo '{"statuscode": 0}' > "$2"
"#;

fn schema(name: &str) -> Value {
    let action = |name: &str, effect: &str| {
        json!({
            "action": name, "description": "Waits", "effect": effect, "display": "always", "input": {}, "output": {},
        })
    };
    json!({
        "metadata": {
            "name": name, "description": "Waits", "author": "orch", "license": "MIT", "version": "1.0.0",
            "url": "https://example.com", "timeout": 60, "provider": "external",
        },
        "actions": [action("look", "read"), action("change", "write"), action("stick", "write")],
    })
}

fn fleet() -> Result<Fleet> {
    let mut fleet = Fleet::start()?;
    for name in ["early", "late"] {
        fleet.agent(name, &schema(name), PROGRAM)?;
    }
    fleet.add(&Node::named("n01"))?;
    fleet.await_here(&["n01".to_owned()]);
    Ok(fleet)
}

fn await_file(fleet: &Fleet, agent: &str, file: &str) {
    let path = fleet.agent_state("n01", agent, file);
    wait::until(&format!("{file} is there"), || if path.exists() { Ok(()) } else { Err("not yet") });
}

fn open(fleet: &Fleet, agent: &str) -> Result<()> {
    std::fs::write(fleet.agent_state("n01", agent, "open"), "").context("letting an action end")
}

/// Makes the node read its configuration, and waits until it has said this.
fn reload(fleet: &mut Fleet, said: &str) -> Result<String> {
    let before = fleet.node("n01")?.log().len();
    fleet.node("n01")?.signal(Signal::HUP)?;
    let node = fleet.node("n01")?;
    Ok(wait::until(said, || {
        let log = node.log().get(before..).unwrap_or_default().to_owned();
        if log.contains(said) { Ok(log) } else { Err(log) }
    }))
}

const READ: &str = "facts, classes, agents and policies were read again";

#[test]
fn an_action_goes_on_while_all_around_it_changes() -> Result<()> {
    let mut fleet = fleet()?;
    let running = Call::begin(&fleet, &["early.change"])?;
    await_file(&fleet, "early", "begun");

    let file = |name: &str| fleet.path("nodes/n01").join(name);
    write(&file("other/late.json"), &schema("late").to_string(), 0o644)?;
    write(&file("other/late"), PROGRAM, 0o755)?;
    write(&file("policies/late.policy"), "policy default allow\ndeny\tcert=alice\tlook\t*\t*\n", 0o644)?;
    write(&file("more.d/site.txt"), "site=lon\n", 0o644)?;
    configure(&fleet, "n01", |text| {
        let agents = format!("[agents]\ndirs = [\"{}\"]", fleet.path("agents").display());
        text.replace(&agents, "[limits]\naction_timeout = \"1s\"\n[agents]\ndirs = [\"other\"]")
            .replace("[\"facts.d\"]", "[\"facts.d\", \"more.d\"]")
            .replace("names = []", "names = [\"role::web\"]")
    })?;
    let log = reload(&mut fleet, READ)?;
    let changed = "changed: facts.dirs, classes.names, agents.dirs, limits.action_timeout";
    assert!(log.contains(changed) && !log.contains("restart"), "{log}");

    // The next calls find all of it.
    call(&fleet, &["late.look"])?.expect("rejected", "not_authorised", "");
    call(&fleet, &["late.stick"])?.expect("timed_out", "timeout", "killed after 1 s");
    call(&fleet, &["early.look"])?.expect("rejected", "unknown_action", "no agent `early`");
    let selected = fleet.run(&["find", "-C", "role::web", "-F", "site=lon"]).expect_code(0);
    assert_eq!(selected.stdout.trim(), "n01");
    assert_eq!(asked(&fleet, &["node.config"])?["config"]["limits.action_timeout"], "1000ms");

    // It began with an hour.
    open(&fleet, "early")?;
    running.answer()?.expect("ok", "", "");
    Ok(())
}

#[test]
fn a_configuration_with_something_wrong_in_it_changes_nothing() -> Result<()> {
    let mut fleet = fleet()?;
    let path = fleet.path("nodes/n01/node.toml");
    let good = std::fs::read_to_string(&path)?;
    let limited = good.replace("[agents]\n", "[limits]\naction_timeout = \"2s\"\n[agents]\n");
    write(&fleet.path("nodes/n01/policies/late.policy"), "policy default deny\n", 0o644)?;
    for (text, said) in [
        (limited.replace("\"2s\"", "\"soon\""), "node.toml:13:18: `soon` is not a span"),
        (limited.replace("log = \"debug\"", "log = \"orch=loud\""), "node.toml:5:7: log filter: "),
        (limited.replace("\"key.pem\"", "\"none.pem\""), "none.pem"),
        (limited.replace("[limits]", "[limit]"), "unknown field `limit`"),
    ] {
        write(&path, &text, 0o644)?;
        let log = reload(&mut fleet, "nothing has changed")?;
        assert!(log.contains(said), "{log}");
        let told = problems(&fleet)?;
        assert!(told.contains("node.toml: cannot be used") && told.contains(said), "{told}");
        call(&fleet, &["late.look"])?.expect("ok", "", "");
        assert_eq!(asked(&fleet, &["node.config"])?["config"]["limits.action_timeout"], "3600000ms");
    }
    write(&path, &limited, 0o644)?;
    reload(&mut fleet, READ)?;
    assert_eq!(problems(&fleet)?, "[]");
    assert_eq!(asked(&fleet, &["node.config"])?["config"]["limits.action_timeout"], "2000ms");
    call(&fleet, &["late.look"])?.expect("rejected", "not_authorised", "");
    Ok(())
}

#[test]
fn what_needs_a_restart_is_named_and_logging_changes_at_once() -> Result<()> {
    let mut fleet = fleet()?;
    configure(&fleet, "n01", |text| {
        text.replace("\"debug\"", "\"info\"").replace("\"state\"", "\"elsewhere\"")
    })?;
    let strange = fleet.issue("orch://node/n02")?;
    let folder = fleet.path("nodes/n01");
    write(&folder.join("psk"), &"0".repeat(64), 0o600)?;
    let log = reload(&mut fleet, READ)?;
    assert!(log.contains("changed: log"), "{log}");
    let log = reload(&mut fleet, "not in force before a restart: state, psk")?;
    assert!(log.contains("changed: nothing"), "said again for as long as it is true: {log}");
    let before = fleet.node("n01")?.log().len();
    call(&fleet, &["late.look"])?.expect("ok", "", "");
    let since = fleet.node("n01")?.log().get(before..).unwrap_or_default().to_owned();
    assert!(!since.contains("DEBUG"), "{since}");
    assert!(!folder.join("elsewhere").exists());

    // A certificate of another name is for another node.
    write(&folder.join("cert.pem"), &strange.cert, 0o644)?;
    write(&folder.join("key.pem"), &strange.key, 0o600)?;
    reload(&mut fleet, "not in force before a restart: identity, state, psk, tls.cert")?;
    call(&fleet, &["late.look"])?.expect("ok", "", "");
    Ok(())
}

#[test]
fn a_renewed_certificate_and_another_collective_come_into_force_on_new_lanes() -> Result<()> {
    let mut fleet = fleet()?;
    let old = fleet.node_certificate("n01")?;
    let running = Call::begin(&fleet, &["early.change"])?;
    await_file(&fleet, "early", "begun");
    let renewed = fleet.issue("orch://node/n01")?;
    let folder = fleet.path("nodes/n01");
    write(&folder.join("cert.pem"), &renewed.cert, 0o644)?;
    write(&folder.join("key.pem"), &renewed.key, 0o600)?;
    configure(&fleet, "n01", |text| format!("collectives = [\"main\", \"web\"]\n{text}"))?;
    let log = reload(&mut fleet, "the lanes to the broker are open")?;
    assert!(log.contains("changed: collectives, tls.cert"), "{log}");
    fleet.await_presence("n01", Presence::Here);
    let collectives = asked(&fleet, &["node.collectives"])?;
    assert_eq!(collectives["collectives"], json!(["main", "web"]));

    // Who has only the old certificate is put out; the node is not.
    let before = fleet.broker()?.log().len();
    fleet.revoke(&[&old])?;
    fleet.broker()?.signal(Signal::HUP)?;
    let broker = fleet.broker()?;
    wait::until("the broker has read its list", || {
        let log = broker.log().get(before..).unwrap_or_default().to_owned();
        if log.contains("changed: tls.crl") { Ok(()) } else { Err(log) }
    });
    call(&fleet, &["late.look"])?.expect("ok", "", "");
    assert_eq!(fleet.presence("n01")?, Some(Presence::Here));
    open(&fleet, "early")?;
    running.answer()?.expect("ok", "", "");
    Ok(())
}

#[test]
fn a_node_that_is_told_to_stop_waits_for_its_actions_and_answers_for_those_that_do_not_end() -> Result<()> {
    let mut fleet = fleet()?;
    configure(&fleet, "n01", |text| {
        text.replace("[agents]\n", "[limits]\nshutdown_grace = \"3s\"\n[agents]\n")
    })?;
    reload(&mut fleet, READ)?;
    let (ending, stuck) = (Call::begin(&fleet, &["early.change"])?, Call::begin(&fleet, &["late.stick"])?);
    await_file(&fleet, "early", "begun");
    await_file(&fleet, "late", "stuck");
    fleet.node("n01")?.signal(Signal::TERM)?;
    let node = fleet.node("n01")?;
    wait::until("it stops", || if node.log().contains("stops") { Ok(()) } else { Err(node.log()) });
    open(&fleet, "early")?;
    ending.answer()?.expect("ok", "", "");
    stuck.answer()?.expect("failed", "interrupted", "ended while the action ran");
    assert!(fleet.node("n01")?.wait()?.success());
    fleet.await_presence("n01", Presence::Left);
    Ok(())
}
