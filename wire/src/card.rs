//! A node's card: what it says of itself at connect, on change and every minute.

use serde::{Deserialize, Serialize};

use crate::audit::Head;
use crate::ids::{CollectiveName, Digest, NodeName};
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
    /// Digest of its agents' schemas.
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
