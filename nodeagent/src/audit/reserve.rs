//! Room on the disk that is kept for outcomes: a file of that length, which is given back piece by piece.

use std::fs::{File, OpenOptions};
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;

use rustix::fs::{FallocateFlags, fallocate};

use crate::files::FileError;

/// What is given at once: more than the longest line.
const PIECE: u64 = 128 * 1024;

/// The room.
#[derive(Debug)]
pub(super) struct Reserve {
    path: PathBuf,
    size: u64,
    /// What of it is there.
    held: u64,
}

impl Reserve {
    pub(super) fn new(path: PathBuf, size: u64) -> Self {
        Self { path, size, held: 0 }
    }

    /// Makes it whole.
    pub(super) fn fill(&mut self) -> Result<(), FileError> {
        if self.held >= self.size {
            return Ok(());
        }
        let file = self.open().map_err(FileError::io("create", &self.path))?;
        fallocate(&file, FallocateFlags::empty(), 0, self.size)
            .map_err(|error| FileError::io("keep room in", &self.path)(error.into()))?;
        self.held = self.size;
        Ok(())
    }

    /// Gives a piece back to the disk; false when there is none.
    pub(super) fn give(&mut self) -> bool {
        let left = self.held.saturating_sub(PIECE);
        let given = self.held > 0 && self.open().is_ok_and(|file| file.set_len(left).is_ok());
        if given {
            self.held = left;
        }
        given
    }

    fn open(&self) -> std::io::Result<File> {
        OpenOptions::new().create(true).truncate(false).write(true).mode(0o600).open(&self.path)
    }
}
