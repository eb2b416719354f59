//! Which nodes are there: a state machine without clock, file or socket.
//!
//! It is told what happened (a node's connection opened, a card came by it, the acknowledgement of that card went out
//! to the node, a connection ended) and keeps one [`Presence`] a node. A node is `here` only while its connection is
//! open and a card has gone round its lanes: in by the one for replies, the acknowledgement out by the one for calls.
//! Only then does a call that is sent afterwards reach it.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::time::Duration;

use orch_wire::control::{Change, Entry, Presence, SealedCard};
use orch_wire::ids::NodeName;
use orch_wire::limits::SKEW;
use orch_wire::time::Timestamp;
use serde::{Deserialize, Serialize};

/// A roster that waits for nodes after a start stops waiting after this time.
pub(crate) const SETTLE: Duration = Duration::from_secs(60);
/// Nodes that are away or left for this long are forgotten.
pub(crate) const FORGET: Duration = Duration::from_secs(7 * 24 * 3600);
/// Nonces of cards whose acknowledgement has not gone out yet: a node repeats its card until it has one.
const NONCES: usize = 16;

/// Number of a connection, never used twice while the broker runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ConnId(pub u64);

/// What the broker reads of a card; it holds no key for the rest.
#[derive(Debug, Clone)]
pub struct CardSeen {
    /// What the acknowledgement repeats.
    pub nonce: u64,
    /// The node shuts down.
    pub goodbye: bool,
    /// When, by the node's clock.
    pub issued_at: Timestamp,
    /// The card itself.
    pub frames: SealedCard,
}

/// What is kept of a node across a restart of the broker.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Remembered {
    /// The node.
    pub node: NodeName,
    /// `Here` also for a node that was here before the start and is still waited for.
    pub presence: Presence,
    /// Since when, by the broker's clock.
    pub since: Timestamp,
    /// Its last card, where one came.
    #[serde(default)]
    pub card: Option<SealedCard>,
    /// When that card was made, by the node's clock.
    #[serde(default)]
    pub issued_at: Option<Timestamp>,
}

/// What a `forget` did.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Forgotten {
    /// Taken from the roster.
    pub forgotten: Vec<NodeName>,
    /// Connected, and so kept.
    pub here: Vec<NodeName>,
    /// Not in the roster.
    pub unknown: Vec<NodeName>,
}

/// Nodes by presence.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// Proven by a card.
    pub here: usize,
    /// Lost without goodbye.
    pub away: usize,
    /// Gone with one.
    pub left: usize,
}

#[derive(Debug)]
struct Known {
    presence: Presence,
    since: Timestamp,
    card: Option<SealedCard>,
    issued_at: Option<Timestamp>,
}

/// The open connection of a node, and the cards that came since it is open.
#[derive(Debug)]
struct Link {
    conn: ConnId,
    nonces: Vec<u64>,
}

/// The roster.
#[derive(Debug)]
pub struct Roster {
    known: BTreeMap<NodeName, Known>,
    links: HashMap<NodeName, Link>,
    connections: HashMap<ConnId, NodeName>,
    /// Nodes that were here before the start and are not back yet; none once settled.
    expected: BTreeSet<NodeName>,
    /// What was remembered could not be read, so that nobody knows whom to wait for.
    blind: bool,
    settled: bool,
    changes: Vec<Change>,
}

impl Roster {
    /// A roster that starts with what was remembered, or with none where what was remembered could not be read: then
    /// nobody knows who was here, and it settles only by time.
    pub fn new(now: Timestamp, remembered: Option<Vec<Remembered>>) -> Self {
        let mut roster = Self {
            known: BTreeMap::new(),
            links: HashMap::new(),
            connections: HashMap::new(),
            expected: BTreeSet::new(),
            blind: remembered.is_none(),
            settled: false,
            changes: Vec::new(),
        };
        for Remembered { node, presence, since, card, issued_at } in remembered.unwrap_or_default() {
            let (presence, since) = match presence {
                Presence::Here => {
                    roster.expected.insert(node.clone());
                    (Presence::Away, now)
                }
                other => (other, since),
            };
            roster.known.insert(node, Known { presence, since, card, issued_at });
        }
        roster.settled = roster.expected.is_empty() && !roster.blind;
        roster
    }

    /// A node's connection is open.
    pub fn connected(&mut self, now: Timestamp, node: &NodeName, conn: ConnId) {
        self.connections.insert(conn, node.clone());
        // What was proven was proven with the connection before.
        self.links.insert(node.clone(), Link { conn, nonces: Vec::new() });
        // A name that was never proven by a card is no member of the fleet yet: a certificate alone must not make a target.
        if self.known.get(node).is_some_and(|known| known.presence == Presence::Here) {
            self.set(now, node, Presence::Away);
        }
    }

