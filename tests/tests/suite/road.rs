//! The road of a call with real processes: what happens when parts of it go away and come back.

use std::io::{BufRead, BufReader};
use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use orch_tests::fleet::{Fleet, Node};
use orch_tests::process::Ended;
use orch_tests::wait;
use orch_wire::control::Presence;
use orch_wire::keys::Psk;
use serde_json::{Value, json};

/// An agent whose actions last until a file tells them to end, so that a test decides when things happen.
pub(crate) fn gate_agent(fleet: &Fleet) -> Result<()> {
    let action = |name: &str, effect: &str| {
        json!({
            "action": name, "description": "Notes that it began, then waits to be let through", "effect": effect,
            "display": "always", "input": {},
            "output": { "times": { "description": "How often it began", "display_as": "Times", "type": "integer" } },
        })
    };
    let schema = json!({
        "metadata": {
            "name": "gate", "description": "Waits", "author": "orch", "license": "MIT", "version": "1.0.0",
            "url": "https://example.com", "timeout": 60, "provider": "external",
        },
        "actions": [action("look", "read"), action("change", "write")],
    });
    let program = "#!/bin/sh\n\
        echo began >> \"$ORCH_AGENT_STATE/began\"\n\
        while [ -d \"$ORCH_AGENT_STATE\" ] && [ ! -e \"$ORCH_AGENT_STATE/open\" ]; do sleep 0.05; done\n\
        echo \"{\\\"statuscode\\\": 0, \\\"data\\\": {\\\"times\\\": $(wc -l < \"$ORCH_AGENT_STATE/began\")}}\" > \"$2\"\n";
    fleet.agent("gate", &schema, program)
}

pub(crate) fn began(fleet: &Fleet, node: &str) -> usize {
    std::fs::read_to_string(fleet.agent_state(node, "gate", "began")).unwrap_or_default().lines().count()
}

pub(crate) fn await_began(fleet: &Fleet, node: &str) {
    wait::until(&format!("the action on {node} began"), || match began(fleet, node) {
        0 => Err("not yet"),
        _ => Ok(()),
    });
}

pub(crate) fn open_gate(fleet: &Fleet, node: &str) -> Result<()> {
    std::fs::write(fleet.agent_state(node, "gate", "open"), "").context("opening the gate")
}

fn nodes(count: usize) -> Vec<Node> {
    (1..=count).map(|n| Node::named(&format!("n{n:02}")).fact("number", n)).collect()
}

fn result<'a>(call: &'a Value, node: &str) -> &'a Value {
    let results = call["results"].as_array().map(Vec::as_slice).unwrap_or_default();
    results.iter().find(|result| result["node"] == node).unwrap_or(&Value::Null)
}

#[test]
fn every_node_answers_a_runner_that_has_just_started() -> Result<()> {
    let fleet = Fleet::with(nodes(5))?;
    for round in 0..500 {
        let ended = fleet.run(&["ping", "--format", "json"]).expect_code(0);
        assert_eq!(ended.json()?["counts"]["ok"], 5, "round {round}: {ended:?}");
    }
    Ok(())
}

#[test]
fn a_node_that_is_listed_as_here_answers() -> Result<()> {
    let mut fleet = Fleet::with(nodes(2))?;
    for round in 0..10 {
        fleet.kill_node("n01")?;
        fleet.await_presence("n01", Presence::Away);
        fleet.start_node("n01")?;
        fleet.await_presence("n01", Presence::Here);
        let ended = fleet.run(&["ping", "--format", "json"]).expect_code(0);
        assert_eq!(ended.json()?["counts"]["ok"], 2, "round {round}: {ended:?}");
    }
    Ok(())
}

#[test]
fn a_node_that_is_away_is_named_and_silent() -> Result<()> {
    let mut fleet = Fleet::with(nodes(3))?;
    fleet.kill_node("n02")?;
    fleet.await_presence("n02", Presence::Away);
    let script = fleet.script(
        "all.orch",
        "let r = nodes().tolerate(\"all\").node.ping(); emit(\"silent\", r.silent.nodes.names);",
    )?;
    let ended = fleet.run(&["script", &script.display().to_string(), "--format", "json"]).expect_code(3);
    let run = ended.json()?;
    assert_eq!(run["emitted"]["silent"], json!(["n02"]), "{run:#}");
    assert_eq!(run["calls"][0]["away"], json!(["n02"]));
    assert_eq!(result(&run["calls"][0], "n02")["outcome"], "silent");
    assert!(ended.stderr.contains("n02") && ended.stderr.contains("away"), "{}", ended.stderr);

    // By query it is named, and no target.
    let ended = fleet.run(&["ping", "-S", "number >= 1", "--format", "json"]).expect_code(0);
    let call = ended.json()?;
    assert_eq!((&call["counts"]["ok"], &call["away"]), (&json!(2), &json!(["n02"])));
    Ok(())
}

