//! Gives back the code that only the start and the reading of facts have needed.
//!
//! Of a program's file the kernel maps sixteen pages around each one that is touched, so that after its start nearly all of a node's
//! program counts as its memory, and stays so. What is needed again comes back from the page cache, within a microsecond.

use std::fs;
use std::ptr::with_exposed_provenance_mut;

use rustix::mm::{Advice, madvise};

/// Unmaps the pages of the program's code and of its libraries'; those that are used come back by themselves.
pub(crate) fn give_back_code() {
    let maps = fs::read_to_string("/proc/self/maps").unwrap_or_default();
    for (start, length) in maps.lines().filter_map(code) {
        #[expect(unsafe_code, reason = "there is no other way to tell the kernel")]
        // SAFETY: the pages are mapped from a file, readable and executable and never written: not needed any more, they are dropped,
        // and read from the file again when they are touched (madvise(2), MADV_DONTNEED).
        let advised = unsafe { madvise(with_exposed_provenance_mut(start), length, Advice::LinuxDontNeed) };
        if let Err(error) = advised {
            tracing::debug!(%error, "code cannot be given back");
        }
    }
}

/// Where a mapping of code starts, and its length: a line of proc_pid_maps(5) with the rights `r-xp` and the path of a file.
fn code(line: &str) -> Option<(usize, usize)> {
    let mut words = line.split_ascii_whitespace();
    let (range, rights, path) = (words.next()?, words.next()?, words.nth(3)?);
    if rights != "r-xp" || !path.starts_with('/') {
        return None;
    }
    let (start, end) = range.split_once('-')?;
    let [start, end] = [start, end].map(|text| usize::from_str_radix(text, 16).ok());
    Some((start?, end?.checked_sub(start?)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_code_from_files_is_given_back() {
        let at = "560d3a2f5000-560d3a94b000";
        assert_eq!(
            code(&format!("{at} r-xp 0023e000 fe:00 1234                       /usr/bin/orch-node")),
            Some((0x560d_3a2f_5000, 0x65_6000))
        );
        for other in [
            "r--p 00000000 fe:00 1234 /usr/bin/orch-node",
            "rw-p 00000000 fe:00 1234 /usr/bin/orch-node",
            "rwxp 00000000 fe:00 1234 /usr/bin/orch-node",
            "r-xp 00000000 00:00 0 [vdso]",
            "r-xp 00000000 00:00 0",
            "",
        ] {
            assert_eq!(code(&format!("{at} {other}")), None, "{other}");
        }
    }

    #[test]
    fn what_was_given_back_is_there_again() {
        let resident = || {
            let status = fs::read_to_string("/proc/self/status").unwrap();
            let line = status.lines().find_map(|line| line.strip_prefix("RssFile:")).unwrap();
            line.trim().strip_suffix(" kB").unwrap().parse::<u64>().unwrap()
        };
        let before = resident();
        give_back_code();
        let after = resident();
        assert!(after < before, "{before} kB before, {after} kB after");
    }
}
