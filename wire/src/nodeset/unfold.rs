//! A node set to names.

use std::{collections::HashSet, ops::Range};

use super::{MAX_NAMES, MAX_TEXT, is_name_byte, sort_names};
use crate::limits::NAME_BYTES;

/// Names made or looked at on the way to the result: what `!`, `&` and `^` may cost.
const MAX_WORK: usize = 10 * MAX_NAMES;

/// Why a text is not a node set.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct NodeSetError {
    /// One sentence.
    pub message: String,
    /// The bytes of the text at fault.
    pub span: Range<usize>,
}

fn fault<T>(span: Range<usize>, message: impl Into<String>) -> Result<T, NodeSetError> {
    Err(NodeSetError { message: message.into(), span })
}

/// Unfolds a node set to its names, in natural order and each once.
///
/// Parts of a text: names, names with brackets (`web[01-20,30]`, `[1-9/2]` in steps,
/// several brackets multiply), joined from left to right by `,` (union), `!` (without),
/// `&` (both) and `^` (either). The empty text is the empty set.
///
/// # Errors
/// With the place, when the text is malformed, holds what no name holds, or unfolds to
/// more than [`MAX_NAMES`].
pub fn unfold(text: &str) -> Result<Vec<String>, NodeSetError> {
    bounded(text)?;
    let mut names = Vec::new();
    if text.trim().is_empty() {
        return Ok(names);
    }
    let mut work = 0usize;
    for (operator, span) in elements(text) {
        let element = Element::parse(text, span.clone())?;
        let count = element.count();
        let looked_at = if operator == ',' { count } else { count.saturating_add(names.len()) };
        work = work.saturating_add(looked_at);
        if count > MAX_NAMES || work > MAX_WORK {
            return fault(span, format!("the node set unfolds to more than {MAX_NAMES} names"));
        }
        combine(&mut names, operator, element.expand(&span)?);
    }
    sort_names(&mut names);
    if names.len() > MAX_NAMES {
        return fault(0..text.len(), format!("the node set unfolds to more than {MAX_NAMES} names"));
    }
    Ok(names)
}

pub(super) fn bounded(text: &str) -> Result<(), NodeSetError> {
    if text.len() > MAX_TEXT {
        return fault(0..text.len(), format!("the node set is longer than {MAX_TEXT} bytes"));
    }
    Ok(())
}

fn combine(names: &mut Vec<String>, operator: char, mut other: Vec<String>) {
    if operator == ',' {
        names.append(&mut other);
        return;
    }
    let set: HashSet<&str> = other.iter().map(String::as_str).collect();
    if operator == '^' {
        let had: HashSet<String> = names.iter().cloned().collect();
        names.retain(|name| !set.contains(name.as_str()));
        names.extend(other.into_iter().filter(|name| !had.contains(name)));
    } else {
        names.retain(|name| set.contains(name.as_str()) == (operator == '&'));
    }
}

/// The elements outside brackets, each with the operator before it.
pub(super) fn elements(text: &str) -> Vec<(char, Range<usize>)> {
    let (mut found, mut operator, mut start, mut inside) = (Vec::new(), ',', 0, false);
    for (at, c) in text.char_indices() {
        match c {
            '[' => inside = true,
            ']' => inside = false,
            ',' | '!' | '&' | '^' if !inside => {
                found.push((operator, start..at));
                (operator, start) = (c, at + 1);
            }
            _ => {}
        }
    }
    found.push((operator, start..text.len()));
    found
}

/// One name with brackets.
pub(super) struct Element<'t> {
    pub(super) segments: Vec<Segment<'t>>,
}

pub(super) enum Segment<'t> {
    Text(&'t str),
    Numbers(Vec<Numbers>),
}

pub(super) struct Numbers {
    pub(super) first: u64,
    pub(super) last: u64,
    pub(super) step: u64,
    pub(super) width: usize,
}

impl Numbers {
    fn count(&self) -> usize {
        usize::try_from((self.last - self.first) / self.step).map_or(usize::MAX, |n| n.saturating_add(1))
    }

    fn iter(&self) -> impl Iterator<Item = u64> + use<> {
        let (last, step) = (self.last, self.step);
        std::iter::successors(Some(self.first), move |n| n.checked_add(step).filter(|n| *n <= last))
    }
}

