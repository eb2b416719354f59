//! Whole scripts against a made-up fleet: the language as its users meet it, without a broker.

mod calls;
mod errors;
mod flow;
mod kit;
mod language;
mod params;
mod results;
mod selections;
