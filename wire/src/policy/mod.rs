//! Who may call what on this node: the ActionPolicy files of MCollective and Choria (`agents.md`, Policy).
//!
//! A node and `orch policy check` decide by this code. Reading the folder is the caller's: it gives the texts of
//! `AGENT.policy`, `default.policy` and `groups` to [`Policies::add`], which compiles them once, and asks
//! [`Policies::decide`] for each call. A file at fault is no error of loading: it denies everything for its agent until
//! it is mended, and [`Policies::faults`] says what is wrong with it.
//!
//! ```
//! use orch_wire::{caller::Caller, policy::{Effect, Policies, Request, Settings}, query::NodeView};
//! let mut policies = Policies::new(Settings::default());
//! policies.add("groups", "deployers cert=alice cert=bob");
//! policies.add("service.policy", "policy default deny\nallow\tdeployers\trestart\tenvironment=dev\t*");
//! let facts = serde_json::json!({"environment": "dev"});
//! let node = NodeView {
//!     identity: "web1", facts: facts.as_object().unwrap(), classes: &[], agents: &[], collectives: &[], data: None,
//! };
//! let caller = Caller::parse("cert=bob").unwrap();
//! let decision = policies.decide(&Request { caller: &caller, agent: "service", action: "restart" }, &node);
//! assert_eq!((decision.effect, decision.to_string().as_str()), (Effect::Allow, "allowed by line 2 of service.policy"));
//! ```

mod callers;
mod condition;
mod decide;
mod decision;
mod finding;
mod groups;
mod lines;
mod parse;
mod rule;

pub use decide::{Explanation, Policies, Request, Settings, Step};
pub use decision::{Decision, Effect, Reason};
pub use finding::Finding;
pub use rule::{Column, Mismatch};

/// Longest policy or groups file in bytes.
pub const MAX_FILE: usize = 256 * 1024;
/// Longest line in bytes: room for two compound queries.
pub const MAX_LINE: usize = 16 * 1024;
/// Most lines that allow or deny, and most groups, in one file: every call may be held against all of them.
pub const MAX_LINES: usize = 4096;
/// Most regular expressions in one file, those of its queries included; each may compile to a megabyte.
pub const MAX_PATTERNS: usize = 256;
/// Most faults that are told of one file, and most warnings.
pub const MAX_FINDINGS: usize = 100;
