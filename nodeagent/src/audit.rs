//! The node's audit on disk: lines are chained in `wire::audit`, and here put into files that rotate.
//!
//! The decision on a write is on disk before anything is done. Lines about reads wait a moment for each other. What cannot
//! be written is taken back from the chain, so that the chain always says what the files hold. A part of the disk is kept
//! for outcomes: when it is full nothing new begins, and what has begun can still be told.

mod reserve;
mod tail;
#[cfg(test)]
mod tests;

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use orch_wire::audit::{Chain, Decision, Entry, Head, Outcome};
use orch_wire::ids::NodeName;
use orch_wire::time::Timestamp;

use self::reserve::Reserve;
use crate::files::{self, FileError};
use crate::problem::Problem;

/// A file of this length is the last but one.
const ROTATE_BYTES: u64 = 64 * 1024 * 1024;
/// Lines that wait for each other take no more than this.
const WAITING_BYTES: usize = 32 * 1024;

/// Room for lines up to this is kept for the next ones.
const KEPT_ROOM: usize = 2 * 1024;

/// How a node keeps its audit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AuditSettings {
    /// Refuse reads too when their decision cannot be written.
    pub strict: bool,
    /// Bytes of the disk that are kept for outcomes.
    pub reserve: u64,
}

impl Default for AuditSettings {
    fn default() -> Self {
        Self { strict: false, reserve: 1024 * 1024 }
    }
}

/// A decision that may not be on disk yet.
#[must_use = "a write may begin only when the decision on it is on disk"]
#[derive(Debug)]
pub(crate) struct Unsynced {
    path: PathBuf,
    file: Arc<File>,
}

impl Unsynced {
    /// Waits until it is on disk.
    pub(crate) fn sync(self) -> Result<(), FileError> {
        self.file.sync_data().map_err(FileError::io("write", &self.path))
    }
}

/// The open audit.
#[derive(Debug)]
pub(crate) struct Audit {
    folder: PathBuf,
    node: NodeName,
    settings: AuditSettings,
    number: u64,
    path: PathBuf,
    file: Arc<File>,
    /// Length of the file, as far as its lines are whole.
    length: u64,
    /// The chain up to the last line in the file.
    written: Chain,
    /// The chain with the lines that wait.
    chain: Chain,
    waiting: Vec<u8>,
    /// How many lines wait.
    lines: u64,
    lost: u64,
    reserve: Reserve,
}

impl Audit {
    /// Opens the audit in a folder, which is made where it is missing, and goes on with its chain.
    pub(crate) fn open(
        folder: &Path,
        node: &NodeName,
        settings: AuditSettings,
        now: Timestamp,
    ) -> Result<(Self, Vec<Problem>), FileError> {
        files::create_private_folder(folder)?;
        let (found, problems) = tail::find(folder)?;
        let path = file_path(folder, found.number);
        let (file, length) = append_to(&path)?;
        let mut audit = Self {
            folder: folder.to_owned(),
            node: node.clone(),
            settings,
            number: found.number,
            path,
            file: Arc::new(file),
            length,
            written: found.chain,
            chain: found.chain,
            waiting: Vec::new(),
            lines: 0,
            lost: 0,
            reserve: Reserve::new(folder.join("reserve"), settings.reserve),
        };
        if found.is_unended {
            audit.waiting.push(b'\n');
        }
        if let Some((bytes, torn)) = found.torn {
            audit.wait(Entry::Recovered { bytes, torn }, now)?;
        }
        if length == 0 {
            audit.wait(audit.opened(), now)?;
        }
        // A full disk must not keep a node from its reads.
        let written = audit.flush().and_then(|()| audit.reserve.fill());
        let problems = problems.into_iter().chain(written.err().map(Problem::from)).collect();
        Ok((audit, problems))
    }

    /// The last line in the files.
    pub(crate) fn head(&self) -> Option<Head> {
        self.written.head()
    }

    /// Whether a read may not begin without its line.
    pub(crate) fn is_strict(&self) -> bool {
        self.settings.strict
    }

    /// Whether reads are refused from now on when their line cannot be written.
    pub(crate) fn set_strict(&mut self, strict: bool) {
        self.settings.strict = strict;
    }

    /// Lines that could not be written.
    pub(crate) fn lost(&self) -> u64 {
        self.lost
    }

