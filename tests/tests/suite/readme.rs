//! The README tells the truth: its blocks run, and its first two commands are what they should be.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result};
use orch_tests::process::Ended;
use orch_tests::programs;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn readme() -> Result<String> {
    std::fs::read_to_string(root().join("README.md")).context("README.md")
}

/// The fenced blocks of a language.
fn blocks<'a>(text: &'a str, language: &str) -> Vec<&'a str> {
    let fence = format!("```{language}\n");
    text.split(fence.as_str()).skip(1).filter_map(|rest| rest.split("```").next()).collect()
}

#[test]
fn the_first_two_commands_run_the_main_job_and_the_tests() -> Result<()> {
    let commands: Vec<String> =
        readme()?.lines().filter_map(|line| line.strip_prefix("    ").map(str::to_owned)).take(2).collect();
    assert_eq!(commands, ["cargo run --release -- script examples/first.orch --lab 5", "cargo test"]);
    Ok(())
}

#[test]
fn the_first_command_shows_five_nodes_a_call_and_a_computed_result() -> Result<()> {
    let output = Command::new(programs::path("orch"))
        .args(["script", "examples/first.orch", "--lab", "5"])
        .current_dir(root())
        .stdin(Stdio::null())
        .output()?;
    let ended = Ended::from(output).expect_code(0);
    for name in ["web1", "db1", "web2", "app1", "web3"] {
        assert!(ended.stdout.contains(name), "{name} is missing: {ended:#?}");
    }
    Ok(())
}

#[test]
fn the_tour_can_be_walked() -> Result<()> {
    let text = readme()?;
    let tour = blocks(&text, "sh");
    assert!(tour.len() >= 5, "{} blocks", tour.len());
    let home = tempfile::Builder::new().prefix("orch-tour-").tempdir()?;
    // The tour stands in the repository's folder; what it makes goes into a folder of its own.
    std::os::unix::fs::symlink(root().join("examples"), home.path().join("examples"))?;
    let programs = programs::path("orch");
    let folder = programs.parent().context("folder")?;
    for (at, block) in tour.iter().enumerate() {
        let output = Command::new("sh")
            .args(["-e", "-c", block])
            .current_dir(home.path())
            .env_clear()
            .env("HOME", home.path())
            .env("PATH", format!("{}:/usr/bin:/bin", folder.display()))
            .stdin(Stdio::null())
            .output()?;
        let ended = Ended::from(output);
        assert_eq!(ended.code, Some(0), "block {} of the tour:\n{block}\n{ended:#?}", at + 1);
        assert!(!ended.stdout.trim().is_empty(), "block {} prints nothing:\n{block}", at + 1);
    }
    Ok(())
}
