//! The language of `.orch` files: Rhai with selections, calls and results.
//!
//! A script is compiled ([`compile()`]) and its parameters are checked without a fleet; [`run()`] then evaluates it on a
//! thread of its own, because everything in it blocks. Functions find their run in the engine's tag, so that one
//! vocabulary serves both. Nothing is printed here: what a script says goes to an [`OutputSink`].
//!
//! | file | what |
//! | --- | --- |
//! | `compile.rs`, `shadow.rs`, `tokens.rs`, `names.rs` | from text to a compiled script; parameters it declares; places in it |
//! | `run.rs`, `context.rs`, `engine.rs`, `access.rs` | one run: thread, shared state, engine with its limits, way to the nodes |
//! | `errors.rs`, `failure.rs`, `nearest.rs` | errors: as diagnostics, as values of scripts, with suggestions |
//! | `selection.rs`, `select.rs`, `filter.rs`, `queries.rs`, `expect.rs` | which nodes |
//! | `call.rs` | calls of actions |
//! | `results.rs`, `collection.rs`, `tables.rs`, `show.rs` | what came of them |
//! | `output.rs`, `params.rs`, `flow.rs`, `values.rs` | the rest of the vocabulary |

mod access;
mod call;
mod collection;
mod compile;
mod context;
mod engine;
mod errors;
mod expect;
mod failure;
mod filter;
mod flow;
mod names;
mod nearest;
mod output;
mod params;
mod queries;
mod results;
mod run;
mod select;
mod selection;
mod shadow;
mod show;
mod tables;
mod tokens;
mod values;

pub use access::FleetAccess;
pub use compile::{Compiled, Param, compile};
pub use context::{CallRecord, Standing};
pub use output::{LogLevel, Output, OutputSink};
pub use params::ParamType;
pub(crate) use results::OWN_FIELDS;
pub use run::{Ending, RunOptions, RunReport, run};
