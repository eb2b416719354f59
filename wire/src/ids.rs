//! Newtypes for every name and id, each with the one parser that lets it in.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use uuid::Uuid;

use crate::limits::NAME_BYTES;
use crate::text;
use crate::time::Timestamp;

/// Why a text is not a name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{}` is not a valid {what}: {why}", .text.escape_debug())]
pub struct NameError {
    /// What the text was meant to be, such as `node name`.
    pub what: &'static str,
    /// The text, cut to a printable length.
    pub text: String,
    /// The rule that it breaks.
    pub why: &'static str,
}

impl NameError {
    pub(crate) fn new(what: &'static str, text: &str, why: &'static str) -> Self {
        Self { what, text: text.chars().take(80).collect(), why }
    }
}

/// The rule for names of every kind.
pub(crate) fn check_name(what: &'static str, text: &str) -> Result<(), NameError> {
    if text.is_empty() {
        return Err(NameError::new(what, text, "it is empty"));
    }
    if text.len() > NAME_BYTES {
        return Err(NameError::new(what, text, "it is longer than 120 characters"));
    }
    if text.starts_with('.') {
        return Err(NameError::new(what, text, "it starts with a dot"));
    }
    if !text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'.' | b'-')) {
        return Err(NameError::new(what, text, "only letters, digits, `_`, `.` and `-` may stand in it"));
    }
    Ok(())
}

macro_rules! name {
    ($(#[$doc:meta])* $name:ident, $what:literal) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name(Arc<str>);

        impl $name {
            /// Parses and checks the name; no separator or leading dot gets past it, so that it is safe in a path.
            pub fn new(text: &str) -> Result<Self, NameError> {
                check_name($what, text)?;
                Ok(Self(Arc::from(text)))
            }

            /// The name as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl FromStr for $name {
            type Err = NameError;
            fn from_str(text: &str) -> Result<Self, NameError> {
                Self::new(text)
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(&self.0)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                text::read(deserializer)
            }
        }

        impl From<$name> for String {
            fn from(name: $name) -> String {
                name.0.as_ref().to_owned()
            }
        }

        impl AsRef<str> for $name {
            fn as_ref(&self) -> &str {
                &self.0
            }
        }

        impl std::borrow::Borrow<str> for $name {
            fn borrow(&self) -> &str {
                &self.0
            }
        }
    };
}

name!(
    /// Name of a node: its identity in queries, topics and certificates.
    NodeName,
    "node name"
);
name!(
    /// Name of an operator, as in the operator's certificate.
    OperatorName,
    "operator name"
);
name!(
    /// Name of a broker.
    BrokerName,
    "broker name"
);
name!(
    /// Name of a collective: a part of the fleet that is addressed as one.
    CollectiveName,
    "collective name"
);
name!(
    /// Name of an agent.
    AgentName,
    "agent name"
);
name!(
    /// Name of an action of an agent.
    ActionName,
    "action name"
);

impl CollectiveName {
    /// The collective that every node is in unless configured otherwise.
    pub fn main() -> Self {
        Self(Arc::from("main"))
    }
}

/// Who speaks: the role and name of a certificate, as its URI SAN gives them (`orch://ROLE/NAME`).
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Party {
    /// An operator: sends calls.
    Operator(OperatorName),
    /// A node: answers calls.
    Node(NodeName),
    /// A broker: forwards, and speaks for itself only on the control channel and in probes.
    Broker(BrokerName),
}

impl Party {
    /// Role as it stands in the URI.
    pub fn role(&self) -> &'static str {
        match self {
            Party::Operator(_) => "operator",
            Party::Node(_) => "node",
            Party::Broker(_) => "broker",
        }
    }

    /// Name without the role.
    pub fn name(&self) -> &str {
        match self {
            Party::Operator(name) => name.as_str(),
            Party::Node(name) => name.as_str(),
            Party::Broker(name) => name.as_str(),
        }
    }

    /// The party's URI, as it stands in certificates.
    pub fn uri(&self) -> String {
        format!("orch://{}/{}", self.role(), self.name())
    }
}

impl fmt::Display for Party {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.role(), self.name())
    }
}

impl fmt::Debug for Party {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.uri())
    }
}

