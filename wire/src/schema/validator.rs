//! What a string input must look like.

use std::net::{Ipv4Addr, Ipv6Addr};

use regex::{Regex, RegexBuilder};
use serde_json::Value;

use crate::query;

/// Compiled size of one expression.
const COMPILED_LIMIT: usize = 1024 * 1024;

/// A named check or a regular expression.
#[derive(Debug, Clone)]
pub enum Validator {
    /// Holds nothing that means something to a shell.
    Shellsafe,
    /// An IPv4 address, without a prefix length.
    Ipv4Address,
    /// An IPv6 address, without a prefix length.
    Ipv6Address,
    /// Either.
    IpAddress,
    /// Text that reads as an integer.
    Integer,
    /// Text that reads as a number with a fraction.
    Float,
    /// Text that reads as a number.
    Number,
    /// `true` or `false`.
    Boolean,
    /// A JSON array.
    Array,
    /// A JSON object.
    Hash,
    /// The expression is found in the text.
    Pattern {
        /// As written in the schema.
        source: String,
        /// Compiled, with `^`, `$` and `\Z` tied to the ends of the whole value.
        regex: Regex,
    },
}

impl Validator {
    /// Reads the `validation` of an input.
    ///
    /// # Errors
    /// With a sentence, on the name of no validator and on an invalid expression.
    pub fn parse(text: &str) -> Result<Self, String> {
        let named = match text {
            "shellsafe" => Self::Shellsafe,
            "ipv4address" => Self::Ipv4Address,
            "ipv6address" => Self::Ipv6Address,
            "ipaddress" => Self::IpAddress,
            "integer" => Self::Integer,
            "float" => Self::Float,
            "number" => Self::Number,
            "boolean" => Self::Boolean,
            "array" => Self::Array,
            "hash" => Self::Hash,
            "" => return Err("is empty; `.` accepts any text of at least one character".into()),
            name if name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_') => {
                return Err(format!(
                    "`{name}` is no known validator (shellsafe, ipv4address, ipv6address, ipaddress, integer, \
                     float, number, boolean, array, hash); a regular expression needs an anchor or another \
                     special character, such as `^{name}$`"
                ));
            }
            source => {
                let regex = RegexBuilder::new(&whole_value_anchors(source))
                    .size_limit(COMPILED_LIMIT)
                    .dfa_size_limit(COMPILED_LIMIT)
                    .nest_limit(64)
                    .build()
                    .map_err(|error| query::explain_regex(&error))?;
                Self::Pattern { source: source.to_owned(), regex }
            }
        };
        Ok(named)
    }

    /// Whether the text passes.
    pub fn accepts(&self, text: &str) -> bool {
        let json = || serde_json::from_str::<Value>(text).ok();
        match self {
            Self::Shellsafe => is_shellsafe(text),
            Self::Ipv4Address => text.parse::<Ipv4Addr>().is_ok(),
            Self::Ipv6Address => text.parse::<Ipv6Addr>().is_ok(),
            Self::IpAddress => text.parse::<Ipv4Addr>().is_ok() || text.parse::<Ipv6Addr>().is_ok(),
            Self::Integer => json().is_some_and(|value| value.is_i64() || value.is_u64()),
            Self::Float => json().is_some_and(|value| value.is_f64()),
            Self::Number => json().is_some_and(|value| value.is_number()),
            Self::Boolean => matches!(text, "true" | "false"),
            Self::Array => json().is_some_and(|value| value.is_array()),
            Self::Hash => json().is_some_and(|value| value.is_object()),
            Self::Pattern { regex, .. } => regex.is_match(text),
        }
    }

    /// What is asked of the text, to follow on "must".
    pub fn demand(&self) -> String {
        match self {
            Self::Shellsafe => "hold no character with a meaning to a shell".into(),
            Self::Ipv4Address => "be an IPv4 address without a prefix length".into(),
            Self::Ipv6Address => "be an IPv6 address without a prefix length".into(),
            Self::IpAddress => "be an IP address without a prefix length".into(),
            Self::Integer => "read as an integer".into(),
            Self::Float => "read as a float".into(),
            Self::Number => "read as a number".into(),
            Self::Boolean => "be `true` or `false`".into(),
            Self::Array => "be a JSON array".into(),
            Self::Hash => "be a JSON object".into(),
            Self::Pattern { source, .. } => format!("match `{source}`"),
        }
    }
}

/// Refuses every character a POSIX shell, or one of its usual descendants, reads as more
/// than itself, and all control characters. `~` and `#` mean something only where a word
/// begins, and versions of packages hold `~`.
fn is_shellsafe(text: &str) -> bool {
    let mut word_begins = true;
    text.chars().all(|c| {
        let special = "`$;|&<>(){}[]*?!'\"\\^".contains(c) || (word_begins && "~#".contains(c));
        word_begins = c == ' ' || c == '\t' || c == '=' || c == ':';
        !special && (c == '\t' || !c.is_control()) && !matches!(c, '\u{2028}' | '\u{2029}')
    })
}

/// The anchors of other engines, which may stand at each line, become those of the whole
/// value: a schema's `^[a-z]+$` is meant to keep everything else out.
fn whole_value_anchors(source: &str) -> String {
    let mut out = String::with_capacity(source.len() + 8);
    let mut classes = 0usize;
    let mut chars = source.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '\\' => match chars.next() {
                Some('Z') if classes == 0 => out.push_str(r"\z"),
                Some(escaped) => out.extend(['\\', escaped]),
                None => out.push('\\'),
            },
            '[' => {
                classes = classes.saturating_add(1);
                out.push('[');
                if chars.next_if_eq(&'^').is_some() {
                    out.push('^');
                }
                if chars.next_if_eq(&']').is_some() {
                    out.push(']');
                }
            }
            ']' => {
                classes = classes.saturating_sub(1);
                out.push(']');
            }
            '^' if classes == 0 => out.push_str(r"\A"),
            '$' if classes == 0 => out.push_str(r"\z"),
            c => out.push(c),
        }
    }
    out
}
