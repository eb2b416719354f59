//! Agents that act: files, processes, the shell; their output as it comes, and their end on request.

mod cancel;
mod files;
mod kit;
mod processes;
mod room;
mod shell;
mod stream;