impl FromStr for Party {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        const WHAT: &str = "party";
        let rest = text
            .strip_prefix("orch://")
            .ok_or_else(|| NameError::new(WHAT, text, "it does not start with `orch://`"))?;
        let (role, name) = rest
            .split_once('/')
            .ok_or_else(|| NameError::new(WHAT, text, "it is not of the form `orch://ROLE/NAME`"))?;
        match role {
            "operator" => Ok(Party::Operator(OperatorName::new(name)?)),
            "node" => Ok(Party::Node(NodeName::new(name)?)),
            "broker" => Ok(Party::Broker(BrokerName::new(name)?)),
            _ => Err(NameError::new(WHAT, text, "its role is none of operator, node, broker")),
        }
    }
}

impl Serialize for Party {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.uri())
    }
}

impl<'de> Deserialize<'de> for Party {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        text::read(deserializer)
    }
}

macro_rules! id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(Uuid);

        impl $name {
            /// Makes an id (UUIDv7) from the time and ten random bytes, both the caller's: this crate has no clock.
            pub fn new(now: Timestamp, random: &[u8; 10]) -> Self {
                Self(uuid::Builder::from_unix_timestamp_millis(now.millis(), random).into_uuid())
            }

            /// When it was made, by its maker's clock; none for an id that does not say.
            pub fn made_at(&self) -> Option<Timestamp> {
                let (seconds, nanos) = self.0.get_timestamp()?.to_unix();
                let millis = seconds.checked_mul(1000)?.checked_add(u64::from(nanos / 1_000_000))?;
                (self.0.get_version_num() == 7).then_some(Timestamp::from_millis(millis))
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(&self.0.as_hyphenated(), f)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }

        impl FromStr for $name {
            type Err = uuid::Error;
            fn from_str(text: &str) -> Result<Self, uuid::Error> {
                Uuid::parse_str(text).map(Self)
            }
        }
    };
}

id!(
    /// Id of one envelope, new for each: the key of the replay window.
    MessageId
);
id!(
    /// Id of a call, the same in each of its resends: the key of at-most-once and of stored results.
    CallId
);
id!(
    /// Id of a script run.
    RunId
);

/// A blake3 digest, printed and serialised as hex.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Digest([u8; 32]);

impl Digest {
    /// The digest of some bytes.
    pub fn of(bytes: &[u8]) -> Self {
        Self(*blake3::hash(bytes).as_bytes())
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&blake3::Hash::from(self.0).to_hex(), f)
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Digest {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        let hash = blake3::Hash::from_hex(text)
            .map_err(|_| NameError::new("digest", text, "it is not 64 hexadecimal digits"))?;
        Ok(Self(*hash.as_bytes()))
    }
}

impl Serialize for Digest {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&blake3::Hash::from(self.0).to_hex())
    }
}

impl<'de> Deserialize<'de> for Digest {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        text::read(deserializer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_let_in_no_separator_and_no_leading_dot() {
        for good in ["web1", "web_1-a", "a.b.example.com", "-x", "0"] {
            assert_eq!(NodeName::new(good).unwrap().as_str(), good);
        }
        for bad in ["", ".", "..", ".ssh", "a/b", "a b", "a\n", "é", "a\0", "web1\n", &"x".repeat(121)] {
            assert!(NodeName::new(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn a_party_is_its_uri() {
        for uri in ["orch://operator/alice", "orch://node/web1.example.com", "orch://broker/b1"] {
            assert_eq!(uri.parse::<Party>().unwrap().uri(), uri);
        }
        for bad in [
            "",
            "orch://",
            "orch://node",
            "orch://node/",
            "orch://root/x",
            "http://node/x",
            "orch://node/a/b",
        ] {
            assert!(bad.parse::<Party>().is_err(), "{bad:?}");
        }
    }

    #[test]
    fn ids_sort_by_time() {
        let early = MessageId::new(Timestamp::from_millis(1), &[255; 10]);
        let late = MessageId::new(Timestamp::from_millis(2), &[0; 10]);
        assert!(early < late);
        assert_eq!(early.to_string().parse::<MessageId>().unwrap(), early);
        let now = Timestamp::from_millis(1_795_371_600_123);
        assert_eq!(MessageId::new(now, &[7; 10]).made_at(), Some(now));
        assert_eq!("936da01f-9abd-4d9d-80c7-02af85c822a8".parse::<MessageId>().unwrap().made_at(), None);
    }
}
