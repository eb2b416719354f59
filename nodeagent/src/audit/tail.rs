//! Where an audit ended.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::Path;

use orch_wire::audit::{Chain, Head, Line, MAX_LINE};
use orch_wire::ids::Digest;

use crate::files::{self, FileError};
use crate::problem::Problem;

/// So much of the end of a file has its last whole line and a torn one.
const TAIL_BYTES: u64 = 2 * MAX_LINE as u64;
/// Most files of an audit.
const FILES: usize = 100_000;

/// The end of an audit.
#[derive(Debug, Default)]
pub(super) struct Tail {
    /// Number of the last file.
    pub(super) number: u64,
    /// The chain up to its last whole line.
    pub(super) chain: Chain,
    /// The last line has no line break.
    pub(super) is_unended: bool,
    /// Length and hash of the last line, where it is torn.
    pub(super) torn: Option<(usize, Digest)>,
}

/// Finds the end of the audit in a folder; a new one begins where there is none.
pub(super) fn find(folder: &Path) -> Result<(Tail, Vec<Problem>), FileError> {
    let mut numbers: Vec<(u64, std::path::PathBuf)> = files::list(folder, FILES)?
        .into_iter()
        .filter(|path| path.extension().is_some_and(|ending| ending == "jsonl"))
        .filter_map(|path| Some((path.file_stem()?.to_str()?.parse().ok()?, path)))
        .collect();
    numbers.sort();
    let mut tail = Tail { number: numbers.last().map_or(1, |(number, _)| *number), ..Tail::default() };
    let mut problems = Vec::new();
    // The last file may have nothing yet; the one before has the line that it follows.
    for (at, (_, path)) in numbers.iter().rev().enumerate() {
        let bytes = end_of(path)?;
        if bytes.is_empty() {
            continue;
        }
        let whole = bytes.iter().rposition(|&byte| byte == b'\n').map_or(0, |at| at + 1);
        let rest = bytes.get(whole..).unwrap_or_default();
        let mut lines: Vec<&[u8]> = bytes.get(..whole).unwrap_or_default().split(|&b| b == b'\n').collect();
        if at == 0 && !rest.is_empty() {
            tail.is_unended = true;
            if head_of(rest).is_some() {
                lines.push(rest);
            } else {
                tail.torn = Some((rest.len(), Digest::of(rest)));
            }
        }
        if let Some(head) = lines.iter().rev().find_map(|line| head_of(line)) {
            tail.chain = Chain::after(head);
            return Ok((tail, problems));
        }
        problems.push(Problem::new(path, "has no line of an audit at its end: a new chain begins"));
        return Ok((tail, problems));
    }
    Ok((tail, problems))
}

fn head_of(line: &[u8]) -> Option<Head> {
    let parsed = serde_json::from_slice::<Line>(line).ok()?;
    Some(Head { position: parsed.position, hash: Digest::of(line) })
}

fn end_of(path: &Path) -> Result<Vec<u8>, FileError> {
    let (mut file, metadata) = files::open(path)?;
    let read = |file: &mut File| {
        file.seek(SeekFrom::Start(metadata.len().saturating_sub(TAIL_BYTES)))?;
        let mut bytes = Vec::new();
        file.take(TAIL_BYTES).read_to_end(&mut bytes).map(|_| bytes)
    };
    read(&mut file).map_err(FileError::io("read", path))
}
