//! Owner, group and mode of a file: those that a caller wants, and those that it has.

use std::fs::File;

use rustix::fs::{Gid, Mode, Stat, Uid, fchmod, fchown};

use super::super::account::Account;
use super::place::Place;
use super::{Done, Errand, refused};

/// The bits that `chmod` sets.
const MODE_BITS: u32 = 0o7777;
/// Mode of a file that is new, where the caller wants none.
const NEW_MODE: u32 = 0o644;

/// What a caller wants; what is left out stays as it is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Attributes {
    owner: Option<u32>,
    group: Option<u32>,
    mode: Option<u32>,
}

impl Attributes {
    /// Those of the arguments.
    pub(super) fn of(errand: &Errand) -> Done<Self> {
        let mode = errand.text("mode").map(|text| match u32::from_str_radix(text, 8) {
            Ok(mode) if mode <= MODE_BITS => Ok(mode),
            _ => Err(refused("`mode` must be octal, such as 0644")),
        });
        Ok(Self {
            owner: errand.text("owner").map(|name| Account::User.id(name)).transpose()?,
            group: errand.text("group").map(|name| Account::Group.id(name)).transpose()?,
            mode: mode.transpose()?,
        })
    }

    /// With those of the file for what is left out; those of a new file where there is none.
    pub(super) fn completed(self, old: Option<&Stat>) -> Self {
        let old = old.map(Self::had);
        Self {
            owner: self.owner.or(old.and_then(|old| old.owner)),
            group: self.group.or(old.and_then(|old| old.group)),
            mode: self.mode.or(old.map_or(Some(NEW_MODE), |old| old.mode)),
        }
    }

    fn had(stat: &Stat) -> Self {
        Self { owner: Some(stat.st_uid), group: Some(stat.st_gid), mode: Some(stat.st_mode & MODE_BITS) }
    }

    /// The names of those in which a file differs from what is wanted.
    pub(super) fn differing(self, stat: &Stat) -> Vec<&'static str> {
        let had = Self::had(stat);
        [("owner", self.owner, had.owner), ("group", self.group, had.group), ("mode", self.mode, had.mode)]
            .into_iter()
            .filter(|(_, wanted, had)| wanted.is_some() && wanted != had)
            .map(|(name, _, _)| name)
            .collect()
    }

    /// Gives them to an open file.
    pub(super) fn apply(self, file: &File, place: &Place) -> Done<()> {
        let had = Self::had(&rustix::fs::fstat(file).map_err(place.fault("inspect"))?);
        let changed = |wanted: Option<u32>, had: Option<u32>| wanted.filter(|_| wanted != had);
        let (owner, group) = (changed(self.owner, had.owner), changed(self.group, had.group));
        if owner.is_some() || group.is_some() {
            let (owner, group) = (owner.map(Uid::from_raw), group.map(Gid::from_raw));
            fchown(file, owner, group).map_err(place.fault("change the owner of"))?;
        }
        // After the owner: to change that takes bits of the mode away.
        if let Some(mode) = self.mode {
            fchmod(file, Mode::from_raw_mode(mode)).map_err(place.fault("change the mode of"))?;
        }
        Ok(())
    }
}

/// A mode as it is written.
pub(super) fn written(mode: u32) -> String {
    format!("{:04o}", mode & MODE_BITS)
}
