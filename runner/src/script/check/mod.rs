//! What can be told of a script before it runs.
//!
//! Every file of the program is walked through, and every function with the types that it is called with. Receivers are typed by
//! what the functions of the language are described to give; where a type is not known nothing is claimed.
//!
//! | file | what |
//! | --- | --- |
//! | `checker.rs` | which functions are looked at, and what was found |
//! | `known.rs`, `native.rs`, `ty.rs`, `scope.rs` | agents and facts; functions; types; names |
//! | `statements.rs`, `expressions.rs` | the walk |
//! | `functions.rs`, `builtins.rs`, `literals.rs` | calls of functions, and arguments that are written out |
//! | `actions.rs` | calls of actions, and the fields of their results |
//! | `fleet.rs` | where nodes differ from each other or from the project |
//! | `captures.rs`, `shadow.rs`, `lints.rs` | what closures may change; functions in the place of methods; what is hardly meant |

mod actions;
mod builtins;
mod captures;
mod checker;
mod expressions;
mod fleet;
mod functions;
mod known;
mod lints;
mod literals;
mod native;
mod scope;
mod shadow;
mod statements;
mod ty;

use rhai::Engine;

use crate::diagnostic::Diagnostic;
use crate::script::program::Files;
pub use known::Known;

/// Everything that is wrong with a program, or hardly meant: errors first, each in the order of the lines.
pub(crate) fn findings(known: Known<'_>, engine: &Engine, files: &Files) -> Vec<Diagnostic> {
    checker::Checker::new(known, engine, files).run()
}
