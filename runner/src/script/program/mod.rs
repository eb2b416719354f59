//! From the text of a script to something that can run.

mod compile;
mod library;
mod modules;
mod names;
mod params;
mod tokens;

pub(crate) use compile::Fallbacks;
pub(crate) use compile::function_names;
pub use compile::{Compiled, Param, compile};
pub use library::Library;
pub(crate) use modules::{File, Files, Loaded};
pub(crate) use names::register as register_names;
pub use params::ParamType;
pub(crate) use tokens::{Tokens, point};
