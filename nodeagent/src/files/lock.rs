//! A file that one action at a time uses.

use std::fs::File;
use std::ops::{Deref, DerefMut};
use std::path::Path;

use rustix::fs::{FlockOperation, flock};

use super::FileError;

/// An open file under an exclusive lock, until it is dropped.
#[derive(Debug)]
pub(crate) struct LockedFile(File);

impl LockedFile {
    /// Takes the lock; none where another one has it.
    pub(crate) fn try_new(file: File, path: &Path) -> Result<Option<Self>, FileError> {
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => Ok(Some(Self(file))),
            Err(rustix::io::Errno::WOULDBLOCK) => Ok(None),
            Err(error) => Err(FileError::io("lock", path)(error.into())),
        }
    }
}

impl Drop for LockedFile {
    /// Closing is not enough: a process that another thread is about to start has the file open too until it runs its program.
    fn drop(&mut self) {
        if let Err(error) = flock(&self.0, FlockOperation::Unlock) {
            tracing::warn!(%error, "a lock could not be given back before its file was closed");
        }
    }
}

impl Deref for LockedFile {
    type Target = File;

    fn deref(&self) -> &File {
        &self.0
    }
}

impl DerefMut for LockedFile {
    fn deref_mut(&mut self) -> &mut File {
        &mut self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_at_a_time_and_given_back_while_somebody_else_has_the_file_open() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("lock");
        let lock = || LockedFile::try_new(File::create(&path).unwrap(), &path).unwrap();
        let first = lock().unwrap();
        assert!(lock().is_none());
        // As a process has it between its fork and its program.
        let inherited = first.try_clone().unwrap();
        drop(first);
        assert!(lock().is_some());
        drop(inherited);
    }
}
