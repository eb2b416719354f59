//! Puts content in the place of a file: whole or not at all, whenever it is interrupted.

use std::ffi::OsString;
use std::fs::File;
use std::path::{Path, PathBuf};

use orch_link::entropy;
use rustix::fs::{AtFlags, Mode, Stat, linkat, renameat};

use super::attributes::Attributes;
use super::place::Place;
use super::stat::blake3_of;
use super::{Done, Errand};

/// Ends the name of the copy that is kept of a file's former content.
const BACKUP: &str = ".orch-backup";

/// What has to change for a file to be as it is wanted.
pub(super) struct Change {
    /// Names of what differs, in words that are answered: `content`, `owner`, `group`, `mode`.
    pub(super) differing: Vec<&'static str>,
    old: Option<Stat>,
    attributes: Attributes,
    backup: bool,
}

impl Change {
    /// Compares what is there with what the arguments want, and with content of this size and blake3.
    pub(super) fn to(errand: &Errand, place: &Place, size: u64, sum: blake3::Hash) -> Done<Self> {
        let attributes = Attributes::of(errand)?;
        let old = place.file()?;
        let mut differing = Vec::new();
        let is_same = match &old {
            Some(stat) if u64::try_from(stat.st_size) == Ok(size) => {
                blake3_of(&place.open()?, &place.path, errand)? == sum
            }
            _ => false,
        };
        if !is_same {
            differing.push("content");
        }
        differing.extend(old.iter().flat_map(|stat| attributes.differing(stat)));
        Ok(Self { differing, old, attributes, backup: errand.is("backup") })
    }

    /// Whether the content has to change.
    pub(super) fn needs_content(&self) -> bool {
        self.differing.contains(&"content")
    }

    /// Makes the change; `fill` writes the content where that differs. Gives the path of the backup, if one was kept.
    pub(super) fn make(
        self,
        place: &Place,
        fill: impl FnOnce(&mut File) -> Done<()>,
    ) -> Done<Option<PathBuf>> {
        if self.differing.is_empty() {
            return Ok(None);
        }
        if !self.needs_content() {
            self.attributes.apply(&place.open()?, place)?;
            return Ok(None);
        }
        let draft = Draft::new(place);
        let mut file = place.create(&draft.name, Mode::RUSR | Mode::WUSR)?;
        fill(&mut file)?;
        self.attributes.completed(self.old.as_ref()).apply(&file, place)?;
        file.sync_all().map_err(place.fault("write"))?;
        let kept = match self.old {
            Some(_) if self.backup => Some(keep(place)?),
            _ => None,
        };
        renameat(place.folder(), &draft.name, place.folder(), &place.name).map_err(place.fault("replace"))?;
        place.sync()?;
        Ok(kept)
    }
}

/// Keeps the old file under the name of the backup, with all that it has; what a former backup held is gone then.
fn keep(place: &Place) -> Done<PathBuf> {
    let mut name: OsString = place.name.clone();
    name.push(BACKUP);
    // A link cannot replace what has its name already; a rename can.
    let draft = Draft::new(place);
    linkat(place.folder(), &place.name, place.folder(), &draft.name, AtFlags::empty())
        .and_then(|()| renameat(place.folder(), &draft.name, place.folder(), &name))
        .map_err(place.fault("keep a backup of"))?;
    Ok(place.path.with_file_name(name))
}

/// A file beside the one that it is for, under a name of nobody's; gone when it has not been renamed.
struct Draft<'a> {
    place: &'a Place,
    name: PathBuf,
}

impl<'a> Draft<'a> {
    fn new(place: &'a Place) -> Self {
        let name = format!(".orch-{:016x}", entropy::nonce());
        Self { place, name: Path::new(&name).to_owned() }
    }
}

impl Drop for Draft<'_> {
    fn drop(&mut self) {
        self.place.discard(&self.name);
    }
}
