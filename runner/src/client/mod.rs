//! The client: sessions, discovery, calls and their outcomes. It knows no scripts and prints nothing.

mod collector;
mod compose;
mod drive;
mod engine;
mod feed;
mod moment;
mod pace;
mod roster;
mod session;
mod starts;
mod types;

/// The session's decisions without sockets, clock or task, for games of the whole fleet in memory.
pub mod pure {
    pub use super::compose::Composer;
    pub use super::engine::{Command, Engine};
    pub use super::feed::FeedEvent;
    pub use super::moment::Moment;
}

pub use pace::{Pace, Paced, Retry, Tolerance, pieces};
pub use session::Session;
pub use types::{
    CallError, CallEvent, CallReport, CallRequest, ConnectError, Discovery, EventSink, Fleet, Manner,
    NodeCard, Scope, SessionConfig, Until, Waited,
};
