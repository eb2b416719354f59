//! The client: sessions, discovery, calls and their outcomes. It knows no scripts and prints nothing.

mod collector;
mod compose;
mod engine;
mod feed;
mod roster;
mod session;
mod types;

pub use session::Session;
pub use types::{
    CallError, CallEvent, CallReport, CallRequest, ConnectError, Discovery, EventSink, Fleet, Scope,
    SessionConfig,
};
