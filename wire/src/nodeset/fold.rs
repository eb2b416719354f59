//! Names to a node set.

use std::{borrow::Cow, cmp::Ordering, collections::HashMap};

use super::natural_order;

/// Most runs of digits of one name that may fold, counted from its end; the others are
/// text. Each costs a pass over all names.
const MAX_DIMENSIONS: usize = 4;
/// Longer runs of digits are text: they are serial numbers, and must fit a `u64`.
const MAX_DIGITS: usize = 18;

/// Folds names into a node set: `web1 web2 web3 db` gives `db,web[1-3]`.
///
/// Natural order, repeats dropped, leading zeros kept. The names must be such that
/// [`super::is_name`] holds, else the text does not unfold to them. O(n log n).
pub fn fold<'a>(names: impl IntoIterator<Item = &'a str>) -> String {
    let mut items: Vec<Item<'a>> = names.into_iter().map(Item::single).collect();
    let dimensions = items.iter().map(Item::dimensions).max().unwrap_or(0);
    for from_end in 0..dimensions {
        items = fold_dimension(items, from_end);
    }
    items
        .sort_unstable_by(|a, b| natural_order(&a.first(), &b.first()).then_with(|| a.text().cmp(&b.text())));
    items.dedup_by(|a, b| a.parts == b.parts);
    items.iter().map(Item::text).collect::<Vec<_>>().join(",")
}

/// Text and numbers in turn, beginning and ending with text that may be empty; a number
/// is its digits, and once folded a bracket of ranges.
struct Item<'a> {
    parts: Vec<Cow<'a, str>>,
}

impl<'a> Item<'a> {
    fn single(name: &'a str) -> Self {
        let mut parts = Vec::new();
        let mut text_end = name.len();
        let mut rest = name;
        while parts.len() < 2 * MAX_DIMENSIONS {
            let Some(last) = rest.rfind(|c: char| c.is_ascii_digit()) else { break };
            let end = last + 1;
            let start = rest
                .get(..last)
                .and_then(|head| head.rfind(|c: char| !c.is_ascii_digit()).map(|at| at + char_len(head, at)));
            let start = start.unwrap_or(0);
            if end - start <= MAX_DIGITS {
                parts.push(Cow::Borrowed(name.get(end..text_end).unwrap_or_default()));
                parts.push(Cow::Borrowed(name.get(start..end).unwrap_or_default()));
                text_end = start;
            }
            rest = name.get(..start).unwrap_or_default();
        }
        parts.push(Cow::Borrowed(name.get(..text_end).unwrap_or_default()));
        parts.reverse();
        Self { parts }
    }

    fn dimensions(&self) -> usize {
        self.parts.len() / 2
    }

    /// Index of a number, counted from the end.
    fn number(&self, from_end: usize) -> Option<usize> {
        (from_end < self.dimensions()).then(|| self.parts.len() - 2 - 2 * from_end)
    }

    fn text(&self) -> String {
        self.parts.concat()
    }

    /// The first of the names, which gives the item its place.
    fn first(&self) -> String {
        let mut name = String::new();
        for (at, part) in self.parts.iter().enumerate() {
            let part = if at % 2 == 1 { part.trim_start_matches('[') } else { part };
            let end = if at % 2 == 1 { part.find(|c: char| !c.is_ascii_digit()) } else { None };
            name.push_str(part.get(..end.unwrap_or(part.len())).unwrap_or_default());
        }
        name
    }
}

fn char_len(text: &str, at: usize) -> usize {
    text.get(at..).and_then(|rest| rest.chars().next()).map_or(1, char::len_utf8)
}

/// Unites items that differ in one number only.
fn fold_dimension(items: Vec<Item<'_>>, from_end: usize) -> Vec<Item<'_>> {
    let mut folded: Vec<(Item<'_>, usize, Vec<String>)> = Vec::new();
    let mut plain = Vec::new();
    let mut seen: HashMap<String, usize> = HashMap::new();
    for item in items {
        let Some(at) = item.number(from_end) else {
            plain.push(item);
            continue;
        };
        let mut key = String::new();
        for (index, part) in item.parts.iter().enumerate() {
            key.push_str(if index == at { "" } else { part });
            key.push('\0'); // in no name, so that keys of different parts differ
        }
        let number = item.parts.get(at).map(|part| part.to_string()).unwrap_or_default();
        match seen.get(&key).and_then(|index| folded.get_mut(*index)) {
            Some((_, _, numbers)) => numbers.push(number),
            None => {
                seen.insert(key, folded.len());
                folded.push((item, at, vec![number]));
            }
        }
    }
    plain.extend(folded.into_iter().map(|(mut item, at, numbers)| {
        if let Some(part) = item.parts.get_mut(at) {
            *part = Cow::Owned(ranges(numbers));
        }
        item
    }));
    plain
}

/// Numbers, as their digits, to one number or `[ranges]`.
fn ranges(mut numbers: Vec<String>) -> String {
    // Equal lengths compare as text; a range never goes on at a shorter number.
    numbers.sort_unstable_by(|a, b| by_length(a, b));
    numbers.dedup();
    if let [single] = numbers.as_slice() {
        return single.clone();
    }
    let mut out = String::from("[");
    let mut numbers = numbers.iter().peekable();
    while let Some(start) = numbers.next() {
        let width = if start.starts_with('0') { start.len() } else { 0 };
        let mut end = start;
        while let Some(next) = numbers.next_if(|next| follows(end, next, width)) {
            end = next;
        }
        if out.len() > 1 {
            out.push(',');
        }
        out.push_str(start);
        if start != end {
            out.push('-');
            out.push_str(end);
        }
    }
    out.push(']');
    out
}

fn by_length(a: &str, b: &str) -> Ordering {
    a.len().cmp(&b.len()).then_with(|| a.cmp(b))
}

fn follows(end: &str, next: &str, width: usize) -> bool {
    end.parse::<u64>().is_ok_and(|end| format!("{:0width$}", end.saturating_add(1)) == *next)
}
