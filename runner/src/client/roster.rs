//! The broker's roster as this session has verified it.

use std::collections::BTreeMap;
use std::time::Instant;

use orch_wire::card::Card;
use orch_wire::control::{Change, Entry, Presence, Roster};
use orch_wire::envelope::{self, Frames};
use orch_wire::header::Kind;
use orch_wire::ids::{BrokerName, CollectiveName, Digest, NodeName, Party};
use orch_wire::keys::Keys;
use orch_wire::time::Timestamp;
use orch_wire::topic::Topic;

use super::collector::Standing;
use super::types::{Fleet, NodeCard, Until};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Known {
    presence: Presence,
    foreign: bool,
    /// Whether its card says that it listens to the session's collective; what has no readable card may.
    listens: bool,
    /// Digests of its agents and its facts, where its card can be read.
    has: Option<(Digest, Digest)>,
    /// Of its kernel's boot id, and when its agent started, where its card can be read.
    start: Option<(Digest, Timestamp)>,
    /// When this session saw that it had booted anew, and that its agent had; never, if it was so before.
    booted: Option<Instant>,
    restarted: Option<Instant>,
}

impl Known {
    /// The same after what was known before.
    fn after(self, before: Option<&Self>, now: Instant) -> Self {
        let Some(before) = before else { return Self { booted: Some(now), restarted: Some(now), ..self } };
        let (Some((boot, agent)), Some((old_boot, old_agent))) = (self.start, before.start) else {
            // What cannot be read says nothing of a start.
            return Self { start: self.start.or(before.start), ..self.with_starts(before) };
        };
        let is_boot = boot != old_boot;
        Self {
            booted: if is_boot { Some(now) } else { before.booted },
            restarted: if is_boot || agent != old_agent { Some(now) } else { before.restarted },
            ..self
        }
    }

    fn with_starts(self, of: &Self) -> Self {
        Self { booted: of.booted, restarted: of.restarted, ..self }
    }
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

    /// The same roster, as it follows on one of before.
    pub(super) fn after(mut self, before: &Self, now: Instant) -> Self {
        for (node, known) in &mut self.nodes {
            *known = known.after(before.nodes.get(node), now);
        }
        self
    }

    /// Those of the nodes for which it does not hold.
    pub(super) fn unmet(&self, nodes: &[NodeName], until: Until, since: Instant) -> Vec<NodeName> {
        let holds = |node: &&NodeName| {
            let Some(known) = self.nodes.get(*node) else { return until.gone };
            let is_here = known.presence == Presence::Here && !known.foreign;
            let is_new = if until.same_boot || until.gone { known.restarted } else { known.booted };
            let is_new = is_new.is_some_and(|at| at >= since);
            if until.gone { !is_here || is_new } else { is_here && is_new }
        };
        nodes.iter().filter(|node| !holds(node)).cloned().collect()
    }

    /// Takes a change; the node it is about, where it is about one.
    pub(super) fn apply(&mut self, change: Change, keys: &Keys, now: Instant) -> Option<NodeName> {
        match change {
            Change::Node(entry) => {
                let known = verify(&entry, keys, &self.collective).after(self.nodes.get(&entry.node), now);
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
    let unread = Known {
        presence,
        foreign: false,
        listens: true,
        has: None,
        start: None,
        booted: None,
        restarted: None,
    };
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
    let start = Some((Digest::of(card.boot_id.as_bytes()), card.agent_start));
    Known { listens, has: Some((card.agents, card.facts)), start, ..unread }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::*;

    use super::*;

    fn known(here: bool, boot: u8, agent: u64) -> Known {
        Known {
            presence: if here { Presence::Here } else { Presence::Away },
            foreign: false,
            listens: true,
            has: None,
            start: Some((Digest::of(&[boot]), Timestamp::from_millis(agent))),
            booted: None,
            restarted: None,
        }
    }

    fn roster(node: &NodeName, known: Known) -> VerifiedRoster {
        VerifiedRoster {
            broker: "b".parse().unwrap(),
            collective: CollectiveName::main(),
            settled: true,
            expected: 0,
            nodes: [(node.clone(), known)].into_iter().collect(),
        }
    }

    const ONLINE: Until = Until { gone: false, same_boot: false };
    const ANEW: Until = Until { gone: false, same_boot: true };
    const GONE: Until = Until { gone: true, same_boot: false };

    #[test]
    fn a_node_that_is_not_known_is_gone_and_not_back() {
        let (node, other): (NodeName, NodeName) = ("n1".parse().unwrap(), "n2".parse().unwrap());
        let roster = roster(&node, known(true, 1, 1));
        let unmet = |until| roster.unmet(std::slice::from_ref(&other), until, Instant::now());
        assert!(unmet(GONE).is_empty());
        assert_eq!(unmet(ONLINE), std::slice::from_ref(&other));
    }

    proptest! {
        /// What is seen of a node, one after the other, against what a plain observer would say.
        #[test]
        fn waits_end_when_a_plain_observer_would_say_so(
            seen in prop::collection::vec((any::<bool>(), 0u8..3, 0u64..3, any::<bool>()), 1..20),
            asked in 0usize..20,
        ) {
            let node: NodeName = "n1".parse().unwrap();
            let start = Instant::now();
            let at = |step: usize| start + Duration::from_secs(2 * u64::try_from(step).unwrap());
            let (mut here, mut boot, mut agent) = (true, 0, 0);
            let mut roster = self::roster(&node, known(here, boot, agent));
            let asked = asked.min(seen.len());
            // The selection was resolved a second before this step.
            let since = at(asked).checked_sub(Duration::from_secs(1)).unwrap();
            let (mut has_booted, mut has_restarted) = (false, false);
            for (step, (now_here, now_boot, now_agent, whole)) in seen.into_iter().enumerate() {
                if step >= asked {
                    has_booted |= now_boot != boot;
                    has_restarted |= now_boot != boot || now_agent != agent;
                }
                (here, boot, agent) = (now_here, now_boot, now_agent);
                // By a whole roster, or by a change.
                let next = known(here, boot, agent);
                if whole {
                    roster = self::roster(&node, next).after(&roster, at(step));
                } else {
                    let next = next.after(roster.nodes.get(&node), at(step));
                    roster.nodes.insert(node.clone(), next);
                }
                let met = |until| roster.unmet(std::slice::from_ref(&node), until, since).is_empty();
                prop_assert_eq!(met(ONLINE), here && has_booted);
                prop_assert_eq!(met(ANEW), here && has_restarted);
                prop_assert_eq!(met(GONE), !here || has_restarted);
            }
        }
    }
}
