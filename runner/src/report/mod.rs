//! The only place that prints. It consumes results and events; it decides nothing.
//!
//! Data goes to stdout, talk (progress, counts, warnings) to stderr. Everything is readable without colour, text from
//! nodes cannot steer a terminal, and a reader that closes early is a normal end.

mod call;
mod findings;
mod fold;
mod json;
mod live;
mod matching;
mod printer;
mod progress;
mod standings;
mod style;
mod table;
mod text;

pub use call::CallView;
pub use findings::{findings_github, findings_json, findings_line, findings_sarif};
pub use fold::fold_results;
pub use json::{call_json, discovery_json, fleet_json};
pub use matching::MatchView;
pub use printer::{Format, Printer, Stream};
pub use progress::Progress;
pub use standings::standings;
pub use style::Style;
pub use table::table;
pub use text::{cell, clean, count, names, span};
