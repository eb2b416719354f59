//! What others bring to a node: programs that print facts, and agents of every kind of manners.

mod facts;
mod kit;
