//! What others bring to a node: programs that print facts, and agents of every kind of manners.

mod choria;
mod facts;
mod folder;
pub(crate) mod kit;
mod samples;
mod unruly;
