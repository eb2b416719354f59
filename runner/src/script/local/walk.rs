//! From a path to a file beneath a folder.
//!
//! Each part of a path is opened from the folder before it and never through a link: where a link leads is read and walked in the
//! same way, and `..` takes back the folder that was opened last. So nobody can swap a folder for a link between a check and what
//! follows it, and where the walk has come is known, which the kernel's own `openat2` would not tell.

use std::collections::VecDeque;
use std::ffi::{OsStr, OsString};
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Component, Path, PathBuf};

use rustix::fs::{AtFlags, FileType, Mode, OFlags};

/// Most links on one way, as in the kernel.
const MOST_LINKS: usize = 40;

/// A folder that a walk begins in and does not leave.
pub(super) struct Root {
    folder: OwnedFd,
    /// Where it lies, without links.
    path: PathBuf,
}

/// Where a walk has come.
pub(super) struct Spot {
    /// Folders on the way, beneath the root.
    folders: Vec<(OsString, OwnedFd)>,
    /// The last name; none for the root itself and for a path that ends in `..`.
    pub(super) name: Option<OsString>,
    /// What it is; none where nothing is there.
    pub(super) kind: Option<FileType>,
}

/// Why a walk has not come to its end.
pub(super) enum Stopped {
    /// It leads out of the root, to this place.
    Outside(PathBuf),
    /// The machine said no.
    Failed(io::Error),
}

impl<E: Into<io::Error>> From<E> for Stopped {
    fn from(error: E) -> Self {
        Self::Failed(error.into())
    }
}

impl Root {
    /// Opens a folder, or the folder of a file; `path` is without links.
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        let folder = rustix::fs::open(path, FOLDER, Mode::empty())?;
        Ok(Self { folder, path: path.to_owned() })
    }

    /// Walks a path that begins in the root. The last part is not followed if it is a link and `follow` is false.
    pub(super) fn walk(&self, path: &Path, follow: bool) -> Result<Spot, Stopped> {
        let mut todo = parts(path);
        let mut folders: Vec<(OsString, OwnedFd)> = Vec::new();
        let mut links = 0;
        while let Some(part) = todo.pop_front() {
            if part == "." {
                continue;
            }
            if part == ".." {
                if folders.pop().is_none() {
                    let above = self.path.parent().unwrap_or(&self.path);
                    return Err(Stopped::Outside(joined(above, &todo)));
                }
                continue;
            }
            let here = folders.last().map_or(self.folder.as_fd(), |(_, folder)| folder.as_fd());
            let last = todo.is_empty();
            let kind = match rustix::fs::statat(here, &part, AtFlags::SYMLINK_NOFOLLOW) {
                Ok(found) => FileType::from_raw_mode(found.st_mode),
                Err(rustix::io::Errno::NOENT) if last => {
                    return Ok(Spot { folders, name: Some(part), kind: None });
                }
                Err(error) => return Err(error.into()),
            };
            if kind == FileType::Symlink && (follow || !last) {
                links += 1;
                if links > MOST_LINKS {
                    return Err(rustix::io::Errno::LOOP.into());
                }
                let target = rustix::fs::readlinkat(here, &part, Vec::new())?;
                let target = Path::new(OsStr::from_bytes(target.as_bytes()));
                if target.is_absolute() {
                    return Err(Stopped::Outside(joined(target, &todo)));
                }
                for part in parts(target).into_iter().rev() {
                    todo.push_front(part);
                }
            } else if last {
                return Ok(Spot { folders, name: Some(part), kind: Some(kind) });
            } else {
                let folder = rustix::fs::openat(here, &part, FOLDER, Mode::empty())?;
                folders.push((part, folder));
            }
        }
        Ok(Spot { folders, name: None, kind: Some(FileType::Directory) })
    }

    /// The folder that a spot lies in.
    pub(super) fn folder<'a>(&'a self, spot: &'a Spot) -> BorrowedFd<'a> {
        spot.folders.last().map_or(self.folder.as_fd(), |(_, folder)| folder.as_fd())
    }

    /// All folders on the way, the root first.
    pub(super) fn way<'a>(&'a self, spot: &'a Spot) -> impl Iterator<Item = BorrowedFd<'a>> {
        std::iter::once(self.folder.as_fd()).chain(spot.folders.iter().map(|(_, folder)| folder.as_fd()))
    }

    /// Where a spot lies, without links.
    pub(super) fn place(&self, spot: &Spot) -> PathBuf {
        let mut place = self.path.clone();
        place.extend(spot.names());
        place
    }
}

