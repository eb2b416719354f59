//! The header frame: who says what to whom, in clear, authenticated by the seal.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::ids::{ActionName, AgentName, CallId, CollectiveName, MessageId, Party, RunId};
use crate::limits::PROTOCOL;
use crate::time::Timestamp;
use crate::topic::ReplyTopic;

/// A span in whole milliseconds, as it travels.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Millis(pub u64);

impl From<Duration> for Millis {
    fn from(span: Duration) -> Self {
        Self(u64::try_from(span.as_millis()).unwrap_or(u64::MAX))
    }
}

impl From<Millis> for Duration {
    fn from(span: Millis) -> Self {
        Duration::from_millis(span.0)
    }
}

/// Header of every message.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Header {
    /// Protocol version of the sender.
    #[serde(rename = "v")]
    pub version: u8,
    /// New for each envelope.
    pub id: MessageId,
    /// Who sealed it.
    pub sender: Party,
    /// When, by the sender's clock.
    #[serde(rename = "at")]
    pub issued_at: Timestamp,
    /// How long it may take to start, in milliseconds.
    pub ttl: Millis,
    /// Whether the body is compressed (lz4), under the encryption.
    #[serde(default, skip_serializing_if = "is_false")]
    pub lz4: bool,
    /// What it is.
    pub kind: Kind,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde's skip_serializing_if passes a reference")]
fn is_false(value: &bool) -> bool {
    !*value
}

impl Header {
    /// Whether this build can read the message.
    pub fn is_ours(&self) -> bool {
        self.version == PROTOCOL
    }
}

/// Kind of a message with the fields of that kind.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// Asks nodes to act. The body is a [`crate::body::Call`].
    Call(CallHeader),
    /// Asks again for the answer to a call: the same call id in a new envelope, with the same body.
    Resend(CallHeader),
    /// Asks nodes to stop a call.
    Cancel(CancelHeader),
    /// A node's answer. The body is a [`crate::body::Answer`].
    Reply(ReplyHeader),
    /// A node's card. The body is a [`crate::card::Card`].
    Card(CardHeader),
    /// Goes round the lanes to prove them; carries no authority, has no body and no seal.
    Probe(ProbeHeader),
}

/// Fields of a call and its resends.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CallHeader {
    /// The call, the same in each resend.
    pub call: CallId,
    /// The script run it belongs to.
    pub run: RunId,
    /// The collective it is for.
    pub collective: CollectiveName,
    /// Where answers go.
    pub reply_to: ReplyTopic,
    /// Which nodes it is for.
    pub target: Target,
    /// The agent called.
    pub agent: AgentName,
    /// The action called.
    pub action: ActionName,
    /// The action's time limit, enforced by the node.
    pub timeout: Millis,
    /// Nodes answer after a random part of this span, so that a large fleet does not answer at once.
    #[serde(default)]
    pub spread: Millis,
}

/// Which nodes a call is for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Target {
    /// Nodes that match this query (`query.md`); others answer `skipped`.
    Query(String),
    /// Nodes of this folded node set; others stay quiet.
    Nodes(String),
    /// Every node of the collective.
    All,
}

/// Fields of a cancel.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CancelHeader {
    /// The call to stop.
    pub call: CallId,
    /// Which nodes should stop it.
    pub target: Target,
    /// The collective it is for.
    pub collective: CollectiveName,
    /// Where answers go.
    pub reply_to: ReplyTopic,
}

/// Fields of a reply.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReplyHeader {
    /// The call answered.
    pub call: CallId,
    /// How far it is.
    pub stage: Stage,
    /// Number of this reply within the call on this node, from 0.
    pub seq: u32,
}

/// How far a call is on a node: `skipped`, or `accepted` and `output` any number of times, then exactly one `done`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Stage {
    /// The node does not match the query.
    Skipped,
    /// The action has begun and takes longer than a moment.
    Accepted,
    /// A piece of its output.
    Output,
    /// The final answer.
    Done,
}

/// Fields of a card that the broker, which holds no key, must read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CardHeader {
    /// Echoed by the broker's acknowledgement.
    pub nonce: u64,
    /// The node shuts down.
    #[serde(default)]
    pub goodbye: bool,
}

/// Fields of a probe.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProbeHeader {
    /// Chosen by the prober, repeated in the echo.
    pub nonce: u64,
    /// Where the echo goes, if not to the sender's own node topic.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reply_to: Option<ReplyTopic>,
    /// Whether this is the broker's echo.
    #[serde(default)]
    pub echo: bool,
}
