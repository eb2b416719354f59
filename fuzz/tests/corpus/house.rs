//! What belongs together: targets, their programs and their corpus.

use std::collections::BTreeSet;
use std::path::Path;

use orch_fuzz::TARGETS;

use super::entries;

/// Most files of a target's corpus, and the longest of them: it is read by people and run by every test.
const FILES: usize = 48;
const FILE_BYTES: usize = 4096;

fn names(folder: &str) -> BTreeSet<String> {
    std::fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join(folder))
        .unwrap()
        .map(|entry| entry.unwrap().path().file_stem().unwrap().to_string_lossy().into_owned())
        .collect()
}

#[test]
fn every_target_has_its_program_and_its_corpus() {
    let targets: BTreeSet<String> = TARGETS.iter().map(|(name, _)| (*name).to_owned()).collect();
    assert_eq!(names("targets"), targets);
    assert_eq!(names("corpus"), targets);
    let manifest = include_str!("../../Cargo.toml");
    for target in targets {
        assert!(
            manifest.contains(&format!("name = \"fuzz_{target}\"\npath = \"targets/{target}.rs\"")),
            "{target}"
        );
    }
}

#[test]
fn the_corpus_stays_small() {
    for (target, _) in TARGETS {
        let entries = entries(target);
        assert!(entries.len() <= FILES, "{target} has {} files", entries.len());
        for (name, bytes) in entries {
            assert!(bytes.len() <= FILE_BYTES, "{target}/{name} has {} bytes", bytes.len());
        }
    }
}
