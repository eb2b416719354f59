//! How many nodes this process can hold: each costs descriptors.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Descriptors of one lab node: at the node and at the broker one end of the TCP connection and a local pair for each lane,
/// and room for an action's pipes.
const PER_NODE: u64 = 14;
/// Descriptors of everything else.
const RESERVE: u64 = 128;

/// Raises the soft limit to the hard one; the largest lab that fits.
pub(super) fn largest_lab() -> usize {
    let limit = getrlimit(Resource::Nofile);
    if limit.current < limit.maximum || limit.maximum.is_none() {
        // Where it is refused the limit stays as it was, and is what counts.
        let _ = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, maximum: limit.maximum });
    }
    let current = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
    usize::try_from(current.saturating_sub(RESERVE) / PER_NODE).unwrap_or(usize::MAX)
}

/// The soft limit that a lab of so many nodes needs.
pub(super) fn needed(nodes: usize) -> u64 {
    (nodes as u64).saturating_mul(PER_NODE).saturating_add(RESERVE)
}
