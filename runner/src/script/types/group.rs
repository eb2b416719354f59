//! The nodes of a roll-out that go together, which of them are out, and which were never reached.

use std::collections::{HashMap, HashSet};
use std::sync::{Mutex, MutexGuard, PoisonError};

use orch_wire::ids::NodeName;
use orch_wire::outcome::{NodeResult, Outcome};

/// Code of nodes whose group did not come to the end of its steps.
pub(crate) const STEP: &str = "step";
/// Code of nodes that did not come or go in the time that they were waited for.
pub(crate) const WAIT: &str = "wait";

/// A group of a roll-out while its steps run.
#[derive(Debug, Default)]
pub(crate) struct Group(Mutex<State>);

/// What came of the steps so far.
#[derive(Debug, Default)]
pub(crate) struct State {
    /// Nodes that did not end `ok` in some call, with what came of the first such.
    pub(crate) out: HashMap<NodeName, NodeResult>,
    /// Nodes that something was sent to.
    pub(crate) reached: HashSet<NodeName>,
}

impl Group {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Those of the nodes that take part still.
    pub(crate) fn still_in(&self, nodes: &[NodeName]) -> Vec<NodeName> {
        let state = self.state();
        nodes.iter().filter(|node| !state.out.contains_key(*node)).cloned().collect()
    }

    /// Notes what came of a call on the group.
    pub(crate) fn note(&self, results: &[NodeResult]) {
        let mut state = self.state();
        for result in results {
            let was_reached = state.reached.contains(&result.node);
            if result.outcome != Outcome::NotStarted {
                state.reached.insert(result.node.clone());
            }
            if result.is_ok() {
                continue;
            }
            let mut result = result.clone();
            if result.outcome == Outcome::NotStarted && was_reached {
                // This call was not sent, but one before it was: the roll-out has begun on the node, and broke off.
                result.outcome = Outcome::Failed;
                result.code = Some(STEP.to_owned());
                result.message = format!("its steps broke off: {}", result.message);
            }
            state.out.entry(result.node.clone()).or_insert(result);
        }
    }

    /// Notes those of its nodes that did not come or go in time.
    pub(crate) fn waited_in_vain(&self, nodes: &[NodeName], why: &str) {
        let mut state = self.state();
        for node in nodes {
            let result = || NodeResult::failed(node.clone(), WAIT, why);
            state.out.entry(node.clone()).or_insert_with(result);
        }
    }

    /// What came of the steps.
    pub(crate) fn close(&self) -> State {
        std::mem::take(&mut *self.state())
    }
}
