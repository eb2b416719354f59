//! The broker's roster as this session has verified it.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

use orch_wire::card::Card;
use orch_wire::control::{Change, Entry, Presence, Roster};
use orch_wire::envelope::{self, Frames};
use orch_wire::header::Kind;
use orch_wire::ids::{BrokerName, CollectiveName, Digest, NodeName, Party};
use orch_wire::keys::Keys;
use orch_wire::topic::Topic;

use super::collector::Standing;
use super::starts::{Start, Starts};
use super::types::{Fleet, NodeCard, Until};

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
    starts: Starts,
}

impl VerifiedRoster {
    /// The first roster of a session: what it says of starts was so before.
    pub(super) fn new(roster: Roster, keys: &Keys, collective: &CollectiveName, now: Instant) -> Self {
        let mut first = Self {
            broker: roster.broker.clone(),
            collective: collective.clone(),
            settled: false,
            expected: 0,
            nodes: BTreeMap::new(),
            starts: Starts::default(),
        };
        first.take(roster, keys, |_| true, now);
        first
    }

    /// Takes another whole roster; the names of which it tells something, or told before.
    pub(super) fn renew(&mut self, roster: Roster, keys: &Keys, now: Instant) -> BTreeSet<NodeName> {
        let before = std::mem::take(&mut self.nodes);
        self.take(roster, keys, |node| before.contains_key(node), now);
        before.into_keys().chain(self.nodes.keys().cloned()).collect()
    }

    fn take(&mut self, roster: Roster, keys: &Keys, was_known: impl Fn(&NodeName) -> bool, now: Instant) {
        let Roster { broker, settled, expected, nodes, .. } = roster;
        (self.broker, self.settled, self.expected) = (broker, settled, expected);
        for entry in nodes {
            self.note(entry, keys, &was_known, now);
        }
    }

    fn note(&mut self, entry: Entry, keys: &Keys, was_known: impl Fn(&NodeName) -> bool, now: Instant) {
        let (known, start) = verify(&entry, keys, &self.collective);
        if let Some(start) = start {
            self.starts.saw(&entry.node, start, was_known(&entry.node), now);
        }
        self.nodes.insert(entry.node, known);
    }

    /// Those of the nodes for which it does not hold. Where the roster is not `current`, that a node is not in it says nothing.
    pub(super) fn unmet(
        &self,
        nodes: &[NodeName],
        until: Until,
        since: Instant,
        current: bool,
    ) -> Vec<NodeName> {
        let holds = |node: &&NodeName| {
            let is_here =
                self.nodes.get(*node).is_some_and(|known| known.presence == Presence::Here && !known.foreign);
            let start = if until.same_boot || until.gone { Starts::restarted } else { Starts::booted };
            let is_new = start(&self.starts, node).is_some_and(|at| at >= since);
            if until.gone { current && !is_here || is_new } else { is_here && is_new }
        };
        nodes.iter().filter(|node| !holds(node)).cloned().collect()
    }

