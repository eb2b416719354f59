//! A node's audit: what was decided about each request, and how it ended (`agents.md`, Audit).
//!
//! One JSON line for each, and each carries the blake3 of the line before, so that a line that was changed, removed or
//! moved is found by [`Verifier`], and with a head from elsewhere (each answer and card carries one) a cut tail too.

mod chain;
mod line;
mod verify;

pub use chain::{Chain, Head};
pub use line::{Decision, Entry, Line, Outcome, shown};
pub use verify::{Fault, Verified, Verifier};

/// Longest line in bytes; arguments that would not fit are told by length and hash.
pub const MAX_LINE: usize = 64 * 1024;
