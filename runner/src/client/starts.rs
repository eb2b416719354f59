//! When this session saw that nodes and their machines had started anew.

use std::collections::BTreeMap;
use std::time::Instant;

use orch_wire::ids::{Digest, NodeName};
use orch_wire::time::Timestamp;

/// What a node's card says of its start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Start {
    /// Of its kernel's boot id.
    pub(super) boot: Digest,
    /// When its agent started, by the node's clock.
    pub(super) agent: Timestamp,
}

#[derive(Debug, Clone, Copy)]
struct Seen {
    start: Start,
    /// When it was seen that it had booted anew, and that its agent had started; never, if it was so before.
    booted: Option<Instant>,
    restarted: Option<Instant>,
}

/// What is known of the starts of nodes. It outlives what the broker knows: one that lost its state tells of nodes as if they were new.
#[derive(Debug, Default)]
pub(super) struct Starts(BTreeMap<NodeName, Seen>);

impl Starts {
    /// Notes a start. The first of a node says nothing where the node was known before without one.
    pub(super) fn saw(&mut self, node: &NodeName, start: Start, was_known: bool, now: Instant) {
        let Some(seen) = self.0.get_mut(node) else {
            let at = (!was_known).then_some(now);
            self.0.insert(node.clone(), Seen { start, booted: at, restarted: at });
            return;
        };
        if start.boot != seen.start.boot {
            seen.booted = Some(now);
        }
        if start != seen.start {
            seen.restarted = Some(now);
        }
        seen.start = start;
    }

    /// When it was last seen that its machine had booted anew.
    pub(super) fn booted(&self, node: &NodeName) -> Option<Instant> {
        self.0.get(node)?.booted
    }

    /// When it was last seen that its agent had started anew.
    pub(super) fn restarted(&self, node: &NodeName) -> Option<Instant> {
        self.0.get(node)?.restarted
    }
}
