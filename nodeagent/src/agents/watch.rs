//! Whether agents' folders are as they were, found out without reading a file.
//!
//! Looking now and then costs less than a microsecond of each second, needs no thread of its own, and works where the kernel tells
//! of no changes: on network file systems, and of folders that are not there yet.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use orch_wire::ids::Digest;

use super::load::ENTRIES;
use crate::files;

/// What a look shows: another one where a file was added, removed, written or given another mode.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Stamp(Digest);

/// Looks at folders, and at the folders in them.
pub(crate) fn look(folders: &[PathBuf]) -> Stamp {
    let mut seen = String::new();
    for folder in folders {
        note(folder, &mut seen);
        for path in files::list(folder, ENTRIES).unwrap_or_default() {
            if note(&path, &mut seen) {
                for path in files::list(&path, ENTRIES).unwrap_or_default() {
                    note(&path, &mut seen);
                }
            }
        }
    }
    Stamp(Digest::of(seen.as_bytes()))
}

/// Writes down what is seen of a path; whether it is a folder.
fn note(path: &Path, seen: &mut String) -> bool {
    use std::fmt::Write;
    // Writing to a text does not fail. The time of the last change of the file or its attributes cannot be set by anybody.
    let Ok(found) = fs::metadata(path) else {
        let _ = writeln!(seen, "{} -", path.display());
        return false;
    };
    let (second, nanosecond) = (found.ctime(), found.ctime_nsec());
    let _ = writeln!(seen, "{} {} {} {second}.{nanosecond}", path.display(), found.ino(), found.len());
    found.is_dir()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn each_kind_of_change_is_seen_and_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let folders = [folder.path().join("agents"), folder.path().join("none")];
        let path = |name: &str| folders[0].join(name);
        let mut before = look(&folders);
        let mut is_seen = |what: &str| {
            let now = look(&folders);
            assert_ne!(now, before, "{what}");
            assert_eq!(look(&folders), now, "{what}");
            before = now;
        };
        fs::create_dir_all(path("own")).unwrap();
        is_seen("a folder comes");
        fs::write(path("own/own.json"), "1").unwrap();
        is_seen("a file in it comes");
        fs::write(path("own/own.json"), "22").unwrap();
        is_seen("it is written");
        fs::set_permissions(path("own/own.json"), fs::Permissions::from_mode(0o600)).unwrap();
        is_seen("its mode is another");
        fs::write(path("fresh"), "33").unwrap();
        is_seen("a file comes");
        fs::rename(path("fresh"), path("own/own.json")).unwrap();
        is_seen("another takes its place");
        fs::create_dir(&folders[1]).unwrap();
        is_seen("the other folder comes");
        fs::remove_dir_all(path("own")).unwrap();
        is_seen("a folder goes");
    }
}
