//! A call for people: its results as the action's schema wants them shown, the counts, and who needs a look.

use orch_wire::ids::NodeName;
use orch_wire::outcome::{Counts, NodeResult, Outcome};
use orch_wire::schema::{ActionSchema, Display};
use serde_json::Value;

use super::fold::fold_results;
use super::style::Style;
use super::table::table;
use super::text::{cell, clean, names};
use crate::client::CallReport;

/// A call with what came of it, and the schema that says how to show it.
#[derive(Debug, Clone, Copy)]
pub struct CallView<'a> {
    /// The agent.
    pub agent: &'a str,
    /// The action.
    pub action: &'a str,
    /// What came of it.
    pub report: &'a CallReport,
    /// The action's schema, where it is known.
    pub schema: Option<&'a ActionSchema>,
}

impl CallView<'_> {
    /// How many nodes ended in each way.
    pub fn counts(&self) -> Counts {
        Counts::of(self.report.results.iter().map(|result| result.outcome))
    }

    fn display(&self) -> Display {
        self.schema.map_or(Display::Always, |schema| schema.display)
    }

    /// Results that the schema wants shown. Those that are not ok are named among the concerns in any case.
    fn shown(&self) -> Vec<&NodeResult> {
        let display = self.display();
        self.report.results.iter().filter(|result| display.shows(result.is_ok())).collect()
    }

    /// The results as a table; equal ones stand together under a folded node set when `fold` says so, unless the schema
    /// wants one line each. Empty when there is nothing to show.
    pub fn results(&self, fold: bool, style: Style, width: Option<u16>) -> String {
        let shown = self.shown();
        if shown.is_empty() {
            return String::new();
        }
        let all_ok = shown.iter().all(|result| result.is_ok());
        let columns = self.columns(&shown);
        let mut header = vec!["node".to_owned()];
        if !all_ok {
            header.push("outcome".to_owned());
        }
        header.extend(columns.iter().map(|(_, label)| label.clone()));
        let with_message = shown.iter().any(|result| !result.message.is_empty());
        if with_message {
            header.push("message".to_owned());
        }
        let row = |nodes: &[NodeName], result: &NodeResult| {
            let mut row = vec![names(nodes)];
            if !all_ok {
                row.push(style.outcome(result.outcome, &outcome_words(result)));
            }
            for (name, _) in &columns {
                row.push(result.data.get(name).map(cell).unwrap_or_default());
            }
            if with_message {
                row.push(clean(&result.message).into_owned());
            }
            row
        };
        let rows = if fold && self.display() != Display::Flatten {
            fold_results(shown).iter().map(|group| row(&group.nodes, group.result)).collect()
        } else {
            shown.iter().map(|result| row(std::slice::from_ref(&result.node), result)).collect()
        };
        let header: Vec<String> = header.iter().map(|label| style.strong(label)).collect();
        table(&header, rows, width)
    }

    /// Output names and their labels: those of the schema that some result has, then others in order of appearance.
    fn columns(&self, shown: &[&NodeResult]) -> Vec<(String, String)> {
        let mut columns: Vec<(String, String)> = Vec::new();
        if let Some(schema) = self.schema {
            for output in &schema.outputs {
                if shown
                    .iter()
                    .any(|result| result.data.get(&output.name).is_some_and(|value| !value.is_null()))
                {
                    columns.push((output.name.clone(), clean(&output.display_as).to_lowercase()));
                }
            }
        }
        for result in shown {
            for name in result.data.keys() {
                let known = columns.iter().any(|(column, _)| column == name)
                    || self.schema.is_some_and(|schema| schema.output(name).is_some());
                if !known {
                    columns.push((name.clone(), clean(name).into_owned()));
                }
            }
        }
        columns
    }

    /// The aggregates that the schema asks for, one line each.
    pub fn aggregates(&self) -> Vec<String> {
        let Some(schema) = self.schema else { return Vec::new() };
        let mut lines = Vec::new();
        if !self.report.results.iter().any(NodeResult::is_ok) {
            return lines;
        }
        for aggregate in &schema.aggregates {
            let values: Vec<&Value> = self
                .report
                .results
                .iter()
                .filter(|result| result.is_ok())
                .filter_map(|result| result.data.get(&aggregate.output))
                .collect();
            let label =
                schema.output(&aggregate.output).map_or(aggregate.output.as_str(), |o| o.display_as.as_str());
            match aggregate.compute(values) {
                // No node gave a value.
                Ok(result) if result.text.is_empty() => {
                    lines.push(format!("{}: no aggregate summary could be computed", clean(label)));
                }
                // The text has a line for each value, padded to stand below each other.
                Ok(result) => {
                    let values: Vec<&str> = result.text.lines().map(str::trim).collect();
                    lines.push(format!("{}: {}", clean(label), clean(&values.join(", "))));
                }
                Err(error) => lines.push(format!("{}: {}", clean(label), clean(&error.to_string()))),
            }
        }
        lines
    }

    /// The line of counts, such as `24 ok, 1 silent`; outcomes that no node had are left out.
    pub fn count_line(&self, style: Style) -> String {
        let counts = self.counts();
        let mut parts: Vec<String> = Outcome::ALL
            .into_iter()
            .filter(|outcome| counts.get(*outcome) > 0)
            .map(|outcome| {
                let words = outcome.as_str().replace('_', " ");
                style.outcome(outcome, &format!("{} {words}", counts.get(outcome)))
            })
            .collect();
        if parts.is_empty() {
            parts.push("no nodes".to_owned());
        }
        let unanswered = self.report.unanswered.len();
        if unanswered > 0 {
            parts.push(style.doubtful(&format!("{unanswered} unanswered")));
        }
        parts.join(", ")
    }

    /// Nodes that need a look, one line per kind and reason.
    pub fn concerns(&self) -> Vec<String> {
        let mut lines = Vec::new();
        let bad = self.report.results.iter().filter(|result| !result.is_ok());
        for group in fold_results(bad) {
            let mut line = format!("{}: {}", outcome_words(group.result), names(&group.nodes));
            if !group.result.message.is_empty() {
                line.push_str(&format!(" ({})", clean(&group.result.message)));
            }
            lines.push(line);
        }
        let target = |node: &NodeName| self.report.results.iter().any(|result| result.node == *node);
        let rest =
            |nodes: &[NodeName]| nodes.iter().filter(|node| !target(node)).cloned().collect::<Vec<_>>();
        lines.extend(named("away", "", &rest(&self.report.away)));
        lines.extend(named("unanswered", " (here, and gave no answer)", &self.report.unanswered));
        let foreign = " (the card is sealed with another pre-shared key)";
        lines.extend(named("another key", foreign, &rest(&self.report.foreign)));
        lines
    }
}

