//! Fleets whose nodes have roots of their own.

use std::path::Path;

use anyhow::Result;
use orch_tests::fleet::{Fleet, Node};

/// A fleet whose nodes have roots of their own, made ready by these commands.
pub(super) fn fleet(nodes: &[&str], prepare: &str) -> Result<Fleet> {
    Fleet::with(nodes.iter().map(|name| Node::named(name).root(prepare)))
}

/// A fleet of one node whose first process is systemd, made ready by these commands.
pub(super) fn fleet_of_systemd(node: &str, prepare: &str) -> Result<Fleet> {
    Fleet::with([Node::named(node).systemd(prepare)])
}

/// A fleet of one node with agents of the test, made ready by commands that may name the node's own folder.
pub(super) fn fleet_with(
    agents: impl FnOnce(&Fleet) -> Result<()>,
    node: &str,
    prepare: impl FnOnce(&Path) -> String,
) -> Result<Fleet> {
    let mut fleet = Fleet::start()?;
    agents(&fleet)?;
    let prepare = prepare(&fleet.path("nodes").join(node));
    fleet.add(&Node::named(node).root(&prepare))?;
    fleet.await_here(&[node.to_owned()]);
    Ok(fleet)
}
