//! What a caller asks of the client and gets from it.

use std::sync::Arc;
use std::time::Duration;

use orch_link::{Dialer, OpenError};
use orch_wire::header::Stage;
use orch_wire::ids::{ActionName, AgentName, BrokerName, CallId, CollectiveName, Digest, NodeName, RunId};
use orch_wire::keys::Keys;
use orch_wire::outcome::{NodeResult, Outcome};
use orch_wire::query::Query;
use serde_json::{Map, Value};

/// How to reach a fleet, with everything read and checked.
#[derive(Clone)]
pub struct SessionConfig {
    /// Reaches the broker, as the operator of its certificate.
    pub dialer: Dialer,
    /// The fleet's message keys.
    pub keys: Keys,
    /// The collective that calls go to.
    pub collective: CollectiveName,
    /// How long a node that is here may take to answer a query.
    pub discovery_timeout: Duration,
}

/// The broker cannot be used: nothing has been sent.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// The lanes or the control channel could not be opened.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// The control channel opened and then failed.
    #[error("the broker's roster could not be read: {0}")]
    Roster(String),
    /// The certificate is not an operator's.
    #[error("the certificate is for {0}: only operators may call")]
    NotAnOperator(String),
}

impl ConnectError {
    /// What the reader can check.
    pub fn help(&self) -> &'static str {
        match self {
            ConnectError::Open(error) => error.help(),
            ConnectError::Roster(_) => "check the broker's log; `orch broker status` shows what it refused",
            ConnectError::NotAnOperator(_) => "use a certificate made by `orch pki add-operator`",
        }
    }
}

/// Which nodes something is for.
#[derive(Debug, Clone)]
pub enum Scope {
    /// Every node of the roster that did not say goodbye; those that are away are targets too.
    All,
    /// The nodes that match, as each says itself.
    Query(Query),
    /// These, whether they are here or not.
    Nodes(Vec<NodeName>),
}

/// One call of one action.
#[derive(Debug, Clone)]
pub struct CallRequest {
    /// Which nodes it is for.
    pub scope: Scope,
    /// The run it belongs to.
    pub run: RunId,
    /// The agent.
    pub agent: AgentName,
    /// The action.
    pub action: ActionName,
    /// Its arguments, validated already.
    pub args: Map<String, Value>,
    /// The action's time limit on the node.
    pub timeout: Duration,
    /// Whether the action may change something.
    pub write: bool,
    /// Blake3 of the script, for the audit.
    pub script: Option<String>,
    /// Commit of the script's repository, for the audit.
    pub commit: Option<String>,
    /// Say what would change, change nothing.
    pub dry_run: bool,
    /// How it is made, whatever it asks for.
    pub manner: Manner,
    /// The call that this asks for again: the nodes answer it from their memory, or begin it if they never had it.
    pub resend: Option<CallId>,
}

/// How a call is made.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Manner {
    /// Nodes send the action's output as it comes.
    pub stream: bool,
    /// A cancel ends the action even if it is a write.
    pub cancel_writes: bool,
}

impl CallRequest {
    /// Whether a cancel ends what runs on the nodes. A write that began should end as it will, but for the commands of the
    /// shell, which whoever sits at the keyboard expects to end (`language.md`).
    pub(super) fn ends_when_cancelled(&self) -> bool {
        !self.write || self.manner.cancel_writes || self.agent.as_str() == "shell"
    }
}

/// What came of a call.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct CallReport {
    /// Exactly one result per target, in name order.
    pub results: Vec<NodeResult>,
    /// Nodes that are here and did not answer the query.
    pub unanswered: Vec<NodeName>,
    /// Nodes that are away; for [`Scope::All`] and [`Scope::Nodes`] they are among the results too.
    pub away: Vec<NodeName>,
    /// Nodes whose card does not verify: another pre-shared key.
    pub foreign: Vec<NodeName>,
    /// How many nodes said that they do not match.
    pub skipped: usize,
    /// Whether the caller cancelled it.
    pub interrupted: bool,
    /// Its id, where it was one message.
    pub call: Option<CallId>,
}

/// What came of a discovery.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Discovery {
    /// The nodes found, in name order.
    pub nodes: Vec<NodeName>,
    /// Nodes that are here and did not answer the query.
    pub unanswered: Vec<NodeName>,
    /// Nodes that are away; for [`Scope::All`] and [`Scope::Nodes`] they are among the nodes too.
    pub away: Vec<NodeName>,
    /// Nodes whose card does not verify: another pre-shared key.
    pub foreign: Vec<NodeName>,
    /// Whether the caller cancelled it.
    pub interrupted: bool,
}

/// Why a call was not made.
#[derive(Debug, thiserror::Error)]
pub enum CallError {
    /// The connection to the broker was lost and did not come back; nothing was sent.
    #[error("the connection to the broker was lost and did not come back: {0}")]
    Disconnected(String),
    /// A write was to go to nodes that were not resolved first.
    #[error("a write needs nodes that were resolved first")]
    Unresolved,
    /// The arguments or targets are too large to send.
    #[error("the call cannot be sent: {0}")]
    TooLarge(String),
    /// The session has ended.
    #[error("the session has ended")]
    Ended,
}

/// The roster as this session has verified it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fleet {
    /// The broker that keeps it.
    pub broker: BrokerName,
    /// Nodes that are here.
    pub here: Vec<NodeName>,
    /// Nodes that were lost without goodbye.
    pub away: Vec<NodeName>,
    /// Nodes that said goodbye.
    pub left: Vec<NodeName>,
    /// Nodes, here or not, whose card does not verify.
    pub foreign: Vec<NodeName>,
    /// What the cards of the others say, in name order.
    pub cards: Vec<NodeCard>,
}

/// What a node's card says of what it has, so that whoever has seen the same before need not ask.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeCard {
    /// The node.
    pub node: NodeName,
    /// Whether it is here.
    pub here: bool,
    /// Digest of its agents: see [`orch_wire::card::agents_digest`].
    pub agents: Digest,
    /// Digest of its facts.
    pub facts: Digest,
}

/// What is waited for, of each node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Until {
    /// That it is not here, or was not; else that it is here again.
    pub gone: bool,
    /// A new start of its agent is enough; else it must have booted.
    pub same_boot: bool,
}

/// How a wait stands, or how it ended.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Waited {
    /// The nodes of which it does not hold, as far as this session knows.
    pub left: Vec<NodeName>,
    /// Why it does not know how they are now, where it does not.
    pub unsure: Option<String>,
}

/// What happens during a call, for progress and live output.
#[derive(Debug, Clone)]
pub enum CallEvent {
    /// So many nodes are expected to answer.
    Planned {
        /// How many.
        expected: usize,
    },
    /// A node answered for the first time, or said how far it is.
    Progress {
        /// The node.
        node: NodeName,
        /// How far.
        stage: Stage,
    },
    /// A node gave its final answer.
    Answered {
        /// The node.
        node: NodeName,
        /// How it ended.
        outcome: Outcome,
    },
    /// A piece of an action's output.
    Output {
        /// The node.
        node: NodeName,
        /// The text as it came: not yet fit for a terminal.
        text: String,
    },
    /// Some of a node's output was lost on its way, here. It says nothing about how the action ended.
    Gap {
        /// The node.
        node: NodeName,
    },
    /// Something the operator should know, such as waiting for the roster to settle.
    Notice(String),
}

/// Takes events; called from the session's task, so it must be quick.
pub type EventSink = Arc<dyn Fn(CallEvent) + Send + Sync>;
