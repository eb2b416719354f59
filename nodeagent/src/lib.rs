//! The service on every node: receives calls, selects itself, acts, answers.
//!
//! It must not know scripts, rosters or other nodes. One call passes these rooms in order:
//!
//! | module | what it does |
//! | --- | --- |
//! | `intake` | verifies, recognises repeats, selects, validates: the pure core, with time as a parameter |
//! | `started`, `spool` | what was begun and what was answered, so that nothing acts twice and nothing is lost |
//! | `dispatch` | the one task that owns the state; actions run beside it and report to it |
//! | `agents` | the built-in `node` agent, external agents, and the registry of both |
//! | `facts`, `classes` | what the node knows of itself |
//! | `card`, `stats` | what it says of itself |
//! | `config`, `service` | how it is configured, started and stopped |

mod classes;
mod facts;
mod files;
mod problem;

pub use facts::{FactSet, FactSource};
pub use problem::Problem;
