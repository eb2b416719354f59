//! A call that passed the intake and may act, and the replies to it.

use std::sync::Arc;
use std::time::Duration;

use orch_wire::audit::Decision;
use orch_wire::body::Answer;
use orch_wire::header::Stage;
use orch_wire::ids::{ActionName, CallId, CollectiveName, MessageId, OperatorName};
use orch_wire::time::Timestamp;
use orch_wire::topic::ReplyTopic;
use serde_json::{Map, Value};

use crate::agents::{Agent, Here, Kind};

/// An action to run, validated.
#[derive(Debug, Clone)]
pub struct Work {
    /// The call.
    pub call: CallId,
    /// The message that asked for it.
    pub message: MessageId,
    pub(crate) caller: OperatorName,
    pub(crate) collective: CollectiveName,
    pub(crate) agent: Arc<Agent>,
    pub(crate) action: ActionName,
    pub(crate) args: Map<String, Value>,
    pub(crate) dry_run: bool,
    /// The caller wants the output as it comes.
    pub(crate) stream: bool,
    /// Whether it may change the node, so that its begin must be recorded.
    pub is_write: bool,
    /// The action's time limit.
    pub timeout: Duration,
    pub(crate) issued_at: Timestamp,
    /// After this it may not begin any more.
    pub expires: Timestamp,
    /// What the audit is to say of it before it begins.
    pub(crate) decision: Decision,
}

impl Work {
    /// The function that runs it where it needs no task of its own: a read that is answered from memory.
    pub(crate) fn runs_at_once(&self) -> Option<Here> {
        match self.agent.kind {
            Kind::Here(here) if !self.is_write => Some(here),
            _ => None,
        }
    }
}

/// A reply to send.
#[derive(Debug, Clone, PartialEq)]
pub struct Reply {
    /// Where the asker listens.
    pub to: ReplyTopic,
    /// The call.
    pub call: CallId,
    /// How far it is.
    pub stage: Stage,
    /// Number of this reply within the call: of `accepted` 0, of pieces of output 1 and on, of `done` the next.
    pub seq: u32,
    /// What it says.
    pub answer: Answer,
    /// It goes out after a random part of this span.
    pub spread: Duration,
}
