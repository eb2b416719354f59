//! Configuration of the operator's program: layers in a fixed order, each value with the place that it came from.
//!
//! Only here and in `main` the environment and the home folder are read.

mod cache;
mod environment;
mod layer;
mod session;
mod settings;
mod span;
mod trust;

pub use environment::{Environment, VARIABLES};
pub use layer::{ConfigError, DEFAULT, Key, Origin, Setting};
pub use session::socket_base;
pub use settings::{Config, Overrides, project_of};
pub use span::{SpanError, parse_span};
pub use trust::{Trust, TrustError};
