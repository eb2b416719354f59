//! The language that selects nodes: parser, printer and evaluator.
//!
//! One implementation serves both ends: the runner parses and refuses, the node parses
//! what arrives and decides. A query therefore travels as its text and is compiled once
//! where it is read. Text from a peer is hostile, so that length, nesting and the size
//! of regular expressions are bounded here and not by the callers.
//!
//! ```
//! use orch_wire::query::Query;
//! let query = Query::parse("role::web and not (os.family = RedHat or cpus < 4)").unwrap();
//! assert_eq!(Query::parse(&query.to_string()).unwrap(), query);
//! ```

mod ast;
mod check;
mod compare;
mod error;
mod eval;
mod explain;
mod facts;
pub mod filter;
mod functions;
mod parse;
mod pattern;
mod print;
mod scan;
mod value;

pub use ast::{DataCall, Expr, Order, Places, Query, Term, Test};
pub use check::{FaultKind, QueryFault};
pub use error::ParseError;
pub use eval::{NodeView, Verdict};
pub use explain::{Explanation, Finding, Shown};
pub use facts::lookup_fact;
pub use functions::{DataFunction, DataFunctions};
pub(crate) use parse::list as parse_list;
pub use pattern::Pattern;
pub(crate) use pattern::explain as explain_regex;

/// Longest query text in bytes: it stands in a header of at most 64 KiB, beside other fields.
pub const MAX_LENGTH: usize = 8 * 1024;
/// Deepest nesting of groups and negations; parser, printer and evaluator recurse.
pub const MAX_DEPTH: usize = 32;
/// Most regular expressions in one query; each may compile to a megabyte.
pub const MAX_PATTERNS: usize = 32;
/// Most comparisons of data functions in one query: each may start a program on every node.
pub const MAX_DATA_CALLS: usize = 32;

/// What separates words: any white space.
pub(crate) fn is_blank(c: char) -> bool {
    c.is_whitespace()
}
