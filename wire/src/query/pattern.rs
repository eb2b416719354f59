//! Regular expressions as values of the language.

use regex::{Regex, RegexBuilder};

/// Compiled size of one expression. `\w{20}` with its Unicode tables fits; a repetition
/// of repetitions that would fill the node's memory does not.
const COMPILED_LIMIT: usize = 1024 * 1024;

/// A compiled regular expression that can be written as `/…/`.
///
/// The source is kept in a form without blanks, quotes, backticks, bare `/` and `&&`,
/// for those end a bare value of the language; each has an escape with the same meaning.
/// So a pattern from a flag, where all of them may stand, still travels as query text.
#[derive(Debug, Clone)]
pub struct Pattern {
    source: String,
    regex: Regex,
}

impl Pattern {
    /// Compiles the expression between the slashes.
    ///
    /// # Errors
    /// With a sentence, when it is not valid, too large, or uses what cannot be written
    /// in the language.
    pub fn new(source: &str) -> Result<Self, String> {
        let source = portable(source)?;
        if sets_verbose_mode(&source) {
            return Err("the flag `x` is not supported in a regular expression".into());
        }
        let regex = RegexBuilder::new(&source)
            .size_limit(COMPILED_LIMIT)
            .dfa_size_limit(COMPILED_LIMIT)
            .nest_limit(64)
            .build()
            .map_err(|error| explain(&error))?;
        Ok(Self { source, regex })
    }

    /// The expression without its slashes.
    pub fn source(&self) -> &str {
        &self.source
    }

    /// Whether the expression matches anywhere in the text.
    pub fn is_match(&self, text: &str) -> bool {
        self.regex.is_match(text)
    }
}

impl PartialEq for Pattern {
    fn eq(&self, other: &Self) -> bool {
        self.source == other.source
    }
}

/// One sentence out of the several lines that the regex crate prints.
pub(crate) fn explain(error: &regex::Error) -> String {
    match error {
        regex::Error::CompiledTooBig(_) => "the regular expression is too large when compiled".into(),
        other => {
            let text = other.to_string();
            let reason = text.rsplit("error: ").next().unwrap_or_default().trim();
            format!("the regular expression is not valid: {reason}")
        }
    }
}

/// What lies between the slashes of `/…/`, if the text is one.
pub(crate) fn between_slashes(text: &str) -> Option<&str> {
    let inner = text.strip_prefix('/')?.strip_suffix('/')?;
    let escapes = inner.bytes().rev().take_while(|byte| *byte == b'\\').count();
    escapes.is_multiple_of(2).then_some(inner)
}

/// Rewrites what a bare value cannot hold.
fn portable(source: &str) -> Result<String, String> {
    let mut out = String::with_capacity(source.len());
    let mut classes = 0usize;
    let mut chars = source.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '\\' => match chars.next() {
                Some(escaped) if must_escape(escaped) || escaped == '&' => push_code(&mut out, escaped),
                Some(escaped) => out.extend(['\\', escaped]),
                None => out.push('\\'),
            },
            '/' => out.push_str(r"\/"),
            '&' if out.ends_with('&') => {
                if classes > 0 {
                    return Err("`&&` cannot be written in a regular expression here".into());
                }
                push_code(&mut out, '&');
            }
            '[' => {
                classes = classes.saturating_add(1);
                out.push('[');
                if chars.next_if_eq(&'^').is_some() {
                    out.push('^');
                }
                if chars.next_if_eq(&']').is_some() {
                    out.push(']'); // the first `]` of a class is an ordinary character
                }
            }
            ']' => {
                classes = classes.saturating_sub(1);
                out.push(']');
            }
            c if must_escape(c) => push_code(&mut out, c),
            c => out.push(c),
        }
    }
    Ok(out)
}

fn must_escape(c: char) -> bool {
    super::is_blank(c) || matches!(c, '\'' | '"' | '`')
}

fn push_code(out: &mut String, c: char) {
    use std::fmt::Write as _;
    let _ = write!(out, r"\x{{{:x}}}", u32::from(c));
}

/// In verbose mode an escaped blank and a blank differ, and comments may hold single
/// parentheses; neither survives [`portable`] and the scanner.
fn sets_verbose_mode(source: &str) -> bool {
    source.match_indices("(?").any(|(at, _)| {
        let escapes = source.as_bytes().iter().take(at).rev().take_while(|byte| **byte == b'\\').count();
        let flags = source.get(at + 2..).unwrap_or_default();
        let end = flags.find(|c: char| !c.is_ascii_alphabetic() && c != '-').unwrap_or(flags.len());
        let closed = flags.get(end..).is_some_and(|rest| rest.starts_with([':', ')']));
        escapes.is_multiple_of(2) && closed && flags.get(..end).is_some_and(|set| set.contains('x'))
    })
}
