//! Words: names folded, values short, counts with their noun, and nothing that steers a terminal.

use std::borrow::Cow;
use std::fmt::Write;
use std::time::Duration;

use orch_wire::ids::NodeName;
use orch_wire::nodeset;
use serde_json::Value;

/// Longest text of one cell or value, in characters; JSON output has it whole.
const CELL_CHARS: usize = 200;

/// Text from a node or file, fit for a terminal: control characters but newline and tab are shown, not sent, and so
/// are the characters that turn the direction of writing.
pub fn clean(text: &str) -> Cow<'_, str> {
    let steers = |c: char| (c.is_control() && c != '\n' && c != '\t') || is_direction(c);
    if !text.contains(steers) {
        return Cow::Borrowed(text);
    }
    let mut shown = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        if steers(c) {
            // Cannot fail: it writes into a string.
            let _ = write!(shown, "{}", c.escape_default());
        } else {
            shown.push(c);
        }
    }
    Cow::Owned(shown)
}

fn is_direction(c: char) -> bool {
    matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{61c}')
}

/// A value as one cell of a table.
pub fn cell(value: &Value) -> String {
    let text = match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        Value::Array(items) if items.iter().all(|item| !item.is_array() && !item.is_object()) => {
            items.iter().map(cell).collect::<Vec<_>>().join(", ")
        }
        other => other.to_string(),
    };
    let text = clean(text.trim_end_matches('\n'));
    match text.char_indices().nth(CELL_CHARS) {
        Some((end, _)) => format!("{}…", text.get(..end).unwrap_or_default()),
        None => text.into_owned(),
    }
}

/// Names folded into a node set.
pub fn names(nodes: &[NodeName]) -> String {
    nodeset::fold(nodes.iter().map(NodeName::as_str))
}

/// A number with its noun.
pub fn count(number: usize, noun: &str) -> String {
    if number == 1 { format!("1 {noun}") } else { format!("{number} {noun}s") }
}

/// A span as people say it.
pub fn span(span: Duration) -> String {
    let millis = span.as_millis();
    match millis {
        0..1000 => format!("{millis} ms"),
        1000..60_000 => format!("{:.1} s", span.as_secs_f64()),
        _ => format!("{} min {} s", millis / 60_000, millis / 1000 % 60),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn nothing_from_a_node_steers_the_terminal() {
        assert_eq!(clean("plain\n\ttext é"), "plain\n\ttext é");
        assert_eq!(clean("\x1b[2J\x07\u{9b}x\r\u{202e}"), "\\u{1b}[2J\\u{7}\\u{9b}x\\r\\u{202e}");
        assert_eq!(cell(&json!("\x1b[31m")), "\\u{1b}[31m");
    }

    #[test]
    fn values_are_short_and_plain() {
        assert_eq!(cell(&json!(["a", 1, true])), "a, 1, true");
        assert_eq!(cell(&json!({"a": [1]})), "{\"a\":[1]}");
        assert_eq!(cell(&Value::Null), "");
        assert_eq!(cell(&json!("é".repeat(300))).chars().count(), CELL_CHARS + 1);
    }

    #[test]
    fn spans_and_counts_read_well() {
        assert_eq!((count(1, "node"), count(2, "node")), ("1 node".to_owned(), "2 nodes".to_owned()));
        assert_eq!(span(Duration::from_millis(34)), "34 ms");
        assert_eq!(span(Duration::from_millis(1234)), "1.2 s");
        assert_eq!(span(Duration::from_secs(75)), "1 min 15 s");
    }
}
