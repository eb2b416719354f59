//! How each node of a roll-out ends: in exactly one way. Pure: no clock, no fleet.

use std::collections::HashMap;
use std::time::Duration;

use orch_wire::ids::NodeName;
use orch_wire::nodeset::fold;
use orch_wire::outcome::{NodeResult, Outcome};
use serde_json::Map;

use crate::client::Tolerance;
use crate::script::types::STEP;

/// What came of the nodes so far.
#[derive(Debug)]
pub(crate) struct Ledger {
    nodes: Vec<NodeName>,
    ended: HashMap<NodeName, NodeResult>,
    budget: Tolerance,
    /// Why nothing more begins.
    stopped: Option<String>,
}

impl Ledger {
    /// A roll-out over these nodes, which bears so many bad ones.
    pub(crate) fn new(nodes: Vec<NodeName>, budget: Tolerance) -> Self {
        Self { nodes, ended: HashMap::new(), budget, stopped: None }
    }

    /// Whether another group may begin.
    pub(crate) fn may_go_on(&self) -> bool {
        self.stopped.is_none()
    }

    /// Notes what came of a group: nodes that are out with what put them out, and why the steps of the others did not come
    /// to their end, if they did not. Gives the group's own results.
    pub(crate) fn note(
        &mut self,
        group: &[NodeName],
        mut out: HashMap<NodeName, NodeResult>,
        broken: Option<&str>,
        took: Duration,
    ) -> Vec<NodeResult> {
        let mut results = Vec::with_capacity(group.len());
        for node in group {
            let result = match (out.remove(node), broken) {
                (Some(bad), _) => bad,
                (None, Some(why)) => NodeResult {
                    outcome: Outcome::Failed,
                    code: Some(STEP.to_owned()),
                    elapsed: took,
                    ..NodeResult::not_started(node.clone(), why)
                },
                (None, None) => NodeResult {
                    outcome: Outcome::Ok,
                    data: Map::new(),
                    elapsed: took,
                    ..NodeResult::not_started(node.clone(), "")
                },
            };
            results.push(result.clone());
            // A node ends once: what came first stays.
            self.ended.entry(node.clone()).or_insert(result);
        }
        let bad = self.bad();
        if !self.budget.bears(bad, self.nodes.len()) {
            let nodes = fold(group.iter().map(NodeName::as_str));
            let most = match self.budget {
                Tolerance::Percent(share) => format!("{share}%"),
                Tolerance::Count(most) => most.to_string(),
                Tolerance::All => "all".to_owned(),
            };
            let were = if bad == 1 { "node was" } else { "nodes were" };
            self.stop(format!(
                "the roll-out stopped after {nodes}: {bad} {were} not ok, at most {most} may be"
            ));
        }
        results
    }

    /// Nothing more begins; the first reason is the one that is told.
    pub(crate) fn stop(&mut self, why: String) {
        self.stopped.get_or_insert(why);
    }

    /// Why it stopped, if it did.
    pub(crate) fn stopped(&self) -> Option<&str> {
        self.stopped.as_deref()
    }

    fn bad(&self) -> usize {
        self.ended.values().filter(|result| !result.is_ok()).count()
    }

