//! The roster on disk: one file, replaced whole.

use std::fs::{DirBuilder, File};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use orch_wire::codec;
use rustix::fs::{FlockOperation, flock};
use serde::{Deserialize, Serialize};

use crate::roster::Remembered;

/// Version of the file's format.
const FORMAT: u8 = 1;
/// Longest file that is read: tens of thousands of nodes.
const FILE_BYTES: usize = 64 * 1024 * 1024;

#[derive(Serialize, Deserialize)]
struct Contents {
    format: u8,
    nodes: Vec<Remembered>,
}

/// The state folder of one broker, held while this lives.
#[derive(Debug)]
pub(crate) struct RosterStore {
    path: PathBuf,
    fresh: PathBuf,
    _lock: File,
}

/// Why the state folder cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StoreError {
    #[error("another broker uses it")]
    InUse,
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// What was found at start.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Loaded {
    /// No file: the first start.
    Nothing,
    /// What was remembered.
    Nodes(Vec<Remembered>),
    /// A file that cannot be read, and why. It is kept aside as `roster.unreadable`.
    Unreadable(String),
}

impl RosterStore {
    /// Makes the folder where it is missing, and locks it against a second broker.
    pub(crate) fn open(folder: &Path) -> Result<Self, StoreError> {
        DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
        let lock =
            File::options().create(true).truncate(false).write(true).mode(0o600).open(folder.join("lock"))?;
        match flock(&lock, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => Ok(Self { path: folder.join("roster"), fresh: folder.join("roster.new"), _lock: lock }),
            Err(rustix::io::Errno::WOULDBLOCK) => Err(StoreError::InUse),
            Err(error) => Err(io::Error::from(error).into()),
        }
    }

    /// Reads the file. One that is damaged costs only itself: it is put aside and the broker starts without it.
    pub(crate) fn load(&self) -> Loaded {
        let mut bytes = Vec::new();
        let read =
            File::open(&self.path).and_then(|file| file.take(FILE_BYTES as u64 + 1).read_to_end(&mut bytes));
        let problem = match read {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Loaded::Nothing,
            Err(error) => error.to_string(),
            Ok(_) => match codec::decode::<Contents>(&bytes, FILE_BYTES) {
                Ok(Contents { format: FORMAT, nodes }) => return Loaded::Nodes(nodes),
                Ok(Contents { format, .. }) => format!("format {format}, this is {FORMAT}"),
                Err(error) => error.to_string(),
            },
        };
        let aside = self.path.with_extension("unreadable");
        let kept = match std::fs::rename(&self.path, &aside) {
            Ok(()) => format!("kept as {}", aside.display()),
            Err(error) => format!("and cannot be put aside: {error}"),
        };
        Loaded::Unreadable(format!("{}: {problem}; {kept}", self.path.display()))
    }

    /// Where the file is.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Replaces the file, so that a reader sees the old one or the new one, whole.
    pub(crate) fn save(&self, nodes: Vec<Remembered>) -> io::Result<()> {
        let bytes = codec::encode(&Contents { format: FORMAT, nodes }).map_err(io::Error::other)?;
        let mut file =
            File::options().create(true).truncate(true).write(true).mode(0o600).open(&self.fresh)?;
        file.write_all(&bytes)?;
        file.sync_data()?;
        std::fs::rename(&self.fresh, &self.path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use orch_wire::control::{Presence, SealedCard};
    use orch_wire::ids::NodeName;
    use orch_wire::time::Timestamp;

    fn nodes() -> Vec<Remembered> {
        let frame = |text: &'static str| text.as_bytes().into();
        vec![
            Remembered {
                node: NodeName::new("web1").unwrap(),
                presence: Presence::Here,
                since: Timestamp::from_millis(7),
                card: Some(SealedCard {
                    topic: frame("p/web1/"),
                    header: frame("header"),
                    body: frame("body"),
                    seal: frame("seal"),
                }),
                issued_at: Some(Timestamp::from_millis(6)),
            },
            Remembered {
                node: NodeName::new("web2").unwrap(),
                presence: Presence::Left,
                since: Timestamp::from_millis(8),
                card: None,
                issued_at: None,
            },
        ]
    }

    #[test]
    fn what_is_saved_is_loaded() {
        let folder = tempfile::tempdir().unwrap();
        let store = RosterStore::open(&folder.path().join("a/b")).unwrap();
        assert_eq!(store.load(), Loaded::Nothing);
        store.save(nodes()).unwrap();
        assert_eq!(store.load(), Loaded::Nodes(nodes()));
        store.save(vec![]).unwrap();
        assert_eq!(store.load(), Loaded::Nodes(vec![]));
    }

    #[test]
    fn a_damaged_file_costs_only_itself() {
        let folder = tempfile::tempdir().unwrap();
        let store = RosterStore::open(folder.path()).unwrap();
        store.save(nodes()).unwrap();
        let path = folder.path().join("roster");
        let whole = std::fs::read(&path).unwrap();
        for cut in 0..whole.len() {
            std::fs::write(&path, &whole[..cut]).unwrap();
            assert!(matches!(store.load(), Loaded::Unreadable(_)), "cut at {cut}");
            assert_eq!(store.load(), Loaded::Nothing);
        }
        assert!(folder.path().join("roster.unreadable").exists());
        store.save(nodes()).unwrap();
        assert_eq!(store.load(), Loaded::Nodes(nodes()));
    }

    #[test]
    fn a_folder_serves_one_broker() {
        let folder = tempfile::tempdir().unwrap();
        let first = RosterStore::open(folder.path()).unwrap();
        assert!(matches!(RosterStore::open(folder.path()), Err(StoreError::InUse)));
        drop(first);
        RosterStore::open(folder.path()).unwrap();
    }
}
