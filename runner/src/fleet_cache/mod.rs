//! What is remembered of a fleet between two commands: the schemas of its agents, and the names of its nodes' facts.
//!
//! Scripts are checked against what the fleet really runs, also where no folder describes it, and without asking for what was
//! seen before: cards carry digests, and what a digest stands for does not change. Everything in here comes from peers or
//! lies in files, and is looked at again when it is read. Losing it costs one round trip, so that nothing fails for it.
//!
//! | file | what |
//! | --- | --- |
//! | `store.rs` | the folder: schemas by their digests, and an index for each fleet |
//! | `index.rs` | which nodes have which agents, and which facts there are |
//! | `memory.rs`, `learn.rs` | what is known of one fleet; asking its nodes for the rest |
//! | `agents.rs` | agents as nodes describe them, several versions in one |
//! | `facts.rs` | names of facts |

mod agents;
mod facts;
mod index;
mod learn;
mod memory;
mod store;
#[cfg(test)]
mod tests;

pub use agents::{FleetAgents, Version};
pub use memory::Memory;
pub use store::{FleetKey, Store};
