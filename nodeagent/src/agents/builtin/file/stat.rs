//! What a file is.

use std::fs::{self, File, Metadata};
use std::io::{ErrorKind, Read};
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use md5::{Digest as _, Md5};
use orch_link::entropy;
use orch_wire::body::Answer;
use orch_wire::time::Timestamp;
use ring::digest::{Context, SHA256};
use rustix::fs::FileType;
use serde_json::{Value, json};

use super::super::account::Account;
use super::place::{path, word};
use super::{Done, Errand, attributes, outputs};
use crate::files::{self, FileError};

/// A file that is longer has no `md5` in a query: it would take longer than a query may.
const QUERY_BYTES: u64 = 256 * 1024 * 1024;
/// Bytes that are read at once to be hashed.
const BLOCK: usize = 256 * 1024;

/// Tells what is at a path, behind links, with the checksums of a regular file.
pub(super) fn stat(errand: &Errand) -> Done<Answer> {
    let path = path(errand)?;
    let is_absent =
        |error: &std::io::Error| matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory);
    let own = match fs::symlink_metadata(&path) {
        Ok(own) => own,
        Err(error) if is_absent(&error) => return Ok(outputs(json!({"path": path, "present": false}))),
        Err(error) => return Err(FileError::io("inspect", &path)(error).into()),
    };
    let target = own.is_symlink().then(|| fs::read_link(&path).unwrap_or_default());
    // A link to nothing is told as what it is.
    let found = match fs::metadata(&path) {
        Err(error) if is_absent(&error) => own,
        found => found.map_err(FileError::io("inspect", &path))?,
    };
    let mut data = described(&path, &found);
    data["target"] = target.map_or(Value::Null, |target| target.to_string_lossy().into());
    if found.is_file() {
        let (file, _) = files::open(&path)?;
        let sums = Sums::of(&file, &path, errand)?;
        data["blake3"] = sums.blake3.into();
        data["sha256"] = sums.sha256.into();
    }
    Ok(outputs(data))
}

/// What the data function `file` answers.
pub(super) fn query(errand: &Errand) -> Done<Answer> {
    let path = path(errand)?;
    let found = match fs::metadata(&path) {
        Ok(found) => found,
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {
            return Ok(outputs(json!({"present": 0})));
        }
        Err(error) => return Err(FileError::io("inspect", &path)(error).into()),
    };
    let age =
        (entropy::now().millis() / 1000).saturating_sub(u64::try_from(found.mtime()).unwrap_or_default());
    let mut data = json!({
        "present": 1,
        "size": found.size(),
        "mode": attributes::written(found.mode()),
        "mtime_age": age,
    });
    if found.is_file() && found.size() <= QUERY_BYTES {
        let (file, _) = files::open(&path)?;
        let mut md5 = Md5::new();
        blocks(&file, &path, errand, |block| md5.update(block))?;
        data["md5"] = hexadecimal(&md5.finalize()).into();
    }
    Ok(outputs(data))
}

fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn described(path: &Path, found: &Metadata) -> Value {
    let millis = found.mtime().saturating_mul(1000).saturating_add(found.mtime_nsec() / 1_000_000);
    json!({
        "path": path,
        "present": true,
        "type": word(FileType::from_raw_mode(found.mode())),
        "size": found.size(),
        "mode": attributes::written(found.mode()),
        "uid": found.uid(),
        "gid": found.gid(),
        "owner": Account::User.name(found.uid()),
        "group": Account::Group.name(found.gid()),
        // A time before 1970 is told as its beginning.
        "mtime": Timestamp::from_millis(u64::try_from(millis).unwrap_or_default()).to_string(),
    })
}

/// The checksums of some content, in hexadecimal digits.
struct Sums {
    blake3: String,
    sha256: String,
}

impl Sums {
    fn of(file: &File, path: &Path, errand: &Errand) -> Done<Self> {
        let (mut blake, mut sha) = (blake3::Hasher::new(), Context::new(&SHA256));
        blocks(file, path, errand, |block| {
            blake.update(block);
            sha.update(block);
        })?;
        Ok(Self { blake3: blake.finalize().to_hex().to_string(), sha256: hexadecimal(sha.finish().as_ref()) })
    }
}

/// The blake3 of what an open file holds from where it stands.
pub(super) fn blake3_of(file: &File, path: &Path, errand: &Errand) -> Done<blake3::Hash> {
    let mut hasher = blake3::Hasher::new();
    blocks(file, path, errand, |block| {
        hasher.update(block);
    })?;
    Ok(hasher.finalize())
}

/// Reads a file to its end, block by block, within the time of the action.
fn blocks(mut file: &File, path: &Path, errand: &Errand, mut take: impl FnMut(&[u8])) -> Done<()> {
    let mut block = vec![0; BLOCK];
    loop {
        errand.check_time()?;
        let length = file.read(&mut block).map_err(FileError::io("read", path))?;
        if length == 0 {
            return Ok(());
        }
        take(block.get(..length).unwrap_or_default());
    }
}
