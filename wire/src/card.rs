//! A node's card: what it says of itself at connect, on change and every minute.

use serde::{Deserialize, Serialize};

use crate::audit::Head;
use crate::ids::{AgentName, CollectiveName, Digest, NodeName};
use crate::time::Timestamp;

/// Body of a card.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Card {
    /// The node's identity.
    pub node: NodeName,
    /// The collectives it listens to.
    pub collectives: Vec<CollectiveName>,
    /// Digest of its facts; changes when they do.
    pub facts: Digest,
    /// Digest of its classes.
    pub classes: Digest,
    /// Digest of its agents' schemas: see [`agents_digest`].
    pub agents: Digest,
    /// Protocol it speaks.
    pub protocol: u8,
    /// Version of its software.
    pub version: String,
    /// The kernel's boot id: another one after a reboot.
    pub boot_id: String,
    /// When its agent started.
    pub agent_start: Timestamp,
    /// The last line of its audit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub audit_head: Option<Head>,
}

/// Digest of agents, from their names and the digests of their schemas, in the order of the names. Whoever has asked a node for
/// its agents can tell by it whether the answer is what the card says.
pub fn agents_digest<'a>(agents: impl IntoIterator<Item = (&'a AgentName, &'a Digest)>) -> Digest {
    let lines: String = agents.into_iter().map(|(name, schema)| format!("{name} {schema}\n")).collect();
    Digest::of(lines.as_bytes())
}
