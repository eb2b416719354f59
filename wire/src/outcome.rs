//! Outcomes: each node of each call ends as exactly one (`design.md` section 5).

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::audit::Head;
use crate::body::{Answer, Ending};
use crate::ids::NodeName;

/// How a call ended on one node.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// The action ran and succeeded.
    Ok,
    /// The action ran and reported failure, or was cut short by the end of the agent.
    Failed,
    /// The node refused and did nothing.
    Rejected,
    /// It ran over its time and the node killed it.
    TimedOut,
    /// Sent, and no final answer came; whether it acted is unknown.
    Silent,
    /// Never sent.
    NotStarted,
}

impl Outcome {
    /// Every outcome, in the order in which they are reported.
    pub const ALL: [Outcome; 6] = [
        Outcome::Ok,
        Outcome::Failed,
        Outcome::Rejected,
        Outcome::TimedOut,
        Outcome::Silent,
        Outcome::NotStarted,
    ];

    /// The outcome's word in scripts and JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Outcome::Ok => "ok",
            Outcome::Failed => "failed",
            Outcome::Rejected => "rejected",
            Outcome::TimedOut => "timed_out",
            Outcome::Silent => "silent",
            Outcome::NotStarted => "not_started",
        }
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl From<Ending> for Outcome {
    fn from(ending: Ending) -> Self {
        match ending {
            Ending::Ok => Outcome::Ok,
            Ending::Failed => Outcome::Failed,
            Ending::Rejected => Outcome::Rejected,
            Ending::TimedOut => Outcome::TimedOut,
        }
    }
}

/// The end of one call on one node.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct NodeResult {
    /// The node.
    pub node: NodeName,
    /// How it ended.
    pub outcome: Outcome,
    /// Stable word for the reason, if there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
    /// The reason for people; may be empty.
    #[serde(skip_serializing_if = "String::is_empty", default)]
    pub message: String,
    /// Outputs of the action.
    pub data: Map<String, Value>,
    /// Time from sending to the final answer, in milliseconds as JSON.
    #[serde(rename = "elapsed_ms", with = "as_millis")]
    pub elapsed: Duration,
    /// For `silent`: whether the node had said that it began.
    #[serde(skip_serializing_if = "std::ops::Not::not", default)]
    pub began: bool,
    /// The last line of the node's audit when it answered.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub audit: Option<Head>,
}

mod as_millis {
    use std::time::Duration;

    use serde::{Deserialize, Deserializer, Serializer};

    #[expect(clippy::cast_precision_loss, reason = "a span in microseconds is far below 2^52")]
    pub(super) fn serialize<S: Serializer>(span: &Duration, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_f64(span.as_micros() as f64 / 1000.0)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Duration, D::Error> {
        let millis = f64::deserialize(from)?;
        Duration::try_from_secs_f64(millis / 1000.0).map_err(serde::de::Error::custom)
    }
}

impl NodeResult {
    /// A result from the node's final answer.
    pub fn answered(node: NodeName, answer: Answer, elapsed: Duration) -> Self {
        // A `done` without an ending is a node's fault; it is not success.
        let (outcome, code) = match answer.ending {
            Some(ending) => (ending.into(), answer.code),
            None => (Outcome::Failed, Some(crate::body::code::REPLY.to_owned())),
        };
        let Answer { message, data, audit, .. } = answer;
        Self { node, outcome, code, message, data, elapsed, began: false, audit }
    }

    /// A target that gave no final answer.
    pub fn silent(node: NodeName, message: impl Into<String>, began: bool, elapsed: Duration) -> Self {
        Self {
            node,
            outcome: Outcome::Silent,
            code: None,
            message: message.into(),
            data: Map::new(),
            elapsed,
            began,
            audit: None,
        }
    }

    /// A target that the call was never sent to.
    pub fn not_started(node: NodeName, message: impl Into<String>) -> Self {
        Self { outcome: Outcome::NotStarted, ..Self::silent(node, message, false, Duration::ZERO) }
    }

    /// A target that failed at something that is no action's answer.
    pub fn failed(node: NodeName, code: &str, message: impl Into<String>) -> Self {
        let code = Some(code.to_owned());
        Self { outcome: Outcome::Failed, code, ..Self::silent(node, message, true, Duration::ZERO) }
    }

    /// Whether the action ran and succeeded.
    pub fn is_ok(&self) -> bool {
        self.outcome == Outcome::Ok
    }
}

/// How many nodes ended in each way.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    /// Ran and succeeded.
    pub ok: usize,
    /// Ran and failed.
    pub failed: usize,
    /// Refused.
    pub rejected: usize,
    /// Killed by the time limit.
    pub timed_out: usize,
    /// No final answer.
    pub silent: usize,
    /// Never sent.
    pub not_started: usize,
}

impl Counts {
    /// Counts outcomes.
    pub fn of(outcomes: impl IntoIterator<Item = Outcome>) -> Self {
        let mut counts = Self::default();
        for outcome in outcomes {
            *counts.slot(outcome) += 1;
        }
        counts
    }

    fn slot(&mut self, outcome: Outcome) -> &mut usize {
        match outcome {
            Outcome::Ok => &mut self.ok,
            Outcome::Failed => &mut self.failed,
            Outcome::Rejected => &mut self.rejected,
            Outcome::TimedOut => &mut self.timed_out,
            Outcome::Silent => &mut self.silent,
            Outcome::NotStarted => &mut self.not_started,
        }
    }

    /// Nodes with this outcome.
    pub fn get(mut self, outcome: Outcome) -> usize {
        *self.slot(outcome)
    }

    /// All nodes counted.
    pub fn total(self) -> usize {
        Outcome::ALL.into_iter().map(|outcome| self.get(outcome)).sum()
    }

    /// Nodes that are not ok.
    pub fn bad(self) -> usize {
        self.total() - self.ok
    }
}
