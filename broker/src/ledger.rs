//! What went wrong, counted: refusals by party and reason, claims, and the last closings.

use std::cmp::Reverse;
use std::collections::{BTreeMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};

use orch_wire::control::{Claim, Closing, Refusals};
use orch_wire::ids::NodeName;
use orch_wire::time::Timestamp;

/// Closings of known parties that are remembered.
const RECENT: usize = 64;
/// Closings of strangers that are remembered, apart: they come as often as they like.
const STRANGERS: usize = 16;
/// Pairs of party and reason, and claims, that are counted apart; the names come from the fleet's own certificates.
const DISTINCT: usize = 4096;
/// Party under which the rest is counted.
const OTHERS: &str = "(others)";

/// Ends that are nobody's fault.
const ORDINARY: [&str; 2] = ["closed", "stopped"];

#[derive(Default)]
struct Counts {
    refused: BTreeMap<(String, &'static str), u64>,
    claims: BTreeMap<NodeName, Claim>,
    recent: VecDeque<Closing>,
    strangers: VecDeque<Closing>,
}

/// The broker's counters. Written when a connection ends, never per message.
#[derive(Default)]
pub(crate) struct Ledger(Mutex<Counts>);

/// What the ledger says when asked.
pub(crate) struct Report {
    pub(crate) refused: Vec<Refusals>,
    pub(crate) claims: Vec<Claim>,
    pub(crate) recent: Vec<Closing>,
}

impl Ledger {
    fn lock(&self) -> MutexGuard<'_, Counts> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A connection has ended. `reason` is the stable word that is also in `closing`.
    pub(crate) fn closed(&self, reason: &'static str, closing: Closing) {
        let mut counts = self.lock();
        if !ORDINARY.contains(&reason) {
            let mut key = (closing.party.clone(), reason);
            if counts.refused.len() >= DISTINCT && !counts.refused.contains_key(&key) {
                key.0 = OTHERS.to_owned();
            }
            let count = counts.refused.entry(key).or_default();
            *count = count.saturating_add(1);
        }
        let (ring, room) = if closing.party.is_empty() {
            (&mut counts.strangers, STRANGERS)
        } else {
            (&mut counts.recent, RECENT)
        };
        ring.truncate(room - 1);
        ring.push_front(closing);
    }

    /// A second connection for a node's name was refused.
    pub(crate) fn claimed(&self, now: Timestamp, node: NodeName, from: String) {
        let mut counts = self.lock();
        if counts.claims.len() >= DISTINCT && !counts.claims.contains_key(&node) {
            return;
        }
        let claim = counts.claims.entry(node.clone()).or_insert(Claim {
            node,
            count: 0,
            from: String::new(),
            last: now,
        });
        claim.count = claim.count.saturating_add(1);
        claim.from = from;
        claim.last = now;
    }

    /// All of it, the most recent closing first.
    pub(crate) fn report(&self) -> Report {
        let counts = self.lock();
        let mut recent: Vec<Closing> = counts.recent.iter().chain(&counts.strangers).cloned().collect();
        recent.sort_by_key(|closing| Reverse(closing.at));
        Report {
            refused: counts
                .refused
                .iter()
                .map(|((party, reason), &count)| Refusals {
                    party: party.clone(),
                    reason: (*reason).to_owned(),
                    count,
                })
                .collect(),
            claims: counts.claims.values().cloned().collect(),
            recent,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use orch_wire::header::Millis;

    fn closing(party: &str, reason: &str) -> Closing {
        Closing {
            at: Timestamp::from_millis(1),
            party: party.to_owned(),
            from: "127.0.0.1:1".to_owned(),
            channel: "orch-lanes/1".to_owned(),
            reason: reason.to_owned(),
            open: Millis(1),
        }
    }

    #[test]
    fn faults_are_counted_by_party_and_ordinary_ends_are_not() {
        let ledger = Ledger::default();
        for (party, reason) in [("node a", "wrong_kind"), ("node a", "wrong_kind"), ("node b", "closed")] {
            ledger.closed(reason, closing(party, reason));
        }
        let report = ledger.report();
        let expected = Refusals { party: "node a".to_owned(), reason: "wrong_kind".to_owned(), count: 2 };
        assert_eq!(report.refused, [expected]);
        assert_eq!(report.recent.len(), 3);
        assert_eq!(report.recent[0].party, "node b");
    }

    #[test]
    fn strangers_do_not_hide_how_others_ended() {
        let ledger = Ledger::default();
        let at = |millis, party| Closing { at: Timestamp::from_millis(millis), ..closing(party, "tls") };
        ledger.closed("tls", at(1, "node a"));
        for millis in 2..1000 {
            ledger.closed("tls", at(millis, ""));
        }
        ledger.closed("tls", at(1000, "node b"));
        let recent = ledger.report().recent;
        assert_eq!(recent.len(), STRANGERS + 2);
        assert_eq!((recent[0].party.as_str(), recent[STRANGERS + 1].party.as_str()), ("node b", "node a"));
        assert!(recent.is_sorted_by_key(|closing| Reverse(closing.at)));
    }

    #[test]
    fn nothing_grows_without_bound() {
        let ledger = Ledger::default();
        for i in 0..DISTINCT + 100 {
            ledger.closed("tls", closing(&format!("node {i}"), "tls"));
        }
        let report = ledger.report();
        assert_eq!(report.recent.len(), RECENT);
        assert_eq!(report.refused.len(), DISTINCT + 1);
        assert_eq!(report.refused[0].party, OTHERS);
        assert_eq!(report.refused[0].count, 100);
    }
}
