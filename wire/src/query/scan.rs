//! The smallest pieces of the text: words, operators, quoted and bare values.

use super::{ParseError, is_blank};

/// A comparison operator as written, spellings united.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Op {
    Equals,
    Differs,
    Matches,
    Order(super::Order),
}

/// Longest first where one begins another.
const OPERATORS: [(&str, Op); 10] = [
    ("==", Op::Equals),
    ("=~", Op::Matches),
    ("=>", Op::Order(super::Order::AtLeast)),
    ("=<", Op::Order(super::Order::AtMost)),
    ("!=", Op::Differs),
    ("<=", Op::Order(super::Order::AtMost)),
    (">=", Op::Order(super::Order::AtLeast)),
    ("=", Op::Equals),
    ("<", Op::Order(super::Order::Less)),
    (">", Op::Order(super::Order::Greater)),
];

/// The operator that begins the text, and its length.
pub(crate) fn operator(text: &str) -> Option<(Op, usize)> {
    OPERATORS.iter().find(|(spelling, _)| text.starts_with(spelling)).map(|(s, op)| (*op, s.len()))
}

/// Length of the class or fact name that begins the text.
pub(crate) fn word(text: &str) -> usize {
    text.find(|c: char| is_blank(c) || "()'\"`=<>!~&|".contains(c)).unwrap_or(text.len())
}

/// Length of the bare value that begins the text: to the next blank or unmatched `)`.
pub(crate) fn bare(text: &str) -> usize {
    let mut open = 0usize;
    for (at, c) in text.char_indices() {
        match c {
            '(' => open = open.saturating_add(1),
            ')' if open == 0 => return at,
            ')' => open -= 1,
            c if is_blank(c) => return at,
            _ => {}
        }
    }
    text.len()
}

/// As [`bare`], but for a regular expression, in which escaped parentheses and those in
/// character classes do not count.
pub(crate) fn bare_regex(text: &str) -> usize {
    let (mut open, mut classes) = (0usize, 0usize);
    let mut chars = text.char_indices().peekable();
    while let Some((at, c)) = chars.next() {
        match c {
            c if is_blank(c) => return at,
            '\\' => {
                chars.next_if(|(_, escaped)| !is_blank(*escaped));
            }
            '[' => {
                classes = classes.saturating_add(1);
                chars.next_if(|(_, c)| *c == '^');
                chars.next_if(|(_, c)| *c == ']');
            }
            ']' => classes = classes.saturating_sub(1),
            '(' if classes == 0 => open = open.saturating_add(1),
            ')' if classes == 0 && open == 0 => return at,
            ')' if classes == 0 => open -= 1,
            _ => {}
        }
    }
    text.len()
}

/// Reads the quoted text that begins `text`; gives its content and its length.
///
/// Within `'…'` everything is literal. Within `"…"` a quote is written `\"`; a backslash
/// is itself unless a quote follows, where it is doubled (`"C:\dir\\"`).
pub(crate) fn quoted(text: &str) -> Result<(String, usize), ParseError> {
    let mut chars = text.char_indices();
    let quote = chars.next().map_or('"', |(_, quote)| quote);
    let unclosed = || {
        ParseError::new(0..text.len(), "the quote is not closed").help(format!("end the text with `{quote}`"))
    };
    let mut content = String::new();
    let mut backslashes = 0usize;
    for (at, c) in chars {
        if c == '\\' && quote == '"' {
            backslashes += 1;
            continue;
        }
        let literal = if c == quote { backslashes / 2 } else { backslashes };
        content.extend(std::iter::repeat_n('\\', literal));
        if c == quote && backslashes.is_multiple_of(2) {
            return Ok((content, at + c.len_utf8()));
        }
        content.push(c);
        backslashes = 0;
    }
    Err(unclosed())
}
