//! Calls of one node and what came of them, and actions that a test leads.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use orch_tests::answer::{self, Answer};
use orch_tests::fleet::{Fleet, Node};
use orch_tests::wait;
use serde_json::json;

/// Calls an action on the node `n01`, written with its arguments as on a command line.
pub(super) fn call(fleet: &Fleet, words: &[&str]) -> Result<Answer> {
    answer::call(fleet, "n01", words)
}

/// A fleet of one node, `n01`, that has the agent `shell`.
pub(super) fn fleet_with_shell() -> Result<Fleet> {
    Fleet::with([Node::named("n01").builtin(&["file", "process", "shell"])])
}

/// Puts an external agent `led` where nodes find it. Its actions `look` and `change` run this script of the shell, which may wait
/// with `await NAME` until the test lets it, and tell something with `tell NAME TEXT`.
pub(super) fn led_agent(fleet: &Fleet, script: &str) -> Result<()> {
    let action = |name: &str, effect: &str| {
        json!({
            "action": name, "description": "Does as the test says", "effect": effect, "display": "failed", "input": {},
            "output": {},
        })
    };
    let schema = json!({
        "metadata": {
            "name": "led", "description": "Does as the test says", "author": "orch", "license": "MIT",
            "version": "1.0.0", "url": "https://example.com", "timeout": 60, "provider": "external",
        },
        "actions": [action("look", "read"), action("change", "write")],
    });
    let program = format!(
        "#!/bin/sh\n\
         cd \"$ORCH_AGENT_STATE\" || exit 1\n\
         await() {{ while [ -d \"$ORCH_AGENT_STATE\" ] && [ ! -e \"$1\" ]; do sleep 0.02; done; }}\n\
         tell() {{ echo \"$2\" > \"$1.new\" && mv \"$1.new\" \"$1\"; }}\n\
         {script}\n\
         echo '{{\"statuscode\": 0, \"data\": {{}}}}' > \"$2\"\n"
    );
    fleet.agent("led", &schema, &program)
}

/// Lets the agent `led` of a node go on.
pub(super) fn let_go(fleet: &Fleet, node: &str, name: &str) -> Result<()> {
    std::fs::write(fleet.agent_state(node, "led", name), "").context("letting an action go on")
}

/// What the agent `led` of a node tells, once it has.
pub(super) fn told(fleet: &Fleet, node: &str, name: &str) -> String {
    let path: PathBuf = fleet.agent_state(node, "led", name);
    read_when_there(&path)
}

/// The first line of a file that somebody writes at once, when it is there.
pub(super) fn read_when_there(path: &Path) -> String {
    let text = wait::until(&format!("{} is there", path.display()), || {
        let text = std::fs::read_to_string(path).map_err(|error| error.to_string())?;
        if text.ends_with('\n') { Ok(text) } else { Err(text) }
    });
    text.lines().next().unwrap_or_default().to_owned()
}

/// Waits until a process has ended.
pub(super) fn await_gone(pid: &str) {
    wait::until(&format!("process {pid} is gone"), || {
        match std::fs::read_to_string(format!("/proc/{pid}/stat")) {
            // A zombie has ended; only its parent has not looked yet.
            Ok(stat) if !stat.contains(") Z ") => Err(stat),
            _ => Ok(()),
        }
    });
}

/// Whether a process runs.
pub(super) fn is_alive(pid: &str) -> bool {
    std::fs::read_to_string(format!("/proc/{pid}/stat")).is_ok_and(|stat| !stat.contains(") Z "))
}
