//! The chain as its writer makes it.

use serde::{Deserialize, Serialize};

use super::line::{Entry, Line};
use crate::ids::Digest;
use crate::time::Timestamp;

/// The last line of an audit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Head {
    /// Its number.
    pub position: u64,
    /// Its hash.
    pub hash: Digest,
}

/// Where an audit stands.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Chain(Option<Head>);

impl Chain {
    /// One that goes on behind a line.
    pub fn after(head: Head) -> Self {
        Self(Some(head))
    }

    /// The last line; none before the first.
    pub fn head(&self) -> Option<Head> {
        self.0
    }

    /// The text of the next line, without its line break.
    pub fn next(&mut self, entry: Entry, now: Timestamp) -> Result<String, serde_json::Error> {
        let line = Line {
            position: self.0.map_or(0, |head| head.position + 1),
            before: before(self.0),
            millis: now,
            at: now.to_string(),
            entry,
        };
        let text = serde_json::to_string(&line)?;
        self.0 = Some(Head { position: line.position, hash: Digest::of(text.as_bytes()) });
        Ok(text)
    }
}

/// What a line says of the one before.
pub(super) fn before(head: Option<Head>) -> Digest {
    head.map_or_else(|| Digest::of(b""), |head| head.hash)
}
