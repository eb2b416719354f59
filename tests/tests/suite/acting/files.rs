//! Files of a node, through all of the road.

use std::os::unix::fs::{MetadataExt, PermissionsExt};

use anyhow::Result;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use orch_tests::fleet::{Fleet, Node};
use serde_json::{Value, json};

use super::kit::call;

#[test]
fn a_file_is_written_looked_at_read_and_removed() -> Result<()> {
    let fleet = Fleet::with([Node::named("n01")])?;
    let file = fleet.path("motd");
    let path = format!("path={}", file.display());
    let dry = call(&fleet, &["file.write", &path, "content=hello\n", "mode=0600", "--dry-run"])?.ok();
    assert_eq!((&dry["changes"], file.exists()), (&json!(["content"]), false));
    call(&fleet, &["file.write", &path, "content=hello\n", "mode=0600"])?.ok();
    assert_eq!(std::fs::metadata(&file)?.permissions().mode() & 0o7777, 0o600);
    let again = call(&fleet, &["file.write", &path, "content=hello\n", "mode=0600"])?.ok();
    assert_eq!(again["changed"], false);
    let stat = call(&fleet, &["file.stat", &path])?.ok();
    assert_eq!(stat["blake3"], blake3::hash(b"hello\n").to_hex().as_str());
    assert_eq!(stat["sha256"], "5891b5b522d5df086d0ff0b110fbd9d21bb4fc7163af34d08286a2e846f6be03");
    assert_eq!(call(&fleet, &["file.read", &path, "offset=1", "limit=3"])?.ok()["content"], "ell");
    // Where the node's folder is, nobody could know.
    fleet.run(&["call", "file.write", "path=etc/motd", "content=x"]).expect_code(64);
    assert_eq!(call(&fleet, &["file.remove", &path])?.ok()["changed"], true);
    assert_eq!(call(&fleet, &["file.stat", &path])?.ok()["present"], false);
    Ok(())
}

/// One block of a file, as a call.
fn push(fleet: &Fleet, path: &str, whole: &[u8], offset: usize, more: &[&str]) -> Result<Value> {
    let end = (offset + 64 * 1024).min(whole.len());
    let words = [
        path.to_owned(),
        format!("size={}", whole.len()),
        format!("blake3={}", blake3::hash(whole).to_hex()),
        format!("offset={offset}"),
        format!("content={}", STANDARD.encode(&whole[offset..end])),
    ];
    let words: Vec<&str> = words.iter().map(String::as_str).chain(more.iter().copied()).collect();
    Ok(call(fleet, &[&["file.push"], &words[..]].concat())?.ok())
}

#[test]
fn a_file_is_pushed_in_blocks_interrupted_and_resumed() -> Result<()> {
    let mut fleet = Fleet::with([Node::named("n01")])?;
    let file = fleet.path("release.bin");
    std::fs::write(&file, "the old release")?;
    let path = format!("path={}", file.display());
    let whole: Vec<u8> = (0..60_000_u32).flat_map(u32::to_le_bytes).collect();
    // Only root can give a file away.
    let is_root = rustix::process::geteuid().is_root();
    let owner: &[&str] =
        if is_root { &["owner=1", "group=1", "mode=0640", "backup=true"] } else { &["mode=0640"] };
    let first = push(&fleet, &path, &whole, 0, owner)?;
    assert_eq!((&first["received"], &first["complete"]), (&json!(65536), &json!(false)));
    push(&fleet, &path, &whole, 65536, owner)?;

    // The node's agent dies, and with it whatever it was about.
    fleet.kill_node("n01")?;
    fleet.start_node("n01")?;
    fleet.await_here(&["n01".to_owned()]);
    assert_eq!(std::fs::read(&file)?, b"the old release");
    let mut said = call(
        &fleet,
        &[
            "file.push",
            &path,
            "content=",
            &format!("size={}", whole.len()),
            &format!("blake3={}", blake3::hash(&whole).to_hex()),
        ],
    )?
    .ok();
    assert_eq!(said["received"], 131_072, "what was here is still");
    let mut calls = 0;
    while said["complete"] != true {
        let offset = usize::try_from(said["received"].as_u64().unwrap_or_default())?;
        said = push(&fleet, &path, &whole, offset, owner)?;
        calls += 1;
    }
    assert_eq!((calls, &said["changed"]), (2, &json!(true)));
    assert_eq!(std::fs::read(&file)?, whole);
    let metadata = std::fs::metadata(&file)?;
    assert_eq!(metadata.mode() & 0o7777, 0o640);
    if is_root {
        assert_eq!((metadata.uid(), metadata.gid()), (1, 1));
        assert_eq!(std::fs::read(fleet.path("release.bin.orch-backup"))?, b"the old release");
    }
    assert_eq!(std::fs::read_dir(fleet.path("nodes/n01/state/uploads"))?.count(), 0, "nothing of it is left");
    assert_eq!(push(&fleet, &path, &whole, 0, owner)?["changed"], false);
    Ok(())
}

#[test]
fn a_file_is_fetched_in_blocks() -> Result<()> {
    let fleet = Fleet::with([Node::named("n01")])?;
    let file = fleet.path("log");
    let whole: Vec<u8> = (0..200_000_u32).flat_map(u32::to_le_bytes).collect();
    std::fs::write(&file, &whole)?;
    let path = format!("path={}", file.display());
    let mut fetched = Vec::new();
    let mut version = String::new();
    loop {
        let offset = format!("offset={}", fetched.len());
        let begun = format!("version={version}");
        let mut words = vec!["file.fetch", &path, &offset, "limit=524288"];
        words.extend(Some(begun.as_str()).filter(|_| !version.is_empty()));
        let block = call(&fleet, &words)?.ok();
        fetched.extend(STANDARD.decode(block["content"].as_str().unwrap_or_default())?);
        version = block["version"].as_str().unwrap_or_default().to_owned();
        if block["end"] == true {
            assert_eq!(block["blake3"], blake3::hash(&whole).to_hex().as_str());
            break;
        }
    }
    assert_eq!(fetched, whole);
    Ok(())
}
