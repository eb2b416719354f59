//! How every node of a run stands: what the last call on it came to.

use std::collections::BTreeMap;

use orch_wire::ids::NodeName;
use orch_wire::outcome::NodeResult;

use super::call::{CallView, outcome_words};
use super::style::Style;
use super::table::table;
use super::text::names;

/// A table with a line for each outcome of each call, and the nodes for which it is the last.
pub fn standings(calls: &[CallView<'_>], style: Style, width: Option<u16>) -> String {
    let mut last: BTreeMap<&NodeName, (usize, &NodeResult)> = BTreeMap::new();
    for (at, call) in calls.iter().enumerate() {
        for result in &call.report.results {
            last.insert(&result.node, (at, result));
        }
    }
    let mut groups: BTreeMap<(usize, String), (Vec<NodeName>, &NodeResult)> = BTreeMap::new();
    for (node, (at, result)) in last {
        let group = groups.entry((at, outcome_words(result))).or_insert_with(|| (Vec::new(), result));
        group.0.push(node.clone());
    }
    let rows = groups.iter().filter_map(|((at, words), (nodes, result))| {
        let call = calls.get(*at)?;
        let outcome = style.outcome(result.outcome, words);
        Some(vec![outcome, names(nodes), format!("{}.{}", call.agent, call.action)])
    });
    let rows: Vec<Vec<String>> = rows.collect();
    if rows.is_empty() {
        return String::new();
    }
    let header = ["outcome", "nodes", "last call"].map(|label| style.strong(label));
    table(&header, rows, width)
}
