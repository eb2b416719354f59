//! Uploads that have not ended: one file each in a private folder of the node's state, bounded in number, size and age.

use std::fs::{self, File, OpenOptions};
use std::io::{Seek, SeekFrom, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use orch_wire::body::{Answer, code};

use super::super::place::Place;
use super::super::{Done, Errand, failed};
use crate::files::{self, FileError, LockedFile};

/// Largest file that can be pushed.
pub(super) const FILE_BYTES: u64 = 1 << 30;
/// Uploads that have not ended at one time, and bytes of all of them when they will have.
const UPLOADS: usize = 16;
const ALL_BYTES: u64 = 4 << 30;
/// One to which nothing came for so long is thrown away.
const STALE: Duration = Duration::from_secs(24 * 60 * 60);

/// The folder of uploads.
pub(super) struct Uploads {
    folder: PathBuf,
}

/// One upload; nobody else takes blocks of it meanwhile.
pub(super) struct Upload {
    path: PathBuf,
    file: LockedFile,
}

impl Uploads {
    /// Opens the folder and throws away what is stale.
    pub(super) fn open(errand: &Errand) -> Done<Self> {
        let folder = errand.state_dir.join("uploads");
        files::create_private_folder(&folder)?;
        let uploads = Self { folder };
        for path in files::list(&uploads.folder, usize::MAX)? {
            if is_stale(&path) {
                remove(&path)?;
            }
        }
        Ok(uploads)
    }

    /// The name of an upload: of the same caller, to the same place, of the same content.
    pub(super) fn key(&self, errand: &Errand, place: &Place, size: u64, sum: blake3::Hash) -> String {
        let mut hasher = blake3::Hasher::new();
        for part in [errand.caller.as_bytes(), place.path.as_os_str().as_encoded_bytes()] {
            hasher.update(&(part.len() as u64).to_be_bytes());
            hasher.update(part);
        }
        hasher.update(&size.to_be_bytes());
        hasher.update(sum.as_bytes());
        // The size stands in the name, so that the bytes to come can be counted.
        format!("{}-{size}", hasher.finalize().to_hex().chars().take(32).collect::<String>())
    }

    /// The upload, if it has begun.
    pub(super) fn find(&self, key: &str) -> Done<Option<Upload>> {
        let path = self.folder.join(key);
        match OpenOptions::new().read(true).append(true).open(&path) {
            Ok(file) => Upload::locked(path, file).map(Some),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(FileError::io("open", &path)(error).into()),
        }
    }

    /// Begins an upload of this size, if there is room for one more.
    pub(super) fn begin(&self, key: &str, size: u64) -> Done<Upload> {
        let begun = files::list(&self.folder, usize::MAX)?;
        let bytes: u64 = begun.iter().filter_map(|path| size_of(path)).sum();
        if begun.len() >= UPLOADS || bytes.saturating_add(size) > ALL_BYTES {
            let why = format!(
                "{} uploads of {bytes} bytes have not ended here; one is given up after {} h",
                begun.len(),
                STALE.as_secs() / 3600
            );
            return Err(Box::new(Answer::rejected(code::OVERLOADED, why)));
        }
        let path = self.folder.join(key);
        let mut options = OpenOptions::new();
        let file = options.read(true).append(true).create(true).mode(0o600).open(&path);
        Upload::locked(path.clone(), file.map_err(FileError::io("create", &path))?)
    }
}

impl Upload {
    fn locked(path: PathBuf, file: File) -> Done<Self> {
        let file = LockedFile::try_new(file, &path)?;
        let file = file.ok_or_else(|| failed("another call takes a block of this file just now"))?;
        Ok(Self { path, file })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// How much of it is here.
    pub(super) fn length(&self) -> Done<u64> {
        Ok(self.file.metadata().map_err(FileError::io("inspect", &self.path))?.size())
    }

    pub(super) fn append(&mut self, bytes: &[u8]) -> Done<()> {
        Ok(self.file.write_all(bytes).map_err(FileError::io("write", &self.path))?)
    }

    /// What is here, from its beginning.
    pub(super) fn open(&mut self) -> Done<File> {
        let again = self.file.seek(SeekFrom::Start(0)).and_then(|_| self.file.try_clone());
        Ok(again.map_err(FileError::io("read", &self.path))?)
    }

    /// Ends it.
    pub(super) fn remove(&self) -> Done<()> {
        remove(&self.path)
    }
}

/// The size that an upload will have, from its name.
fn size_of(path: &Path) -> Option<u64> {
    path.file_name()?.to_str()?.rsplit_once('-')?.1.parse().ok()
}

fn is_stale(path: &Path) -> bool {
    let changed = fs::metadata(path).and_then(|metadata| metadata.modified());
    // What says it was changed in the future was changed under another clock: it is stale a day from then.
    changed.is_ok_and(|at| SystemTime::now().duration_since(at).is_ok_and(|age| age > STALE))
}

fn remove(path: &Path) -> Done<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(FileError::io("remove", path)(error).into())
        }
        _ => Ok(()),
    }
}
