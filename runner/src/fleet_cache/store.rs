//! The folder of the cache: `schemas/DIGEST.json`, which say by their names what they must hold, and `fleets/KEY.json`.

use std::collections::HashMap;
use std::io::{Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use orch_wire::ids::{CollectiveName, Digest};
use orch_wire::schema::MAX_SCHEMA;
use rustix::fs::OFlags;

/// Longest index of a fleet: tens of thousands of nodes.
const INDEX_BYTES: usize = 8 * 1024 * 1024;
/// Most schemas, and fleets, that are kept.
const FILES: usize = 1024;
const FLEETS: usize = 64;
/// What was not written for so long is thrown away; a schema that is still in use is asked for once more.
const AGE: Duration = Duration::from_secs(90 * 24 * 3600);
/// What a process that was killed has left half written.
const HALF_WRITTEN: Duration = Duration::from_secs(24 * 3600);

/// Which fleet, by what is public of it: its authority, its broker and the collective.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FleetKey(Digest);

impl FleetKey {
    /// The fleet of this authority (its certificate as it stands in the file) behind this broker.
    pub fn new(ca: &[u8], broker: &str, collective: &CollectiveName) -> Self {
        let mut text = Vec::new();
        for part in [ca, broker.as_bytes(), collective.as_str().as_bytes()] {
            text.extend_from_slice(&u64::try_from(part.len()).unwrap_or(u64::MAX).to_be_bytes());
            text.extend_from_slice(part);
        }
        Self(Digest::of(&text))
    }
}

/// The folder. Whatever is wrong with it or its files, the files count as missing; what was kept by this process it has all
/// the same.
#[derive(Debug, Clone)]
pub struct Store {
    folder: Option<PathBuf>,
    kept: Arc<Mutex<HashMap<Digest, String>>>,
}

impl Store {
    /// A folder, which need not be there yet; without one everything is forgotten in the end.
    pub fn new(folder: Option<PathBuf>) -> Self {
        Self { folder, kept: Arc::default() }
    }

    fn kept(&self) -> MutexGuard<'_, HashMap<Digest, String>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether a schema is kept as it was.
    pub(super) fn has(&self, digest: Digest) -> bool {
        self.text(digest).is_some()
    }

    /// The text of a schema that was kept: it has this digest.
    pub(super) fn text(&self, digest: Digest) -> Option<String> {
        if let Some(text) = self.kept().get(&digest) {
            return Some(text.clone());
        }
        let text = self.read(&self.schema_file(digest)?, MAX_SCHEMA)?;
        (Digest::of(text.as_bytes()) == digest).then_some(text)
    }

    /// Keeps the text of a schema.
    pub(super) fn keep_schema(&self, text: &str) {
        let digest = Digest::of(text.as_bytes());
        self.kept().insert(digest, text.to_owned());
        self.write(self.schema_file(digest), text);
    }

    /// The index of a fleet, as text.
    pub(super) fn index(&self, fleet: FleetKey) -> Option<String> {
        self.read(&self.index_file(fleet)?, INDEX_BYTES)
    }

    /// Keeps the index of a fleet, in the place of an earlier one.
    pub(super) fn keep_index(&self, fleet: FleetKey, text: &str) {
        if text.len() <= INDEX_BYTES {
            self.write(self.index_file(fleet), text);
        }
    }

    /// Throws away what is old or too much.
    pub(super) fn tidy(&self) {
        if let Some(folder) = self.folder.as_ref().filter(|_| self.is_own()) {
            tidy(&folder.join("schemas"), FILES);
            tidy(&folder.join("fleets"), FLEETS);
        }
    }

    fn schema_file(&self, digest: Digest) -> Option<PathBuf> {
        Some(self.folder.as_ref()?.join("schemas").join(format!("{digest}.json")))
    }

    fn index_file(&self, fleet: FleetKey) -> Option<PathBuf> {
        Some(self.folder.as_ref()?.join("fleets").join(format!("{}.json", fleet.0)))
    }

    /// Whether nobody else may put files here.
    fn is_own(&self) -> bool {
        let own = |metadata: std::fs::Metadata| {
            metadata.is_dir()
                && metadata.uid() == rustix::process::geteuid().as_raw()
                && metadata.mode() & 0o022 == 0
        };
        self.folder.as_ref().is_some_and(|folder| std::fs::metadata(folder).is_ok_and(own))
    }

    fn read(&self, path: &Path, most: usize) -> Option<String> {
        if !self.is_own() {
            return None;
        }
        // A link is not followed, and a pipe that was put here does not hold up anybody.
        let flags = (OFlags::NOFOLLOW | OFlags::NONBLOCK).bits();
        let flags = i32::try_from(flags).ok()?;
        let file = std::fs::OpenOptions::new().read(true).custom_flags(flags).open(path).ok()?;
        let length = file.metadata().ok().filter(std::fs::Metadata::is_file)?.len();
        let most = u64::try_from(most).ok().filter(|most| length <= *most)?;
        let mut text = String::new();
        file.take(most).read_to_string(&mut text).ok()?;
        Some(text)
    }

    /// Writes a file whole or not at all; whoever reads meanwhile sees the old one or the new.
    fn write(&self, path: Option<PathBuf>, text: &str) {
        let Some(path) = path else { return };
        let write = || -> std::io::Result<()> {
            let folder = path.parent().unwrap_or(&path);
            std::fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
            if !self.is_own() {
                return Ok(());
            }
            // Of mode 0600. It need not survive a crash of the machine: what is torn is asked for anew.
            let mut file = tempfile::NamedTempFile::new_in(folder)?;
            file.write_all(text.as_bytes())?;
            file.persist(&path).map(drop).map_err(|error| error.error)
        };
        // A full disk or a folder that cannot be written is no reason to fail: the next command asks again.
        let _ = write();
    }
}

fn tidy(folder: &Path, most: usize) {
    let now = SystemTime::now();
    let Ok(entries) = std::fs::read_dir(folder) else { return };
    let mut files = Vec::new();
    for entry in entries.flatten() {
        let Ok(metadata) = entry.metadata() else { continue };
        if !metadata.is_file() {
            continue;
        }
        let path = entry.path();
        let age = metadata.modified().ok().and_then(|then| now.duration_since(then).ok()).unwrap_or_default();
        let is_whole = path.extension().is_some_and(|extension| extension == "json");
        if age > AGE || (!is_whole && age > HALF_WRITTEN) {
            let _ = std::fs::remove_file(&path);
        } else if is_whole {
            files.push((age, path));
        }
    }
    files.sort();
    for (_, path) in files.iter().skip(most) {
        let _ = std::fs::remove_file(path);
    }
}
