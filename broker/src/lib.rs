//! The broker: the forwarding device between operators and nodes.

pub mod config;
mod identity;
mod roster;

pub use identity::{Collectives, Roles};
