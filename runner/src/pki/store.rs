//! How files of the public key infrastructure reach the disk: keys for their owner only, and never over an old one.

use std::fs::{DirBuilder, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use super::authority::PkiError;

/// Longest file that is read here.
const FILE_BYTES: u64 = 1024 * 1024;

/// Why the folder of a fleet could not be made, read or added to.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The system refused.
    #[error("cannot {action} {}", .path.display())]
    Io {
        /// What was tried, such as `write`.
        action: &'static str,
        /// On which path.
        path: PathBuf,
        /// Why it failed.
        source: io::Error,
    },
    /// Something is there already, and what is there may be in use.
    #[error("{} is there already, and nothing of it was changed", .0.display())]
    Exists(PathBuf),
    /// The folder is none that `orch pki init` made.
    #[error("{} is no folder of a fleet: there is no {missing} in it", .dir.display())]
    NotAFleet {
        /// The folder.
        dir: PathBuf,
        /// What it lacks.
        missing: &'static str,
    },
    /// A file that cannot be understood.
    #[error("{}: {what}", .path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        what: String,
    },
    /// No certificate could be made.
    #[error(transparent)]
    Pki(#[from] PkiError),
}

impl StoreError {
    pub(super) fn io(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| match source.kind() {
            io::ErrorKind::AlreadyExists => Self::Exists(path),
            _ => Self::Io { action, path, source },
        }
    }

    /// What the reader can do about it.
    pub fn help(&self) -> Option<&'static str> {
        match self {
            Self::Exists(_) => Some("choose another folder or name, or move the old one away first"),
            Self::NotAFleet { .. } => Some("make one with `orch pki init DIR --broker HOST`"),
            _ => None,
        }
    }
}

/// Who may read a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Readers {
    Everybody,
    Owner,
}

/// A file to be written.
pub(super) struct Entry<'a> {
    pub(super) name: &'static str,
    pub(super) text: &'a str,
    pub(super) readers: Readers,
}

pub(super) fn public<'a>(name: &'static str, text: &'a str) -> Entry<'a> {
    Entry { name, text, readers: Readers::Everybody }
}

pub(super) fn secret<'a>(name: &'static str, text: &'a str) -> Entry<'a> {
    Entry { name, text, readers: Readers::Owner }
}

/// Makes a folder, and those above it, that only this user may enter.
pub(super) fn private_folder(path: &Path) -> Result<(), StoreError> {
    DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(StoreError::io("make", path))
}

/// Makes a folder that only this user may enter, or finds that it can be written to.
pub fn prepare_folder(path: &Path) -> Result<(), StoreError> {
    private_folder(path)?;
    tempfile::tempfile_in(path).map(drop).map_err(StoreError::io("write to", path))
}

/// Writes files into a folder; refuses before the first one if any of them is there.
pub(super) fn write_new(folder: &Path, entries: &[Entry<'_>]) -> Result<(), StoreError> {
    for entry in entries {
        let path = folder.join(entry.name);
        if path.symlink_metadata().is_ok() {
            return Err(StoreError::Exists(path));
        }
    }
    private_folder(folder)?;
    for entry in entries {
        let path = folder.join(entry.name);
        write(&path, entry, true)?;
    }
    Ok(())
}

/// Writes files over whatever is there under their names, each as a whole.
pub(super) fn replace(folder: &Path, entries: &[Entry<'_>]) -> Result<(), StoreError> {
    private_folder(folder)?;
    for entry in entries {
        let path = folder.join(entry.name);
        let fresh = folder.join(format!(".{}.new", entry.name));
        let _ = std::fs::remove_file(&fresh);
        write(&fresh, entry, true)?;
        std::fs::rename(&fresh, &path).map_err(StoreError::io("replace", &path))?;
    }
    Ok(())
}

/// Makes a folder with these files that is either there as a whole or not at all.
pub(super) fn new_folder(folder: &Path, entries: &[Entry<'_>]) -> Result<(), StoreError> {
    let taken = || StoreError::Exists(folder.to_owned());
    let (Some(above), Some(name)) = (folder.parent(), folder.file_name()) else { return Err(taken()) };
    if folder.symlink_metadata().is_ok() {
        return Err(taken());
    }
    private_folder(above)?;
    let tag = u32::from_le_bytes(orch_link::entropy::random());
    let unfinished = above.join(format!(".{}-{tag:08x}", name.to_string_lossy()));
    let made = write_new(&unfinished, entries).and_then(|()| {
        // Never over another folder: rename replaces only an empty one, which holds no key.
        std::fs::rename(&unfinished, folder).map_err(|source| match source.raw_os_error() {
            _ if folder.exists() => taken(),
            _ => StoreError::Io { action: "make", path: folder.to_owned(), source },
        })
    });
    if made.is_err() {
        let _ = std::fs::remove_dir_all(&unfinished);
    }
    made
}

fn write(path: &Path, entry: &Entry<'_>, new: bool) -> Result<(), StoreError> {
    let mode = match entry.readers {
        Readers::Everybody => 0o644,
        Readers::Owner => 0o600,
    };
    let writing = || {
        let mut file = OpenOptions::new().write(true).create_new(new).mode(mode).open(path)?;
        // The umask may have taken too much from a public file; of a secret it cannot leave too much.
        file.set_permissions(std::fs::Permissions::from_mode(mode))?;
        file.write_all(entry.text.as_bytes())?;
        file.sync_all()
    };
    writing().map_err(StoreError::io("write", path))
}

/// Reads a file of the fleet's folder.
pub(super) fn read(path: &Path) -> Result<String, StoreError> {
    let reading = || {
        let length = std::fs::metadata(path)?.len();
        if length > FILE_BYTES {
            return Err(io::Error::other(format!("{length} bytes are too many")));
        }
        std::fs::read_to_string(path)
    };
    reading().map_err(StoreError::io("read", path))
}
