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

#[test]
fn each_runbook_runs_and_says_what_it_takes() -> Result<()> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../scripts");
    let mut count = 0;
    for entry in std::fs::read_dir(&folder)? {
        let path = entry?.path();
        if path.extension().is_none_or(|extension| extension != "orch") {
            continue;
        }
        count += 1;
        let ended = run(&path, &["--lab", "5"])?.expect_code(0);
        assert!(!ended.stdout.is_empty(), "{}: {ended:#?}", path.display());
        let help = run(&path, &["--help"])?.expect_code(0);
        assert!(help.stdout.contains("Query for the nodes"), "{}: {help:#?}", path.display());
    }
    assert!(count > 0, "no runbook in {}", folder.display());
    Ok(())
}
