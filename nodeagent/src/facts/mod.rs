//! Facts of the node: native ones, those of `facter` and `facts.d`, and the legacy names of all.

mod aliases;
mod cpu;
mod dir;
mod disk;
mod net;
mod netlink;
mod os;
mod printed;
mod programs;
mod source;
mod system;
mod units;
mod virt;

pub(crate) use programs::{Printed, run as run_programs};
pub use source::{FactSet, FactSource};
