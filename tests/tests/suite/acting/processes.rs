//! Processes of a node, found and signalled.

use std::process::{Child, Command};

use anyhow::Result;
use orch_tests::fleet::{Fleet, Node};
use orch_tests::wait;
use serde_json::json;

use super::kit::call;

/// A process of the test's own, killed with it.
struct Sleeper(Child);

impl Drop for Sleeper {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn processes_are_listed_counted_and_signalled() -> Result<()> {
    let mut fleet = Fleet::with([Node::named("n01")])?;
    // Nobody else sleeps as long.
    let span = format!("{}", 1_000_000_u64 + u64::from(std::process::id()));
    let mut sleeper = Sleeper(Command::new("sleep").arg(&span).spawn()?);
    let pattern = format!("pattern=^sleep {span}$");
    wait::until("the process shows", || {
        match call(&fleet, &["process.count", &pattern]).map(|answer| answer.ok()["count"].clone()) {
            Ok(count) if count == 1 => Ok(()),
            other => Err(format!("{other:?}")),
        }
    });
    let listed = call(&fleet, &["process.list", &pattern])?.ok();
    let pid = sleeper.0.id();
    assert_eq!((&listed["processes"][0]["pid"], &listed["count"]), (&json!(pid), &json!(1)));
    let dry = call(&fleet, &["process.signal", &pattern, "--dry-run"])?.ok();
    assert_eq!(dry["signalled"], json!([pid]));
    assert!(sleeper.0.try_wait()?.is_none());
    assert_eq!(call(&fleet, &["process.signal", &pattern, "signal=USR1"])?.ok()["signalled"], json!([pid]));
    assert!(!sleeper.0.wait()?.success());
    call(&fleet, &["process.signal", &format!("pid={pid}")])?.ended("failed", "action");

    let own = format!("pid={}", fleet.node("n01")?.id());
    for pid in ["pid=0", "pid=1", "pid=-1", own.as_str()] {
        call(&fleet, &["process.signal", pid])?.ended("rejected", "arguments");
    }
    Ok(())
}
