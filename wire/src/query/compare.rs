//! Comparing what a node has with what a query asks.
//!
//! Facts are compared by their text, outputs of data functions by their type: facts come
//! from many programs that do not agree on types, outputs are typed by a schema.

use std::cmp::Ordering;

use serde_json::{Number, Value};

use super::ast::Test;

/// Lists within lists are followed so far; deeper ones do not compare.
const MAX_NESTING: usize = 32;

/// A fact: any element of a list may hold, a map is compared by its keys, null is no fact.
pub(crate) fn fact(test: &Test, value: &Value) -> bool {
    nested(test, value, MAX_NESTING)
}

fn nested(test: &Test, value: &Value, levels: usize) -> bool {
    match value {
        Value::Null => false,
        Value::Bool(flag) => text(test, if *flag { "true" } else { "false" }),
        Value::Number(number) => match test {
            // Plain decimals, for `1e21` is none.
            Test::Orders(..) if number.is_f64() => {
                number.as_f64().is_some_and(|float| text(test, &float.to_string()))
            }
            _ => text(test, &number.to_string()),
        },
        Value::String(string) => text(test, string),
        Value::Array(list) => levels > 0 && list.iter().any(|element| nested(test, element, levels - 1)),
        Value::Object(map) => map.keys().any(|key| text(test, key)),
    }
}

/// A text.
pub(crate) fn text(test: &Test, have: &str) -> bool {
    match test {
        Test::Equals(want) => have == want,
        Test::Differs(want) => have != want,
        Test::Orders(order, want) => order.holds(decimals(have, want).unwrap_or_else(|| have.cmp(want))),
        Test::Matches(pattern) => pattern.is_match(have),
        Test::Avoids(pattern) => !pattern.is_match(have),
    }
}

/// Whether a fact and a value are both numbers, so that their order is that of numbers.
pub(crate) fn are_numbers(value: &Value, want: &str) -> bool {
    let have = match value {
        Value::Number(number) => number.as_f64().is_some(),
        Value::String(text) => Decimal::parse(text).is_some(),
        _ => false,
    };
    have && Decimal::parse(want).is_some()
}

/// An output of a data function.
pub(crate) fn data(test: &Test, value: &Value) -> bool {
    match (test, value) {
        (Test::Equals(_) | Test::Differs(_) | Test::Matches(_) | Test::Avoids(_), Value::String(have)) => {
            text(test, have)
        }
        (Test::Equals(want), Value::Bool(have)) => boolean(want) == Some(*have),
        (Test::Differs(want), Value::Bool(have)) => boolean(want) == Some(!*have),
        (Test::Equals(want), Value::Number(have)) => number(have, want).is_some_and(Ordering::is_eq),
        (Test::Differs(want), Value::Number(have)) => number(have, want).is_some_and(Ordering::is_ne),
        (Test::Orders(order, want), Value::Number(have)) => {
            number(have, want).is_some_and(|ordering| order.holds(ordering))
        }
        (test, Value::Array(list)) => list.iter().any(|element| !element.is_array() && data(test, element)),
        _ => false,
    }
}

/// A boolean of the language.
pub(crate) fn boolean(text: &str) -> Option<bool> {
    match text {
        "true" => Some(true),
        "false" => Some(false),
        _ => None,
    }
}

/// A number of the language, for outputs of data functions: an integer in any base, or
/// a float that may have an exponent.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Literal {
    Integer(i128),
    Float(f64),
}

impl Literal {
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let (negative, digits) = match text.strip_prefix('-') {
            Some(rest) => (true, rest),
            None => (false, text.strip_prefix('+').unwrap_or(text)),
        };
        if !digits.starts_with(|c: char| c.is_ascii_digit() || c == '.') {
            return None; // neither a second sign nor `inf` and `nan`
        }
        let lower = digits.to_ascii_lowercase();
        let based = [("0x", 16), ("0b", 2), ("0o", 8)]
            .into_iter()
            .find_map(|(prefix, base)| lower.strip_prefix(prefix).map(|rest| (rest, base)));
        let (body, base) = based.unwrap_or((lower.as_str(), 10));
        if body.starts_with(['+', '-']) {
            return None;
        }
        match i128::from_str_radix(body, base) {
            Ok(value) => Some(Self::Integer(if negative { value.checked_neg()? } else { value })),
            Err(_) if based.is_some() => None,
            Err(_) => {
                let float: f64 = lower.parse().ok()?;
                float.is_finite().then_some(Self::Float(if negative { -float } else { float }))
            }
        }
    }
}

