//! How much memory a run takes: a script that fills it is ended, before the machine is.
//!
//! The engine's own limits on sizes measure a list whenever something is put into it, so that building one costs the square
//! of its length. Looking at the process costs nothing worth the name, and counts everything.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// Most memory that a run may add to what the program had when it began.
const MOST: u64 = 1024 * 1024 * 1024;
/// Between two looks. What grows faster than this can show takes longer than this to be written.
const BETWEEN: Duration = Duration::from_millis(5);

/// Watches the memory of one run.
#[derive(Debug)]
pub(crate) struct Memory {
    began: Instant,
    before: u64,
    /// When it was looked at last, in milliseconds after the beginning.
    looked: AtomicU64,
}

impl Memory {
    /// Begins to watch.
    pub(crate) fn watch() -> Self {
        Self { began: Instant::now(), before: resident().unwrap_or(0), looked: AtomicU64::new(0) }
    }

    /// Whether the run has taken too much. Cheap: most of the time it only reads the clock.
    pub(crate) fn is_spent(&self) -> bool {
        let now = u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX);
        let last = self.looked.load(Ordering::Relaxed);
        if now < last + u64::try_from(BETWEEN.as_millis()).unwrap_or(0) {
            return false;
        }
        // One thread of several is enough.
        if self.looked.compare_exchange(last, now, Ordering::Relaxed, Ordering::Relaxed).is_err() {
            return false;
        }
        resident().is_some_and(|now| now > self.before.saturating_add(MOST))
    }

    /// The limit, for messages.
    pub(crate) fn described() -> String {
        format!("{} MiB", MOST / (1024 * 1024))
    }
}

/// Bytes of the process that are in memory.
fn resident() -> Option<u64> {
    let text = std::fs::read_to_string("/proc/self/statm").ok()?;
    let pages: u64 = text.split(' ').nth(1)?.parse().ok()?;
    Some(pages * u64::try_from(rustix::param::page_size()).ok()?)
}
