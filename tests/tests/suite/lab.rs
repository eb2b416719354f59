//! The embedded lab, kept running for other processes.

use std::process::Command;

use anyhow::Result;
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
