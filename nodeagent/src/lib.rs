//! The service on every node: receives calls, selects itself, acts, answers.
//!
//! It must not know scripts, rosters or other nodes. One call passes these rooms in order:
//!
//! | module | what it does |
//! | --- | --- |
//! | `intake` | verifies, recognises repeats, selects, validates: the pure core, with time as a parameter |
//! | `policies`, `audit` | who may call what here, and the chain of lines that tells of each request |
//! | `started`, `record`, `spool` | what was begun and what was answered, so that nothing acts twice and nothing is lost |
//! | `dispatch` | the one task that owns the state; actions run beside it and report to it |
//! | `act`, `output`, `outbox` | one action beside the task; its output as it comes; replies on their way out |
//! | `agents` | the built-in `node` agent, external agents, and the registry of both |
//! | `facts`, `classes` | what the node knows of itself |
//! | `card`, `stats` | what it says of itself |
//! | `config`, `service` | how it is configured, started and stopped |

mod act;
mod agents;
mod alarms;
mod audit;
mod card;
mod classes;
pub mod config;
mod dispatch;
mod facts;
mod files;
mod intake;
mod json;
mod outbox;
mod output;
mod policies;
mod problem;
mod questions;
mod record;
mod refresh;
mod service;
mod spool;
mod started;
mod stats;
mod work;

/// The node's decisions without sockets, clock, tasks or file, for games of the whole fleet in memory.
pub mod pure {
    pub use crate::act::interrupted;
    pub use crate::intake::{Intake, Question, Step, View};
    pub use crate::started::Begun;
    pub use crate::work::{Reply, Work};
}

pub use agents::{Builtin, InProcess, NoBuiltin, Registry};
pub use audit::AuditSettings;
pub use facts::{FactSet, FactSource};
pub use files::FileError;
pub use policies::PolicySource;
pub use problem::Problem;
pub use service::{AgentSource, Busy, Limits, NodeConfig, NodeService, RunningNode, StartError};
