//! What stands in the encrypted bodies of calls and replies.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::audit::Head;
use crate::header::Millis;

/// Body of a call and its resends.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Call {
    /// Arguments of the action, by input name.
    #[serde(default)]
    pub args: Map<String, Value>,
    /// Blake3 of the script, as the runner states it; for the audit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub script: Option<String>,
    /// Commit of the script's repository, as the runner states it; for the audit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub commit: Option<String>,
    /// Say what would change, change nothing.
    #[serde(default)]
    pub dry_run: bool,
    /// The caller wants the action's output as it comes.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub stream: bool,
}

/// Body of a `done` reply, and as far as it has fields of an `accepted` or `output` one.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Answer {
    /// How it ended; present in `done` only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ending: Option<Ending>,
    /// Stable word for the reason, such as `interrupted`, `arguments`, `clock`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
    /// The reason for people.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub message: String,
    /// Outputs of the action, by output name.
    #[serde(default)]
    pub data: Map<String, Value>,
    /// Time the action took on the node.
    #[serde(default)]
    pub elapsed: Millis,
    /// The last line of the node's audit, the outcome of this call among those before (`done` only).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub audit: Option<Head>,
    /// A chunk of text (`output` only).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub chunk: Option<String>,
}

/// How an action ended, as the node says it; the runner adds what only it can know (`design.md` section 5).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Ending {
    /// It ran and succeeded.
    Ok,
    /// It ran and failed, or was interrupted.
    Failed,
    /// The node refused and did nothing.
    Rejected,
    /// It ran over its time and was killed.
    TimedOut,
}

impl Answer {
    /// An answer that carries no data yet.
    pub fn new(ending: Ending) -> Self {
        Self {
            ending: Some(ending),
            code: None,
            message: String::new(),
            data: Map::new(),
            elapsed: Millis(0),
            audit: None,
            chunk: None,
        }
    }

    /// A success with its outputs.
    pub fn ok(data: Map<String, Value>) -> Self {
        Self { data, ..Self::new(Ending::Ok) }
    }

    /// A failure of the action.
    pub fn failed(code: &str, message: impl Into<String>) -> Self {
        Self { code: Some(code.to_owned()), message: message.into(), ..Self::new(Ending::Failed) }
    }

    /// A refusal: nothing was done.
    pub fn rejected(code: &str, message: impl Into<String>) -> Self {
        Self { code: Some(code.to_owned()), message: message.into(), ..Self::new(Ending::Rejected) }
    }

    /// An action killed by its time limit.
    pub fn timed_out(message: impl Into<String>) -> Self {
        Self { code: Some("timeout".to_owned()), message: message.into(), ..Self::new(Ending::TimedOut) }
    }

    /// The first answer of an action that takes longer than a moment.
    pub fn accepted() -> Self {
        Self { ending: None, ..Self::new(Ending::Ok) }
    }
}

/// Codes of refusals and interruptions: stable words that scripts match on.
pub mod code {
    /// The arguments break the action's schema.
    pub const ARGUMENTS: &str = "arguments";
    /// The node has no such agent, or the agent no such action.
    pub const UNKNOWN_ACTION: &str = "unknown_action";
    /// The node's policy refuses the caller.
    pub const NOT_AUTHORISED: &str = "not_authorised";
    /// The node has too much to do, or its replay window is full.
    pub const OVERLOADED: &str = "overloaded";
    /// A tool the action needs is missing.
    pub const MISSING_TOOL: &str = "missing_tool";
    /// The message's time is outside of what the node's clock allows.
    pub const CLOCK: &str = "clock";
    /// The audit cannot be written.
    pub const AUDIT: &str = "audit";
    /// The node cannot record that the action begins, so it does not begin.
    pub const STATE: &str = "state";
    /// The node's agent ended while the action ran.
    pub const INTERRUPTED: &str = "interrupted";
    /// The node could not read the call: its query, target or body.
    pub const MALFORMED: &str = "malformed";
    /// A cancel ended the action, or came before it began.
    pub const CANCELLED: &str = "cancelled";
    /// An embedded node does not act on the machine that it shares.
    pub const LAB: &str = "lab";
    /// The action reported a failure.
    pub const ACTION: &str = "action";
    /// What the action returned is too large or malformed.
    pub const REPLY: &str = "reply";
}
