//! The functions of the language, one file per family. Each stands beside its description (`vocabulary.rs`).
//!
//! | file | what |
//! | --- | --- |
//! | `selecting.rs`, `filters.rs`, `sets.rs`, `expecting.rs` | which nodes |
//! | `options.rs`, `calling.rs`, `rollouts.rs`, `waiting.rs` | calls of actions, and what comes after a reboot |
//! | `results.rs`, `condensing.rs`, `errors.rs` | what came of them |
//! | `flow.rs`, `branches.rs`, `parameters.rs`, `asking.rs`, `talking.rs` | everything around |
//! | `sizes.rs` | functions of the engine, with limits |
//! | `files.rs`, `machine.rs`, `secrets.rs`, `scripts.rs` | the project, and the operator's machine |

mod asking;
mod branches;
mod calling;
mod condensing;
mod errors;
mod expecting;
mod files;
mod filters;
mod flow;
mod machine;
mod options;
mod parameters;
mod results;
mod rollouts;
mod scripts;
mod secrets;
mod selecting;
mod sets;
mod sizes;
mod talking;
mod waiting;

use super::vocabulary::Family;

pub(crate) use calling::{Agent, register_actions};
pub(crate) use sizes::limit_sizes;

/// All families, in the order of the reference.
pub(super) const FAMILIES: &[Family] = &[
    selecting::FAMILY,
    sets::FAMILY,
    expecting::FAMILY,
    options::FAMILY,
    calling::FAMILY,
    rollouts::FAMILY,
    waiting::FAMILY,
    results::FAMILY,
    condensing::FAMILY,
    errors::FAMILY,
    flow::FAMILY,
    branches::FAMILY,
    parameters::FAMILY,
    asking::FAMILY,
    secrets::FAMILY,
    talking::FAMILY,
    files::FAMILY,
    machine::FAMILY,
    scripts::FAMILY,
];
