//! Calls of one node, and what came of them.

use anyhow::{Context, Result};
use serde_json::Value;

use crate::fleet::Fleet;
use crate::process::Ended;

/// What one node answered.
#[derive(Debug)]
pub struct Answer {
    /// How it ended, as `orch` names it.
    pub outcome: String,
    /// The code of a failure or refusal.
    pub code: String,
    /// What it said.
    pub message: String,
    /// Its outputs.
    pub data: Value,
}

impl Answer {
    /// The answer in what `orch call --format json` printed for one node.
    ///
    /// # Errors
    /// When it printed something else.
    pub fn of(ended: &Ended) -> Result<Self> {
        let report = ended.json()?;
        let result = report["results"]
            .as_array()
            .and_then(|all| all.first())
            .with_context(|| format!("{ended:#?}"))?;
        let text = |name: &str| result[name].as_str().unwrap_or_default().to_owned();
        Ok(Self {
            outcome: text("outcome"),
            code: text("code"),
            message: text("message"),
            data: result["data"].clone(),
        })
    }

    /// The outputs of a success.
    ///
    /// # Panics
    /// Where it is none.
    #[track_caller]
    pub fn ok(self) -> Value {
        assert_eq!(self.outcome, "ok", "{self:#?}");
        self.data
    }

    /// Requires another end.
    ///
    /// # Panics
    /// Where it ended otherwise.
    #[track_caller]
    pub fn ended(self, outcome: &str, code: &str) -> Self {
        assert_eq!((self.outcome.as_str(), self.code.as_str()), (outcome, code), "{self:#?}");
        self
    }

    /// Requires a failure whose message has this part.
    ///
    /// # Panics
    /// Where it ended otherwise.
    #[track_caller]
    pub fn failed(self, code: &str, part: &str) -> Self {
        assert!(self.message.contains(part), "{self:#?}");
        self.ended("failed", code)
    }
}

/// Calls an action, written with its arguments as on a command line, on one node.
///
/// # Errors
/// When no answer of the node was printed.
pub fn call(fleet: &Fleet, node: &str, words: &[&str]) -> Result<Answer> {
    Answer::of(&fleet.run(&[&["call"], words, &["-I", node, "--yes", "--format", "json"]].concat()))
}
