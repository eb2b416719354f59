//! What a string input must look like.

use std::net::{Ipv4Addr, Ipv6Addr};

use regex::Regex;
use serde_json::Value;

use super::pattern;

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
    /// A check that Choria publishes as a validator plugin, beside the agents whose schemas name it.
    Published {
        /// What the text must be, with its article.
        what: &'static str,
        /// The check.
        regex: Regex,
    },
    /// The expression is found in the text.
    Pattern {
        /// As written in the schema.
        source: String,
        /// Compiled: `^`, `$` and `\Z` mean the ends of the whole value.
        regex: Regex,
    },
}

impl Validator {
    /// Reads the `validation` of an input.
    ///
    /// # Errors
    /// With a sentence, on the name of no validator and on an invalid expression.
    pub fn parse(text: &str) -> Result<Self, String> {
        Self::parse_within(text, &mut pattern::Budget::default())
    }

    /// The same, of a schema with more expressions.
    pub(super) fn parse_within(text: &str, budget: &mut pattern::Budget) -> Result<Self, String> {
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
            name if name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_') => published(name, budget)?,
            source => Self::Pattern { source: source.to_owned(), regex: pattern::compile(source, budget)? },
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
            Self::Published { regex, .. } | Self::Pattern { regex, .. } => regex.is_match(text),
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
            Self::Published { what, .. } => format!("be {what}"),
            Self::Pattern { source, .. } => format!("match `{source}`"),
        }
    }
}

/// Validators of the published agents `service`, `package` and `puppet`: name, what the text must be, and the expression.
const PUBLISHED: [(&str, &str, &str); 6] = [
    ("service_name", "the name of a service", r"^[a-zA-Z0-9._:@-]+$"),
    ("package_name", "the name of a package", r"^[a-zA-Z0-9._-]+$"),
    ("puppet_variable", "the name of a Puppet variable", r"^([a-zA-Z]|[a-zA-Z0-9_]{2,})$"),
    (
        "puppet_tags",
        "Puppet tags, separated by commas",
        r"^([a-zA-Z]|[a-zA-Z0-9_]{2,})((,|::)([a-zA-Z]|[a-zA-Z0-9_]{2,}))*$",
    ),
    ("puppet_resource", "a Puppet resource, such as `File[/etc/motd]`", r"^[a-zA-Z0-9_]+\[.+\]$"),
    (
        "puppet_server_address",
        "the name or address of a host, with a port or without",
        r"^([a-zA-Z0-9]([a-zA-Z0-9.-]*[a-zA-Z0-9])?(:[0-9]{1,5})?|\[[a-fA-F0-9:.]+\](:[0-9]{1,5})?|[a-fA-F0-9]*:[a-fA-F0-9:.]*:[a-fA-F0-9.]*)$",
    ),
];

fn published(name: &str, budget: &mut pattern::Budget) -> Result<Validator, String> {
    let Some((_, what, source)) = PUBLISHED.into_iter().find(|(known, ..)| *known == name) else {
        return Err(format!(
            "`{name}` is no known validator (shellsafe, ipv4address, ipv6address, ipaddress, integer, float, number, \
             boolean, array, hash, {}); a regular expression needs an anchor or another special character, such as \
             `^{name}$`",
            PUBLISHED.map(|(name, ..)| name).join(", ")
        ));
    };
    Ok(Validator::Published { what, regex: pattern::compile(source, budget)? })
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
