//! Threads of a script. Whoever starts them waits for them: none outlives what it was started for.

use std::thread::Builder;

use crate::script::engine::STACK;
use crate::script::types::{Outcome, usage};

/// Does the same work on so many threads beside each other, and waits until all have done it. The work takes what is to be done
/// from where it stands: fewer threads do it too.
pub(crate) fn beside(count: usize, name: &str, work: impl Fn() + Sync) -> Outcome<()> {
    std::thread::scope(|scope| {
        let mut none = None;
        let mut started = 0;
        for _ in 0..count.max(1) {
            match Builder::new().name(name.to_owned()).stack_size(STACK).spawn_scoped(scope, &work) {
                Ok(_) => started += 1,
                Err(error) => none = Some(error),
            }
        }
        match none {
            Some(error) if started == 0 => Err(usage(format!("there is no thread to be had: {error}"))),
            _ => Ok(()),
        }
    })
}
