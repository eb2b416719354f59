//! Commands on a real terminal, by `script(1)`.

use std::process::{Child, Stdio};

use anyhow::Result;

use crate::fleet::Fleet;

/// Runs a command on a terminal of its own: what is written to its standard input are keys. None where that cannot be done.
#[expect(clippy::print_stderr, reason = "a test that is not run says so")]
pub fn on_a_terminal(fleet: &Fleet, arguments: &[&str]) -> Result<Option<Child>> {
    let there = std::process::Command::new("script").arg("--version").stdout(Stdio::null()).status();
    if there.is_err() {
        eprintln!("not run: this machine has no script(1)");
        return Ok(None);
    }
    let mut orch = fleet.orch();
    orch.args(arguments);
    let words = std::iter::once(orch.get_program()).chain(orch.get_args());
    let quoted: Vec<String> = words.map(|word| format!("'{}'", word.to_string_lossy())).collect();
    let mut script = std::process::Command::new("script");
    script.args(["-qfec", &quoted.join(" "), "/dev/null"]).env_clear().env("PATH", "/usr/bin:/bin");
    for (name, value) in orch.get_envs() {
        if let Some(value) = value {
            script.env(name, value);
        }
    }
    script.env("TERM", "xterm").env("SHELL", "/bin/sh");
    let piped = script.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    Ok(Some(piped.spawn()?))
}

/// A text without the escapes that colour it.
pub fn without_colours(text: &str) -> String {
    let mut plain = String::new();
    let mut rest = text;
    while let Some((before, escape)) = rest.split_once('\u{1b}') {
        plain.push_str(before);
        rest = escape.split_once('m').map_or("", |(_, rest)| rest);
    }
    plain + rest
}
