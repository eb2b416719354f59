//! Every runbook of `scripts/` runs as it is.

use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::Result;
use orch_tests::process::Ended;
use orch_tests::programs;

fn run(script: &Path, arguments: &[&str]) -> Result<Ended> {
    let output = Command::new(programs::path("orch"))
        .arg("script")
        .arg(script)
        .args(arguments)
        .stdin(Stdio::null())
        .output()?;
    Ok(output.into())
}

/// The runbooks with what each is tried with, how it ends on a lab, and what it says.
const TRIED: [(&str, &[&str], i32, &str); 8] = [
    ("deploy.orch", &["package=shop", "version=9.9", "service=shop"], 0, "9.9  3"),
    ("drift.orch", &["path=/etc/hostname"], 0, "drifted = []"),
    ("health.orch", &["services=nginx"], 0, "nginx: runs on 5 of 5 nodes"),
    ("inventory.orch", &[], 0, "Rocky 9.4"),
    // Nor has a lab an agent that would reboot the machine.
    ("patch_reboot.orch", &["package=shop", "back=1s"], 2, "updating shop on web[1-3]"),
    // Puppet would be disabled on the machine that all lab nodes share: they refuse.
    ("puppet_maintenance.orch", &["service=nginx"], 2, ""),
    ("rolling_restart.orch", &["service=nginx", "batch=1"], 0, r#"restarted = ["web1","web2","web3"]"#),
    ("versions.orch", &[], 0, "others = []"),
];

#[test]
fn each_runbook_runs_and_says_what_it_takes() -> Result<()> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../scripts");
    let mut found: Vec<String> = Vec::new();
    for entry in std::fs::read_dir(&folder)? {
        let name = entry?.file_name().to_string_lossy().into_owned();
        found.extend(name.ends_with(".orch").then_some(name));
    }
    found.sort();
    assert_eq!(found, TRIED.map(|(name, ..)| name.to_owned()));
    let readme = std::fs::read_to_string(folder.join("README.md"))?;
    for (name, arguments, code, told) in TRIED {
        let path = folder.join(name);
        let ended = run(&path, &[arguments, &["--lab", "5"]].concat())?.expect_code(code);
        assert!(ended.stdout.contains(told), "{name}: {ended:#?}");
        let help = run(&path, &["--help"])?.expect_code(0);
        assert!(help.stdout.contains("Query for the nodes"), "{name}: {help:#?}");
        assert!(readme.contains(&format!("[`{name}`]({name})")), "{name} is not in scripts/README.md");
    }
    Ok(())
}

#[test]
fn drift_is_a_failure() -> Result<()> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../scripts");
    let gone = run(&folder.join("drift.orch"), &["path=/nowhere", "--lab", "3"])?.expect_code(1);
    assert!(gone.stderr.contains("3 of 3 nodes have another /nowhere"), "{gone:#?}");
    Ok(())
}

/// The graded examples with what each is tried with, and what it says.
const EXAMPLES: [(&str, &[&str], &str); 8] = [
    ("1_ping.orch", &[], "12 ok"),
    ("2_facts.orch", &[], "Debian"),
    ("3_selections.orch", &[], "5 web servers: web[1-5]"),
    ("4_errors.orch", &[], "call: `puppet.disable` did not end ok on 5 of 5 nodes"),
    ("5_beside.orch", &[], "that was all"),
    ("deploy.orch", &["version=1.4.2"], "deployed = "),
    ("first.orch", &[], "nodes are in production"),
    ("inventory.orch", &[], "by role"),
];

#[test]
fn each_example_runs_and_is_listed() -> Result<()> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples");
    let readme = std::fs::read_to_string(folder.join("README.md"))?;
    let mut found: Vec<String> = Vec::new();
    for entry in std::fs::read_dir(&folder)? {
        let name = entry?.file_name().to_string_lossy().into_owned();
        found.extend(name.ends_with(".orch").then_some(name));
    }
    found.sort();
    assert_eq!(found, EXAMPLES.map(|(name, ..)| name.to_owned()));
    for (name, arguments, told) in EXAMPLES {
        let ended = run(&folder.join(name), &[arguments, &["--lab", "12"]].concat())?.expect_code(0);
        assert!(ended.stdout.contains(told), "{name}: {ended:#?}");
        assert!(readme.contains(&format!("[`{name}`]({name})")), "{name} is not in examples/README.md");
    }
    Ok(())
}
