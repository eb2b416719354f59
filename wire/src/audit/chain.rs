//! The chain as its writer makes it.

use serde::{Deserialize, Serialize};

use super::line::{Entry, Line};
use crate::ids::Digest;
use crate::time::Timestamp;

/// Bytes of room that a usual line takes.
const ROOM: usize = 768;

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

    /// Writes the next line behind what is there, without its line break.
    pub fn append(
        &mut self,
        lines: &mut Vec<u8>,
        entry: Entry,
        now: Timestamp,
    ) -> Result<(), serde_json::Error> {
        let line = Line {
            position: self.0.map_or(0, |head| head.position + 1),
            before: before(self.0),
            millis: now,
            at: now.to_string(),
            entry,
        };
        let start = lines.len();
        lines.reserve(ROOM);
        if let Err(error) = serde_json::to_writer(&mut *lines, &line) {
            lines.truncate(start);
            return Err(error);
        }
        let hash = Digest::of(lines.get(start..).unwrap_or_default());
        self.0 = Some(Head { position: line.position, hash });
        Ok(())
    }
}

/// What a line says of the one before.
pub(super) fn before(head: Option<Head>) -> Digest {
    head.map_or_else(|| Digest::of(b""), |head| head.hash)
}
