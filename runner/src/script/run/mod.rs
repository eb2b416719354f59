//! One run of a script: its thread, what its functions share, its way to the nodes, and what it says.

mod access;
mod branch;
mod context;
mod detached;
mod evaluate;
mod inner;
mod memory;
mod output;
mod tasks;
mod threads;

pub use access::{FleetAccess, Wait};
pub(crate) use branch::Branch;
pub use context::{CallRecord, Standing};
pub(crate) use context::{Run, SharedRun};
pub(crate) use detached::Detached;
pub use evaluate::{Bounds, Ending, RunOptions, RunReport, run};
pub(crate) use inner::run_inside;
pub(crate) use memory::Memory;
pub(crate) use output::connect;
pub use output::{LogLevel, Output, OutputSink};
pub(crate) use tasks::{Task, together};
pub(crate) use threads::beside;
