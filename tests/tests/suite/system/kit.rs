//! Calls of one node, and what came of them.

use anyhow::{Context, Result};
use orch_tests::fleet::{Fleet, Node};
use serde_json::Value;

/// A fleet whose nodes have roots of their own, made ready by these commands.
pub(super) fn fleet(nodes: &[&str], prepare: &str) -> Result<Fleet> {
    Fleet::with(nodes.iter().map(|name| Node::named(name).root(prepare)))
}

/// A fleet of one node whose first process is systemd, made ready by these commands.
pub(super) fn fleet_of_systemd(node: &str, prepare: &str) -> Result<Fleet> {
    Fleet::with([Node::named(node).systemd(prepare)])
}

/// What one node answered.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) outcome: String,
    pub(super) code: String,
    pub(super) message: String,
    pub(super) data: Value,
}

impl Answer {
    /// The outputs of a success.
    #[track_caller]
    pub(super) fn ok(self) -> Value {
        assert_eq!(self.outcome, "ok", "{self:#?}");
        self.data
    }

    /// Requires a failure whose message has this part.
    #[track_caller]
    pub(super) fn failed(self, code: &str, part: &str) -> Self {
        assert_eq!((self.outcome.as_str(), self.code.as_str()), ("failed", code), "{self:#?}");
        assert!(self.message.contains(part), "{self:#?}");
        self
    }
}

/// Calls an action, written with its arguments as on a command line, on one node.
pub(super) fn call(fleet: &Fleet, node: &str, words: &[&str]) -> Result<Answer> {
    let ended = fleet.run(&[&["call"], words, &["-I", node, "--yes", "--format", "json"]].concat());
    let report = ended.json()?;
    let result =
        report["results"].as_array().and_then(|all| all.first()).with_context(|| format!("{ended:#?}"))?;
    let text = |name: &str| result[name].as_str().unwrap_or_default().to_owned();
    Ok(Answer {
        outcome: text("outcome"),
        code: text("code"),
        message: text("message"),
        data: result["data"].clone(),
    })
}
