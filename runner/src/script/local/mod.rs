//! What a script reaches on the operator's machine: files, the environment, processes, and what may not be seen of them.
//!
//! | file | what |
//! | --- | --- |
//! | `permissions.rs` | what was allowed, and how a refusal tells the way out |
//! | `walk.rs` | from a path to a file beneath a folder, whatever the links in it |
//! | `surroundings.rs` | the project and what else a script is given; which file a path means |
//! | `files.rs` | reading and writing |
//! | `process.rs` | running a program |
//! | `sources.rs` | where secrets come from |
//! | `masks.rs` | the texts of secrets, taken out of everything that leaves a run |

mod files;
mod masks;
mod permissions;
mod process;
mod sources;
mod surroundings;
mod walk;

pub(crate) use files::{may_write, read_text, write_text};
pub(crate) use masks::Masks;
pub use permissions::{Grants, Permissions};
pub(crate) use process::Program;
pub(crate) use sources::{answer, reveal};
pub use surroundings::{Local, Project, Prompt, Question, Wants};
