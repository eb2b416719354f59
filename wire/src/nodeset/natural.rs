//! Natural order: `web2` before `web10`.

use std::cmp::Ordering;

/// Compares names so that runs of digits count as numbers. Names that differ only in
/// leading zeros are ordered by length, so that only equal names compare as equal.
pub fn natural_order(a: &str, b: &str) -> Ordering {
    let (mut left, mut right) = (a.as_bytes(), b.as_bytes());
    loop {
        let (Some(&l), Some(&r)) = (left.first(), right.first()) else {
            return left.len().cmp(&right.len()).then_with(|| a.cmp(b));
        };
        if !(l.is_ascii_digit() && r.is_ascii_digit()) {
            if l != r {
                return l.cmp(&r);
            }
            (left, right) = (left.get(1..).unwrap_or_default(), right.get(1..).unwrap_or_default());
            continue;
        }
        let (l, r) = (digits(left), digits(right));
        let (x, y) = (significant(l), significant(r));
        let number = x.len().cmp(&y.len()).then_with(|| x.cmp(y));
        if number.is_ne() {
            return number;
        }
        (left, right) = (left.get(l.len()..).unwrap_or_default(), right.get(r.len()..).unwrap_or_default());
    }
}

fn digits(text: &[u8]) -> &[u8] {
    let end = text.iter().position(|byte| !byte.is_ascii_digit()).unwrap_or(text.len());
    text.get(..end).unwrap_or_default()
}

fn significant(digits: &[u8]) -> &[u8] {
    let start = digits.iter().position(|byte| *byte != b'0').unwrap_or(digits.len());
    digits.get(start..).unwrap_or_default()
}

/// Sorts names naturally and drops repeats.
pub fn sort_names(names: &mut Vec<String>) {
    names.sort_unstable_by(|a, b| natural_order(a, b));
    names.dedup();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_count_as_numbers() {
        let mut names: Vec<String> =
            ["web10", "web2", "web02", "db", "web2", "web", "web2a", "web2.b"].map(String::from).to_vec();
        sort_names(&mut names);
        assert_eq!(names, ["db", "web", "web02", "web2", "web2.b", "web2a", "web10"]);
    }
}
