//! A private folder for the Unix sockets between the crate's ZeroMQ sockets and the relays.

use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use crate::entropy;

/// Longest path of a Unix socket that the kernel takes, less the terminating zero.
const SOCKET_PATH_BYTES: usize = 107;
/// Room for the name of a socket in the folder.
const SOCKET_NAME_BYTES: usize = 24;

/// A folder of mode 0700 with a name of its own, removed with this value.
#[derive(Debug)]
pub struct SocketDir {
    path: PathBuf,
    next: AtomicU64,
}

impl SocketDir {
    /// Makes the folder below `base`, which is made too where it is missing.
    pub fn create(base: &Path) -> io::Result<Self> {
        if base.as_os_str().as_bytes().len() + 1 + 18 + 1 + SOCKET_NAME_BYTES > SOCKET_PATH_BYTES {
            return Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                format!("{}: too long a path for Unix sockets, choose a shorter run folder", base.display()),
            ));
        }
        std::fs::DirBuilder::new().recursive(true).mode(0o700).create(base).map_err(|e| at(base, &e))?;
        require_safe(base)?;
        remove_stale(base);
        let tag = u32::from_le_bytes(entropy::random());
        let path = base.join(format!("{:x}-{tag:08x}", std::process::id()));
        std::fs::DirBuilder::new().mode(0o700).create(&path).map_err(|e| at(&path, &e))?;
        Ok(Self { path, next: AtomicU64::new(0) })
    }

    /// The folder.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Path of a socket with this name.
    pub fn socket(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// Path of a socket that no other has.
    pub fn fresh_socket(&self) -> PathBuf {
        self.path.join(format!("{:x}", self.next.fetch_add(1, Ordering::Relaxed)))
    }
}

impl Drop for SocketDir {
    fn drop(&mut self) {
        // Nothing can be done about a failure here; the next start removes what is left.
        let _ = std::fs::remove_dir_all(&self.path);
    }
}

/// Refuses a folder in which others can put something in the place of ours: another user's, or one that others may
/// write to, unless its sticky bit keeps them from what is not theirs.
fn require_safe(base: &Path) -> io::Result<()> {
    const STICKY: u32 = 0o1000;
    let meta = std::fs::metadata(base).map_err(|e| at(base, &e))?;
    let (mode, owner) = (meta.mode() & 0o7777, meta.uid());
    let unsafe_because = if !is_own(owner) {
        format!("it belongs to another user ({owner})")
    } else if mode & 0o022 != 0 && mode & STICKY == 0 {
        format!("others may write to it (mode {mode:04o})")
    } else {
        return Ok(());
    };
    Err(io::Error::new(
        io::ErrorKind::PermissionDenied,
        format!(
            "{}: {unsafe_because}, so that they could listen in; choose another run folder, or make this one private",
            base.display()
        ),
    ))
}

/// Whether a file of this owner is this user's own, or the system's.
pub(crate) fn is_own(owner: u32) -> bool {
    owner == 0 || owner == rustix::process::geteuid().as_raw()
}

/// Removes folders of processes that no longer run: a killed process cannot clean up.
fn remove_stale(base: &Path) {
    let Ok(entries) = std::fs::read_dir(base) else { return };
    for entry in entries.flatten() {
        let name = entry.file_name();
        let Some((pid, tag)) = name.to_str().and_then(|name| name.split_once('-')) else { continue };
        let Ok(pid) = u32::from_str_radix(pid, 16) else { continue };
        let ours = tag.len() == 8 && tag.bytes().all(|b| b.is_ascii_hexdigit());
        let owned = entry.metadata().is_ok_and(|meta| meta.is_dir() && meta.mode() & 0o777 == 0o700);
        if ours && owned && !Path::new(&format!("/proc/{pid}")).exists() && Path::new("/proc/self").exists() {
            let _ = std::fs::remove_dir_all(entry.path());
        }
    }
}

fn at(path: &Path, error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("{}: {error}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn the_folder_is_private_and_goes_with_its_owner() {
        let base = tempfile::tempdir().unwrap();
        let stale = base.path().join("7fffffff-00000000");
        std::fs::DirBuilder::new().mode(0o700).create(&stale).unwrap();
        let dir = SocketDir::create(base.path()).unwrap();
        assert!(!stale.exists());
        let path = dir.path().to_owned();
        assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o700);
        assert_ne!(dir.fresh_socket(), dir.fresh_socket());
        drop(dir);
        assert!(!path.exists());
    }

    #[test]
    fn a_folder_that_others_can_change_is_refused() {
        let base = tempfile::tempdir().unwrap();
        for (mode, good) in
            [(0o700, true), (0o755, true), (0o1777, true), (0o777, false), (0o720, false), (0o702, false)]
        {
            std::fs::set_permissions(base.path(), std::fs::Permissions::from_mode(mode)).unwrap();
            let made = SocketDir::create(base.path());
            assert_eq!(made.is_ok(), good, "{mode:o}: {made:?}");
            if let Err(error) = made {
                assert!(error.to_string().contains("others may write to it (mode 07"), "{error}");
            }
        }
        // Only root can make a folder another's.
        if rustix::process::geteuid().is_root() {
            std::fs::set_permissions(base.path(), std::fs::Permissions::from_mode(0o700)).unwrap();
            std::os::unix::fs::chown(base.path(), Some(12_345), None).unwrap();
            let error = SocketDir::create(base.path()).unwrap_err();
            assert!(error.to_string().contains("another user (12345)"), "{error}");
        }
    }

    #[test]
    fn too_long_a_path_is_refused_by_name() {
        let error = SocketDir::create(Path::new(&format!("/tmp/{}", "x".repeat(90)))).unwrap_err();
        assert!(error.to_string().contains("shorter run folder"));
    }
}
