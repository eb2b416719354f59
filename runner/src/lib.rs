//! The operator's side of orch: the client, the script engine, and what the program `orch` is made of.
//!
//! | module | does | must not know |
//! | --- | --- | --- |
//! | [`client`] | sessions, discovery, calls, outcomes | scripts, terminals |
//! | [`pki`] | the fleet's authority, and the files that parties start from | who reports it |

pub mod client;
pub mod pki;
