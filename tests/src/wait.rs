//! Waiting for a level, never for an edge or a span of time.

use std::fmt::Debug;
use std::time::{Duration, Instant};

/// Looks until `look` gives something, for a minute at most; then fails with the state last seen.
///
/// # Panics
/// When the minute is over.
pub fn until<T, S: Debug>(what: &str, mut look: impl FnMut() -> Result<T, S>) -> T {
    let begun = Instant::now();
    loop {
        match look() {
            Ok(found) => return found,
            Err(state) => {
                assert!(
                    begun.elapsed() < Duration::from_secs(60),
                    "{what}: not within a minute; last seen: {state:?}"
                );
            }
        }
        // Only the pace of looking: what is waited for decides when this ends.
        std::thread::park_timeout(Duration::from_millis(20));
    }
}
