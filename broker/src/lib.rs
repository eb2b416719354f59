//! The broker: the forwarding device between operators and nodes.
//!
//! It knows who speaks (by TLS), who may say what to whom (the gate's rules), and who is there (the roster). It holds
//! no message key: it can read and forge nothing, and knows no queries, agents, actions or outcomes. It never reads
//! the environment.
//!
//! | module | what it does |
//! | --- | --- |
//! | [`config`], [`reload`] | `broker.toml`; what of it a running broker takes over when it has changed |
//! | `identity`, `admission` | who a certificate is, which collectives a node may hear; who is let in, and may stay |
//! | `gate`, `handshakes` | takes connections and learns whose they are; who gives way when too many shake hands |
//! | `connections`, `rules` | keeps the list of open ones, holds each to its rules |
//! | `lanes` | the device: forwards calls and replies, answers probes and cards |
//! | `roster`, `roster_store`, `keeper` | who is there: the state machine, its file, the task that owns both |
//! | `control`, `ledger`, `hush` | what the broker itself says; what it has counted; what it does not log line by line |
//! | `broker` | starts and stops all of it |

mod admission;
mod broker;
pub mod config;
mod connections;
mod control;
mod gate;
mod handshakes;
mod hush;
mod identity;
mod keeper;
mod lanes;
mod ledger;
pub mod reload;
mod roster;
mod roster_store;
mod rules;

/// The broker's decisions without sockets, clock or file, for games of the whole fleet in memory.
pub mod pure {
    pub use crate::lanes::{Way, way};
    pub use crate::roster::{CardSeen, ConnId, Counts, Forgotten, Remembered, Roster};
    pub use crate::rules::{Noted, Rules};
}

pub use admission::Admission;
pub use broker::{
    Broker, BrokerConfig, CONNECTIONS, HANDSHAKES, OPERATOR_CONNECTIONS, RunningBroker, StartError,
};
pub use identity::{Collectives, Roles};
