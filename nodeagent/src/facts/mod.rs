//! Facts of the node: native ones, those of `facts.d`, and the legacy names of both.

mod aliases;
mod cpu;
mod dir;
mod disk;
mod net;
mod netlink;
mod os;
mod source;
mod system;
mod units;
mod virt;

pub use source::{FactSet, FactSource};
