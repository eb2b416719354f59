//! Files that a test puts where a node looks for them, and what the node says of them.

use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use anyhow::{Context, Result};
use orch_tests::fleet::Fleet;
use serde_json::Value;

/// Writes a file with its mode, and its folder.
pub(super) fn write(path: &Path, text: &str, mode: u32) -> Result<()> {
    use std::io::Write as _;
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder)?;
    }
    // Beside and renamed: a program that is being written cannot be run.
    let fresh = path.with_extension("fresh");
    let _ = std::fs::remove_file(&fresh);
    let mut file = std::fs::OpenOptions::new().create_new(true).write(true).mode(mode).open(&fresh)?;
    file.write_all(text.as_bytes())?;
    std::fs::rename(&fresh, path).with_context(|| path.display().to_string())
}

/// Changes a node's configuration, which it reads when it starts or is told to.
pub(super) fn configure(fleet: &Fleet, node: &str, change: impl FnOnce(&str) -> String) -> Result<()> {
    let path = fleet.path("nodes").join(node).join("node.toml");
    let text = std::fs::read_to_string(&path)?;
    let changed = change(&text);
    anyhow::ensure!(changed != text, "nothing is changed in\n{text}");
    write(&path, &changed, 0o644)
}

/// What one action of the agent `node` answers on `n01`.
pub(super) fn asked(fleet: &Fleet, words: &[&str]) -> Result<Value> {
    let all = [&["call"], words, &["-I", "n01", "--format", "json"]].concat();
    let answer = fleet.run(&all).expect_code(0).json()?;
    Ok(answer["results"][0]["data"].clone())
}

/// What is wrong on `n01`, as it says itself.
pub(super) fn problems(fleet: &Fleet) -> Result<String> {
    Ok(asked(fleet, &["node.stats"])?["problems"].to_string())
}
