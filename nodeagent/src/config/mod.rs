//! `node.toml`: the compiled-in default, the file over it, and what both amount to.
//!
//! Nothing here reads the environment; only the file that was named, and those that it names.

mod layer;
mod resolve;
mod span;
mod types;

pub use layer::{ConfigError, Origin, Setting};
pub use resolve::{Changes, Resolved};
pub use types::{Config, DEFAULT};
