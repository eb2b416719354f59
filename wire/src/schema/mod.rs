//! What an agent can do: its actions, their inputs and outputs.
//!
//! One file per agent, with the field names of the DDL v1, is read by the runner (checks,
//! completion, defaults, display) and by the node (validation). The node's word counts;
//! the runner checks with the same code so that mistakes are told before a message is sent.

mod aggregate;
mod coerce;
mod format;
mod load;
mod pattern;
mod types;
mod validate;
mod validator;
mod warnings;

pub use aggregate::{Aggregate, AggregateError, AggregateFunction, AggregateResult, AggregateValue};
pub use load::SchemaError;
pub use types::{ActionSchema, AgentSchema, Display, Effect, InputSchema, OutputSchema, Provider, ValueType};
pub(crate) use validate::nearest;
pub use validate::{ArgumentFault, FaultKind};
pub use validator::Validator;
pub use warnings::SchemaWarning;

/// Longest schema file in bytes: a node serves it in one message.
pub const MAX_SCHEMA: usize = 512 * 1024;
/// Most actions of one agent.
pub const MAX_ACTIONS: usize = 256;
/// Most inputs, outputs or aggregates of one action.
pub const MAX_FIELDS: usize = 256;
