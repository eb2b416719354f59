//! A node follows its folders of agents without being told.

use anyhow::Result;
use orch_tests::fleet::{Fleet, Node};
use orch_tests::wait;
use serde_json::{Value, json};

use super::kit::{asked, call, configure};

fn schema(version: &str) -> Value {
    json!({
        "metadata": {
            "name": "late", "description": "Comes late", "author": "orch", "license": "MIT", "version": version,
            "url": "https://example.com", "timeout": 60, "provider": "external",
        },
        "actions": [{
            "action": "look", "description": "Looks", "effect": "read", "display": "always", "input": {}, "output": {},
        }],
    })
}

/// Waits until `n01` has the agent in a version, or none.
fn await_version(fleet: &Fleet, version: Option<&str>) {
    wait::until(&format!("the agent is there in version {version:?}"), || {
        let agents = asked(fleet, &["node.agents"]).map_err(|e| format!("{e:#}"))?;
        let all = agents["agents"].as_array().cloned().unwrap_or_default();
        let found =
            all.iter().find(|agent| agent["name"] == "late").and_then(|agent| agent["version"].as_str());
        if found == version { Ok(()) } else { Err(format!("{found:?}")) }
    });
}

#[test]
fn an_agent_that_comes_changes_and_goes_is_followed() -> Result<()> {
    let mut fleet = Fleet::start()?;
    fleet.add(&Node::named("n01"))?;
    fleet.kill_node("n01")?;
    // They are read again only because something has changed.
    configure(&fleet, "n01", |text| {
        let text = text.replace("[agents]\n", "[agents]\nwatch = \"200ms\"\n");
        text.replace("[facts]\n", "[facts]\nrefresh = \"0s\"\n")
    })?;
    fleet.start_node("n01")?;
    fleet.await_here(&["n01".to_owned()]);
    await_version(&fleet, None);
    let program = "#!/bin/sh\necho '{\"statuscode\": 0}' > \"$2\"\n";
    fleet.agent("late", &schema("1.0.0"), program)?;
    await_version(&fleet, Some("1.0.0"));
    call(&fleet, &["late.look"])?.expect("ok", "", "");
    fleet.agent("late", &schema("1.1.0"), program)?;
    await_version(&fleet, Some("1.1.0"));
    let log = fleet.node("n01")?.log();
    assert!(log.contains("a folder of agents has changed"), "{log}");
    std::fs::remove_file(fleet.path("agents/late"))?;
    await_version(&fleet, None);
    assert!(asked(&fleet, &["node.stats"])?["problems"].to_string().contains("agents/late"));
    call(&fleet, &["late.look"])?.expect("rejected", "unknown_action", "no agent");
    Ok(())
}
