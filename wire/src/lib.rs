//! What both ends of a call must agree on, and nothing else.
//!
//! This crate is pure: no socket, runtime, file, clock, environment or command line. Time and randomness are
//! parameters, so that a whole fleet can run inside one property test.
//!
//! | module | what it settles |
//! | --- | --- |
//! | [`ids`], [`caller`], [`topic`], [`time`], [`limits`] | names, ids, topics, moments, and every limit with its reason |
//! | [`header`], [`body`], [`card`] | what is said |
//! | [`codec`], [`keys`], [`envelope`] | how it is encoded, encrypted, sealed and opened |
//! | [`replay`] | which messages were seen before |
//! | [`query`], [`nodeset`], [`schema`] | which nodes, and what an agent takes and gives |
//! | [`policy`] | who may call what on a node |
//! | [`outcome`] | how a call ended on each node |
//! | [`audit`] | what a node writes down of each request, in a chain |
//! | [`control`] | what the broker itself says |

#![warn(missing_docs)]

pub mod audit;
pub mod body;
pub mod caller;
pub mod card;
mod cipher;
pub mod codec;
pub mod control;
pub mod described;
pub mod envelope;
pub mod header;
pub mod ids;
pub mod keys;
pub mod limits;
pub mod nodeset;
pub mod outcome;
pub mod policy;
pub mod query;
pub mod replay;
pub mod schema;
mod text;
pub mod time;
pub mod topic;
