//! Arbitrary bytes against every decoder.
//!
//! Each function takes bytes as a peer or a file may hold them and asserts what must hold of them beyond "no panic":
//! what decodes encodes again to the same, limits hold, and how the bytes are cut changes no verdict. `cargo test` runs
//! them over `corpus/`; `fuzz/run` lets libFuzzer look for more.
//!
//! | function | the decoders behind it |
//! | --- | --- |
//! | [`chunks`] | the lanes that share a connection |
//! | [`frames`] | the relay's checks of ZMTP, in both directions |
//! | [`header`] | topic and header of a message, as broker, node and runner read them |
//! | [`body`] | bodies of calls and answers, past seal and encryption |
//! | [`card`] | a node's card, likewise |
//! | [`control`] | requests and replies of the control channel, and their framing |
//! | [`config`] | `broker.toml`, `node.toml`, `orch.toml` |
//! | [`query`], [`nodeset`], [`schema`] | the texts that select nodes and describe agents |
//! | [`policy`] | policy files and groups, and what they decide |

mod body;
mod card;
mod chunks;
mod config;
mod control;
mod frames;
mod header;
mod insider;
mod nodeset;
mod policy;
mod query;
mod schema;

pub use body::body;
pub use card::card;
pub use chunks::chunks;
pub use config::config;
pub use control::control;
pub use frames::frames;
pub use header::header;
pub use nodeset::nodeset;
pub use policy::policy;
pub use query::query;
pub use schema::schema;

/// What a target does with bytes.
pub type Body = fn(&[u8]);

/// Every target: the name of its file, of its folder in `corpus/` and, after `fuzz_`, of its program.
pub const TARGETS: [(&str, Body); 11] = [
    ("body", body),
    ("card", card),
    ("chunks", chunks),
    ("config", config),
    ("control", control),
    ("frames", frames),
    ("header", header),
    ("nodeset", nodeset),
    ("policy", policy),
    ("query", query),
    ("schema", schema),
];
