//! Every target over its corpus, and over cheap mutations of it that are the same each time.

#![expect(clippy::unwrap_used, reason = "helpers of tests, which clippy only knows by their attribute")]

mod house;
mod mutations;
mod samples;
mod seeds;

use std::path::{Path, PathBuf};

fn corpus(target: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus").join(target)
}

/// Files of a target, with their names and in their order.
fn entries(target: &str) -> Vec<(String, Vec<u8>)> {
    let mut entries: Vec<(String, Vec<u8>)> = std::fs::read_dir(corpus(target))
        .unwrap_or_else(|error| panic!("no corpus of {target}: {error}"))
        .map(|entry| entry.unwrap())
        .map(|entry| (entry.file_name().to_string_lossy().into_owned(), std::fs::read(entry.path()).unwrap()))
        .collect();
    entries.sort();
    entries
}