impl Spot {
    /// Names of the parts of its way beneath the root, its own last.
    pub(super) fn names(&self) -> impl Iterator<Item = &OsStr> {
        self.folders.iter().map(|(name, _)| name.as_os_str()).chain(self.name.as_deref())
    }
}

const FOLDER: OFlags = OFlags::PATH.union(OFlags::DIRECTORY).union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);

/// Parts of a path. A slash at the end asks for a folder, and so for one part more, which the iterator leaves out.
fn parts(path: &Path) -> VecDeque<OsString> {
    let mut parts: VecDeque<OsString> = path
        .components()
        .filter(|part| !matches!(part, Component::RootDir | Component::Prefix(_)))
        .map(|part| part.as_os_str().to_owned())
        .collect();
    let bytes = path.as_os_str().as_bytes();
    if (bytes.ends_with(b"/") || bytes.ends_with(b"/.")) && !parts.is_empty() {
        parts.push_back(".".into());
    }
    parts
}

fn joined(base: &Path, rest: &VecDeque<OsString>) -> PathBuf {
    let mut path = base.to_owned();
    path.extend(rest);
    path
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use proptest::prelude::*;

    use super::*;

    /// Folders and links between them: each of `d0` to `d3` lies in one before it, links lie anywhere and lead anywhere.
    fn tree(links: &[(usize, String)]) -> (tempfile::TempDir, PathBuf) {
        let outer = tempfile::tempdir().unwrap();
        let root = outer.path().canonicalize().unwrap().join("root");
        std::fs::create_dir_all(root.join("d0/d1/d2")).unwrap();
        std::fs::create_dir_all(root.join("d3")).unwrap();
        for folder in [".", "d0", "d0/d1", "d0/d1/d2", "d3", ".."] {
            std::fs::write(root.join(folder).join("file"), "x").unwrap();
        }
        for (at, (folder, target)) in links.iter().enumerate() {
            let folder = ["", "d0", "d0/d1", "d3"][*folder];
            symlink(target, root.join(folder).join(format!("l{at}"))).unwrap();
        }
        (outer, root)
    }

    fn path() -> impl Strategy<Value = String> {
        let part =
            prop::sample::select(vec!["..", ".", "d0", "d1", "d2", "d3", "file", "l0", "l1", "l2", "l3"]);
        prop::collection::vec(part, 1..6).prop_map(|parts| parts.join("/"))
    }

    proptest! {
        #[test]
        fn a_walk_comes_where_the_kernel_comes_and_never_outside(
            links in prop::collection::vec((0_usize..4, path()), 0..4),
            path in path(),
        ) {
            let (_outer, root) = tree(&links);
            let real = root.join(&path).canonicalize();
            match Root::open(&root).unwrap().walk(Path::new(&path), true) {
                Ok(spot) if spot.kind.is_some() => {
                    let place = Root::open(&root).unwrap().place(&spot);
                    prop_assert!(place.starts_with(&root), "{place:?}");
                    prop_assert_eq!(Some(place), real.ok());
                }
                Ok(_) => prop_assert!(real.is_err()),
                // It may come back in, which is refused all the same.
                Err(Stopped::Outside(_)) => {}
                Err(Stopped::Failed(_)) => prop_assert!(real.is_err(), "{real:?}"),
            }
            if let Ok(real) = root.join(&path).canonicalize() && !real.starts_with(&root) {
                let walked = Root::open(&root).unwrap().walk(Path::new(&path), true);
                prop_assert!(matches!(walked, Err(Stopped::Outside(_))));
            }
        }
    }
}