    /// The decision on what will change nothing. Waits for others; where the settings are strict it does not.
    pub(crate) fn note(&mut self, decision: Decision, now: Timestamp) -> Result<(), FileError> {
        self.wait(Entry::Decision(Box::new(decision)), now)?;
        if self.settings.strict { self.flush() } else { Ok(()) }
    }

    /// The decision on a write. It may begin once what this gives has been synced; waiting for that is not done here, so that
    /// others can be recorded meanwhile.
    pub(crate) fn decide(&mut self, decision: Decision, now: Timestamp) -> Result<Unsynced, FileError> {
        // What is kept for outcomes must be whole, or there may be no room for this one's.
        self.reserve.fill()?;
        self.wait(Entry::Decision(Box::new(decision)), now)?;
        self.flush()?;
        Ok(Unsynced { path: self.path.clone(), file: Arc::clone(&self.file) })
    }

    /// How a request ended. That of a write goes to the file at once, into the room that was kept if there is no other.
    pub(crate) fn outcome(
        &mut self,
        outcome: Outcome,
        is_write: bool,
        now: Timestamp,
    ) -> Result<(), FileError> {
        if !is_write {
            return self.wait(Entry::Outcome(outcome), now);
        }
        // Those before it first, so that they are not lost with it, nor it with them.
        let _ = self.flush();
        loop {
            self.wait(Entry::Outcome(outcome.clone()), now)?;
            match self.flush() {
                Err(_) if self.reserve.give() => self.lost -= 1,
                done => return done,
            }
        }
    }

    /// Whether lines wait.
    pub(crate) fn is_waiting(&self) -> bool {
        self.lines > 0
    }

    /// Writes the lines that wait. Those that cannot be written are lost and counted, and the chain goes on without them.
    pub(crate) fn flush(&mut self) -> Result<(), FileError> {
        if self.waiting.is_empty() {
            return Ok(());
        }
        let mut waiting = std::mem::take(&mut self.waiting);
        let lines = std::mem::take(&mut self.lines);
        let written = (&*self.file).write_all(&waiting);
        let length = waiting.len() as u64;
        if waiting.capacity() <= KEPT_ROOM {
            waiting.clear();
            self.waiting = waiting;
        }
        match written {
            Ok(()) => {
                self.length += length;
                self.written = self.chain;
                self.rotate();
                Ok(())
            }
            Err(error) => {
                // A part of them may be there.
                let _ = self.file.set_len(self.length);
                self.chain = self.written;
                self.lost += lines;
                Err(FileError::io("write", &self.path)(error))
            }
        }
    }

    fn opened(&self) -> Entry {
        Entry::Opened { node: self.node.clone(), version: env!("CARGO_PKG_VERSION").to_owned() }
    }

    fn wait(&mut self, entry: Entry, now: Timestamp) -> Result<(), FileError> {
        let appended = self.chain.append(&mut self.waiting, entry, now).map_err(std::io::Error::other);
        appended.map_err(FileError::io("write", &self.path))?;
        self.waiting.push(b'\n');
        self.lines += 1;
        if self.waiting.len() > WAITING_BYTES { self.flush() } else { Ok(()) }
    }

    /// Goes on in the next file where this one is long enough. Where that cannot be, this one becomes longer.
    fn rotate(&mut self) {
        if self.length < ROTATE_BYTES {
            return;
        }
        let path = file_path(&self.folder, self.number + 1);
        match append_to(&path) {
            Ok((file, length)) => {
                (self.file, self.path, self.length) = (Arc::new(file), path, length);
                self.number += 1;
                let opened = self.opened();
                if let Err(error) = self.wait(opened, orch_link::entropy::now()) {
                    tracing::error!(error = error.full(), "the audit cannot be continued");
                }
            }
            Err(error) => tracing::error!(error = error.full(), "the audit cannot go on in another file"),
        }
    }
}

fn file_path(folder: &Path, number: u64) -> PathBuf {
    folder.join(format!("{number:06}.jsonl"))
}

fn append_to(path: &Path) -> Result<(File, u64), FileError> {
    let opened = OpenOptions::new().create(true).append(true).mode(0o600).open(path);
    let file = opened.map_err(FileError::io("open", path))?;
    let length = file.metadata().map_err(FileError::io("inspect", path))?.len();
    Ok((file, length))
}
