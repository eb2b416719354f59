//! `state/started`: which writes began, on disk before they begin, so that a restart of the agent never runs one twice.
//!
//! One JSON line for each begin (with fdatasync) and one for each end (without: losing it only makes the agent less
//! sure of what happened). A torn last line is what a crash leaves, and is passed over.

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use orch_wire::body::Ending;
use orch_wire::ids::{CallId, MessageId};
use orch_wire::limits::STORED_RESULTS;
use orch_wire::time::Timestamp;
use serde::{Deserialize, Serialize};

use crate::files::{self, FileError};
use crate::problem::Problem;

/// Longest file that is read at start; it is compacted long before.
const FILE_BYTES: usize = 64 * 1024 * 1024;
/// The file is compacted when it has so many lines, and twice as many as were left by the last time.
const COMPACT_AFTER: usize = 2048;

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Line {
    Began { message: MessageId, call: CallId, expires: Timestamp },
    Ended { call: CallId, ending: Ending, code: Option<String> },
}

/// A write that began before the agent was restarted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Begun {
    /// The message that asked for it.
    pub message: MessageId,
    /// Until when that message could still be accepted.
    pub expires: Timestamp,
    /// How it ended, if it did; its outputs are gone.
    pub ending: Option<(Ending, Option<String>)>,
    /// Until when the call must be remembered.
    pub keep: Timestamp,
}

/// A record that may not be on disk yet.
#[must_use = "a write may begin only when its record is on disk"]
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

/// The open file, and what of it still counts.
#[derive(Debug)]
pub(crate) struct Started {
    path: PathBuf,
    file: Arc<File>,
    begun: BTreeMap<CallId, Begun>,
    lines: usize,
    /// Number of lines at which to compact.
    compact_at: usize,
}

impl Started {
    /// Opens the file in the state folder, creating it where it is missing. Lines that cannot be read are reported
    /// and passed over: refusing to start over them would take the node out of the fleet.
    pub(crate) fn open(folder: &Path, now: Timestamp) -> Result<(Self, Vec<Problem>), FileError> {
        let path = folder.join("started");
        let text = match files::read(&path, FILE_BYTES) {
            Ok(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
            Err(error) if error.is_absent() => String::new(),
            Err(error) => return Err(error),
        };
        let mut problems = Vec::new();
        let mut begun = BTreeMap::new();
        let lines: Vec<&str> = text.split_terminator('\n').collect();
        for (number, line) in lines.iter().enumerate() {
            let is_torn = number.saturating_add(1) == lines.len() && !text.ends_with('\n');
            match serde_json::from_str(line) {
                Ok(line) => apply(&mut begun, line, now),
                Err(_) if is_torn || line.is_empty() => {}
                Err(error) => {
                    problems.push(Problem::new(&path, format!("line {}: {error}", number.saturating_add(1))));
                }
            }
        }
        let file = write_all(&path, &begun)?;
        let lines = begun.len();
        let compact_at = lines.saturating_mul(2).max(COMPACT_AFTER);
        Ok((Self { path, file, begun, lines, compact_at }, problems))
    }

    /// Writes that began before, by call.
    pub(crate) fn begun(&self) -> impl Iterator<Item = (&CallId, &Begun)> {
        self.begun.iter()
    }

    /// Records that a write begins. The record is on disk once what this gives has been synced; waiting for that is not
    /// done here, so that others can be recorded meanwhile.
    pub(crate) fn begin(
        &mut self,
        message: MessageId,
        call: CallId,
        expires: Timestamp,
        now: Timestamp,
    ) -> Result<Unsynced, FileError> {
        let line = Line::Began { message, call, expires };
        self.append(&line)?;
        apply(&mut self.begun, line, now);
        Ok(Unsynced { path: self.path.clone(), file: Arc::clone(&self.file) })
    }

    /// Records how a write ended. Does not wait for the disk.
    pub(crate) fn end(
        &mut self,
        call: CallId,
        ending: Ending,
        code: Option<String>,
        now: Timestamp,
    ) -> Result<(), FileError> {
        if !self.begun.contains_key(&call) {
            return Ok(());
        }
        let line = Line::Ended { call, ending, code };
        self.append(&line)?;
        apply(&mut self.begun, line, now);
        Ok(())
    }

    /// Whether so many lines were written that it is time to see which of them still count.
    pub(crate) fn wants_compacting(&self) -> bool {
        self.lines >= self.compact_at
    }

    /// Makes the file small: forgets what need not be known any more. Waits for the disk.
    pub(crate) fn compact(&mut self, now: Timestamp) -> Result<(), FileError> {
        // What runs has no ending and stays, however long it takes.
        self.begun.retain(|_, begun| begun.ending.is_none() || begun.keep >= now);
        self.file = write_all(&self.path, &self.begun)?;
        self.lines = self.begun.len();
        // Where most lines still count, the next time is later, so that the work stays in proportion to the writes.
        self.compact_at = self.lines.saturating_mul(2).max(COMPACT_AFTER);
        Ok(())
    }

    fn append(&mut self, line: &Line) -> Result<(), FileError> {
        let mut bytes = encode(line);
        // After a write that failed half-way this ends the torn line, so that it costs only itself.
        bytes.insert(0, b'\n');
        self.lines = self.lines.saturating_add(1);
        (&*self.file).write_all(&bytes).map_err(FileError::io("write", &self.path))
    }
}

fn encode(line: &Line) -> Vec<u8> {
    // Ids, numbers and words always encode.
    let mut bytes = serde_json::to_vec(line).unwrap_or_default();
    bytes.push(b'\n');
    bytes
}

fn apply(begun: &mut BTreeMap<CallId, Begun>, line: Line, now: Timestamp) {
    match line {
        Line::Began { message, call, expires } => {
            let keep = expires.max(now).plus(STORED_RESULTS);
            begun.insert(call, Begun { message, expires, ending: None, keep });
        }
        Line::Ended { call, ending, code } => {
            if let Some(begun) = begun.get_mut(&call) {
                begun.ending = Some((ending, code));
                begun.keep = begun.expires.max(now).plus(STORED_RESULTS);
            }
        }
    }
}

/// Writes the file anew beside itself and puts it in place at once; gives it back open for appending.
fn write_all(path: &Path, begun: &BTreeMap<CallId, Begun>) -> Result<Arc<File>, FileError> {
    let mut bytes = Vec::new();
    for (call, entry) in begun {
        let Begun { message, expires, ending, .. } = entry;
        bytes.extend(encode(&Line::Began { message: *message, call: *call, expires: *expires }));
        if let Some((ending, code)) = ending {
            bytes.extend(encode(&Line::Ended { call: *call, ending: *ending, code: code.clone() }));
        }
    }
    let beside = path.with_extension("new");
    let mut file = OpenOptions::new()
        .create(true)
        .write(true)
        .truncate(true)
        .mode(0o600)
        .open(&beside)
        .map_err(FileError::io("create", &beside))?;
    file.write_all(&bytes).map_err(FileError::io("write", &beside))?;
    file.sync_all().map_err(FileError::io("write", &beside))?;
    fs::rename(&beside, path).map_err(FileError::io("replace", path))?;
    if let Some(folder) = path.parent() {
        File::open(folder).and_then(|folder| folder.sync_all()).map_err(FileError::io("sync", folder))?;
    }
    OpenOptions::new().append(true).open(path).map(Arc::new).map_err(FileError::io("open", path))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: u64) -> Timestamp {
        Timestamp::from_millis(millis)
    }

