//! Who called, as policies and audits name it: `kind=value`.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::ids::{NameError, OperatorName};
use crate::limits::NAME_BYTES;

/// A caller, `kind=value` (`query.md`, Names): the kind of word characters, the value of word characters, dots and
/// dashes, both ASCII. The whole text must be one; a line break at its end is no part of a name.
///
/// Equal only when both texts are equal: a policy never compares a part of a caller.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Caller {
    text: Arc<str>,
    /// Where the `=` stands.
    equals: usize,
}

/// The kind of a caller who is known by a certificate.
const CERTIFICATE: &str = "cert";

impl Caller {
    /// Parses and checks a caller.
    ///
    /// # Errors
    /// With the rule that the text breaks.
    pub fn parse(text: &str) -> Result<Self, NameError> {
        let fault = |why| NameError::new("caller", text, why);
        let equals = text.find('=').ok_or_else(|| fault("it is not of the form `kind=value`"))?;
        let (kind, value) =
            (text.get(..equals).unwrap_or_default(), text.get(equals + 1..).unwrap_or_default());
        if kind.is_empty() || value.is_empty() {
            return Err(fault("both sides of the `=` must hold something"));
        }
        if kind.len() > NAME_BYTES || value.len() > NAME_BYTES {
            return Err(fault("a side of the `=` is longer than 120 characters"));
        }
        if !kind.bytes().all(is_word) {
            return Err(fault("only letters, digits and `_` may stand before the `=`"));
        }
        if !value.bytes().all(|byte| is_word(byte) || matches!(byte, b'.' | b'-')) {
            return Err(fault("only letters, digits, `_`, `.` and `-` may stand after the `=`"));
        }
        Ok(Self { text: Arc::from(text), equals })
    }

    /// The caller behind a certificate: `cert=NAME` (`agents.md`, Policy).
    pub fn of_certificate(operator: &OperatorName) -> Self {
        Self { text: format!("{CERTIFICATE}={operator}").into(), equals: CERTIFICATE.len() }
    }

    /// What stands before the `=`, such as `cert`.
    pub fn kind(&self) -> &str {
        self.text.get(..self.equals).unwrap_or_default()
    }

    /// What stands after the `=`, such as the name of an operator.
    pub fn value(&self) -> &str {
        self.text.get(self.equals + 1..).unwrap_or_default()
    }

    /// The whole text.
    pub fn as_str(&self) -> &str {
        &self.text
    }
}

fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_'
}

impl fmt::Display for Caller {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.text)
    }
}

impl fmt::Debug for Caller {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl FromStr for Caller {
    type Err = NameError;
    fn from_str(text: &str) -> Result<Self, NameError> {
        Self::parse(text)
    }
}

impl TryFrom<String> for Caller {
    type Error = NameError;
    fn try_from(text: String) -> Result<Self, NameError> {
        Self::parse(&text)
    }
}

impl From<Caller> for String {
    fn from(caller: Caller) -> String {
        caller.text.as_ref().to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_caller_is_a_kind_and_a_value() {
        for (text, kind, value) in [
            ("cert=alice", "cert", "alice"),
            ("uid=foo.bar.123", "uid", "foo.bar.123"),
            ("a_1=-.-", "a_1", "-.-"),
            ("0=0", "0", "0"),
        ] {
            let caller = Caller::parse(text).unwrap();
            assert_eq!((caller.kind(), caller.value(), caller.to_string().as_str()), (kind, value, text));
        }
        let operator = OperatorName::new("web-1.x").unwrap();
        assert_eq!(Caller::of_certificate(&operator), Caller::parse("cert=web-1.x").unwrap());
    }

    #[test]
    fn the_whole_text_must_match() {
        let long = format!("cert={}", "x".repeat(NAME_BYTES + 1));
        for bad in [
            "",
            "=",
            "cert",
            "cert=",
            "=alice",
            "foo=bar=baz",
            "foo=bar|baz",
            "cert=a\n",
            "\ncert=a",
            "cert=a\nb",
            "cert=a b",
            " cert=a",
            "cert =a",
            "ce.rt=a",
            "ce-rt=a",
            "cert=é",
            "çert=a",
            "cert=a\0",
            &long,
        ] {
            let error = Caller::parse(bad).unwrap_err().to_string();
            assert!(error.contains("is not a valid caller: "), "{bad:?}: {error}");
        }
    }
}
