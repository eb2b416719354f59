//! Whether a node matches a filter, and why: as a tree for people, as JSON for programs.

use orch_wire::ids::NodeName;
use orch_wire::query::{Explanation, Finding, Query, Shown};
use serde_json::{Map, Value, json};

use super::printer::{Printer, Stream};
use super::style::Style;
use super::table::table;
use super::text::clean;

/// A filter and a node.
pub struct MatchView<'a> {
    /// The node's name, if it has one.
    pub node: Option<&'a NodeName>,
    /// What it is asked, if anything.
    pub query: Option<&'a Query>,
    /// What that comes to.
    pub explanation: Option<&'a Explanation>,
    /// What is told without asking it: the flag, and whether the node passes.
    pub others: &'a [(String, bool)],
    /// Whether each term is shown.
    pub explain: bool,
}

impl MatchView<'_> {
    /// Whether the node is meant.
    pub fn is_match(&self) -> bool {
        self.explanation.is_none_or(Explanation::is_match) && self.others.iter().all(|(_, holds)| *holds)
    }

    /// What a program reads: `node`, `matches`, `query`, the `flags` that are no part of it, and with `--explain` each part with `holds` (null where the
    /// node cannot tell) and one of `and`, `or`, `not`, `term`.
    pub fn json(&self) -> Value {
        let mut document = Map::new();
        document.insert("node".to_owned(), json!(self.node));
        document.insert("matches".to_owned(), json!(self.is_match()));
        document.insert("query".to_owned(), json!(self.query.map(Query::to_string)));
        let others = self.others.iter().map(|(flag, holds)| json!({ "flag": flag, "holds": holds }));
        document.insert("flags".to_owned(), others.collect());
        if self.explain {
            document.insert("explanation".to_owned(), self.explanation.map_or(Value::Null, part_json));
        }
        Value::Object(document)
    }

    /// What a person reads.
    pub fn text(&self, printer: &Printer) -> String {
        let style = printer.style(Stream::Out);
        let node = self.node.map_or("the node", NodeName::as_str);
        let verdict = if self.is_match() { style.good("matches") } else { style.bad("does not match") };
        let mut text = format!("{} {verdict}\n", style.strong(node));
        if !self.explain {
            return text;
        }
        let mut rows: Vec<Vec<String>> = Vec::new();
        for (flag, holds) in self.others {
            rows.push(row(Some(*holds), 0, flag, "", style));
        }
        if let Some(explanation) = self.explanation {
            add_rows(explanation, 0, &mut rows, style);
        }
        if rows.is_empty() {
            text.push_str("nothing is asked of it\n");
            return text;
        }
        let header = ["holds", "term", "on the node"].map(|label| style.strong(label));
        text.push('\n');
        text.push_str(&table(&header, rows, printer.width()));
        text
    }
}

fn part_json(part: &Explanation) -> Value {
    let mut object = Map::new();
    object.insert("holds".to_owned(), json!(part.holds));
    let list = |parts: &[Explanation]| parts.iter().map(part_json).collect::<Value>();
    match &part.finding {
        Finding::All(parts) => object.insert("and".to_owned(), list(parts)),
        Finding::Any(parts) => object.insert("or".to_owned(), list(parts)),
        Finding::Not(inner) => object.insert("not".to_owned(), part_json(inner)),
        Finding::Term { term, value, note } => {
            object.insert("term".to_owned(), json!(term));
            object.insert("value".to_owned(), json!(value.as_ref().map(|shown| &shown.value)));
            if value.as_ref().is_some_and(|shown| shown.cut) {
                object.insert("cut".to_owned(), Value::Bool(true));
            }
            note.as_ref().and_then(|note| object.insert("note".to_owned(), json!(note)))
        }
    };
    Value::Object(object)
}

fn add_rows(part: &Explanation, depth: usize, rows: &mut Vec<Vec<String>>, style: Style) {
    let mut group = |word: &str, parts: &[Explanation]| {
        rows.push(row(part.holds, depth, word, "", style));
        parts.iter().for_each(|part| add_rows(part, depth + 1, rows, style));
    };
    match &part.finding {
        Finding::All(parts) => group("and", parts),
        Finding::Any(parts) => group("or", parts),
        Finding::Not(inner) => group("not", std::slice::from_ref(inner)),
        Finding::Term { term, value, note } => {
            let value = value.as_ref().map(shown);
            let found = match (value, note) {
                (Some(value), Some(note)) => format!("{value} ({note})"),
                (Some(value), None) => value,
                (None, note) => format!("({})", note.as_deref().unwrap_or_default()),
            };
            rows.push(row(part.holds, depth, term, &found, style));
        }
    }
}

fn shown(value: &Shown) -> String {
    match &value.value {
        Value::String(beginning) if value.cut => format!("{beginning}…"),
        whole if value.cut => format!("{whole} and more"),
        whole => whole.to_string(),
    }
}

fn row(holds: Option<bool>, depth: usize, term: &str, found: &str, style: Style) -> Vec<String> {
    let holds = match holds {
        Some(true) => style.good("yes"),
        Some(false) => style.bad("no"),
        None => style.doubtful("unknown"),
    };
    vec![holds, format!("{}{}", "  ".repeat(depth), clean(term)), clean(found).into_owned()]
}
