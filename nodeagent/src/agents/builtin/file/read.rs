//! What a file holds: a part of it for people, or block by block for programs.

use std::fs::{File, Metadata};
use std::io::{Read, Seek, SeekFrom};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use orch_wire::body::Answer;
use serde_json::{Value, json};

use super::place::path;
use super::stat::blake3_of;
use super::{Done, Errand, failed, outputs, refused};
use crate::files::{self, FileError};

/// Bytes that are read where the caller does not say how many.
const READ_BYTES: u64 = 64 * 1024;
/// Bytes of a block where the caller does not say how many.
const BLOCK_BYTES: u64 = 256 * 1024;
/// Most of either: encoded it still fits a message that does not compress.
const MOST_BYTES: u64 = 512 * 1024;

/// A part of a file.
struct Part {
    path: PathBuf,
    file: File,
    metadata: Metadata,
    offset: u64,
    bytes: Vec<u8>,
}

impl Part {
    /// Reads the part that the arguments name.
    fn of(errand: &Errand, usual: u64) -> Done<Self> {
        let path = path(errand)?;
        let offset = errand.number("offset")?.unwrap_or(0);
        let limit = errand.number("limit")?.unwrap_or(usual);
        if !(1..=MOST_BYTES).contains(&limit) {
            return Err(refused(format!("`limit` must be between 1 and {MOST_BYTES}")));
        }
        let (mut file, metadata) = files::open(&path)?;
        let mut bytes = Vec::new();
        file.seek(SeekFrom::Start(offset)).map_err(FileError::io("read", &path))?;
        (&file).take(limit).read_to_end(&mut bytes).map_err(FileError::io("read", &path))?;
        Ok(Self { path, file, metadata, offset, bytes })
    }

    fn next(&self) -> u64 {
        self.offset.saturating_add(self.bytes.len() as u64)
    }

    /// Whether nothing is behind it. Files of the kernel do not say how long they are.
    fn is_last(&mut self) -> Done<bool> {
        let mut more = [0];
        let next = self.next();
        let read = self.file.seek(SeekFrom::Start(next)).and_then(|_| self.file.read(&mut more));
        Ok(read.map_err(FileError::io("read", &self.path))? == 0)
    }
}

/// Gives a part of a file: as text where it is UTF-8, else in base64.
pub(super) fn read(errand: &Errand) -> Done<Answer> {
    let mut part = Part::of(errand, READ_BYTES)?;
    let whole = whole_characters(&part.bytes);
    let is_last = part.is_last()?;
    if !is_last && whole > 0 {
        part.bytes.truncate(whole);
    }
    let next = part.next();
    let (encoding, content) = match String::from_utf8(std::mem::take(&mut part.bytes)) {
        Ok(text) => ("utf8", text),
        Err(error) => ("base64", STANDARD.encode(error.as_bytes())),
    };
    Ok(outputs(json!({
        "path": part.path,
        "content": content,
        "encoding": encoding,
        "size": part.metadata.size(),
        "offset": part.offset,
        "next": next,
        "end": is_last,
    })))
}

/// Where the last character ends that is not cut by the end of the bytes; 0 for what is no text.
fn whole_characters(bytes: &[u8]) -> usize {
    match std::str::from_utf8(bytes) {
        Ok(text) => text.len(),
        Err(error) if error.error_len().is_none() => error.valid_up_to(),
        Err(_) => 0,
    }
}

/// Gives a block of a file in base64. All blocks are of one version of the file; the last one brings the checksum of it all.
pub(super) fn fetch(errand: &Errand) -> Done<Answer> {
    let mut part = Part::of(errand, BLOCK_BYTES)?;
    let version = version(&part.metadata);
    if errand.text("version").is_some_and(|begun| begun != version) {
        return Err(failed(format!(
            "`{}` has changed since its first block was fetched",
            part.path.display()
        )));
    }
    let is_last = part.is_last()?;
    let sum = if is_last { Some(sum_of(&mut part.file, &part.path, errand)?) } else { None };
    Ok(outputs(json!({
        "path": part.path,
        "content": STANDARD.encode(&part.bytes),
        "block": blake3::hash(&part.bytes).to_hex().as_str(),
        "size": part.metadata.size(),
        "offset": part.offset,
        "next": part.next(),
        "end": is_last,
        "version": version,
        "blake3": sum.map_or(Value::Null, |sum| sum.to_hex().as_str().into()),
    })))
}

fn sum_of(file: &mut File, path: &Path, errand: &Errand) -> Done<blake3::Hash> {
    file.seek(SeekFrom::Start(0)).map_err(FileError::io("read", path))?;
    blake3_of(file, path, errand)
}

/// What tells one version of a file from another without reading it.
fn version(metadata: &Metadata) -> String {
    format!(
        "{:x}.{:x}.{:x}.{:x}.{:x}",
        metadata.dev(),
        metadata.ino(),
        metadata.size(),
        metadata.mtime(),
        metadata.mtime_nsec()
    )
}
