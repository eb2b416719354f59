//! What the broker itself says, over `orch-ctl/1`: length-prefixed MessagePack, authentic by TLS, for operators only.
//!
//! Each frame is its length as u32 big endian and then the encoded value.

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::header::Millis;
use crate::ids::{BrokerName, NodeName};
use crate::time::Timestamp;

/// What an operator asks of the broker.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Request {
    /// The roster; with `watch` each change follows on the same connection.
    Roster {
        /// Whether changes should follow.
        watch: bool,
    },
    /// Connections, closings, lanes, claims.
    Status,
    /// Take nodes that are away or left from the roster.
    Forget {
        /// The nodes.
        nodes: Vec<NodeName>,
    },
}

/// What the broker says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Reply {
    /// Answer to [`Request::Roster`].
    Roster(Roster),
    /// A change of the roster, after a `watch`.
    Change(Change),
    /// Answer to [`Request::Status`].
    Status(Box<Status>),
    /// Answer to [`Request::Forget`].
    Forgotten {
        /// Nodes taken from the roster.
        forgotten: Vec<NodeName>,
        /// Nodes that are here and so stay.
        here: Vec<NodeName>,
        /// Names that are not in the roster.
        unknown: Vec<NodeName>,
    },
    /// The request could not be carried out.
    Refused {
        /// Why.
        message: String,
    },
}

/// The broker's list of nodes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Roster {
    /// The broker that keeps it.
    pub broker: BrokerName,
    /// When the broker started.
    pub started: Timestamp,
    /// False after a start until those that were here before are back, 60 s at most.
    pub settled: bool,
    /// How many nodes the broker still waits for while not settled.
    pub expected: usize,
    /// The nodes, in name order.
    pub nodes: Vec<Entry>,
}

/// One node of the roster.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// Its name, as in the certificate of the connection its card came by.
    pub node: NodeName,
    /// Whether it is there.
    pub presence: Presence,
    /// Since when, by the broker's clock.
    pub since: Timestamp,
    /// Its last card as it was sealed, for the reader to verify; none for a node that was only seen to connect.
    pub card: Option<SealedCard>,
}

/// Whether a node is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Presence {
    /// Both lanes are open and proven.
    Here,
    /// The connection was lost without goodbye.
    Away,
    /// It said goodbye.
    Left,
}

/// The four frames of a card, kept as they came.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SealedCard {
    /// Topic frame.
    #[serde(with = "frame")]
    pub topic: Bytes,
    /// Header frame.
    #[serde(with = "frame")]
    pub header: Bytes,
    /// Body frame.
    #[serde(with = "frame")]
    pub body: Bytes,
    /// Seal frame.
    #[serde(with = "frame")]
    pub seal: Bytes,
}

mod frame {
    use bytes::Bytes;
    use serde::de::{Error, SeqAccess, Visitor};
    use serde::{Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(bytes: &Bytes, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_bytes(bytes)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Bytes, D::Error> {
        struct Frame;
        impl<'de> Visitor<'de> for Frame {
            type Value = Bytes;
            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("bytes of a frame")
            }
            fn visit_bytes<E: Error>(self, bytes: &[u8]) -> Result<Bytes, E> {
                Ok(Bytes::copy_from_slice(bytes))
            }
            fn visit_byte_buf<E: Error>(self, bytes: Vec<u8>) -> Result<Bytes, E> {
                Ok(Bytes::from(bytes))
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Bytes, A::Error> {
                let mut bytes = Vec::new();
                while let Some(byte) = items.next_element()? {
                    bytes.push(byte);
                }
                Ok(Bytes::from(bytes))
            }
        }
        from.deserialize_byte_buf(Frame)
    }
}

/// A change of the roster.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Change {
    /// A node came, went, or sent another card.
    Node(Entry),
    /// A node was forgotten.
    Forgotten(NodeName),
    /// The roster has settled.
    Settled,
    /// The watcher was too slow and missed changes: ask for the roster again.
    Missed,
}

/// State of the broker, for `orch broker status`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Status {
    /// The broker.
    pub broker: BrokerName,
    /// Version of its software.
    pub version: String,
    /// When it started.
    pub started: Timestamp,
    /// Whether the roster has settled.
    pub settled: bool,
    /// Nodes by presence: here.
    pub here: usize,
    /// Nodes by presence: away.
    pub away: usize,
    /// Nodes by presence: left.
    pub left: usize,
    /// Operators with a connection open.
    pub operators: Vec<String>,
    /// Open connections.
    pub connections: usize,
    /// Messages forwarded on the call lane since the start.
    pub calls_forwarded: u64,
    /// Messages forwarded on the reply lane since the start.
    pub replies_forwarded: u64,
    /// Connections closed or refused by rule, by reason and by name where there is one.
    pub refused: Vec<Refusals>,
    /// Names claimed by two machines at once.
    pub claims: Vec<Claim>,
    /// The most recent closings, newest first.
    pub recent: Vec<Closing>,
}

/// How often connections of one party ended for one reason.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refusals {
    /// Party of the certificate, or empty where none was shown.
    pub party: String,
    /// Stable word of the reason.
    pub reason: String,
    /// How often.
    pub count: u64,
}

/// A name that two machines use.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Claim {
    /// The name.
    pub node: NodeName,
    /// How often a second connection was refused.
    pub count: u64,
    /// Address of the last one refused.
    pub from: String,
    /// When.
    pub last: Timestamp,
}

/// One ended connection.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Closing {
    /// When.
    pub at: Timestamp,
    /// Party of the certificate, or empty.
    pub party: String,
    /// Address of the peer.
    pub from: String,
    /// Channel, such as `orch-lanes/1`, or empty before one was agreed.
    pub channel: String,
    /// Why it ended.
    pub reason: String,
    /// How long it was open.
    pub open: Millis,
}
