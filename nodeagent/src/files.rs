//! The one way to read files here: bounded, regular files only, and errors that name the operation and the path.

mod lock;

use std::fs::{self, File, OpenOptions};
use std::io::Read;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

pub(crate) use self::lock::LockedFile;

/// A file that could not be used: what was tried, on which path, and why not.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// The system refused.
    #[error("cannot {action} `{}`", .path.display())]
    Io {
        /// What was tried, such as `read`.
        action: &'static str,
        /// On which path.
        path: PathBuf,
        /// Why it failed.
        source: std::io::Error,
    },
    /// It breaks a rule of this program.
    #[error("`{}` {why}", .path.display())]
    Refused {
        /// Which path.
        path: PathBuf,
        /// The rule, as the end of a sentence.
        why: String,
    },
}

impl FileError {
    /// Wraps an error of the system; for `map_err`.
    pub(crate) fn io(action: &'static str, path: &Path) -> impl FnOnce(std::io::Error) -> Self + use<> {
        let path = path.to_owned();
        move |source| Self::Io { action, path, source }
    }

    pub(crate) fn refused(path: &Path, why: impl Into<String>) -> Self {
        Self::Refused { path: path.to_owned(), why: why.into() }
    }

    /// Whether the file is simply not there.
    pub(crate) fn is_absent(&self) -> bool {
        matches!(self, Self::Io { source, .. } if source.kind() == std::io::ErrorKind::NotFound)
    }

    /// The error with its cause, on one line.
    pub(crate) fn full(&self) -> String {
        match self {
            Self::Io { source, .. } => format!("{self}: {source}"),
            Self::Refused { .. } => self.to_string(),
        }
    }
}

/// Opens a regular file to read; a pipe in its place neither blocks nor passes.
pub(crate) fn open(path: &Path) -> Result<(File, fs::Metadata), FileError> {
    let flags = i32::try_from(rustix::fs::OFlags::NONBLOCK.bits()).unwrap_or_default();
    let file =
        OpenOptions::new().read(true).custom_flags(flags).open(path).map_err(FileError::io("open", path))?;
    let metadata = file.metadata().map_err(FileError::io("inspect", path))?;
    if !metadata.is_file() {
        return Err(FileError::refused(path, "is not a regular file"));
    }
    Ok((file, metadata))
}

/// Reads a regular file of at most `limit` bytes.
pub(crate) fn read(path: &Path, limit: usize) -> Result<Vec<u8>, FileError> {
    let (file, _) = open(path)?;
    read_from(&file, path, limit)
}

/// Reads an open file of at most `limit` bytes; `/proc` files, whose length is said to be 0, too.
pub(crate) fn read_from(file: &File, path: &Path, limit: usize) -> Result<Vec<u8>, FileError> {
    let mut bytes = Vec::new();
    let most = u64::try_from(limit).unwrap_or(u64::MAX).saturating_add(1);
    file.take(most).read_to_end(&mut bytes).map_err(FileError::io("read", path))?;
    if bytes.len() > limit {
        return Err(FileError::refused(path, format!("is larger than {limit} bytes")));
    }
    Ok(bytes)
}

/// Reads a regular UTF-8 file of at most `limit` bytes.
pub(crate) fn read_text(path: &Path, limit: usize) -> Result<String, FileError> {
    String::from_utf8(read(path, limit)?).map_err(|_| FileError::refused(path, "is not UTF-8 text"))
}

/// Refuses what someone other than root and this user could have changed: code and schemas are run and believed.
pub(crate) fn refuse_if_others_write(path: &Path, metadata: &fs::Metadata) -> Result<(), FileError> {
    if metadata.mode() & 0o022 != 0 {
        return Err(FileError::refused(path, "can be written by others (its mode must not have 022)"));
    }
    let owner = metadata.uid();
    if owner != 0 && owner != rustix::process::geteuid().as_raw() {
        return Err(FileError::refused(path, "belongs to another user"));
    }
    Ok(())
}

/// Whether a program may be run: a regular file, executable, and nobody else's, nor in a folder where somebody else could put another
/// in its place.
pub(crate) fn check_executable(path: &Path) -> Result<(), FileError> {
    let metadata = fs::metadata(path).map_err(FileError::io("run", path))?;
    let folder = path.parent().unwrap_or(Path::new("/"));
    refuse_if_others_write(folder, &fs::metadata(folder).map_err(FileError::io("inspect", folder))?)?;
    if !metadata.is_file() {
        return Err(FileError::refused(path, "is not a regular file"));
    }
    refuse_if_others_write(path, &metadata)?;
    if metadata.mode() & 0o111 == 0 {
        return Err(FileError::refused(path, "is not executable"));
    }
    Ok(())
}

/// Refuses a secret that others can read.
pub(crate) fn refuse_if_others_read(path: &Path, metadata: &fs::Metadata) -> Result<(), FileError> {
    if metadata.mode() & 0o077 != 0 {
        return Err(FileError::refused(path, "holds a secret and must have mode 0600"));
    }
    Ok(())
}

/// Names in a folder, sorted, at most `limit` of them; none where the folder is not there.
pub(crate) fn list(folder: &Path, limit: usize) -> Result<Vec<PathBuf>, FileError> {
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(FileError::io("list", folder)(error)),
    };
    let mut paths = Vec::new();
    for entry in entries {
        if paths.len() >= limit {
            return Err(FileError::refused(folder, format!("holds more than {limit} files")));
        }
        paths.push(entry.map_err(FileError::io("list", folder))?.path());
    }
    paths.sort();
    Ok(paths)
}

/// Creates a folder, and its parents, that only this user can enter.
pub(crate) fn create_private_folder(path: &Path) -> Result<(), FileError> {
    use std::os::unix::fs::DirBuilderExt;
    fs::DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(FileError::io("create", path))
}
