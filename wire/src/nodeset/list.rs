//! Lists of nodes from files and from other programs.

use std::collections::HashSet;

use serde_json::Value;

use super::{MAX_NAMES, is_name};

/// A list that holds something else than names.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ListError {
    /// A line that is no name.
    #[error("line {line}: `{text}` is no name of a node (letters, digits, `_`, `.`, `-`)")]
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

/// Reads standard input: lines as in [`names_from_lines`], or a JSON list of objects
/// that name their node as `sender`, `node` or `certname`, such as the results of an
/// earlier call.
///
/// # Errors
/// On the first line or entry that names no node.
pub fn names_from_results(text: &str) -> Result<Vec<String>, ListError> {
    if !text.trim_start().starts_with(['[', '{']) {
        return names_from_lines(text);
    }
    let list: Vec<Value> = serde_json::from_str(text).map_err(|error| ListError::Json(error.to_string()))?;
    let mut names = Names::default();
    for (at, entry) in list.iter().enumerate() {
        let name =
            ["sender", "node", "certname"].into_iter().find_map(|key| entry.get(key)).and_then(Value::as_str);
        let fault = |message: &str| ListError::Entry { entry: at + 1, message: message.into() };
        let name = name.ok_or_else(|| fault("no `sender`, `node` or `certname` in it"))?;
        if !is_name(name) {
            return Err(fault("its name is no name of a node (letters, digits, `_`, `.`, `-`)"));
        }
        names.push(name)?;
    }
    Ok(names.list)
}

#[derive(Default)]
struct Names {
    list: Vec<String>,
    seen: HashSet<String>,
}

impl Names {
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