    fn message(n: u64) -> MessageId {
        MessageId::new(at(n), &[0; 10])
    }

    fn call(n: u64) -> CallId {
        CallId::new(at(n), &[0; 10])
    }

    fn calls(started: &Started) -> Vec<(CallId, Option<Ending>)> {
        started
            .begun()
            .map(|(call, begun)| (*call, begun.ending.as_ref().map(|(ending, _)| *ending)))
            .collect()
    }

    #[test]
    fn what_began_is_there_after_a_restart() {
        let folder = tempfile::tempdir().unwrap();
        let (mut started, _) = Started::open(folder.path(), at(0)).unwrap();
        started.begin(message(1), call(1), at(100), at(10)).unwrap().sync().unwrap();
        started.begin(message(2), call(2), at(100), at(10)).unwrap().sync().unwrap();
        started.end(call(2), Ending::Ok, None, at(20)).unwrap();
        // A write that was rejected before it was recorded has nothing to end.
        started.end(call(3), Ending::Rejected, None, at(20)).unwrap();
        drop(started);
        let (started, problems) = Started::open(folder.path(), at(50)).unwrap();
        assert!(problems.is_empty());
        assert_eq!(calls(&started), [(call(1), None), (call(2), Some(Ending::Ok))]);
    }

    #[test]
    fn a_torn_line_costs_only_itself() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("started");
        let (mut started, _) = Started::open(folder.path(), at(0)).unwrap();
        started.begin(message(1), call(1), at(100), at(10)).unwrap().sync().unwrap();
        drop(started);
        let whole = fs::read(&path).unwrap();
        for cut in 0..40 {
            let mut torn = whole.clone();
            torn.extend_from_slice(&whole[..whole.len() - 1 - cut]);
            fs::write(&path, &torn).unwrap();
            let (mut started, problems) = Started::open(folder.path(), at(20)).unwrap();
            assert!(problems.is_empty(), "{problems:?}");
            assert_eq!(calls(&started), [(call(1), None)]);
            started.begin(message(2), call(2), at(100), at(20)).unwrap().sync().unwrap();
            drop(started);
            let (started, _) = Started::open(folder.path(), at(20)).unwrap();
            assert_eq!(calls(&started).len(), 2);
        }
    }

    #[test]
    fn a_broken_line_in_the_middle_is_reported() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("started"), "nonsense\n{\"began\":1}\n").unwrap();
        let (_, problems) = Started::open(folder.path(), at(0)).unwrap();
        assert_eq!(problems.len(), 2);
    }

    #[test]
    fn the_file_stays_small_and_keeps_what_still_runs() {
        let folder = tempfile::tempdir().unwrap();
        let (mut started, _) = Started::open(folder.path(), at(0)).unwrap();
        started.begin(message(0), call(0), at(1), at(0)).unwrap().sync().unwrap();
        let long = u64::try_from(STORED_RESULTS.as_millis()).unwrap();
        for n in 1..=1200 {
            started.begin(message(n), call(n), at(n * long), at(n * long)).unwrap().sync().unwrap();
            started.end(call(n), Ending::Ok, None, at(n * long)).unwrap();
            if started.wants_compacting() {
                started.compact(at(n * long)).unwrap();
            }
        }
        let lines = fs::read_to_string(folder.path().join("started")).unwrap().lines().count();
        assert!(lines < 1000, "{lines}");
        assert!(calls(&started).contains(&(call(0), None)));
    }

    #[test]
    fn a_folder_that_cannot_be_written_is_an_error() {
        assert!(Started::open(Path::new("/proc/nowhere"), at(0)).is_err());
    }
}
