//! A dry run of a whole script (`language.md`, Dry run): what changes nothing is done; of the rest, agents that can are asked what they
//! would change, and everything else is only listed. What nobody knows for that is `unknown`, and where the script would decide on
//! it the dry run stops.
//!
//! | file | what |
//! | --- | --- |
//! | `unknown.rs` | the value, and the end of a run that would decide on it |
//! | `would.rs` | what is listed |
//! | `rules.rs` | how the engine works with the value: what spreads it, what stops there |
//! | `decisions.rs` | on what `switch` and conditions decide, which the engine does not tell |
//! | `choosing.rs` | the engine's own functions that choose with a closure |

mod choosing;
mod decisions;
mod rules;
mod unknown;
mod would;

pub(crate) use decisions::Decisions;
pub(crate) use rules::{is_refusal, stop_of_caught, teach};
pub(crate) use unknown::{Stop, Unknown, holds_unknown, is_unknown_text};
pub use would::Would;
pub(crate) use would::{DryRun, Place, masked, plain, plain_values};
