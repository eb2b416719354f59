//! Results as text, shown as the schema of their action says.

use super::results::{OneResult, Results};
use crate::client::CallReport;
use crate::report::{CallView, Style, cell};

/// Results: a line for each that the schema wants shown, its aggregates, and the counts.
pub(crate) fn results(results: &Results) -> String {
    let call = &results.call;
    let report = CallReport { results: results.iter().cloned().collect(), ..CallReport::default() };
    let view = CallView { agent: &call.agent, action: &call.action, report: &report, schema: call.action() };
    let plain = Style::new(false);
    let mut parts = vec![view.results(true, plain, None).trim_end().to_owned()];
    parts.extend(view.aggregates());
    parts.push(view.count_line(plain));
    parts.retain(|part| !part.is_empty());
    parts.join("\n")
}

/// One result in a line.
pub(crate) fn one(result: &OneResult) -> String {
    let Ok(result) = result.get() else { return String::new() };
    let mut text = format!("{}: {}", result.node, result.outcome);
    if !result.message.is_empty() {
        text.push_str(&format!(", {}", result.message));
    }
    for (name, value) in &result.data {
        text.push_str(&format!(" {name}={}", cell(value)));
    }
    text
}