    /// Takes a change; the node it is about, where it is about one.
    pub(super) fn apply(&mut self, change: Change, keys: &Keys, now: Instant) -> Option<NodeName> {
        match change {
            Change::Node(entry) => {
                let node = entry.node.clone();
                if entry.presence == Presence::Here && !self.settled {
                    self.expected = self.expected.saturating_sub(1);
                }
                let was_known = self.nodes.contains_key(&node);
                self.note(entry, keys, |_| was_known, now);
                Some(node)
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

/// A card counts only if its seal verifies and it is this node's own. Of one that can be read its start too.
fn verify(entry: &Entry, keys: &Keys, collective: &CollectiveName) -> (Known, Option<Start>) {
    let presence = entry.presence;
    let unread = Known { presence, foreign: false, listens: true, has: None };
    let Some(card) = &entry.card else { return (unread, None) };
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
    let Some(opened) = opened else { return (Known { foreign: true, ..unread }, None) };
    // A body that does not decode says nothing of collectives: the node stays expected.
    let Ok(card) = opened.body::<Card>(keys) else { return (unread, None) };
    let listens = card.collectives.contains(collective);
    let start = Start { boot: Digest::of(card.boot_id.as_bytes()), agent: card.agent_start };
    (Known { listens, has: Some((card.agents, card.facts)), ..unread }, Some(start))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use orch_wire::time::Timestamp;
    use proptest::prelude::*;

    use super::*;

    fn here(here: bool) -> Known {
        let presence = if here { Presence::Here } else { Presence::Away };
        Known { presence, foreign: false, listens: true, has: None }
    }

    fn start(boot: u8, agent: u64) -> Start {
        Start { boot: Digest::of(&[boot]), agent: Timestamp::from_millis(agent) }
    }

    fn roster(node: &NodeName) -> VerifiedRoster {
        let mut starts = Starts::default();
        starts.saw(node, start(0, 0), true, Instant::now());
        VerifiedRoster {
            broker: "b".parse().unwrap(),
            collective: CollectiveName::main(),
            settled: true,
            expected: 0,
            nodes: [(node.clone(), here(true))].into_iter().collect(),
            starts,
        }
    }

    const ONLINE: Until = Until { gone: false, same_boot: false };
    const ANEW: Until = Until { gone: false, same_boot: true };
    const GONE: Until = Until { gone: true, same_boot: false };

    #[test]
    fn a_node_that_is_not_known_is_gone_and_not_back() {
        let (node, other): (NodeName, NodeName) = ("n1".parse().unwrap(), "n2".parse().unwrap());
        let roster = roster(&node);
        let unmet = |until, current| {
            roster.unmet(std::slice::from_ref(&other), until, Instant::now(), current).is_empty()
        };
        assert!(unmet(GONE, true));
        assert!(!unmet(GONE, false) && !unmet(ONLINE, true) && !unmet(ANEW, true));
    }

    /// What comes of a node.
    #[derive(Debug, Clone)]
    enum Comes {
        Card {
            here: bool,
            boot: u8,
            agent: u64,
        },
        /// A broker that does not know it any more.
        Nothing,
        /// Something of it that cannot be read.
        Unread,
    }

    fn comes() -> impl Strategy<Value = Comes> {
        prop_oneof![
            6 => (any::<bool>(), 0u8..3, 0u64..3).prop_map(|(here, boot, agent)| Comes::Card { here, boot, agent }),
            1 => Just(Comes::Nothing),
            1 => Just(Comes::Unread),
        ]
    }

    proptest! {
        /// What is seen of a node, one after the other, against what a plain observer would say.
        #[test]
        fn waits_end_when_a_plain_observer_would_say_so(
            seen in prop::collection::vec(comes(), 1..20),
            asked in 0usize..20,
            current in any::<bool>(),
        ) {
            let node: NodeName = "n1".parse().unwrap();
            let begin = Instant::now();
            let at = |step: usize| begin + Duration::from_secs(2 * u64::try_from(step + 1).unwrap());
            let (mut boot, mut agent) = (0, 0);
            let mut roster = self::roster(&node);
            let asked = asked.min(seen.len());
            // The selection was resolved a second before this step.
            let since = at(asked).checked_sub(Duration::from_secs(1)).unwrap();
            let (mut has_booted, mut has_restarted) = (false, false);
            for (step, comes) in seen.into_iter().enumerate() {
                let was_known = roster.nodes.contains_key(&node);
                let is_here = match comes {
                    Comes::Card { here: now_here, boot: now_boot, agent: now_agent } => {
                        if step >= asked {
                            has_booted |= now_boot != boot;
                            has_restarted |= now_boot != boot || now_agent != agent;
                        }
                        (boot, agent) = (now_boot, now_agent);
                        roster.nodes.insert(node.clone(), here(now_here));
                        roster.starts.saw(&node, start(boot, agent), was_known, at(step));
                        now_here
                    }
                    Comes::Nothing => {
                        roster.nodes.remove(&node);
                        false
                    }
                    Comes::Unread => {
                        roster.nodes.insert(node.clone(), here(true));
                        true
                    }
                };
                let met = |until| roster.unmet(std::slice::from_ref(&node), until, since, current).is_empty();
                prop_assert_eq!(met(ONLINE), is_here && has_booted);
                prop_assert_eq!(met(ANEW), is_here && has_restarted);
                prop_assert_eq!(met(GONE), current && !is_here || has_restarted);
            }
        }
    }

    #[test]
    fn a_node_that_comes_for_the_first_time_has_started() {
        let (node, new): (NodeName, NodeName) = ("n1".parse().unwrap(), "n2".parse().unwrap());
        let mut roster = roster(&node);
        let since = Instant::now();
        roster.nodes.insert(new.clone(), here(true));
        let is_back = |roster: &VerifiedRoster| {
            roster.unmet(std::slice::from_ref(&new), ONLINE, since, true).is_empty()
        };
        // One that was known, and of which only now a start is read, has not.
        roster.starts.saw(&new, start(1, 1), true, since);
        assert!(!is_back(&roster));
        roster.starts = Starts::default();
        roster.starts.saw(&new, start(1, 1), false, since);
        assert!(is_back(&roster));
    }
}
