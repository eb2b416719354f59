//! Lists of nodes from files and from other programs.

use std::collections::HashSet;

use serde_json::Value;

use super::{MAX_NAMES, is_name};

/// What a name may hold, for sentences.
const RULE: &str = "letters, digits, `_`, `.`, `-`";

/// A list that holds something else than names.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ListError {
    /// A line that is no name.
    #[error("line {line}: `{}` is no name of a node ({RULE})", .text.escape_debug())]
    Line {
        /// Counted from one.
        line: usize,
        /// The line, shortened.
        text: String,
    },
    /// An entry of a JSON list that names no node.
    #[error("entry {entry}: {message}")]
    Entry {
        /// Counted from one.
        entry: usize,
        /// What is missing.
        message: String,
    },
    /// Text that begins as JSON and is none.
    #[error("the list is not valid JSON: {0}")]
    Json(String),
    /// JSON that holds no list of nodes.
    #[error("there is no list of nodes in the JSON: neither a list, nor `results`, nor `nodes`")]
    NoList,
    /// More names than one run can address.
    #[error("the list has more than {MAX_NAMES} names")]
    TooLong,
}

/// Reads one name a line. `#` begins a comment, blanks are trimmed, empty lines skipped,
/// repeats dropped; the order of the list is kept.
///
/// # Errors
/// On the first line that is no name.
pub fn names_from_lines(text: &str) -> Result<Vec<String>, ListError> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut names = Names::default();
    for (at, line) in text.lines().enumerate() {
        let name = line.split('#').next().unwrap_or_default().trim();
        if name.is_empty() {
            continue;
        }
        if !is_name(name) {
            return Err(ListError::Line { line: at + 1, text: name.chars().take(80).collect() });
        }
        names.push(name)?;
    }
    Ok(names.list)
}

/// Reads standard input: lines as in [`names_from_lines`], or JSON.
///
/// JSON is a list of objects that name their node as `sender`, `node` or `certname`, or what orch itself writes: an object
/// with such a list as `results`, or with a list of names as `nodes`. Several such documents may follow each other.
///
/// # Errors
/// On the first line or entry that names no node.
pub fn names_from_results(text: &str) -> Result<Vec<String>, ListError> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    if !text.trim_start().starts_with(['[', '{']) {
        return names_from_lines(text);
    }
    let mut names = Names::default();
    let documents = serde_json::Deserializer::from_str(text).into_iter::<Value>();
    for document in documents {
        match &document.map_err(|error| ListError::Json(error.to_string()))? {
            Value::Array(results) => names.add(results, name_of_result)?,
            document => match (document.get("results"), document.get("nodes")) {
                (Some(Value::Array(results)), _) => names.add(results, name_of_result)?,
                (None, Some(Value::Array(list))) => names.add(list, Value::as_str)?,
                _ => return Err(ListError::NoList),
            },
        }
    }
    Ok(names.list)
}

fn name_of_result(result: &Value) -> Option<&str> {
    ["sender", "node", "certname"].into_iter().find_map(|key| result.get(key)?.as_str())
}

#[derive(Default)]
struct Names {
    list: Vec<String>,
    seen: HashSet<String>,
}

impl Names {
    /// Adds what the entries of a list name.
    fn add(&mut self, entries: &[Value], name_of: fn(&Value) -> Option<&str>) -> Result<(), ListError> {
        for (at, entry) in entries.iter().enumerate() {
            let fault = |message: &str| ListError::Entry { entry: at + 1, message: message.into() };
            let name = name_of(entry)
                .ok_or_else(|| fault("no name of a node in it, such as `sender`, `node` or `certname`"))?;
            if !is_name(name) {
                let shown: String = name.chars().take(80).collect();
                return Err(fault(&format!("`{}` is no name of a node ({RULE})", shown.escape_debug())));
            }
            self.push(name)?;
        }
        Ok(())
    }

    fn push(&mut self, name: &str) -> Result<(), ListError> {
        if self.seen.insert(name.to_owned()) {
            if self.list.len() >= MAX_NAMES {
                return Err(ListError::TooLong);
            }
            self.list.push(name.to_owned());
        }
        Ok(())
    }
}
