//! A malformed query, with the place and, where one is known, the way out.

use std::ops::Range;

/// Why a text is not a query.
///
/// `span` counts bytes of the text that was parsed, so that a caller who knows where the
/// text stands (a script literal, a flag, a policy column) can underline the place.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct ParseError {
    /// One sentence, lower case, without a full stop.
    pub message: String,
    /// The bytes at fault; empty and at the end of the text where something is missing.
    pub span: Range<usize>,
    /// What to write instead.
    pub help: Option<String>,
}

impl ParseError {
    pub(crate) fn new(span: Range<usize>, message: impl Into<String>) -> Self {
        Self { message: message.into(), span, help: None }
    }

    pub(crate) fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// The same error for a text that begins `offset` bytes further on.
    pub(crate) fn shifted(mut self, offset: usize) -> Self {
        self.span = self.span.start.saturating_add(offset)..self.span.end.saturating_add(offset);
        self
    }
}
