//! Which commit a script's repository is at, read from its files: starting `git` would cost more than the call.

use std::path::Path;

/// Longest file of references that is read.
const BYTES: u64 = 4 * 1024 * 1024;

/// The commit that is checked out in the repository around a folder; none outside of one.
pub(super) fn of(folder: &Path) -> Option<String> {
    let git = folder.ancestors().map(|above| above.join(".git")).find(|git| git.exists())?;
    let git = if git.is_file() {
        // A worktree or submodule: the file names the folder.
        let text = read(&git)?;
        git.parent()?.join(text.strip_prefix("gitdir:")?.trim())
    } else {
        git
    };
    let head = read(&git.join("HEAD"))?;
    let Some(name) = head.strip_prefix("ref:") else { return digest(&head) };
    let name = name.trim();
    if name.split('/').any(|part| part.is_empty() || part.starts_with('.')) {
        return None;
    }
    let common = read(&git.join("commondir")).map(|text| git.join(text.trim()));
    [Some(git), common].into_iter().flatten().find_map(|folder| {
        let loose = read(&folder.join(name)).and_then(|text| digest(&text));
        loose.or_else(|| {
            let packed = read(&folder.join("packed-refs"))?;
            let mut lines = packed.lines().filter_map(|line| line.split_once(' '));
            lines.find(|(_, packed)| *packed == name).and_then(|(commit, _)| digest(commit))
        })
    })
}

fn digest(text: &str) -> Option<String> {
    let text = text.trim();
    let hex = matches!(text.len(), 40 | 64) && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    hex.then(|| text.to_owned())
}

fn read(path: &Path) -> Option<String> {
    let small = std::fs::metadata(path).ok().filter(|meta| meta.is_file() && meta.len() <= BYTES);
    small.and_then(|_| std::fs::read_to_string(path).ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_commit_is_found_loose_packed_or_detached() {
        let dir = tempfile::tempdir().unwrap();
        let (git, below) = (dir.path().join(".git"), dir.path().join("a/b"));
        std::fs::create_dir_all(git.join("refs/heads")).unwrap();
        std::fs::create_dir_all(&below).unwrap();
        let (one, two) = ("1".repeat(40), "2".repeat(40));
        std::fs::write(git.join("HEAD"), "ref: refs/heads/main\n").unwrap();
        assert_eq!(of(&below), None);
        std::fs::write(git.join("packed-refs"), format!("# pack\n{one} refs/heads/main\n")).unwrap();
        assert_eq!(of(&below), Some(one.clone()));
        std::fs::write(git.join("refs/heads/main"), format!("{two}\n")).unwrap();
        assert_eq!(of(&below), Some(two));
        std::fs::write(git.join("HEAD"), format!("{one}\n")).unwrap();
        assert_eq!(of(&below), Some(one));
        std::fs::write(git.join("HEAD"), "ref: ../../secret\n").unwrap();
        assert_eq!(of(&below), None);
    }
}
