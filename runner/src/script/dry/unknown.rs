//! A value that nobody knows, since what would have given it was not done.

use std::fmt;
use std::sync::Arc;

use rhai::{Dynamic, EvalAltResult, ImmutableString, Map, Position};

/// Stands before the word in texts that the value became a part of, so that they are known as such. It is no character that a text
/// would have, and does not leave the run.
const MARK: char = '\u{10ffff}';
const WORD: &str = "unknown";

/// A value that nobody knows.
#[derive(Debug, Clone)]
pub(crate) struct Unknown {
    /// What was not done, and where.
    pub(crate) origin: Arc<str>,
    /// The property that it is, if it is one: an agent, perhaps.
    pub(crate) property: Option<ImmutableString>,
}

impl Unknown {
    /// What `what` would have given.
    pub(crate) fn of(what: &str, place: &str) -> Self {
        let at = if place.is_empty() { String::new() } else { format!(" at {place}") };
        Self { origin: format!("`{what}`{at}").into(), property: None }
    }

    /// What a text says in which there is such a value.
    pub(crate) fn in_text() -> Self {
        Self { origin: "a text with an `unknown` in it".into(), property: None }
    }

    /// The value, if it is one.
    pub(crate) fn of_value(value: &Dynamic) -> Option<Self> {
        if let Some(unknown) = value.read_lock::<Self>() {
            return Some(unknown.clone());
        }
        let text = value.as_immutable_string_ref().ok()?;
        is_unknown_text(&text).then(Self::in_text)
    }

    /// A property of it.
    pub(crate) fn property(&self, name: &Dynamic) -> Self {
        Self { origin: self.origin.clone(), property: name.clone().into_immutable_string().ok() }
    }

    /// The end of the dry run.
    pub(crate) fn stop(&self) -> Box<EvalAltResult> {
        let stop = Dynamic::from(Stop { origin: self.origin.clone() });
        // No `catch` holds it: to go on there would be to pretend that something failed.
        EvalAltResult::ErrorTerminated(stop, Position::NONE).into()
    }
}

impl fmt::Display for Unknown {
    /// As a part of texts.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{MARK}{WORD}")
    }
}

/// Why a dry run stopped.
#[derive(Debug, Clone)]
pub(crate) struct Stop {
    pub(crate) origin: Arc<str>,
}

/// Whether an unknown value became a part of a text.
pub(crate) fn is_unknown_text(text: &str) -> bool {
    text.contains(MARK)
}

/// A text as it is shown.
pub(super) fn shown(text: &str) -> String {
    text.replace(MARK, "")
}

/// The first unknown value in these, however deep.
pub(crate) fn holds_unknown(value: &Dynamic) -> Option<Unknown> {
    if let Ok(list) = value.as_array_ref() {
        return list.iter().find_map(holds_unknown);
    }
    if let Ok(map) = value.as_map_ref() {
        return in_map(&map);
    }
    Unknown::of_value(value)
}

fn in_map(map: &Map) -> Option<Unknown> {
    map.values().find_map(holds_unknown)
}
