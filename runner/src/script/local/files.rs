//! Reading and writing the files of a project.

use std::fs::File;
use std::io::{self, Read as _, Write as _};
use std::os::fd::{AsFd as _, BorrowedFd};
use std::sync::atomic::{AtomicU64, Ordering};

use rustix::fs::{AtFlags, FileType, Mode, OFlags};

use super::surroundings::{Local, Located, unreadable, unwritable};
use crate::script::types::{Failure, Kind, Outcome};

/// Longest file that a script reads or writes.
const FILE_BYTES: u64 = 8 * 1024 * 1024;

/// Reads a text that a path of the script means, with the place where it lies.
pub(crate) fn read_text(local: &Local, path: &str) -> Outcome<(String, std::path::PathBuf)> {
    let located = local.to_read(path)?;
    let place = located.root.place(&located.spot);
    let bytes = bytes(&located).map_err(|error| unreadable(path, &error))?;
    let text = String::from_utf8(bytes)
        .map_err(|_| Failure::new(Kind::Data, format!("`{path}` is no text: it is not written in UTF-8")))?;
    Ok((text, place))
}

fn bytes(located: &Located) -> io::Result<Vec<u8>> {
    let Some(name) = &located.spot.name else { return Err(io::Error::other("it is a folder")) };
    match located.spot.kind {
        None => return Err(io::ErrorKind::NotFound.into()),
        Some(FileType::RegularFile) => {}
        Some(FileType::Directory) => return Err(io::Error::other("it is a folder")),
        Some(_) => return Err(io::Error::other("it is no plain file")),
    }
    // Without waiting: what was a file may have become a pipe.
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let file =
        File::from(rustix::fs::openat(located.root.folder(&located.spot), name, flags, Mode::empty())?);
    let metadata = file.metadata()?;
    if !metadata.is_file() {
        return Err(io::Error::other("it is no plain file"));
    }
    let mut bytes = Vec::new();
    file.take(FILE_BYTES + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > FILE_BYTES {
        return Err(io::Error::other(format!("it has more than {} MiB", FILE_BYTES >> 20)));
    }
    Ok(bytes)
}

/// Writes a text, whole or not at all: readers see the old one or the new one. Nobody else can read what is `private`.
pub(crate) fn write_text(local: &Local, path: &str, text: &str, private: bool) -> Outcome<()> {
    let located = local.to_write(path)?;
    if text.len() as u64 > FILE_BYTES {
        let long = io::Error::other(format!("the text has more than {} MiB", FILE_BYTES >> 20));
        return Err(unwritable(path, &long).into());
    }
    replace(&located, text, private).map_err(|error| unwritable(path, &error).into())
}

/// Whether a path of the script may be written.
pub(crate) fn may_write(local: &Local, path: &str) -> Outcome<()> {
    local.to_write(path).map(drop)
}

fn replace(located: &Located, text: &str, private: bool) -> io::Result<()> {
    let folder = located.root.folder(&located.spot);
    let Some(name) = &located.spot.name else { return Err(io::Error::other("it is a folder")) };
    let before = rustix::fs::statat(folder, name, AtFlags::SYMLINK_NOFOLLOW).ok();
    let (temporary, mut file) = beside(folder, private)?;
    let mut write = || -> io::Result<()> {
        if let Some(before) = before.filter(|_| !private) {
            rustix::fs::fchmod(file.as_fd(), Mode::from_raw_mode(before.st_mode & 0o777))?;
        }
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        Ok(rustix::fs::renameat(folder, &temporary, folder, name)?)
    };
    let written = write();
    if written.is_err() {
        // It is of no use to anybody, and the error is told.
        let _ = rustix::fs::unlinkat(folder, &temporary, AtFlags::empty());
    }
    written
}

/// A new file in a folder, under a name that nobody has.
fn beside(folder: BorrowedFd<'_>, private: bool) -> io::Result<(String, File)> {
    static NUMBER: AtomicU64 = AtomicU64::new(0);
    let mode = if private { 0o600 } else { 0o666 };
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    loop {
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let name = format!(".orch-{}-{number}.tmp", rustix::process::getpid().as_raw_nonzero());
        match rustix::fs::openat(folder, &name, flags, Mode::from_raw_mode(mode)) {
            Ok(file) => return Ok((name, file.into())),
            Err(rustix::io::Errno::EXIST) => {}
            Err(error) => return Err(error.into()),
        }
    }
}
