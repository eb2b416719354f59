//! Data functions: queries and policies that ask nodes for more than facts.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result};
use orch_tests::answer::call;
use orch_tests::fleet::{Fleet, Node};
use serde_json::{Value, json};

/// A function that answers with the value of a fact `tier`, and fails on nodes that have none.
const PROGRAM: &str = r#"#!/bin/sh
tier=$(sed -n 's/.*"tier": *"\([a-z]*\)".*/\1/p' "$CHORIA_EXTERNAL_FACTS")
[ -n "$tier" ] || { echo "no tier" >&2; exit 1; }
grep -q '"action":"query"' "$1" || exit 1
printf '{"statuscode":0,"data":{"name":"%s","internal":1}}' "$tier" > "$2"
"#;

fn schema() -> Value {
    json!({
        "metadata": {
            "name": "tier", "description": "The tier of a node", "author": "orch", "license": "MIT", "version": "1.0.0",
            "url": "https://example.com", "timeout": 5, "provider": "external",
        },
        "data": {
            "input": {},
            "output": { "name": { "description": "Name of the tier", "display_as": "Tier", "type": "string" } },
        },
    })
}

fn fleet() -> Result<Fleet> {
    let mut fleet = Fleet::start()?;
    fleet.agent("tier", &schema(), PROGRAM)?;
    let names = ["n01", "n02", "n03"];
    for (name, tier) in names.iter().zip([Some("gold"), Some("tin"), None]) {
        let node = Node::named(name);
        fleet.add(&match tier {
            Some(tier) => node.fact("tier", tier),
            None => node,
        })?;
    }
    fleet.await_here(&names.map(str::to_owned));
    Ok(fleet)
}

/// The nodes that a query finds.
fn found(fleet: &Fleet, query: &str) -> Result<Vec<String>> {
    let ended = fleet.run(&["find", "-S", query, "--format", "json"]);
    let nodes = ended.json()?;
    let names = nodes["nodes"].as_array().with_context(|| format!("{ended:#?}"))?;
    Ok(names.iter().filter_map(Value::as_str).map(str::to_owned).collect())
}

fn write(path: &Path, text: &str) -> Result<()> {
    std::fs::create_dir_all(path.parent().context("no folder")?)?;
    std::fs::write(path, text).context("writing")
}

#[test]
fn a_query_asks_functions_of_the_node_and_of_others() -> Result<()> {
    let fleet = fleet()?;
    let file = fleet.path("release");
    std::fs::write(&file, "hello\n")?;
    let path = file.display();
    for (query, nodes) in [
        ("tier().name=gold".to_owned(), &["n01"][..]),
        // One that cannot say is not meant, whatever is asked of it.
        ("tier().name!=gold".to_owned(), &["n02"]),
        ("not tier().name=gold".to_owned(), &["n02"]),
        ("tier().name=gold or tier().name=tin".to_owned(), &["n01", "n02"]),
        ("fact('tier').value=tin and agent('node').version=~/^[0-9]/".to_owned(), &["n02"]),
        (format!("file('{path}').md5=b1946ac92492d2347c6235b4d2611184 and tier().name=gold"), &["n01"]),
        (format!("file('{path}').size=6 and fstat('{path}').present=1"), &["n01", "n02", "n03"]),
        (format!("file('{path}.no').present=1"), &[]),
        (
            "process('orch-node').count>0 and collective('main').member=true".to_owned(),
            &["n01", "n02", "n03"],
        ),
    ] {
        assert_eq!(found(&fleet, &query)?, nodes, "{query}");
    }
    let inventory = call(&fleet, "n01", &["node.inventory"])?.ok();
    let functions = inventory["data_functions"].as_array().context("no list")?;
    assert!(
        ["file", "fstat", "service", "tier"].iter().all(|name| functions.contains(&json!(name))),
        "{functions:?}"
    );
    assert!(call(&fleet, "n03", &["node.stats"])?.ok()["unanswered"].as_u64() > Some(0));
    Ok(())
}

#[test]
fn a_policy_asks_a_function() -> Result<()> {
    let mut fleet = fleet()?;
    for node in ["n01", "n02", "n03"] {
        let policy = fleet.path("nodes").join(node).join("policies/node.policy");
        write(&policy, "policy default deny\nallow\t*\tping\ttier().name=gold and not role=none\n")?;
        fleet.kill_node(node)?;
        fleet.start_node(node)?;
    }
    fleet.await_here(&["n01", "n02", "n03"].map(str::to_owned));
    call(&fleet, "n01", &["node.ping"])?.ok();
    for node in ["n02", "n03"] {
        call(&fleet, node, &["node.ping"])?.ended("rejected", "not_authorised");
    }
    Ok(())
}

#[test]
fn a_package_of_the_machine_is_found() -> Result<()> {
    let Ok(known) = Command::new("dpkg-query").args(["--show", "--showformat=${Version}", "dpkg"]).output()
    else {
        eprintln!("not run: this machine has no dpkg");
        return Ok(());
    };
    let version = String::from_utf8(known.stdout)?;
    let fleet = fleet()?;
    let all = &["n01", "n02", "n03"][..];
    for (query, nodes) in [
        (format!("package('dpkg').ensure='{version}'"), all),
        (format!("package('dpkg').version='{version}' and tier().name=gold"), &["n01"]),
        ("package('orch-no-such-package').ensure=absent".to_owned(), all),
        ("package('orch-no-such-package').version=1".to_owned(), &[]),
    ] {
        assert_eq!(found(&fleet, &query)?, nodes, "{query}");
    }
    Ok(())
}
