//! The audit on a disk that is full.

use std::fs::{self, File};
use std::io::Write;
use std::path::Path;

use anyhow::{Context, Result};
use orch_tests::answer::{Answer, call};
use orch_tests::fleet::Fleet;
use orch_tests::process::Ended;
use orch_tests::root::system_tests;
use orch_tests::wait;
use serde_json::{Value, json};

use super::kit::fleet_with;

/// The audit's folder is a disk of its own: with room for what is kept for outcomes, and a little more.
fn prepare(audit: &Path) -> String {
    format!("mkdir -p {0}\nmount -t tmpfs -o size=1536k,mode=0700 tmpfs {0}\n", audit.display())
}

/// An agent whose action says that it began and waits until it may end.
fn gate(fleet: &Fleet) -> Result<()> {
    let schema = json!({
        "metadata": {
            "name": "gate", "description": "Waits", "author": "orch", "license": "MIT", "version": "1.0.0",
            "url": "https://example.com", "timeout": 60, "provider": "external",
        },
        "actions": [{
            "action": "pass", "description": "Waits until it may pass", "effect": "write", "display": "failed",
            "input": {}, "output": {},
        }],
    });
    let program = "#!/bin/sh\ncd \"$ORCH_AGENT_STATE\" || exit 1\n: > began\n\
         while [ -d \"$ORCH_AGENT_STATE\" ] && [ ! -e go ]; do sleep 0.02; done\n\
         echo '{\"statuscode\": 0, \"data\": {}}' > \"$2\"\n";
    fleet.agent("gate", &schema, program)
}

/// Fills a disk to its last byte.
fn fill(path: &Path) -> Result<()> {
    let mut file = File::create(path)?;
    for length in [64 * 1024, 512, 1] {
        let piece = vec![b'x'; length];
        while file.write_all(&piece).is_ok() {}
    }
    Ok(())
}

fn lines(file: &Path) -> Result<Vec<Value>> {
    let text = fs::read_to_string(file)?;
    text.lines().map(|line| serde_json::from_str(line).with_context(|| line.to_owned())).collect()
}

fn lost(fleet: &Fleet) -> Result<u64> {
    call(fleet, "n01", &["node.stats"])?.ok()["audit_lost"].as_u64().context("no count")
}

#[test]
fn a_full_disk_stops_writes_and_nothing_else() -> Result<()> {
    if !system_tests() {
        return Ok(());
    }
    let fleet = fleet_with(gate, "n01", |folder| prepare(&folder.join("state/audit")))?;
    let audit = fleet.inside("n01", &fleet.path("nodes/n01/state/audit").to_string_lossy())?;
    let (file, filler) = (audit.join("000001.jsonl"), audit.join("filler"));
    let touch = |name: &str| call(&fleet, "n01", &["file.touch", &format!("path=/run/{name}")]);
    touch("before")?.ok();

    let mut began = fleet.orch();
    began.args(["call", "gate.pass", "-I", "n01", "--yes", "--format", "json"]);
    let began = began.stdout(std::process::Stdio::piped()).spawn()?;
    let state = fleet.path("nodes/n01/state/agents/gate");
    wait::until("it began", || if state.join("began").exists() { Ok(()) } else { Err("not yet") });
    fill(&filler)?;

    // The file may grow to the end of its last block.
    let mut number = 0;
    let refused = loop {
        let answer = touch(&format!("full{number}"))?;
        if answer.outcome != "ok" {
            break answer;
        }
        number += 1;
        assert!(number < 100, "no write is refused");
    };
    refused.ended("rejected", "audit");
    assert!(!fleet.inside("n01", &format!("/run/full{number}"))?.exists());
    assert_eq!(call(&fleet, "n01", &["file.stat", "path=/run/before"])?.ok()["present"], true);
    assert!(lost(&fleet)? > 0);

    // What had begun ends, and its end is told in the room that was kept.
    fs::write(state.join("go"), "")?;
    Answer::of(&Ended::from(began.wait_with_output()?))?.ok();
    let all = lines(&file)?;
    let decided = all.iter().find(|line| line["agent"] == "gate").context("no decision")?;
    let outcome = all.iter().find(|line| line["kind"] == "outcome" && line["message"] == decided["message"]);
    assert_eq!(outcome.context("no outcome")?["outcome"], "ok");

    fs::remove_file(&filler)?;
    touch("after")?.ok();
    assert!(fleet.inside("n01", "/run/after")?.exists());
    // What was lost is a line that was never made, not a hole in the chain.
    let copy = fleet.path("audit.jsonl");
    fs::copy(&file, &copy)?;
    fleet.run(&["audit", "verify", &copy.to_string_lossy()]).expect_code(0);
    Ok(())
}
