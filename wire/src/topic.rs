//! Topics: ASCII, each ending in `/`, so that none is a prefix of another (`design.md` section 3).

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::ids::{CollectiveName, NameError, NodeName};
use crate::limits::TOPIC_BYTES;
use crate::text;

/// Where a message goes.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Topic {
    /// `c/COLLECTIVE/`: every node of a collective.
    Collective(CollectiveName),
    /// `n/NODE/`: one node.
    Node(NodeName),
    /// `p/NODE/`: that node's cards.
    Card(NodeName),
    /// `r/…/`: one runner's own.
    Reply(ReplyTopic),
    /// `b/`: probes to the broker.
    Probe,
}

impl fmt::Display for Topic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Topic::Collective(name) => write!(f, "c/{name}/"),
            Topic::Node(name) => write!(f, "n/{name}/"),
            Topic::Card(name) => write!(f, "p/{name}/"),
            Topic::Reply(topic) => write!(f, "{topic}"),
            Topic::Probe => f.write_str("b/"),
        }
    }
}

/// Why a frame is not a topic.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TopicError {
    /// None of the known forms, or too long.
    #[error("not a topic of this protocol")]
    Form,
    /// The name in it is not a name.
    #[error(transparent)]
    Name(#[from] NameError),
}

impl FromStr for Topic {
    type Err = TopicError;

    fn from_str(text: &str) -> Result<Self, TopicError> {
        if text.len() > TOPIC_BYTES {
            return Err(TopicError::Form);
        }
        if text == "b/" {
            return Ok(Topic::Probe);
        }
        let (kind, rest) = text.split_once('/').ok_or(TopicError::Form)?;
        let name = rest.strip_suffix('/').ok_or(TopicError::Form)?;
        match kind {
            "c" => Ok(Topic::Collective(CollectiveName::new(name)?)),
            "n" => Ok(Topic::Node(NodeName::new(name)?)),
            "p" => Ok(Topic::Card(NodeName::new(name)?)),
            "r" => Ok(Topic::Reply(text.parse()?)),
            _ => Err(TopicError::Form),
        }
    }
}

impl Topic {
    /// Parses a topic frame.
    pub fn from_frame(frame: &[u8]) -> Result<Self, TopicError> {
        std::str::from_utf8(frame).map_err(|_| TopicError::Form)?.parse()
    }
}

/// A runner's own topic, `r/<16 hex of the blake3 of the operator's certificate>-<32 random hex>/`.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct ReplyTopic(Arc<str>);

impl ReplyTopic {
    /// Makes the topic of a new session from the operator's certificate (DER) and 16 random bytes.
    pub fn new(certificate: &[u8], random: &[u8; 16]) -> Self {
        let mut text = Self::prefix(certificate);
        for byte in random {
            text.push_str(&format!("{byte:02x}"));
        }
        text.push('/');
        Self(text.into())
    }

    /// The part of the topic that is bound to the operator's certificate: `r/<16 hex>-`.
    pub fn prefix(certificate: &[u8]) -> String {
        let hash = blake3::hash(certificate).to_hex();
        format!("r/{}-", hash.as_str().get(..16).unwrap_or_default())
    }

    /// The topic as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ReplyTopic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for ReplyTopic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for ReplyTopic {
    type Err = TopicError;

    fn from_str(text: &str) -> Result<Self, TopicError> {
        let is_hex = |part: &str| part.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
        let inner =
            text.strip_prefix("r/").and_then(|rest| rest.strip_suffix('/')).ok_or(TopicError::Form)?;
        match inner.split_once('-') {
            Some((cert, random))
                if cert.len() == 16 && random.len() == 32 && is_hex(cert) && is_hex(random) =>
            {
                Ok(Self(text.into()))
            }
            _ => Err(TopicError::Form),
        }
    }
}

impl Serialize for ReplyTopic {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for ReplyTopic {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        text::read(deserializer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn topics_print_and_parse_alike() {
        let reply = ReplyTopic::new(b"certificate", &[7; 16]).to_string();
        for text in ["c/main/", "n/web1.example.com/", "p/web1/", "b/", &reply] {
            assert_eq!(text.parse::<Topic>().unwrap().to_string(), text);
        }
        assert!(reply.starts_with(&ReplyTopic::prefix(b"certificate")));
    }

    #[test]
    fn nothing_else_is_a_topic() {
        for text in [
            "",
            "c",
            "c/",
            "c//",
            "c/main",
            "n/../",
            "n/a/b/",
            "x/a/",
            "b",
            "b//",
            "r/abc/",
            "r/0123456789abcdef-/",
            "n/a b/",
        ] {
            assert!(text.parse::<Topic>().is_err(), "{text:?}");
        }
        assert!(Topic::from_frame(&[b'n', b'/', 0xff, b'/']).is_err());
    }
}
