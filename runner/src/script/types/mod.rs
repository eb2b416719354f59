//! The values of the language: selections, results, errors, secrets, and the way between them and JSON.

mod failure;
mod group;
mod node;
mod results;
mod secret;
mod selection;
pub(crate) mod show;
mod tables;
mod values;

pub(crate) use failure::{Failure, Kind, Outcome, interrupted, usage};
pub(crate) use group::{Group, STEP};
pub(crate) use node::Node;
pub(crate) use results::{Call, OWN_FIELDS, OneResult, Results, quoted, stats};
pub(crate) use secret::Secret;
pub(crate) use selection::{Found, Selection, folded, lost};
pub(crate) use tables::{Folded, Tallied, columns};
pub(crate) use values::{Secrets, from_json, from_map, map_to_json, portion, shown, span, to_json, type_of};
