//! Content in blocks: what has come is kept apart until all of it is there and has its checksum. Only then does it take the
//! place of the file, so that an upload that is interrupted leaves the file as it was, and the next one goes on with it.

mod upload;

use std::io;

use orch_wire::body::Answer;
use serde_json::{Map, Value, json};

use self::upload::{Upload, Uploads};
use super::attributes::Attributes;
use super::install::Change;
use super::place::Place;
use super::stat::blake3_of;
use super::write::decoded;
use super::{Done, Errand, failed, outputs, refused};

/// What is pushed, and the block of it that came.
struct Block {
    size: u64,
    sum: blake3::Hash,
    offset: u64,
    bytes: Vec<u8>,
}

impl Block {
    fn of(errand: &Errand) -> Done<Self> {
        let sum = errand.text("blake3").unwrap_or_default();
        let block = Self {
            size: errand.number("size")?.unwrap_or(0),
            sum: blake3::Hash::from_hex(sum)
                .map_err(|_| refused("`blake3` must be 64 hexadecimal digits"))?,
            offset: errand.number("offset")?.unwrap_or(0),
            bytes: decoded(errand.text("content").unwrap_or_default())?,
        };
        if block.size > upload::FILE_BYTES {
            return Err(refused(format!("`size` must be at most {} bytes", upload::FILE_BYTES)));
        }
        match block.end() {
            Some(end) if end <= block.size => Ok(block),
            _ => Err(refused("the block goes beyond `size`")),
        }
    }

    fn end(&self) -> Option<u64> {
        self.offset.checked_add(self.bytes.len() as u64)
    }
}

/// Takes a block. A block that is there already changes nothing, so that a caller who does not know may ask with an empty one.
pub(super) fn push(errand: &Errand) -> Done<Answer> {
    let block = Block::of(errand)?;
    let place = Place::of(errand)?;
    // What cannot be in the end is told at the first block.
    Attributes::of(errand)?;
    place.file()?;
    let uploads = Uploads::open(errand)?;
    let key = uploads.key(errand, &place, block.size, block.sum);
    let Some(mut upload) = uploads.find(&key)? else {
        let change = Change::to(errand, &place, block.size, block.sum)?;
        if errand.dry_run || !change.needs_content() {
            let differing = change.differing.clone();
            if !errand.dry_run {
                change.make(&place, |_| Ok(()))?;
            }
            return Ok(complete(&place, &block, &differing, None));
        }
        let mut upload = uploads.begin(&key, block.size)?;
        return take(errand, &place, &block, &mut upload);
    };
    if errand.dry_run {
        return Ok(complete(&place, &block, &["content"], None));
    }
    take(errand, &place, &block, &mut upload)
}

fn take(errand: &Errand, place: &Place, block: &Block, upload: &mut Upload) -> Done<Answer> {
    let held = upload.length()?;
    if block.offset > held {
        let why = format!("only {held} bytes are here yet; the next block is that from there on");
        let data = Map::from_iter([("received".to_owned(), Value::from(held))]);
        return Err(Box::new(Answer { data, ..*failed(why) }));
    }
    // What is here of the block is not written again; that it is the same shows in the end.
    let known = usize::try_from(held - block.offset).unwrap_or(usize::MAX);
    if let Some(new) = block.bytes.get(known..).filter(|new| !new.is_empty()) {
        upload.append(new)?;
    }
    let held = upload.length()?;
    if held < block.size {
        let (path, received) = (&place.path, held);
        return Ok(outputs(
            json!({"path": path, "received": received, "complete": false, "changed": false, "changes": []}),
        ));
    }
    let sum = blake3_of(&upload.open()?, upload.path(), errand)?;
    if sum != block.sum {
        upload.remove()?;
        let data = Map::from_iter([("received".to_owned(), Value::from(0))]);
        let why = "what came does not have the checksum; it is thrown away, and the file is as it was";
        return Err(Box::new(Answer { data, ..*failed(why) }));
    }
    let change = Change::to(errand, place, block.size, block.sum)?;
    let differing = change.differing.clone();
    let backup = change.make(place, |file| {
        errand.check_time()?;
        Ok(io::copy(&mut upload.open()?, file).map(drop).map_err(place.fault("write"))?)
    })?;
    upload.remove()?;
    Ok(complete(place, block, &differing, backup.as_deref()))
}

fn complete(place: &Place, block: &Block, differing: &[&str], backup: Option<&std::path::Path>) -> Answer {
    outputs(json!({
        "path": place.path,
        "received": block.size,
        "complete": true,
        "changed": !differing.is_empty(),
        "changes": differing,
        "blake3": block.sum.to_hex().as_str(),
        "backup": backup,
    }))
}
