//! What is wrong, or doubtful, in a policy file, with its place and the way out.

use std::{fmt, ops::Range, sync::Arc};

use crate::query::ParseError;

/// A fault of a policy file, or a warning about it.
///
/// Lines and columns count from one, columns and lengths in characters. A fault of the whole file has line 0.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// Name of the file in its folder, such as `service.policy`.
    pub file: Arc<str>,
    /// The line; 0 for the file as a whole.
    pub line: usize,
    /// The first character at fault.
    pub column: usize,
    /// How many characters; 0 where something is missing.
    pub length: usize,
    /// One sentence, lower case, without a full stop.
    pub message: String,
    /// What to write instead.
    pub help: Option<String>,
}

impl Finding {
    /// About the file as a whole.
    pub(super) fn of_file(file: &Arc<str>, message: impl Into<String>) -> Self {
        Self { file: file.clone(), line: 0, column: 0, length: 0, message: message.into(), help: None }
    }

    #[must_use]
    pub(super) fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    #[must_use]
    pub(super) fn maybe_help(mut self, help: Option<String>) -> Self {
        self.help = help;
        self
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            0 => write!(f, "{}: {}", self.file, self.message),
            line => write!(f, "{}:{line}:{}: {}", self.file, self.column, self.message),
        }
    }
}

/// A line while it is read.
#[derive(Clone, Copy)]
pub(super) struct Line<'t> {
    pub(super) file: &'t Arc<str>,
    pub(super) number: usize,
    pub(super) text: &'t str,
}

impl Line<'_> {
    /// Something at these bytes of the line.
    pub(super) fn at(&self, span: Range<usize>, message: impl Into<String>) -> Finding {
        let chars = |bytes: Range<usize>| self.text.get(bytes).unwrap_or_default().chars().count();
        Finding {
            file: self.file.clone(),
            line: self.number,
            column: chars(0..span.start) + 1,
            length: chars(span),
            message: message.into(),
            help: None,
        }
    }

    /// An error of a query that begins at this byte of the line.
    pub(super) fn of_query(&self, offset: usize, error: ParseError) -> Finding {
        let error = error.shifted(offset);
        self.at(error.span, error.message).maybe_help(error.help)
    }
}

/// A part of a line with the byte at which it begins.
#[derive(Clone, Copy)]
pub(super) struct Part<'t> {
    pub(super) text: &'t str,
    pub(super) start: usize,
}

impl<'t> Part<'t> {
    pub(super) fn span(&self) -> Range<usize> {
        self.start..self.start + self.text.len()
    }

    /// The pieces between separators, none of them empty.
    pub(super) fn split(self, separates: fn(char) -> bool) -> impl Iterator<Item = Part<'t>> {
        // Each piece is a slice of the text, so that their distance is its offset.
        let base = self.text.as_ptr().addr();
        self.text
            .split(separates)
            .filter(|piece| !piece.is_empty())
            .map(move |piece| Part { text: piece, start: self.start + (piece.as_ptr().addr() - base) })
    }

    /// Without blanks around it.
    pub(super) fn trimmed(self) -> Self {
        let text = self.text.trim_start();
        Self { start: self.start + self.text.len() - text.len(), text: text.trim_end() }
    }
}
