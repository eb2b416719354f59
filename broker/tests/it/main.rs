//! The broker as a whole, over real TLS connections on loopback.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail the test that they help")]

mod gate;
mod kit;
mod lanes;
mod program;
mod roster;