fn named(what: &str, why: &str, nodes: &[NodeName]) -> Option<String> {
    (!nodes.is_empty()).then(|| format!("{what}: {}{why}", names(nodes)))
}

/// An outcome with what belongs to it: its code, and that a silent node had begun.
pub(super) fn outcome_words(result: &NodeResult) -> String {
    let words = result.outcome.as_str().replace('_', " ");
    match &result.code {
        Some(code) if result.outcome != Outcome::TimedOut => format!("{words} ({})", clean(code)),
        None if result.began => format!("{words} (had begun)"),
        _ => words,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use orch_wire::body::Answer;
    use serde_json::json;
    use std::time::Duration;

    fn node(name: &str) -> NodeName {
        NodeName::new(name).unwrap()
    }

    fn ok(name: &str, value: &str) -> NodeResult {
        let data = json!({ "value": value });
        let answer = Answer::ok(data.as_object().cloned().unwrap_or_default());
        NodeResult::answered(node(name), answer, Duration::from_millis(3))
    }

    #[test]
    fn an_aggregate_stays_on_its_line() {
        let schema =
            orch_wire::schema::AgentSchema::from_json(include_str!("../../../examples/agents/package.json"))
                .unwrap();
        let answer = |name: &str, version: &str| {
            let data = json!({ "package": "shop", "ensure": version });
            let answer = Answer::ok(data.as_object().cloned().unwrap_or_default());
            NodeResult::answered(node(name), answer, Duration::ZERO)
        };
        let report = CallReport {
            results: vec![answer("web1", "1.2"), answer("web2", "1.4.2"), answer("web3", "1.2")],
            ..CallReport::default()
        };
        let view =
            CallView { agent: "package", action: "status", report: &report, schema: schema.action("status") };
        assert_eq!(view.aggregates(), ["Ensure: 1.2 = 2, 1.4.2 = 1"]);
    }

    #[test]
    fn the_schema_says_what_is_shown() {
        let view_of = |display: &str, aggregate: serde_json::Value| {
            let source = json!({
                "metadata": {"name": "a", "description": "d", "author": "x", "license": "l", "version": "1", "url": "u",
                             "timeout": 5},
                "actions": [{"action": "act", "description": "d", "display": display, "aggregate": aggregate,
                             "output": {"value": {"description": "d", "display_as": "Value"},
                                        "other": {"description": "d", "display_as": "Other"}}}],
            });
            let schema = orch_wire::schema::AgentSchema::from_value(source).unwrap();
            let rejected = Answer::rejected("policy", "no");
            let report = CallReport {
                results: vec![
                    ok("web1", "up"),
                    ok("web2", "up"),
                    NodeResult::answered(node("web3"), rejected, Duration::ZERO),
                ],
                ..CallReport::default()
            };
            let view = CallView { agent: "a", action: "act", report: &report, schema: schema.action("act") };
            let shown = view.results(true, Style::new(false), None);
            let names: Vec<String> =
                shown.lines().skip(1).filter_map(|line| line.split(' ').next().map(str::to_owned)).collect();
            (names, view.aggregates())
        };
        for (display, names) in [
            ("ok", vec!["web[1-2]"]),
            ("failed", vec!["web3"]),
            ("flatten", vec!["web1", "web2", "web3"]),
            ("always", vec!["web[1-2]", "web3"]),
        ] {
            assert_eq!(view_of(display, json!([])).0, names, "{display}");
        }
        let aggregates = json!([
            {"function": "sum", "args": ["value"]},
            {"function": "summary", "args": ["other"]},
            {"function": "summary", "args": ["value"]},
        ]);
        assert_eq!(
            view_of("failed", aggregates).1,
            [
                "Value: sum of `value` could not be computed: an answer is no number",
                "Other: no aggregate summary could be computed",
                "Value: up = 2",
            ]
        );
    }

    #[test]
    fn equal_answers_are_folded_and_the_bad_ones_named() {
        let report = CallReport {
            results: vec![
                ok("web1", "Debian"),
                ok("web2", "Debian"),
                NodeResult::answered(
                    node("web3"),
                    Answer::rejected("arguments", "no \x1b[31mfact"),
                    Duration::ZERO,
                ),
                NodeResult::silent(node("web4"), "it is away", false, Duration::ZERO),
            ],
            away: vec![node("db1"), node("web4")],
            unanswered: vec![node("db2")],
            ..CallReport::default()
        };
        let view = CallView { agent: "node", action: "get_fact", report: &report, schema: None };
        let plain = Style::new(false);
        insta::assert_snapshot!(view.results(true, plain, None), @r"
        node      outcome               value   message
        web[1-2]  ok                    Debian
        web3      rejected (arguments)          no \u{1b}[31mfact
        web4      silent                        it is away
        ");
        assert_eq!(view.count_line(plain), "2 ok, 1 rejected, 1 silent, 1 unanswered");
        insta::assert_snapshot!(view.concerns().join("\n"), @r"
        rejected (arguments): web3 (no \u{1b}[31mfact)
        silent: web4 (it is away)
        away: db1
        unanswered: db2 (here, and gave no answer)
        ");
    }
}