#[test]
fn a_node_lost_after_it_began_is_silent_and_the_others_are_ok() -> Result<()> {
    let mut fleet = Fleet::start()?;
    gate_agent(&fleet)?;
    for node in nodes(3) {
        fleet.add(&node)?;
    }
    fleet.await_here(&["n01".into(), "n02".into(), "n03".into()]);
    let before = fleet.status()?.replies_forwarded;
    let call = fleet
        .orch()
        .args(["call", "gate.look", "-S", "number >= 1", "--format", "json"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()?;
    for node in ["n01", "n02", "n03"] {
        await_began(&fleet, node);
    }
    // Beside the three `accepted` nothing is on the reply lane yet.
    wait::until("three nodes have accepted", || match fleet.status() {
        Ok(status) if status.replies_forwarded >= before + 3 => Ok(()),
        other => Err(format!("{other:?}")),
    });
    fleet.kill_node("n02")?;
    open_gate(&fleet, "n01")?;
    open_gate(&fleet, "n03")?;
    let ended = Ended::from(call.wait_with_output()?).expect_code(3);
    let call = ended.json()?;
    assert_eq!(call["counts"]["ok"], 2, "{call:#}");
    assert_eq!(result(&call, "n02")["outcome"], "silent");
    assert_eq!(result(&call, "n02")["began"], true);
    Ok(())
}

#[test]
fn a_write_cut_short_by_a_restart_is_failed_and_not_repeated() -> Result<()> {
    let mut fleet = Fleet::start()?;
    gate_agent(&fleet)?;
    fleet.add(&Node::named("n01"))?;
    fleet.await_here(&["n01".into()]);
    let call = fleet
        .orch()
        .args(["call", "gate.change", "-I", "n01", "--format", "json"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()?;
    await_began(&fleet, "n01");
    fleet.kill_node("n01")?;
    open_gate(&fleet, "n01")?;
    fleet.start_node("n01")?;
    let ended = Ended::from(call.wait_with_output()?).expect_code(2);
    let call = ended.json()?;
    assert_eq!(result(&call, "n01")["outcome"], "failed", "{call:#}");
    assert_eq!(result(&call, "n01")["code"], "interrupted");
    assert_eq!(began(&fleet, "n01"), 1);
    Ok(())
}

#[test]
fn a_broker_restarted_between_two_calls_loses_no_answer() -> Result<()> {
    let mut fleet = Fleet::with(nodes(25))?;
    let script = fleet.script(
        "two.orch",
        "let all = nodes();\n\
         print(`first ${all.node.ping().ok.count}`);\n\
         sleep(\"2s\");\n\
         print(`second ${all.node.ping().ok.count}`);\n",
    )?;
    let mut run =
        fleet.orch().arg("script").arg(&script).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
    let mut lines = BufReader::new(run.stdout.take().context("stdout")?).lines();
    assert_eq!(lines.next().context("no first line")??, "first 25");
    fleet.broker()?.kill()?;
    fleet.start_broker()?;
    assert_eq!(lines.next().context("no second line")??, "second 25");
    let rest: Vec<String> = lines.collect::<Result<_, _>>()?;
    let ended = Ended::from(run.wait_with_output()?);
    assert_eq!(ended.code, Some(0), "{rest:?} {ended:?}");
    Ok(())
}

#[test]
fn a_broker_that_is_not_there_is_told_in_time() -> Result<()> {
    let mut fleet = Fleet::start()?;
    fleet.broker()?.kill()?;
    let begun = Instant::now();
    let ended = fleet.run(&["ping"]).expect_code(69);
    assert!(begun.elapsed() < Duration::from_secs(7), "{:?}", begun.elapsed());
    assert!(ended.stderr.contains(&format!("127.0.0.1:{}", fleet.port())), "{}", ended.stderr);
    assert!(ended.stderr.contains("check that orch-broker runs"), "{}", ended.stderr);
    Ok(())
}

#[test]
fn a_node_with_another_key_is_named() -> Result<()> {
    let mut fleet = Fleet::with(nodes(2))?;
    fleet.add(&Node { psk: Some(Psk::from_bytes([7; 32])), ..Node::named("stranger") })?;
    fleet.await_presence("stranger", Presence::Here);
    let begun = Instant::now();
    let ended = fleet.run(&["ping", "--format", "json"]).expect_code(3);
    let call = ended.json()?;
    assert_eq!(call["foreign"], json!(["stranger"]), "{call:#}");
    assert_eq!(result(&call, "stranger")["outcome"], "silent");
    assert_eq!(call["counts"]["ok"], 2);
    assert!(ended.stderr.contains("stranger") && ended.stderr.contains("key"), "{}", ended.stderr);
    assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
    Ok(())
}

#[test]
fn facts_classes_and_names_select() -> Result<()> {
    let fleet = Fleet::with([
        Node::named("web1").fact("environment", "production").class("role::web"),
        Node::named("web2").fact("environment", "staging").class("role::web"),
        Node::named("db1").fact("environment", "production").class("role::db"),
    ])?;
    let found = |arguments: &[&str]| -> Result<Vec<String>> {
        let mut all = vec!["find", "--format", "json"];
        all.extend_from_slice(arguments);
        let ended = fleet.run(&all);
        let names = ended.json()?;
        let names = names["nodes"].as_array().with_context(|| format!("{ended:?}"))?.clone();
        Ok(names.iter().filter_map(|name| name.as_str().map(str::to_owned)).collect())
    };
    assert_eq!(found(&["-C", "role::web"])?, ["web1", "web2"]);
    assert_eq!(found(&["-C", "role::web", "-F", "environment=production"])?, ["web1"]);
    assert_eq!(found(&["-S", "environment = production and not role::web"])?, ["db1"]);
    assert_eq!(found(&["-I", "web[1-2]"])?, ["web1", "web2"]);
    fleet.run(&["find", "-C", "role::mail"]).expect_code(1);
    fleet.run(&["find", "-S", "role::web &&"]).expect_code(64);
    Ok(())
}