impl<'t> Element<'t> {
    pub(super) fn parse(text: &'t str, span: Range<usize>) -> Result<Self, NodeSetError> {
        let whole = text.get(span.clone()).unwrap_or_default();
        let trimmed = whole.trim();
        if trimmed.is_empty() {
            return fault(span, "a name is missing here");
        }
        let mut at = span.start + (whole.len() - whole.trim_start().len());
        let end = at + trimmed.len();
        if trimmed.starts_with('.') {
            return fault(at..at + 1, "the name of a node does not start with a dot");
        }
        let mut segments = Vec::new();
        while at < end {
            let rest = text.get(at..end).unwrap_or_default();
            if let Some(inner) = rest.strip_prefix('[') {
                let Some(length) = inner.find(']') else {
                    return fault(at..end, "this bracket is not closed");
                };
                segments.push(Segment::Numbers(bracket(inner.get(..length).unwrap_or_default(), at + 1)?));
                at += length + 2;
                continue;
            }
            let length = rest.find('[').unwrap_or(rest.len());
            let part = rest.get(..length).unwrap_or_default();
            if let Some(bad) = part.find(|c: char| !u8::try_from(c).is_ok_and(is_name_byte)) {
                let c = part.get(bad..).and_then(|tail| tail.chars().next()).unwrap_or_default();
                let place = at + bad..at + bad + c.len_utf8();
                return fault(place, format!("a name holds letters, digits, `_`, `.` and `-`, not {c:?}"));
            }
            segments.push(Segment::Text(part));
            at += length;
        }
        Ok(Self { segments })
    }

    fn count(&self) -> usize {
        self.segments.iter().fold(1usize, |count, segment| match segment {
            Segment::Text(_) => count,
            Segment::Numbers(list) => {
                count.saturating_mul(list.iter().fold(0, |sum, numbers| sum.saturating_add(numbers.count())))
            }
        })
    }

    /// Only after [`Self::count`] was found bearable.
    fn expand(&self, span: &Range<usize>) -> Result<Vec<String>, NodeSetError> {
        let mut names = vec![String::new()];
        for segment in &self.segments {
            match segment {
                Segment::Text(text) => names.iter_mut().for_each(|name| name.push_str(text)),
                Segment::Numbers(list) => {
                    let mut longer = Vec::with_capacity(names.len());
                    for name in &names {
                        for numbers in list {
                            let width = numbers.width;
                            longer.extend(numbers.iter().map(|number| format!("{name}{number:0width$}")));
                        }
                    }
                    names = longer;
                }
            }
            if names.iter().any(|name| name.len() > NAME_BYTES) {
                return fault(span.clone(), format!("a name is longer than {NAME_BYTES} characters"));
            }
        }
        Ok(names)
    }
}

/// The inside of a bracket, which begins at `offset`.
fn bracket(inner: &str, offset: usize) -> Result<Vec<Numbers>, NodeSetError> {
    let mut list = Vec::new();
    let mut at = offset;
    for part in inner.split(',') {
        list.push(numbers(part, at..at + part.len())?);
        at += part.len() + 1;
    }
    Ok(list)
}

/// `1`, `01-20` or `1-9/2`.
fn numbers(part: &str, span: Range<usize>) -> Result<Numbers, NodeSetError> {
    let number = |text: &str| {
        let plain = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        plain.then(|| text.parse::<u64>().ok()).flatten().ok_or_else(|| NodeSetError {
            message: format!("a number or a range such as 01-20 belongs in brackets, not `{part}`"),
            span: span.clone(),
        })
    };
    let part = part.trim();
    let (range, step) = match part.split_once('/') {
        Some((range, step)) => (range, number(step)?),
        None => (part, 1),
    };
    let (first, last) = range.split_once('-').unwrap_or((range, range));
    let padded = first.len() > 1 && first.starts_with('0');
    if last.len() > 1 && last.starts_with('0') && last.len() != first.len() {
        return fault(span, format!("the two ends of `{range}` have different leading zeros"));
    }
    let width = if padded { first.len() } else { 0 };
    let (first, last) = (number(first)?, number(last)?);
    if step == 0 || last < first {
        let message = if step == 0 { "a step is at least 1" } else { "the range runs backwards" };
        return fault(span, message);
    }
    if width > NAME_BYTES {
        return fault(span, format!("a name is longer than {NAME_BYTES} characters"));
    }
    Ok(Numbers { first, last, step, width })
}
