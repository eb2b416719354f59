//! Kit of the end-to-end tests: fleets of real processes on loopback, and waiting for what should become true.
//!
//! Each fleet has a temporary folder of its own with its own authority and keys; what it started ends with it.

pub mod answer;
pub mod fake_broker;
pub mod fleet;
pub mod process;
pub mod programs;
pub mod raw_peer;
pub mod root;
pub mod terminal;
pub mod wait;
