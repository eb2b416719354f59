//! The language of `.orch` files: Rhai with selections, calls and results.
//!
//! A script is compiled ([`compile()`]) and its parameters are checked without a fleet; [`run()`] then evaluates it on a
//! thread of its own, because everything in it blocks. Functions find their run in the engine's tag, so that one
//! vocabulary serves both. Nothing is printed here: what a script says goes to an [`OutputSink`].
//!
//! | folder or file | what |
//! | --- | --- |
//! | `program/` | from text to a compiled script; the parameters it declares; places in it |
//! | `check/` | what can be told of a script before it runs |
//! | `vocabulary.rs`, `signature.rs`, `reference.rs` | how functions are described; the page made of it |
//! | `functions/` | the functions of the language, one file per family |
//! | `types/` | the values of the language |
//! | `dry/` | a dry run: what was not done, and the values that nobody knows for it |
//! | `local/` | what a script reaches on the operator's machine, and what allows it |
//! | `rollout/` | roll-outs without a fleet: which nodes go together, how each ends |
//! | `run/` | one run: thread, shared state, way to the nodes, output |
//! | `engine.rs` | the engine with its limits and hooks |
//! | `errors.rs`, `queries.rs`, `nearest.rs` | errors of the engine as diagnostics; queries; suggestions |

mod check;
mod dry;
mod engine;
mod errors;
mod functions;
mod local;
mod nearest;
mod program;
mod queries;
mod reference;
mod rollout;
mod run;
mod signature;
mod types;
mod vocabulary;

pub use check::Known;
pub use dry::Would;
pub use local::{Grants, Local, Permissions, Project, Prompt, Question, Wants};
pub use program::{Compiled, Library, Param, ParamType, compile};
pub use reference::reference;
pub use run::{
    Bounds, CallRecord, Ending, FleetAccess, LogLevel, Output, OutputSink, RunOptions, RunReport, Standing,
    Wait, run,
};
pub(crate) use types::OWN_FIELDS;
pub use vocabulary::{Example, Family, Function, dedented, families};
