//! A moment by both clocks.

use std::time::Instant;

use orch_link::entropy;
use orch_wire::time::Timestamp;

/// A moment: deadlines follow the steady clock, messages carry the other.
#[derive(Debug, Clone, Copy)]
pub struct Moment {
    /// By a clock that never jumps.
    pub steady: Instant,
    /// By the clock that parties compare.
    pub wall: Timestamp,
}

impl Moment {
    /// The present moment.
    pub(super) fn now() -> Self {
        Self { steady: Instant::now(), wall: entropy::now() }
    }
}
