//! The example fleet: its script starts 25 real nodes, and the right ones answer.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::Result;
use orch_tests::process::Ended;
use orch_tests::programs;
use serde_json::json;

/// The fleet of `examples/fleet.sh`, stopped at the end of its test whatever happens.
struct ExampleFleet {
    folder: tempfile::TempDir,
}

impl ExampleFleet {
    fn script(&self, arguments: &[&str]) -> Result<Ended> {
        let programs = programs::path("orch");
        let output = Command::new("sh")
            .arg(root().join("examples/fleet.sh"))
            .args(arguments)
            .env("ORCH_BIN", programs.parent().unwrap_or(Path::new("")))
            .stdin(Stdio::null())
            .output()?;
        Ok(output.into())
    }

    fn dir(&self) -> String {
        self.folder.path().join("fleet").display().to_string()
    }

    fn orch(&self, arguments: &[&str]) -> Result<Ended> {
        let output = Command::new(programs::path("orch"))
            .env_clear()
            .env("HOME", self.folder.path())
            .env("PATH", "/usr/bin:/bin")
            .args(["--config", &format!("{}/orch.toml", self.dir())])
            .args(arguments)
            .current_dir(root())
            .stdin(Stdio::null())
            .output()?;
        Ok(output.into())
    }
}

impl Drop for ExampleFleet {
    fn drop(&mut self) {
        let _ = self.script(&["stop", &self.dir()]);
    }
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap_or(Path::new("")).to_owned()
}

#[test]
fn of_25_real_nodes_the_right_ones_answer() -> Result<()> {
    let fleet = ExampleFleet { folder: tempfile::Builder::new().prefix("orch-").tempdir()? };
    fleet.script(&["start", &fleet.dir(), "25"])?.expect_code(0);

    // Their services are pretended ones, each node's own: nothing of this machine is stopped.
    fleet.orch(&["call", "service.stop", "service=nginx", "-I", "web1"])?.expect_code(0);
    let stopped = fleet.orch(&["find", "-S", "service('nginx').status = stopped"])?.expect_code(0);
    assert_eq!(stopped.stdout, "web1\n");

    let all = fleet.orch(&["ping", "--format", "json"])?.expect_code(0).json()?;
    assert_eq!(all["counts"]["ok"], 25, "{all:#}");
    let staging = fleet.orch(&["find", "-S", "role::web and environment = staging", "--format", "json"])?;
    assert_eq!(staging.expect_code(0).json()?["nodes"], json!(["web4", "web8"]));
    let large = fleet.orch(&["find", "-F", "processors.count>4", "-C", "role::db", "--format", "json"])?;
    assert_eq!(large.expect_code(0).json()?["nodes"], json!(["db1", "db2", "db3", "db4", "db5"]));

    let inventory = fleet.orch(&["script", "examples/inventory.orch", "--format", "json"])?.expect_code(0);
    let inventory = inventory.json()?;
    let webs: Vec<String> = (1..=10).map(|n| format!("web{n}")).collect();
    assert_eq!(inventory["emitted"]["members"], json!(webs), "{inventory:#}");
    assert_eq!(inventory["emitted"]["role"], json!({ "web": 10, "app": 5, "cache": 5, "db": 5 }));
    assert_eq!(inventory["emitted"]["environment"], json!({ "production": 23, "staging": 2 }));

    // The runbook of the language's own description, on real nodes.
    let deployed =
        fleet.orch(&["script", "examples/deploy.orch", "version=2.0.1", "batch=4", "--format", "json"])?;
    let deployed = deployed.expect_code(0).json()?;
    assert_eq!(deployed["emitted"]["deployed"], 8, "{deployed:#}");
    let rolled =
        deployed["calls"].as_array().and_then(|calls| calls.iter().find(|call| call["action"] == "rollout"));
    assert_eq!(rolled.map(|call| &call["counts"]["ok"]), Some(&json!(8)), "{deployed:#}");
    let versions =
        fleet.orch(&["call", "package.status", "package=shop", "-C", "role::web", "--format", "json"])?;
    let versions = versions.expect_code(0).json()?;
    let new = versions["results"]
        .as_array()
        .map(|all| all.iter().filter(|r| r["data"]["ensure"] == "2.0.1").count());
    assert_eq!(new, Some(8), "{versions:#}");

    let told = fleet.orch(&["script", "examples/inventory.orch", "tier=role::cache"])?.expect_code(0);
    for name in ["cache1", "cache5"] {
        assert!(told.stdout.contains(name), "{told:#?}");
    }
    let stopped = fleet.script(&["stop", &fleet.dir()])?.expect_code(0);
    assert!(stopped.stdout.contains("26 processes ended"), "{stopped:#?}");
    Ok(())
}
