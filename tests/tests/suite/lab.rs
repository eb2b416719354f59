//! The embedded lab, kept running for other processes.

use std::process::Command;

use anyhow::{Context as _, Result};
use orch_tests::process::{Ended, Server};
use orch_tests::{programs, wait};
use rustix::process::Signal;

#[test]
fn another_process_reaches_a_lab_until_it_ends() -> Result<()> {
    let folder = tempfile::Builder::new().prefix("orch-").tempdir()?;
    let dir = folder.path().join("lab");
    let orch = || {
        let mut command = Command::new(programs::path("orch"));
        command
            .env_clear()
            .env("HOME", folder.path())
            .env("PATH", "/usr/bin:/bin")
            .current_dir(folder.path());
        command
    };
    let mut start = orch();
    start.args(["lab", "20", "--dir"]).arg(&dir);
    let mut lab = Server::start(start, &folder.path().join("log"))?;
    let config = dir.join("orch.toml");
    wait::until("the lab has written its configuration", || {
        if config.exists() { Ok(()) } else { Err(lab.log()) }
    });

    let ping = || -> Result<Ended> {
        Ok(orch().arg("--config").arg(&config).args(["ping", "--format", "json"]).output()?.into())
    };
    for _ in 0..20 {
        let ended = ping()?.expect_code(0);
        assert_eq!(ended.json()?["counts"]["ok"], 20, "{ended:#?}");
    }
    let write = orch()
        .arg("--config")
        .arg(&config)
        .args(["call", "shop.deploy", "version=2.0", "-C", "role::web", "--format", "json"])
        .output()?;
    assert_eq!(Ended::from(write).expect_code(0).json()?["counts"]["ok"], 8);

    lab.signal(Signal::INT)?;
    let status = lab.wait()?;
    assert_eq!(status.code(), Some(130), "{}", lab.log());
    let gone = ping()?.expect_code(69);
    assert!(gone.stderr.contains("help"), "{gone:#?}");
    Ok(())
}

#[test]
fn queries_of_a_lab_ask_its_pretended_services() -> Result<()> {
    let folder = tempfile::Builder::new().prefix("orch-").tempdir()?;
    let orch = |args: &[&str]| -> Result<Ended> {
        let output = Command::new(programs::path("orch"))
            .env_clear()
            .env("HOME", folder.path())
            .env("PATH", "/usr/bin:/bin")
            .current_dir(folder.path())
            .args(["--config", "lab/orch.toml"])
            .args(args)
            .args(["--format", "json"])
            .output()?;
        Ok(output.into())
    };
    let mut start = Command::new(programs::path("orch"));
    start.env_clear().env("HOME", folder.path()).env("PATH", "/usr/bin:/bin").current_dir(folder.path());
    start.args(["lab", "3", "--dir", "lab"]);
    let lab = Server::start(start, &folder.path().join("log"))?;
    let config = folder.path().join("lab/orch.toml");
    wait::until("the lab has written its configuration", || {
        if config.exists() { Ok(()) } else { Err(lab.log()) }
    });
    let found = |query: &str| -> Result<Vec<String>> {
        let nodes = orch(&["find", "-S", query])?.expect_code(0).json()?;
        Ok(serde_json::from_value(nodes["nodes"].clone())?)
    };
    let running = found("service('nginx').status=running and package('nginx').version=1.24.0")?;
    assert_eq!(running.len(), 3);
    let one = &running[0];
    orch(&["call", "service.stop", "service=nginx", "-I", one])?.expect_code(0);
    assert_eq!(&found("service('nginx').status=stopped")?, &running[..1]);
    assert_eq!(found("service('nginx').status=running")?, running[1..]);
    Ok(())
}

/// What `/proc` says of a process under this name, in kilobytes.
fn memory(pid: u32, field: &str) -> Result<u64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix(field)).context("no such field")?;
    Ok(line.trim_start_matches(':').trim().trim_end_matches(" kB").parse()?)
}

/// Twenty reads, each of which must be complete, then a write to many by their names: not to all, since each runs a program
/// and they share this machine. `orch-bench` writes to all.
const THOUSAND: &str = r#"
let all = nodes();
for round in 0..20 {
    let results = all.node.ping();
    if results.ok.count != 1000 { throw `round ${round}: ${results.ok.count} ok`; }
}
let written = all.limit(100).shop.deploy(#{ version: "3.1" });
if written.ok.count != 100 { throw `${written.ok.count} written`; }
"#;

#[test]
fn a_thousand_nodes_are_complete_each_time() -> Result<()> {
    let folder = tempfile::Builder::new().prefix("orch-").tempdir()?;
    let dir = folder.path().join("lab");
    let mut start = Command::new(programs::path("orch"));
    start.args(["lab", "1000", "--dir"]).arg(&dir);
    let mut lab = Server::start(start, &folder.path().join("log"))?;
    let config = dir.join("orch.toml");
    wait::until("the lab has written its configuration", || {
        if config.exists() { Ok(()) } else { Err(lab.log()) }
    });
    let pid = lab.id();
    // Sixteen a node, and some for the process (design.md, section 2).
    let descriptors = std::fs::read_dir(format!("/proc/{pid}/fd"))?.count();
    assert!(descriptors < 16_500, "{descriptors}");

    let script = folder.path().join("thousand.orch");
    std::fs::write(&script, THOUSAND)?;
    let ran = Command::new(programs::path("orch"))
        .env("HOME", folder.path())
        .arg("--config")
        .arg(&config)
        .arg("script")
        .arg(&script)
        .output()?;
    Ended::from(ran).expect_code(0);
    // Under the 60 KB a node of the broker and as much again for the node's own half, with room for a debug build.
    let kilobytes = memory(pid, "RssAnon")?;
    assert!(kilobytes < 400_000, "{kilobytes} kB");
    lab.signal(Signal::INT)?;
    lab.wait()?;
    Ok(())
}
