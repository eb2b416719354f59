//! What really happened, as nobody in the game knows it.

use std::collections::{BTreeMap, BTreeSet};

use orch_wire::body::Ending;
use orch_wire::ids::{CallId, NodeName};

/// One run of an action on a node.
#[derive(Debug)]
pub(crate) struct Run {
    /// What its answer carries, and no other's.
    pub(crate) token: u64,
    /// How it ended; none where a crash cut it short.
    pub(crate) ending: Option<Ending>,
}

#[derive(Debug, Default)]
pub(crate) struct Ledger {
    runs: BTreeMap<(CallId, NodeName), Vec<Run>>,
    tokens: u64,
    /// Calls of which a message left the runner.
    sent: BTreeSet<CallId>,
    /// Nodes whose word that they began has reached the runner before it reported.
    heard: BTreeSet<(CallId, NodeName)>,
    /// Nodes that crashed while they had the call.
    crashed: BTreeSet<(CallId, NodeName)>,
}

impl Ledger {
    /// An action begins; the token of this run. A write that begins a second time is the worst that can happen.
    pub(crate) fn begin(&mut self, call: CallId, node: &NodeName, is_write: bool) -> u64 {
        self.tokens += 1;
        let runs = self.runs.entry((call, node.clone())).or_default();
        assert!(!is_write || runs.is_empty(), "{call} begins again on {node}, after {runs:?}");
        runs.push(Run { token: self.tokens, ending: None });
        self.tokens
    }

    pub(crate) fn end(&mut self, call: CallId, node: &NodeName, token: u64, ending: Ending) {
        let runs = self.runs.entry((call, node.clone())).or_default();
        if let Some(run) = runs.iter_mut().find(|run| run.token == token) {
            run.ending = Some(ending);
        }
    }

    pub(crate) fn sent(&mut self, call: CallId) {
        self.sent.insert(call);
    }

    pub(crate) fn heard(&mut self, call: CallId, node: NodeName) {
        self.heard.insert((call, node));
    }

    pub(crate) fn crashed(&mut self, call: CallId, node: NodeName) {
        self.crashed.insert((call, node));
    }

    pub(crate) fn runs(&self, call: CallId, node: &NodeName) -> &[Run] {
        self.runs.get(&(call, node.clone())).map_or(&[], Vec::as_slice)
    }

    pub(crate) fn was_sent(&self, call: CallId) -> bool {
        self.sent.contains(&call)
    }

    pub(crate) fn was_heard(&self, call: CallId, node: &NodeName) -> bool {
        self.heard.contains(&(call, node.clone()))
    }

    pub(crate) fn has_crashed(&self, call: CallId, node: &NodeName) -> bool {
        self.crashed.contains(&(call, node.clone()))
    }
}