impl Literal {
    /// Whether it is an integer, however written.
    pub(crate) fn is_whole(self) -> bool {
        match self {
            Self::Integer(_) => true,
            Self::Float(float) => float.fract() == 0.0,
        }
    }
}

fn number(have: &Number, want: &str) -> Option<Ordering> {
    let want = Literal::parse(want)?;
    let have = have
        .as_i64()
        .map(i128::from)
        .or_else(|| have.as_u64().map(i128::from))
        .map(Literal::Integer)
        .or_else(|| have.as_f64().map(Literal::Float))?;
    match (have, want) {
        (Literal::Integer(have), Literal::Integer(want)) => Some(have.cmp(&want)),
        (Literal::Float(have), Literal::Float(want)) => have.partial_cmp(&want),
        (Literal::Integer(have), Literal::Float(want)) => mixed(have, want),
        (Literal::Float(have), Literal::Integer(want)) => mixed(want, have).map(Ordering::reverse),
    }
}

/// Compares through decimals, because an `f64` does not hold every integer.
fn mixed(integer: i128, float: f64) -> Option<Ordering> {
    decimals(&integer.to_string(), &float.to_string())
}

/// Compares two decimal numbers exactly, at any length; `None` unless both are such.
fn decimals(have: &str, want: &str) -> Option<Ordering> {
    let (have, want) = (Decimal::parse(have)?, Decimal::parse(want)?);
    Some(match (have.negative, want.negative) {
        (false, true) => Ordering::Greater,
        (true, false) => Ordering::Less,
        (false, false) => have.magnitude(&want),
        (true, true) => want.magnitude(&have),
    })
}

struct Decimal<'t> {
    negative: bool,
    /// Digits before the point, without leading zeros.
    whole: &'t str,
    /// Digits after the point, without trailing zeros.
    fraction: &'t str,
}

impl<'t> Decimal<'t> {
    fn parse(text: &'t str) -> Option<Self> {
        let digits = text.strip_prefix('-').unwrap_or(text);
        let (whole, fraction) = match digits.split_once('.') {
            Some((_, "")) => return None,
            Some((whole, fraction)) => (whole, fraction),
            None => (digits, ""),
        };
        let plain = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
        if whole.is_empty() || !plain(whole) || !plain(fraction) {
            return None;
        }
        let (whole, fraction) = (whole.trim_start_matches('0'), fraction.trim_end_matches('0'));
        let zero = whole.is_empty() && fraction.is_empty();
        Some(Self { negative: text.starts_with('-') && !zero, whole, fraction })
    }

    /// Fractions compare as text: what one has beyond the other's end makes it greater.
    fn magnitude(&self, other: &Self) -> Ordering {
        let by_length = self.whole.len().cmp(&other.whole.len());
        by_length.then_with(|| self.whole.cmp(other.whole)).then_with(|| self.fraction.cmp(other.fraction))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decimals_compare_exactly() {
        let cases = [
            ("9", "10", Ordering::Less),
            ("9.5", "10", Ordering::Less),
            ("-5", "-2", Ordering::Less),
            ("-0", "0.0", Ordering::Equal),
            ("007", "7.00", Ordering::Equal),
            ("1.25", "1.3", Ordering::Less),
            ("9007199254740993", "9007199254740992", Ordering::Greater),
            ("-1.5", "1", Ordering::Less),
        ];
        for (have, want, ordering) in cases {
            assert_eq!(decimals(have, want), Some(ordering), "{have} {want}");
        }
        for text in ["", "-", ".5", "5.", "1e3", "10.0.0", "+1", "٣"] {
            assert!(decimals(text, "1").is_none(), "{text}");
        }
    }

    #[test]
    fn literals_take_any_base_and_exponents() {
        assert_eq!(Literal::parse("0xA"), Some(Literal::Integer(10)));
        assert_eq!(Literal::parse("-0b11"), Some(Literal::Integer(-3)));
        assert_eq!(Literal::parse("0.1e2"), Some(Literal::Float(10.0)));
        for text in ["", "-", "0x", "0x-1", "--1", "inf", "nan", "1e999", "maybe", "1 "] {
            assert_eq!(Literal::parse(text), None, "{text}");
        }
    }
}
