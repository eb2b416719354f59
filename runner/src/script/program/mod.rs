//! From the text of a script to something that can run.

mod compile;
mod names;
mod params;
mod tokens;

pub(crate) use compile::function_names;
pub use compile::{Compiled, Param, compile};
pub(crate) use names::register as register_names;
pub use params::ParamType;
pub(crate) use tokens::{Tokens, point};
