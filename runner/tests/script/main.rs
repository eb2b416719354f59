//! Whole scripts against a made-up fleet: the language as its users meet it, without a broker.

#![expect(clippy::unwrap_used, reason = "helpers of tests: a panic is their way to fail")]

mod branches;
mod calls;
mod check;
mod dry_run;
mod errors;
mod files;
mod flow;
mod kit;
mod language;
mod params;
mod permissions;
mod projects;
mod reference;
mod results;
mod rollouts;
mod secrets;
mod selections;
mod stdlib;
mod waits;
