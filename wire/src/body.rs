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

    /// Bytes that it takes at most when it is encoded; told without encoding it.
    pub fn most_bytes(&self) -> usize {
        let texts = [
            self.code.as_deref().unwrap_or_default(),
            &self.message,
            self.chunk.as_deref().unwrap_or_default(),
        ];
        let texts = texts.iter().fold(0_usize, |sum, text| sum.saturating_add(text.len()));
        OTHER_FIELDS.saturating_add(texts).saturating_add(fields(&self.data))
    }
}

/// Bytes of an answer's names of fields, numbers and hash, and the lengths before its texts, at most.
const OTHER_FIELDS: usize = 256;
/// Bytes of a value that is no text, or of the length before one, at most.
const ONE_VALUE: usize = 9;

fn fields(map: &Map<String, Value>) -> usize {
    map.iter().fold(ONE_VALUE, |sum, (name, value)| {
        sum.saturating_add(ONE_VALUE).saturating_add(name.len()).saturating_add(most_bytes(value))
    })
}

fn most_bytes(value: &Value) -> usize {
    match value {
        Value::Null | Value::Bool(_) | Value::Number(_) => ONE_VALUE,
        Value::String(text) => text.len().saturating_add(ONE_VALUE),
        Value::Array(list) => list.iter().fold(ONE_VALUE, |sum, value| sum.saturating_add(most_bytes(value))),
        Value::Object(map) => fields(map),
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec;
    use crate::ids::Digest;
    use proptest::prelude::*;

    fn value() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            any::<f64>().prop_map(Value::from),
            ".{0,40}".prop_map(Value::from),
        ];
        leaf.prop_recursive(3, 40, 10, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..20).prop_map(Value::from),
                prop::collection::btree_map(".{0,9}", inner, 0..20)
                    .prop_map(|map| Value::Object(map.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn an_answer_takes_no_more_bytes_than_it_says(
            data in prop::collection::btree_map(".{0,9}", value(), 0..9),
            texts in prop::array::uniform3(prop::option::of(".{0,300}")),
            elapsed in any::<u64>(),
            audit in any::<bool>(),
        ) {
            let [code, message, chunk] = texts;
            let answer = Answer {
                code,
                message: message.unwrap_or_default(),
                chunk,
                elapsed: Millis(elapsed),
                audit: audit.then(|| Head { position: u64::MAX, hash: Digest::of(b"line") }),
                ..Answer::ok(data.into_iter().collect())
            };
            let bytes = codec::encode(&answer).unwrap();
            prop_assert!(bytes.len() <= answer.most_bytes(), "{} of {}", bytes.len(), answer.most_bytes());
        }
    }
}
