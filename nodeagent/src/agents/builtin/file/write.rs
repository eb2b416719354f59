//! Content in one call; files touched and removed.

use std::io::Write;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use orch_wire::body::Answer;
use rustix::fs::{AtFlags, FileType, Mode, Timespec, Timestamps, UTIME_NOW, unlinkat, utimensat};
use serde_json::json;
use std::path::Path;

use super::attributes::Attributes;
use super::install::Change;
use super::place::Place;
use super::{Done, Errand, outputs, refused};

/// Makes a file hold exactly this.
pub(super) fn write(errand: &Errand) -> Done<Answer> {
    let place = Place::of(errand)?;
    let content = content(errand)?;
    let (size, sum) = (content.len() as u64, blake3::hash(&content));
    let change = Change::to(errand, &place, size, sum)?;
    let differing = change.differing.clone();
    let mut backup = None;
    if !errand.dry_run {
        errand.check_time()?;
        backup = change.make(&place, |file| Ok(file.write_all(&content).map_err(place.fault("write"))?))?;
    }
    Ok(outputs(json!({
        "path": place.path,
        "changed": !differing.is_empty(),
        "changes": differing,
        "size": size,
        "blake3": sum.to_hex().as_str(),
        "backup": backup,
    })))
}

/// The content among the arguments.
pub(super) fn content(errand: &Errand) -> Done<Vec<u8>> {
    let text = errand.text("content").unwrap_or_default();
    match errand.text("encoding") {
        Some("base64") => decoded(text),
        _ => Ok(text.as_bytes().to_vec()),
    }
}

/// Bytes that travelled in base64.
pub(super) fn decoded(text: &str) -> Done<Vec<u8>> {
    STANDARD.decode(text).map_err(|_| refused("`content` is not base64"))
}

/// Makes sure that a file is there, and has been changed just now.
pub(super) fn touch(errand: &Errand) -> Done<Answer> {
    let place = Place::of(errand)?;
    let attributes = Attributes::of(errand)?;
    let old = place.file()?;
    if !errand.dry_run {
        match &old {
            None => {
                let file = place.create(Path::new(&place.name), Mode::RUSR | Mode::WUSR)?;
                attributes.completed(None).apply(&file, &place)?;
            }
            Some(_) => {
                let now = Timespec { tv_sec: 0, tv_nsec: UTIME_NOW };
                let times = Timestamps { last_access: now, last_modification: now };
                utimensat(place.folder(), &place.name, &times, AtFlags::SYMLINK_NOFOLLOW)
                    .map_err(place.fault("touch"))?;
                attributes.apply(&place.open()?, &place)?;
            }
        }
    }
    Ok(outputs(json!({"path": place.path, "changed": true, "created": old.is_none()})))
}

/// Removes a file, a link itself, or an empty folder.
pub(super) fn remove(errand: &Errand) -> Done<Answer> {
    let place = Place::of(errand)?;
    let old = place.look()?;
    if let (Some(stat), false) = (&old, errand.dry_run) {
        let flags = match FileType::from_raw_mode(stat.st_mode) {
            FileType::Directory => AtFlags::REMOVEDIR,
            _ => AtFlags::empty(),
        };
        unlinkat(place.folder(), &place.name, flags).map_err(place.fault("remove"))?;
    }
    Ok(outputs(json!({"path": place.path, "changed": old.is_some()})))
}
