//! The broker's roster as this session has verified it.

use std::collections::BTreeMap;

use orch_wire::card::Card;
use orch_wire::control::{Change, Entry, Presence, Roster};
use orch_wire::envelope::{self, Frames};
use orch_wire::header::Kind;
use orch_wire::ids::{BrokerName, CollectiveName, Digest, NodeName, Party};
use orch_wire::keys::Keys;
use orch_wire::topic::Topic;

use super::collector::Standing;
use super::types::{Fleet, NodeCard};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Known {
    presence: Presence,
    foreign: bool,
    /// Whether its card says that it listens to the session's collective; what has no readable card may.
    listens: bool,
    /// Digests of its agents and its facts, where its card can be read.
    has: Option<(Digest, Digest)>,
}

/// What is known of every node; each card's seal has been checked with the session's own key.
#[derive(Debug)]
pub(super) struct VerifiedRoster {
    broker: BrokerName,
    collective: CollectiveName,
    settled: bool,
    expected: usize,
    nodes: BTreeMap<NodeName, Known>,
}

impl VerifiedRoster {
    pub(super) fn new(roster: Roster, keys: &Keys, collective: &CollectiveName) -> Self {
        let Roster { broker, settled, expected, nodes, .. } = roster;
        let nodes =
            nodes.into_iter().map(|entry| (entry.node.clone(), verify(&entry, keys, collective))).collect();
        Self { broker, collective: collective.clone(), settled, expected, nodes }
    }

    /// Takes a change; the node it is about, where it is about one.
    pub(super) fn apply(&mut self, change: Change, keys: &Keys) -> Option<NodeName> {
        match change {
            Change::Node(entry) => {
                let known = verify(&entry, keys, &self.collective);
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

    /// Nodes of the collective that did not say goodbye: here, away, or of another key.
    pub(super) fn not_left(&self) -> impl Iterator<Item = &NodeName> {
        let of = |known: &Known| known.listens && known.presence != Presence::Left;
        self.nodes.iter().filter(move |(_, known)| of(known)).map(|(node, _)| node)
    }

    /// Nodes that are here, of another key or not.
    pub(super) fn here(&self) -> impl Iterator<Item = &NodeName> {
        self.with(Presence::Here)
    }

    pub(super) fn away(&self) -> Vec<NodeName> {
        self.with(Presence::Away).cloned().collect()
    }

    pub(super) fn foreign(&self) -> Vec<NodeName> {
        self.nodes
            .iter()
            .filter(|(_, known)| known.foreign && known.listens)
            .map(|(node, _)| node.clone())
            .collect()
    }

    fn with(&self, presence: Presence) -> impl Iterator<Item = &NodeName> {
        let of = move |known: &Known| known.listens && known.presence == presence;
        self.nodes.iter().filter(move |(_, known)| of(known)).map(|(node, _)| node)
    }

    pub(super) fn fleet(&self) -> Fleet {
        let trusted = |presence| {
            let of = |(_, known): &(&NodeName, &Known)| {
                known.presence == presence && known.listens && !known.foreign
            };
            self.nodes.iter().filter(of).map(|(node, _)| node.clone()).collect()
        };
        Fleet {
            broker: self.broker.clone(),
            here: trusted(Presence::Here),
            away: trusted(Presence::Away),
            left: trusted(Presence::Left),
            foreign: self.foreign(),
            cards: self.cards(),
        }
    }
}

impl VerifiedRoster {
    fn cards(&self) -> Vec<NodeCard> {
        let of = |(node, known): (&NodeName, &Known)| {
            let (agents, facts) = known.has.filter(|_| known.listens && !known.foreign)?;
            Some(NodeCard { node: node.clone(), here: known.presence == Presence::Here, agents, facts })
        };
        self.nodes.iter().filter_map(of).collect()
    }
}

/// A card counts only if its seal verifies and it is this node's own.
fn verify(entry: &Entry, keys: &Keys, collective: &CollectiveName) -> Known {
    let presence = entry.presence;
    let unread = Known { presence, foreign: false, listens: true, has: None };
    let Some(card) = &entry.card else { return unread };
    let frames = Frames {
        topic: card.topic.clone(),
        header: card.header.clone(),
        body: card.body.clone(),
        seal: card.seal.clone(),
    };
    let opened = envelope::open(keys, &frames).ok().filter(|opened| {
        matches!(opened.header.kind, Kind::Card(_))
            && opened.topic == Topic::Card(entry.node.clone())
            && opened.header.sender == Party::Node(entry.node.clone())
    });
    let Some(opened) = opened else { return Known { foreign: true, ..unread } };
    // A body that does not decode says nothing of collectives: the node stays expected.
    let Ok(card) = opened.body::<Card>(keys) else { return unread };
    let listens = card.collectives.contains(collective);
    Known { listens, has: Some((card.agents, card.facts)), ..unread }
}
