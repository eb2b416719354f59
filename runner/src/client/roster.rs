//! The broker's roster as this session has verified it.

use std::collections::BTreeMap;

use orch_wire::control::{Change, Entry, Presence, Roster};
use orch_wire::envelope::{self, Frames};
use orch_wire::header::Kind;
use orch_wire::ids::{BrokerName, NodeName, Party};
use orch_wire::keys::Keys;
use orch_wire::topic::Topic;

use super::collector::Standing;
use super::types::Fleet;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Known {
    presence: Presence,
    foreign: bool,
}

/// What is known of every node; each card's seal has been checked with the session's own key.
#[derive(Debug)]
pub(super) struct VerifiedRoster {
    broker: BrokerName,
    settled: bool,
    expected: usize,
    nodes: BTreeMap<NodeName, Known>,
}

impl VerifiedRoster {
    pub(super) fn new(roster: Roster, keys: &Keys) -> Self {
        let Roster { broker, settled, expected, nodes, .. } = roster;
        let nodes = nodes.into_iter().map(|entry| (entry.node.clone(), verify(&entry, keys))).collect();
        Self { broker, settled, expected, nodes }
    }

    /// Takes a change; the node it is about, where it is about one.
    pub(super) fn apply(&mut self, change: Change, keys: &Keys) -> Option<NodeName> {
        match change {
            Change::Node(entry) => {
                let known = verify(&entry, keys);
                if known.presence == Presence::Here && !self.settled {
                    self.expected = self.expected.saturating_sub(1);
                }
                self.nodes.insert(entry.node.clone(), known);
                Some(entry.node)
            }
            Change::Forgotten(node) => {
                self.nodes.remove(&node);
                Some(node)
            }
            Change::Settled => {
                self.settled = true;
                None
            }
            // The session asks for the whole roster again.
            Change::Missed => None,
        }
    }

    pub(super) fn is_settled(&self) -> bool {
        self.settled
    }

    /// How many nodes the broker still waits for, as far as it said.
    pub(super) fn expected(&self) -> usize {
        self.expected
    }

    pub(super) fn standing(&self, node: &NodeName) -> Standing {
        match self.nodes.get(node) {
            Some(Known { foreign: true, .. }) => Standing::Foreign,
            Some(Known { presence: Presence::Here, .. }) => Standing::Here,
            Some(_) | None => Standing::Absent,
        }
    }

    pub(super) fn names(&self) -> impl Iterator<Item = &NodeName> {
        self.nodes.keys()
    }

    /// Nodes that did not say goodbye: here, away, or of another key.
    pub(super) fn not_left(&self) -> impl Iterator<Item = &NodeName> {
        self.nodes.iter().filter(|(_, known)| known.presence != Presence::Left).map(|(node, _)| node)
    }

    /// Nodes that are here, of another key or not.
    pub(super) fn here(&self) -> impl Iterator<Item = &NodeName> {
        self.with(Presence::Here)
    }

    pub(super) fn away(&self) -> Vec<NodeName> {
        self.with(Presence::Away).cloned().collect()
    }

    pub(super) fn foreign(&self) -> Vec<NodeName> {
        self.nodes.iter().filter(|(_, known)| known.foreign).map(|(node, _)| node.clone()).collect()
    }

    fn with(&self, presence: Presence) -> impl Iterator<Item = &NodeName> {
        self.nodes.iter().filter(move |(_, known)| known.presence == presence).map(|(node, _)| node)
    }

    pub(super) fn fleet(&self) -> Fleet {
        let trusted = |presence| {
            let of = |(_, known): &(&NodeName, &Known)| known.presence == presence && !known.foreign;
            self.nodes.iter().filter(of).map(|(node, _)| node.clone()).collect()
        };
        Fleet {
            broker: self.broker.clone(),
            here: trusted(Presence::Here),
            away: trusted(Presence::Away),
            left: trusted(Presence::Left),
            foreign: self.foreign(),
        }
    }
}

/// A card counts only if its seal verifies and it is this node's own.
fn verify(entry: &Entry, keys: &Keys) -> Known {
    let foreign = entry.card.as_ref().is_some_and(|card| {
        let frames = Frames {
            topic: card.topic.clone(),
            header: card.header.clone(),
            body: card.body.clone(),
            seal: card.seal.clone(),
        };
        !envelope::open(keys, &frames).is_ok_and(|opened| {
            matches!(opened.header.kind, Kind::Card(_))
                && opened.topic == Topic::Card(entry.node.clone())
                && opened.header.sender == Party::Node(entry.node.clone())
        })
    });
    Known { presence: entry.presence, foreign }
}
