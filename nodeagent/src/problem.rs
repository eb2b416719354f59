//! What is wrong on this node without stopping it: reported in the log and in `node.stats`.

use std::fmt;
use std::path::{Path, PathBuf};

use crate::files::FileError;

/// A file that cost only itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The file or folder.
    pub path: PathBuf,
    /// What is wrong with it.
    pub message: String,
}

impl Problem {
    pub(crate) fn new(path: &Path, message: impl Into<String>) -> Self {
        Self { path: path.to_owned(), message: message.into() }
    }
}

impl From<FileError> for Problem {
    fn from(error: FileError) -> Self {
        match error {
            FileError::Io { action, path, source } => {
                Self { path, message: format!("cannot {action}: {source}") }
            }
            FileError::Refused { path, why } => Self { path, message: why },
        }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.path.display(), self.message)
    }
}
