//! `orch inventory NODE`: everything a node knows of itself.

use clap::Args;
use orch_wire::ids::NodeName;
use orch_wire::outcome::NodeResult;
use serde_json::Value;

use super::failure::Failure;
use super::flags::{CallFlags, FleetFlags};
use super::fleet::{Ground, OneCall};
use super::root::is_json;
use super::target::Target;
use crate::exit::Exit;
use crate::report::{Stream, Style, cell, clean};

const EXAMPLES: &str = "\
Examples:
  orch inventory web01
  orch inventory web01 --format json";

/// Show everything that a node knows of itself
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Inventory {
    /// Name of the node
    node: NodeName,

    #[command(flatten)]
    call: CallFlags,
    #[command(flatten)]
    fleet: FleetFlags,
}

impl Inventory {
    pub(super) async fn run(&self, ground: &Ground<'_>) -> Result<Exit, Failure> {
        let target = Target::nodes(vec![self.node.clone()]);
        let fleet = ground.connect(&self.fleet, &target).await?;
        let call = OneCall {
            timeout: self.call.timeout,
            pace: self.call.pace(),
            tolerance: self.call.tolerance(),
            ..OneCall::of("node", "inventory")
        };
        let report = fleet.call(&target, call).await?;
        if is_json(ground.printer) {
            fleet.show("node", "inventory", &report);
        } else {
            for result in report.results.iter().filter(|result| result.is_ok()) {
                ground.printer.data(&described(result, ground.printer.style(Stream::Out)));
            }
            fleet.show_talk("node", "inventory", &report);
        }
        let exit = ground.exit(&report);
        fleet.close().await;
        Ok(exit)
    }
}

fn described(result: &NodeResult, style: Style) -> String {
    let mut text = format!("{}\n", style.strong(result.node.as_str()));
    for (name, value) in result.data.iter().filter(|(name, _)| name.as_str() != "identity") {
        match value {
            Value::Object(_) => {
                text.push_str(&format!("  {}:\n", clean(name)));
                indented(&mut text, value, 2);
            }
            other => text.push_str(&format!("  {}: {}\n", clean(name), cell(other))),
        }
    }
    text
}

/// Nested values, two blanks deeper each; the codec has bounded their depth.
fn indented(text: &mut String, value: &Value, depth: usize) {
    let Some(map) = value.as_object() else { return };
    let mut names: Vec<&String> = map.keys().collect();
    names.sort();
    for name in names {
        let Some(value) = map.get(name) else { continue };
        let blanks = "  ".repeat(depth);
        match value {
            Value::Object(inner) if !inner.is_empty() => {
                text.push_str(&format!("{blanks}{}:\n", clean(name)));
                indented(text, value, depth.saturating_add(1));
            }
            other => text.push_str(&format!("{blanks}{}: {}\n", clean(name), cell(other))),
        }
    }
}
