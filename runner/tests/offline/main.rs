//! The commands that need no fleet, as their user meets them, and the cases of behaviour that they can answer.

#![expect(clippy::unwrap_used, reason = "helpers of tests: a panic is their way to fail")]

#[path = "../../../wire/tests/cases/agent.rs"]
mod agent;
mod agents;
mod check;
mod matching;
mod policy;
#[path = "../../../wire/tests/cases/setting.rs"]
mod setting;

use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

use serde::Deserialize;
use serde_json::Value;

#[derive(Debug)]
struct Ended {
    code: Option<i32>,
    out: String,
    err: String,
}

impl Ended {
    fn json(&self) -> Value {
        serde_json::from_str(&self.out).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }
}

/// Runs `orch` in a folder, with an environment of its own.
fn orch(dir: &Path, args: &[&str]) -> Ended {
    orch_fed(dir, "", args)
}

/// The same with this on its standard input.
fn orch_fed(dir: &Path, stdin: &str, args: &[&str]) -> Ended {
    let mut child = Command::new(env!("CARGO_BIN_EXE_orch"))
        .args(args)
        .current_dir(dir)
        .env_clear()
        .env("HOME", dir)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // Whoever does not read it has ended already.
    let _ = child.stdin.take().unwrap().write_all(stdin.as_bytes());
    let output = child.wait_with_output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    Ended { code: output.status.code(), out: text(&output.stdout), err: text(&output.stderr) }
}

/// A folder with these files.
fn folder(files: &[(&str, &str)]) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    for (name, text) in files {
        let path = dir.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }
    dir
}

#[derive(Deserialize)]
struct Case {
    id: String,
    group: String,
    run: String,
    input: String,
    expected: String,
}

/// The cases of a group that a command can answer.
fn cases(group: &str) -> Vec<Case> {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/cases/cases.jsonl");
    let text = std::fs::read_to_string(path).unwrap();
    let cases = text.lines().map(|line| serde_json::from_str::<Case>(line).unwrap());
    cases.filter(|case| case.group == group && case.run == "command").collect()
}
