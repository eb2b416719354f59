//! The agents of the node: the built-in ones, external ones, and the registry of both.

mod builtin;
mod ending;
mod external;
mod functions;
mod load;
mod node;
mod process;
mod registry;
mod reply;
mod tool;
mod watch;

/// How programs are run, for other parts of the node that need one.
pub(crate) mod program {
    pub(crate) use super::external::PATH;
    pub(crate) use super::process::{End, Spec, run};
    pub(crate) use super::tool::find;
}

pub(crate) use builtin::Jobs;
pub use builtin::{Builtin, NoBuiltin};
pub(crate) use external::remove_stale;
pub(crate) use functions::{Function, Source};
pub(crate) use node::NodeInfo;
pub(crate) use registry::{Agent, Here, Job, Kind};
pub use registry::{InProcess, Registry};
pub(crate) use watch::{Stamp, look};
