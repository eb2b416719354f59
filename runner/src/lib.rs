//! The operator's side of orch: the client, the script engine, and what the program `orch` is made of.
//!
//! | module | does | must not know |
//! | --- | --- | --- |
//! | [`cli`] | the command line, one file per command | what others do not let it know |
//! | [`client`] | sessions, discovery, calls, outcomes | scripts, terminals |
//! | [`config`] | layers of settings, each with its origin; the environment | what is done with it |
//! | [`fleet_cache`] | what is remembered of a fleet between two commands | scripts, terminals |
//! | [`lab`] | the embedded fleet: the only place that knows broker and node | scripts, terminals |
//! | [`pki`] | the fleet's authority, and the files that parties start from | who reports it |
//! | [`report`] | everything that is printed | scripts, sockets |
//! | [`script`] | the language of `.orch` files | sockets, terminals |
//! | [`diagnostic`] | what is wrong, where, and what to do | who reports it |
//! | [`exit`] | what the exit codes mean, and which a run ends with | scripts |
//! | [`node_file`] | a node written down in a file | filters, policies |
//! | [`policies`] | a folder of policy files | nodes |
//! | [`schemas`] | the agent schemas that a script is checked against | the fleet |

pub mod cli;
pub mod client;
pub mod config;
pub mod diagnostic;
pub mod exit;
pub mod fleet_cache;
pub mod lab;
pub mod node_file;
pub mod pki;
pub mod policies;
pub mod report;
pub mod schemas;
pub mod script;
