//! The nodes of a roll-out that go together, and which of them are out.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use orch_wire::ids::NodeName;
use orch_wire::outcome::NodeResult;

/// A group of a roll-out while its steps run.
#[derive(Debug, Default)]
pub(crate) struct Group {
    /// Nodes that did not end `ok` in some call, with what came of the first such.
    out: Mutex<HashMap<NodeName, NodeResult>>,
}

impl Group {
    fn out(&self) -> MutexGuard<'_, HashMap<NodeName, NodeResult>> {
        self.out.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Those of the nodes that take part still.
    pub(crate) fn still_in(&self, nodes: &[NodeName]) -> Vec<NodeName> {
        let out = self.out();
        nodes.iter().filter(|node| !out.contains_key(*node)).cloned().collect()
    }

    /// Notes what came of a call on the group.
    pub(crate) fn note(&self, results: &[NodeResult]) {
        let mut out = self.out();
        for result in results.iter().filter(|result| !result.is_ok()) {
            out.entry(result.node.clone()).or_insert_with(|| result.clone());
        }
    }

    /// Who is out, with what put them out.
    pub(crate) fn close(&self) -> HashMap<NodeName, NodeResult> {
        std::mem::take(&mut *self.out())
    }
}
