//! Who may call what on a node, and what its audit tells of it.

use std::path::PathBuf;

use anyhow::{Context, Result};
use orch_tests::fleet::{Fleet, Node};
use orch_tests::process::Ended;
use orch_tests::wait;
use rustix::process::Signal;
use serde_json::{Value, json};

/// An agent that writes down that it acted.
fn shop_agent(fleet: &Fleet) -> Result<()> {
    let action = |name: &str, effect: &str| {
        json!({
            "action": name, "description": "Writes a line", "effect": effect, "display": "always", "output": {},
            "input": { "what": { "prompt": "What", "description": "What is written", "type": "string", "optional": true,
                "validation": "shellsafe", "maxlength": 20, "secret": name == "hide" } },
        })
    };
    let schema = json!({
        "metadata": {
            "name": "shop", "description": "Writes", "author": "orch", "license": "MIT", "version": "1.0.0",
            "url": "https://example.com", "timeout": 60, "provider": "external",
        },
        "actions": [action("look", "read"), action("change", "write"), action("hide", "write")],
    });
    let program = "#!/bin/sh\necho acted >> \"$ORCH_AGENT_STATE/acted\"\necho '{\"statuscode\": 0, \"data\": {}}' > \"$2\"\n";
    fleet.agent("shop", &schema, program)
}

fn acted(fleet: &Fleet, node: &str) -> usize {
    std::fs::read_to_string(fleet.agent_state(node, "shop", "acted")).unwrap_or_default().lines().count()
}

fn start(policy: &str) -> Result<Fleet> {
    let mut fleet = Fleet::start()?;
    shop_agent(&fleet)?;
    let nodes = [("n01", "dev"), ("n02", "prod")];
    for (name, environment) in nodes {
        let folder = fleet.path("nodes").join(name).join("policies");
        std::fs::create_dir_all(&folder)?;
        std::fs::write(folder.join("shop.policy"), policy)?;
        fleet.add(&Node::named(name).fact("environment", environment))?;
    }
    fleet.await_here(&nodes.map(|(name, _)| name.to_owned()));
    Ok(fleet)
}

fn call(fleet: &Fleet, action: &str, more: &[&str]) -> Ended {
    fleet.run(&[&["call", action, "--yes", "--format", "json", "-I", "n[01-02]"], more].concat())
}

fn result<'a>(call: &'a Value, node: &str) -> &'a Value {
    let results = call["results"].as_array().map(Vec::as_slice).unwrap_or_default();
    results.iter().find(|result| result["node"] == node).unwrap_or(&Value::Null)
}

fn audit_file(fleet: &Fleet, node: &str) -> PathBuf {
    fleet.path("nodes").join(node).join("state/audit/000001.jsonl")
}

/// The lines of a node's audit that are of a kind.
fn audit(fleet: &Fleet, node: &str, kind: &str) -> Result<Vec<Value>> {
    let text = std::fs::read_to_string(audit_file(fleet, node))?;
    let lines = text.lines().map(serde_json::from_str).collect::<Result<Vec<Value>, _>>()?;
    Ok(lines.into_iter().filter(|line| line["kind"] == kind).collect())
}

#[test]
fn one_operator_may_do_one_action_on_nodes_with_one_fact() -> Result<()> {
    let fleet = start("policy default deny\nallow\tcert=alice\tchange\tenvironment=dev\t*\n")?;
    let changed = call(&fleet, "shop.change", &["what=paint"]).expect_code(2).json()?;
    assert_eq!(result(&changed, "n01")["outcome"], "ok", "{changed:#}");
    let refused = result(&changed, "n02");
    assert_eq!((&refused["outcome"], &refused["code"]), (&json!("rejected"), &json!("not_authorised")));
    let said = refused["message"].as_str().context("no message")?;
    assert!(!said.contains("line") && !said.contains("shop.policy"), "{said}");
    let looked = call(&fleet, "shop.look", &[]).expect_code(2).json()?;
    assert_eq!(looked["counts"]["rejected"], 2, "{looked:#}");
    assert_eq!((acted(&fleet, "n01"), acted(&fleet, "n02")), (1, 0));

    let decisions = audit(&fleet, "n01", "decision")?;
    let change = decisions.iter().find(|line| line["action"] == "change").context("no decision")?;
    assert_eq!((&change["caller"], &change["allowed"]), (&json!("cert=alice"), &json!(true)), "{change:#}");
    assert_eq!(
        (&change["reason"], &change["args"]["what"]),
        (&json!("allowed by line 2 of shop.policy"), &json!("paint"))
    );
    let outcome = audit(&fleet, "n01", "outcome")?;
    assert!(outcome.iter().any(|line| line["message"] == change["message"] && line["outcome"] == "ok"));
    // A refusal waits for others to be written with, but not for long.
    wait::until("the refusal is in the audit", || {
        let refusals = audit(&fleet, "n02", "decision").map_err(|error| error.to_string())?;
        let is_it = |line: &Value| {
            line["action"] == "change"
                && line["allowed"] == false
                && line["reason"] == "denied by the default in line 1 of shop.policy"
        };
        if refusals.iter().any(is_it) { Ok(()) } else { Err(format!("{refusals:#?}")) }
    });
    Ok(())
}

#[test]
fn an_audit_is_verified_and_a_changed_line_is_found() -> Result<()> {
    let mut fleet = start("policy default allow\n")?;
    let changed = call(&fleet, "shop.hide", &["what=hunter2"]).expect_code(0).json()?;
    let head = changed["results"][0]["audit"]["hash"].as_str().context("no head")?.to_owned();
    fleet.node("n01")?.signal(Signal::TERM)?;
    fleet.node("n01")?.wait()?;
    let file = audit_file(&fleet, "n01");
    let path = file.display().to_string();
    let text = std::fs::read_to_string(&file)?;
    assert!(!text.contains("hunter2") && text.contains("***"), "{text}");

    let verify = |more: &[&str]| fleet.run(&[&["audit", "verify", &path, "--format", "json"], more].concat());
    let sound = verify(&["--head", &head]).expect_code(0).json()?;
    assert_eq!((&sound["sound"], &sound["outcomes"]), (&json!(true), &json!(1)), "{sound:#}");

    std::fs::write(&file, text.replacen("cert=alice", "cert=bob00", 1))?;
    let found = verify(&[]).expect_code(65).json()?;
    assert_eq!((&found["sound"], &found["line"]), (&json!(false), &json!(3)), "{found:#}");
    // A cut tail is a sound chain, and found by who knows its head.
    let cut: String = text.split_inclusive('\n').take(2).collect();
    std::fs::write(&file, cut)?;
    verify(&[]).expect_code(0);
    assert!(
        verify(&["--head", &head]).expect_code(65).json()?["fault"]
            .as_str()
            .is_some_and(|f| f.contains("end is missing"))
    );
    Ok(())
}

#[test]
fn a_policy_that_does_not_parse_denies_and_is_told() -> Result<()> {
    let fleet = start("policy default allow\nalow\t*\t*\t*\t*\n")?;
    let changed = call(&fleet, "shop.change", &[]).expect_code(2).json()?;
    assert_eq!(changed["counts"]["rejected"], 2, "{changed:#}");
    let stats = fleet.run(&["call", "node.stats", "-I", "n01", "--format", "json"]).expect_code(0).json()?;
    let problems = stats["results"][0]["data"]["problems"].to_string();
    assert!(problems.contains("shop.policy") && problems.contains('2'), "{problems}");
    assert_eq!(acted(&fleet, "n01"), 0);
    Ok(())
}
