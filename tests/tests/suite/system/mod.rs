//! What changes a system, on real ones: each node has a root of its own that is thrown away.

mod audit;
mod kit;
mod missing;
mod packages;
mod puppet;
mod reboot;
mod resources;
mod services;
