//! The paths that callers name, and what is there now.

use std::ffi::OsString;
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, CWD, FileType, Mode, OFlags, Stat, fsync, openat, statat, unlinkat};
use rustix::io::Errno;

use super::{Done, Errand, refused};
use crate::files::FileError;

/// A path that may be used: absolute, without `..`, so that it is what a policy or an audit says it is.
pub(super) fn path(errand: &Errand) -> Done<PathBuf> {
    let text = errand.text("path").unwrap_or_default();
    if !text.starts_with('/') {
        return Err(refused("`path` must be absolute"));
    }
    if text.contains('\0') || text.split('/').any(|part| part == "..") {
        return Err(refused("`path` must hold neither `..` nor a null character"));
    }
    Ok(PathBuf::from(text))
}

/// Where a file is or may come to be: a name in an open folder. Everything is done in that folder, whatever its path may come
/// to lead to meanwhile.
pub(super) struct Place {
    pub(super) path: PathBuf,
    folder: OwnedFd,
    pub(super) name: OsString,
}

impl Place {
    /// The place that the caller named.
    pub(super) fn of(errand: &Errand) -> Done<Self> {
        let path = path(errand)?;
        let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else {
            return Err(refused("`path` must name something in a folder"));
        };
        let flags = OFlags::DIRECTORY | OFlags::RDONLY | OFlags::CLOEXEC;
        let folder = openat(CWD, parent, flags, Mode::empty()).map_err(wrapped("open the folder", parent))?;
        Ok(Self { folder, name: name.to_owned(), path })
    }

    pub(super) fn folder(&self) -> impl AsFd {
        &self.folder
    }

    /// What is there now; a link is seen itself.
    pub(super) fn look(&self) -> Done<Option<Stat>> {
        match statat(&self.folder, &self.name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) => Ok(Some(stat)),
            Err(Errno::NOENT) => Ok(None),
            Err(error) => Err(self.fault("inspect")(error).into()),
        }
    }

    /// The regular file that is there now, if one is. A link or anything else is neither followed nor replaced.
    pub(super) fn file(&self) -> Done<Option<Stat>> {
        let Some(stat) = self.look()? else { return Ok(None) };
        match FileType::from_raw_mode(stat.st_mode) {
            FileType::RegularFile => Ok(Some(stat)),
            other => {
                let why = format!("is {}, not a regular file", described(other));
                Err(FileError::refused(&self.path, why).into())
            }
        }
    }

    /// Opens the regular file that is there.
    pub(super) fn open(&self) -> Done<File> {
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let file = openat(&self.folder, &self.name, flags, Mode::empty()).map_err(self.fault("open"))?;
        Ok(File::from(file))
    }

    /// Makes a new file in the same folder.
    pub(super) fn create(&self, name: &Path, mode: Mode) -> Done<File> {
        let flags = OFlags::CREATE | OFlags::EXCL | OFlags::WRONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let made = openat(&self.folder, name, flags, mode);
        Ok(File::from(made.map_err(self.fault("create a file beside"))?))
    }

    /// Removes another file of the same folder, if it is there.
    pub(super) fn discard(&self, name: &Path) {
        // It is gone, or whoever looks into the folder will see it by its name.
        let _ = unlinkat(&self.folder, name, AtFlags::empty());
    }

    /// Waits until the folder's names are on the disk.
    pub(super) fn sync(&self) -> Done<()> {
        Ok(fsync(&self.folder).map_err(self.fault("sync the folder of"))?)
    }

    /// Names what was tried; for `map_err`.
    pub(super) fn fault<E: Into<io::Error>>(
        &self,
        action: &'static str,
    ) -> impl FnOnce(E) -> FileError + use<E> {
        wrapped(action, &self.path)
    }
}

/// Names what was tried, and with which path; for `map_err`.
pub(super) fn wrapped<E: Into<io::Error>>(
    action: &'static str,
    path: &Path,
) -> impl FnOnce(E) -> FileError + use<E> {
    let wrap = FileError::io(action, path);
    move |error| wrap(error.into())
}

/// A kind of file as it is answered.
pub(super) fn word(kind: FileType) -> &'static str {
    match kind {
        FileType::RegularFile => "file",
        FileType::Directory => "directory",
        FileType::Symlink => "link",
        FileType::Fifo => "fifo",
        FileType::Socket => "socket",
        FileType::CharacterDevice => "character_device",
        FileType::BlockDevice => "block_device",
        FileType::Unknown => "unknown",
    }
}

/// A kind of file in a sentence.
fn described(kind: FileType) -> &'static str {
    match kind {
        FileType::RegularFile => "a regular file",
        FileType::Directory => "a folder",
        FileType::Symlink => "a symbolic link",
        FileType::Fifo => "a fifo",
        FileType::Socket => "a socket",
        FileType::CharacterDevice | FileType::BlockDevice => "a device",
        FileType::Unknown => "of an unknown kind",
    }
}
