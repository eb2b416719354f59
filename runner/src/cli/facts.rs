//! `orch facts FACT`: its values over the nodes, counted.

use clap::Args;
use orch_wire::ids::NodeName;
use serde_json::{Value, json};

use super::failure::Failure;
use super::flags::{CallFlags, FilterFlags, FleetFlags};
use super::fleet::{Ground, OneCall};
use super::root::is_json;
use super::target::Target;
use crate::client::CallReport;
use crate::exit::Exit;
use crate::report::{CallView, Stream, call_json, cell, names, table};

const EXAMPLES: &str = "\
Examples:
  orch facts os.name
  orch facts os.release.major -C role::web
  orch facts role --lab 20 --format json";

/// Show the values of a fact, and which nodes have them
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Facts {
    /// Name or dotted path of the fact
    fact: String,

    #[command(flatten)]
    filter: FilterFlags,
    #[command(flatten)]
    call: CallFlags,
    #[command(flatten)]
    fleet: FleetFlags,
}

/// One value and the nodes that have it.
struct Group<'a> {
    value: &'a Value,
    nodes: Vec<NodeName>,
}

impl Facts {
    pub(super) async fn run(&self, ground: &Ground<'_>) -> Result<Exit, Failure> {
        let target = Target::of(&self.filter)?;
        let fleet = ground.connect(&self.fleet, &target).await?;
        let args = fleet.arguments("node", "get_fact", [("fact", self.fact.as_str())])?;
        let call = OneCall {
            args,
            timeout: self.call.timeout,
            pace: self.call.pace(),
            tolerance: self.call.tolerance(),
            ..OneCall::of("node", "get_fact")
        };
        let report = fleet.call(&target, call).await?;
        let groups = grouped(&report);
        let printer = ground.printer;
        if is_json(printer) {
            let view = CallView { agent: "node", action: "get_fact", report: &report, schema: None };
            let mut document = call_json(&view);
            if let Some(document) = document.as_object_mut() {
                document.insert("fact".to_owned(), json!(self.fact));
                let value = |group: &Group<'_>| json!({ "value": group.value, "count": group.nodes.len(), "nodes": group.nodes });
                document.insert("values".to_owned(), groups.iter().map(value).collect());
            }
            printer.json(&document);
            printer.call_talk(&view);
        } else {
            let style = printer.style(Stream::Out);
            let header = [self.fact.as_str(), "count", "nodes"].map(|label| style.strong(label));
            let row = |group: &Group<'_>| {
                let value =
                    if group.value.is_null() { style.faint("(not there)") } else { cell(group.value) };
                vec![value, group.nodes.len().to_string(), names(&group.nodes)]
            };
            if !groups.is_empty() {
                printer.data(&table(&header, groups.iter().map(row).collect(), printer.width()));
            }
            fleet.show_talk("node", "get_fact", &report);
        }
        let exit = ground.exit(&report);
        fleet.close().await;
        Ok(exit)
    }
}

/// The values that nodes answered, the most frequent first.
fn grouped(report: &CallReport) -> Vec<Group<'_>> {
    let mut places = std::collections::HashMap::new();
    let mut groups: Vec<Group<'_>> = Vec::new();
    for result in report.results.iter().filter(|result| result.is_ok()) {
        let value = result.data.get("value").unwrap_or(&Value::Null);
        let place = *places.entry(value.to_string()).or_insert(groups.len());
        match groups.get_mut(place) {
            Some(group) => group.nodes.push(result.node.clone()),
            None => groups.push(Group { value, nodes: vec![result.node.clone()] }),
        }
    }
    groups.sort_by_key(|group| std::cmp::Reverse(group.nodes.len()));
    groups
}
