//! The end-to-end tests, as one program.

mod acting;
mod attack;
mod data;
mod examples;
mod external;
mod hostile_broker;
mod house;
mod interrupt;
mod lab;
mod learning;
mod node_signals;
mod policy;
mod questions;
mod readme;
mod reload;
mod road;
mod scripts;
mod system;
mod usage;
mod waiting;
