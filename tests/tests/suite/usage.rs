//! All three programs end alike when they are used wrongly.

use std::process::{Command, Stdio};

use anyhow::Result;
use orch_tests::process::Ended;
use orch_tests::programs;

fn run(program: &str, argument: &str) -> Result<Ended> {
    Ok(Command::new(programs::path(program)).arg(argument).stdin(Stdio::null()).output()?.into())
}

#[test]
fn a_wrong_flag_is_64_and_help_is_0() -> Result<()> {
    for program in ["orch", "orch-broker", "orch-node"] {
        let wrong = run(program, "--bogus")?.expect_code(64);
        assert!(wrong.stderr.contains("--bogus") && wrong.stdout.is_empty(), "{program}: {wrong:#?}");
        let help = run(program, "--help")?.expect_code(0);
        assert!(help.stdout.contains("--config") && help.stderr.is_empty(), "{program}: {help:#?}");
        let version = run(program, "--version")?.expect_code(0);
        assert!(version.stdout.contains(env!("CARGO_PKG_VERSION")), "{program}: {version:#?}");
    }
    Ok(())
}