    /// One result for each node, in their order; those that were not reached are `not_started`.
    pub(crate) fn close(mut self) -> Vec<NodeResult> {
        let why = self.stopped.take().unwrap_or_else(|| "the roll-out did not reach it".to_owned());
        // Where it stopped is the error's to say; the node only needs the reason.
        let why = why.split_once(": ").map_or(why.as_str(), |(_, reason)| reason);
        let mut ended = self.ended;
        let result =
            |node: NodeName| ended.remove(&node).unwrap_or_else(|| NodeResult::not_started(node, why));
        self.nodes.into_iter().map(result).collect()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use orch_wire::nodeset::Batch;
    use proptest::prelude::*;

    use super::super::plan::{Placed, Shape, Window, groups};
    use super::*;

    fn name(at: usize) -> NodeName {
        NodeName::new(&format!("n{at}")).unwrap()
    }

    fn placed(racks: &[Option<u8>]) -> Vec<Placed> {
        racks.iter().enumerate().map(|(at, rack)| (name(at), rack.map(|rack| rack.to_string()))).collect()
    }

    fn batch() -> impl Strategy<Value = Batch> {
        prop_oneof![
            (1..30usize).prop_map(Batch::count),
            (1..100u8).prop_map(|p| format!("{p}%").parse().unwrap())
        ]
    }

    fn outcome() -> impl Strategy<Value = Outcome> {
        prop_oneof![
            6 => Just(Outcome::Ok), 1 => Just(Outcome::Failed), 1 => Just(Outcome::Silent),
            1 => Just(Outcome::TimedOut), 1 => Just(Outcome::Rejected),
        ]
    }

    fn most_of_one_value(group: &[NodeName], nodes: &[Placed]) -> usize {
        let mut counts: HashMap<&str, usize> = HashMap::new();
        for (name, value) in nodes {
            if let Some(value) = value.as_deref().filter(|_| group.contains(name)) {
                *counts.entry(value).or_default() += 1;
            }
        }
        counts.values().copied().max().unwrap_or(0)
    }

    proptest! {
        #[test]
        fn each_node_has_exactly_one_outcome_and_no_group_begins_over_budget(
            racks in proptest::collection::vec(proptest::option::of(0..4u8), 0..80),
            outcomes in proptest::collection::vec(outcome(), 80),
            canary in proptest::option::of(batch()),
            batches in proptest::collection::vec(batch(), 0..4),
            most_per in proptest::option::of(1..5usize),
            budget in 0..12usize,
            broken in proptest::collection::vec(proptest::bool::weighted(0.1), 90),
        ) {
            let nodes = placed(&racks);
            let shape = Shape { canary, batches, most_per };
            let groups = groups(&nodes, &shape);
            let all: Vec<&NodeName> = groups.iter().flatten().collect();
            prop_assert_eq!(all.len(), nodes.len());
            prop_assert_eq!(all.iter().collect::<HashSet<_>>().len(), nodes.len());
            let names: Vec<NodeName> = nodes.iter().map(|(name, _)| name.clone()).collect();
            let mut ledger = Ledger::new(names.clone(), Tolerance::Count(budget));
            let mut started = HashSet::new();
            let mut bad_before = 0;
            for (at, group) in groups.iter().enumerate() {
                prop_assert!(!group.is_empty());
                if let Some(most) = most_per {
                    prop_assert!(most_of_one_value(group, &nodes) <= most);
                }
                prop_assert_eq!(ledger.may_go_on(), bad_before <= budget);
                if !ledger.may_go_on() {
                    break;
                }
                started.extend(group.iter().cloned());
                let result = |node: &NodeName| {
                    let at = names.iter().position(|name| name == node).unwrap();
                    NodeResult { outcome: outcomes[at], ..NodeResult::not_started(node.clone(), "") }
                };
                let out: HashMap<_, _> =
                    group.iter().map(result).filter(|r| !r.is_ok()).map(|r| (r.node.clone(), r)).collect();
                let broken = broken[at].then_some("no");
                let noted = ledger.note(group, out, broken, Duration::ZERO);
                bad_before += noted.iter().filter(|result| !result.is_ok()).count();
            }
            let closed = ledger.close();
            prop_assert_eq!(closed.iter().map(|r| r.node.clone()).collect::<Vec<_>>(), names);
            for result in closed {
                prop_assert_eq!(result.outcome == Outcome::NotStarted, !started.contains(&result.node));
            }
        }

        #[test]
        fn a_window_is_never_too_wide_and_forgets_nobody(
            racks in proptest::collection::vec(proptest::option::of(0..3u8), 0..60),
            width in 1..9usize,
            most_per in proptest::option::of(1..4usize),
            ends in proptest::collection::vec(any::<prop::sample::Index>(), 60),
        ) {
            let nodes = placed(&racks);
            let mut window = Window::new(nodes.clone(), width, most_per);
            let mut running: Vec<NodeName> = Vec::new();
            let mut done = 0;
            for end in ends.iter().cycle() {
                while let Some(node) = window.next() {
                    running.push(node);
                    prop_assert!(running.len() <= width);
                    if let Some(most) = most_per {
                        prop_assert!(most_of_one_value(&running, &nodes) <= most);
                    }
                }
                if running.is_empty() {
                    break;
                }
                let node = running.swap_remove(end.index(running.len()));
                window.ended(&node);
                done += 1;
            }
            prop_assert_eq!(done, nodes.len());
            prop_assert!(window.is_empty());
        }
    }

    #[test]
    fn groups_grow_and_the_last_size_repeats() {
        let nodes = placed(&[None; 20]);
        let sizes = |shape: &Shape| groups(&nodes, shape).iter().map(Vec::len).collect::<Vec<_>>();
        let growing = vec![Batch::count(1), Batch::count(4), "25%".parse().unwrap()];
        assert_eq!(sizes(&Shape { batches: growing, ..Shape::default() }), [1, 4, 5, 5, 5]);
        let shape = Shape { canary: Some(Batch::count(2)), ..Shape::default() };
        assert_eq!(sizes(&shape), [2, 18]);
        let shape = Shape { batches: vec![Batch::count(8)], ..shape };
        assert_eq!(sizes(&shape), [2, 8, 8, 2]);
        assert_eq!(sizes(&Shape::default()), [20]);
    }
}