    /// A card came by a node's connection.
    pub fn card(&mut self, now: Timestamp, conn: ConnId, card: CardSeen) {
        let Some(node) = self.connections.get(&conn).cloned() else { return };
        let Some(link) = self.links.get_mut(&node).filter(|link| link.conn == conn) else { return };
        let CardSeen { nonce, goodbye, issued_at, frames } = card;
        link.nonces.retain(|&pending| pending != nonce);
        if goodbye {
            link.nonces.clear();
        } else {
            if link.nonces.len() >= NONCES {
                link.nonces.remove(0);
            }
            link.nonces.push(nonce);
        }

        let known = self.known.entry(node.clone()).or_insert_with(|| Known {
            presence: Presence::Away,
            since: now,
            card: None,
            issued_at: None,
        });
        // A card from a future that the sender's clock once claimed must not outlive the correction of that clock.
        let older = known.issued_at.is_some_and(|last| issued_at < last && last <= now.plus(SKEW));
        if !older {
            known.card = Some(frames);
            known.issued_at = Some(issued_at);
        }
        if goodbye {
            self.set(now, &node, Presence::Left);
        } else if known.presence == Presence::Here && !older {
            self.changes.push(Change::Node(entry(&node, known)));
        }
    }

    /// The broker's acknowledgement went out by a node's connection.
    pub fn ack_delivered(&mut self, now: Timestamp, conn: ConnId, nonce: u64) {
        let Some(node) = self.connections.get(&conn).cloned() else { return };
        let Some(link) = self.links.get_mut(&node).filter(|link| link.conn == conn) else { return };
        let Some(at) = link.nonces.iter().position(|&pending| pending == nonce) else { return };
        link.nonces.remove(at);
        if self.known.get(&node).is_none_or(|known| known.presence != Presence::Here) {
            self.set(now, &node, Presence::Here);
        }
    }

    /// A connection ended.
    pub fn disconnected(&mut self, now: Timestamp, conn: ConnId) {
        let Some(node) = self.connections.remove(&conn) else { return };
        if self.links.get(&node).is_none_or(|link| link.conn != conn) {
            return; // the late end of an old connection
        }
        self.links.remove(&node);
        if self.known.get(&node).is_some_and(|known| known.presence == Presence::Here) {
            self.set(now, &node, Presence::Away);
        }
    }

    /// Takes nodes from the roster that are not here. One with a connection open is about to be here, and stays.
    pub fn forget(&mut self, nodes: &[NodeName]) -> Forgotten {
        let mut result = Forgotten::default();
        for node in nodes {
            if !self.known.contains_key(node) {
                result.unknown.push(node.clone());
            } else if self.links.contains_key(node) {
                result.here.push(node.clone());
            } else {
                self.drop_entry(node);
                result.forgotten.push(node.clone());
            }
        }
        self.settle_if_complete();
        result
    }

    /// Time has passed: `up` since the start of the broker.
    pub fn tick(&mut self, now: Timestamp, up: Duration) {
        if !self.settled && up >= SETTLE {
            self.expected.clear();
            self.settle();
        }
        let old: Vec<NodeName> = self
            .known
            .iter()
            .filter(|(node, known)| now.since(known.since) >= FORGET && !self.links.contains_key(*node))
            .map(|(node, _)| node.clone())
            .collect();
        for node in old {
            self.drop_entry(&node);
        }
    }

    /// The changes since this was asked last.
    pub fn take_changes(&mut self) -> Vec<Change> {
        std::mem::take(&mut self.changes)
    }

    /// All nodes, in name order.
    pub fn entries(&self) -> Vec<Entry> {
        self.known.iter().map(|(node, known)| entry(node, known)).collect()
    }

    /// Whether those that were here before the start are back, or were waited for long enough.
    pub fn settled(&self) -> bool {
        self.settled
    }

    /// How many nodes are still waited for.
    pub fn expected(&self) -> usize {
        self.expected.len()
    }

    /// Nodes by presence.
    pub fn counts(&self) -> Counts {
        let mut counts = Counts::default();
        for known in self.known.values() {
            match known.presence {
                Presence::Here => counts.here += 1,
                Presence::Away => counts.away += 1,
                Presence::Left => counts.left += 1,
            }
        }
        counts
    }

    /// What to keep across a restart. Nodes that are waited for stay `here`, so that a second restart waits as well.
    pub fn remembered(&self) -> Vec<Remembered> {
        self.known
            .iter()
            .map(|(node, known)| Remembered {
                node: node.clone(),
                presence: if self.expected.contains(node) { Presence::Here } else { known.presence },
                since: known.since,
                card: known.card.clone(),
                issued_at: known.issued_at,
            })
            .collect()
    }

    fn set(&mut self, now: Timestamp, node: &NodeName, presence: Presence) {
        let known = self.known.entry(node.clone()).or_insert_with(|| Known {
            presence,
            since: now,
            card: None,
            issued_at: None,
        });
        if known.presence != presence {
            known.presence = presence;
            known.since = now;
        }
        self.changes.push(Change::Node(entry(node, known)));
        if presence != Presence::Away && self.expected.remove(node) {
            self.settle_if_complete();
        }
    }

    fn drop_entry(&mut self, node: &NodeName) {
        if self.known.remove(node).is_some() {
            self.changes.push(Change::Forgotten(node.clone()));
        }
        self.expected.remove(node);
    }

    fn settle_if_complete(&mut self) {
        if self.expected.is_empty() && !self.blind && !self.settled {
            self.settle();
        }
    }

    fn settle(&mut self) {
        self.settled = true;
        self.changes.push(Change::Settled);
    }
}

fn entry(node: &NodeName, known: &Known) -> Entry {
    Entry { node: node.clone(), presence: known.presence, since: known.since, card: known.card.clone() }
}

#[cfg(test)]
mod tests;
