//! One line of an audit.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::body::Ending;
use crate::header::Millis;
use crate::ids::{ActionName, AgentName, CallId, Digest, MessageId, NodeName, RunId};
use crate::schema::ActionSchema;
use crate::time::Timestamp;

/// Longest text among the arguments that is told as it is, in bytes.
const SHOWN_TEXT: usize = 1024;
/// Most bytes of all arguments together.
const SHOWN_BYTES: usize = 16 * 1024;

/// A line as it stands in the file.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Line {
    /// Its number since the node keeps an audit, from 0.
    pub position: u64,
    /// Hash of the line before; of nothing where there is none.
    pub before: Digest,
    /// When, by the node's clock, in milliseconds since 1970.
    pub millis: Timestamp,
    /// The same for people.
    pub at: String,
    /// What it says.
    #[serde(flatten)]
    pub entry: Entry,
}

/// What a line says.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
pub enum Entry {
    /// The first line of a file.
    Opened {
        /// Whose audit it is.
        node: NodeName,
        /// Version of the node's software.
        version: String,
    },
    /// What was decided about a request, before anything was done.
    Decision(Box<Decision>),
    /// How it ended.
    Outcome(Outcome),
    /// A crash left the line before torn; the chain goes on from the last whole one.
    Recovered {
        /// Length of the torn line.
        bytes: usize,
        /// Its hash.
        torn: Digest,
    },
}

/// What was decided about a request.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Decision {
    /// The message that asked; its outcome has the same.
    pub message: MessageId,
    /// The call, the same in each resend.
    pub call: CallId,
    /// The script run it belongs to.
    pub run: RunId,
    /// Who asked, such as `cert=alice`.
    pub caller: String,
    /// The agent.
    pub agent: AgentName,
    /// Its action.
    pub action: ActionName,
    /// The arguments, see [`shown`]; none where they could not be read.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub args: Map<String, Value>,
    /// It asked what would be done.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub dry_run: bool,
    /// Blake3 of the script, as the runner stated it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub script: Option<String>,
    /// Commit of the script's repository, as the runner stated it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub commit: Option<String>,
    /// Whether it may act.
    pub allowed: bool,
    /// The code of the refusal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
    /// Why, such as the line of the policy that decided.
    pub reason: String,
}

/// How a request ended that was allowed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Outcome {
    /// The message that asked.
    pub message: MessageId,
    /// The call.
    pub call: CallId,
    /// How it ended.
    pub outcome: Ending,
    /// The stable word for the reason.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
    /// Time that the action took.
    pub duration: Millis,
}

/// Arguments as an audit shows them: secrets masked, and what is long by its length and hash.
pub fn shown(args: &Map<String, Value>, action: Option<&ActionSchema>) -> Map<String, Value> {
    let is_secret = |name: &str| {
        action.is_some_and(|action| action.inputs.iter().any(|input| input.secret && input.name == name))
    };
    let mut left = SHOWN_BYTES;
    let show = |(name, value): (&String, &Value)| {
        let value = if is_secret(name) { json!("***") } else { short(value, &mut left) };
        (name.clone(), value)
    };
    args.iter().map(show).collect()
}

fn short(value: &Value, left: &mut usize) -> Value {
    let text = match value {
        Value::String(text) if text.len() > SHOWN_TEXT => text.clone(),
        other => other.to_string(),
    };
    let fits = text.len() <= *left && !matches!(value, Value::String(text) if text.len() > SHOWN_TEXT);
    if fits {
        *left -= text.len();
        return value.clone();
    }
    json!({ "bytes": text.len(), "blake3": Digest::of(text.as_bytes()) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_masked_and_long_values_are_told_by_hash() {
        let schema = crate::schema::AgentSchema::from_json(
            r#"{"metadata": {"name": "a", "description": "d", "author": "a", "license": "l", "version": "1",
            "url": "u", "timeout": 5}, "actions": [{"action": "run", "description": "r", "input": {
            "password": {"prompt": "p", "description": "d", "type": "string", "optional": true, "validation": ".",
            "maxlength": 0, "secret": true}}}]}"#,
        )
        .unwrap();
        let args = json!({"password": "hunter2", "n": 1, "text": "x".repeat(2000), "list": vec!["y"; 9000]});
        let shown = shown(args.as_object().unwrap(), schema.action("run"));
        assert_eq!((&shown["password"], &shown["n"]), (&json!("***"), &json!(1)));
        let hash = Digest::of("x".repeat(2000).as_bytes());
        assert_eq!(shown["text"], json!({"bytes": 2000, "blake3": hash}));
        assert!(shown["list"]["bytes"].as_u64() > Some(9000));
        assert!(Value::Object(shown).to_string().len() < 1000);
    }
}
