//! The processes that descend from a program, also those that have left its group.
//!
//! One whose parent has ended is the first process's child by then and no longer found: what a program parts from itself so, such as a
//! service, is meant to go on.

use std::collections::HashSet;
use std::fs;
use std::os::fd::OwnedFd;

use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};

use crate::files;

/// So many are looked for. The group is signalled as a whole, however many it has.
const MOST: usize = 4096;
/// Longest list of children.
const LIST_BYTES: usize = 1024 * 1024;

/// Processes that are held on to: their numbers can come to no others meanwhile.
#[derive(Debug, Default)]
pub(super) struct Family {
    known: HashSet<Pid>,
    held: Vec<OwnedFd>,
}

impl Family {
    /// Looks for those of a program that have come since it was looked last.
    pub(super) fn look(&mut self, leader: Pid) {
        let (mut seen, mut parents) = (HashSet::new(), vec![leader]);
        while let Some(parent) = parents.pop() {
            for child in children(parent) {
                if seen.len() >= MOST || !seen.insert(child) {
                    continue;
                }
                parents.push(child);
                // Still its child when it is held: then it is the one that was found.
                if self.known.insert(child)
                    && let Ok(held) = pidfd_open(child, PidfdFlags::empty())
                    && children(parent).contains(&child)
                {
                    self.held.push(held);
                }
            }
        }
    }

    pub(super) fn signal(&self, signal: Signal) {
        for process in &self.held {
            // It fails only where the process has ended.
            let _ = pidfd_send_signal(process, signal);
        }
    }
}

/// The children of all threads of a process, as proc_tid_children(5) has them; none on a kernel without that list.
fn children(parent: Pid) -> Vec<Pid> {
    let tasks = fs::read_dir(format!("/proc/{}/task", parent.as_raw_nonzero())).into_iter().flatten();
    let lists =
        tasks.flatten().filter_map(|task| files::read(&task.path().join("children"), LIST_BYTES).ok());
    let numbers = lists.flat_map(|list| {
        let words = String::from_utf8_lossy(&list).into_owned();
        words.split_ascii_whitespace().filter_map(|word| word.parse().ok()).collect::<Vec<i32>>()
    });
    numbers.filter_map(Pid::from_raw).collect()
}
