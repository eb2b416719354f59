//! Node sets: many names in a short text, such as `web[01-20,30],db1`.
//!
//! The notation is ClusterShell's. It stands in flags, in output and, because a broadcast
//! to thousands of named nodes must fit a header, in the target of a call; unfolding is
//! therefore bounded by text, by names and by work.

mod contains;
mod fold;
mod list;
mod natural;
mod portion;
mod unfold;

pub use contains::contains;
pub use fold::fold;
pub use list::{ListError, names_from_lines, names_from_results};
pub use natural::{natural_order, sort_names};
pub use portion::{Batch, Limit, PortionError};
pub use unfold::{NodeSetError, unfold};

use crate::ids::check_name;

/// Most names one text unfolds to.
pub const MAX_NAMES: usize = 100_000;
/// Longest text of a node set, in bytes: the longest header.
pub const MAX_TEXT: usize = 64 * 1024;

/// Whether the text is the name of a node, by the rule of [`crate::ids::NodeName`].
pub fn is_name(text: &str) -> bool {
    check_name("node name", text).is_ok()
}

pub(crate) fn is_name_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b'-')
}
