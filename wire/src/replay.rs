//! The replay window: message ids that a node has seen and that could still be accepted.

use std::collections::{BTreeSet, HashSet};

use crate::ids::MessageId;
use crate::limits::REPLAY_IDS;
use crate::time::Timestamp;

/// What the window says to a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Admission {
    /// Not seen before; it is remembered now.
    Fresh,
    /// Seen before: drop it and count it.
    Replay,
    /// Not seen before, but there is no room to remember it: refuse it if it writes.
    Full,
}

/// Ids of messages whose seal verified, each until it expires. An unexpired id is never evicted: a full window
/// refuses instead, since forgetting would let the oldest message be played again.
#[derive(Debug)]
pub struct ReplayWindow {
    seen: HashSet<MessageId>,
    by_expiry: BTreeSet<(Timestamp, MessageId)>,
    capacity: usize,
}

impl Default for ReplayWindow {
    fn default() -> Self {
        Self::with_capacity(REPLAY_IDS)
    }
}

impl ReplayWindow {
    /// A window for so many ids.
    pub fn with_capacity(capacity: usize) -> Self {
        Self { seen: HashSet::new(), by_expiry: BTreeSet::new(), capacity }
    }

    /// Asks for a message that can be accepted until `expires`. Call it only once the seal verified, so that
    /// strangers cannot fill the window.
    pub fn admit(&mut self, id: MessageId, expires: Timestamp, now: Timestamp) -> Admission {
        self.expire(now);
        if self.seen.contains(&id) {
            return Admission::Replay;
        }
        if self.seen.len() >= self.capacity {
            return Admission::Full;
        }
        self.seen.insert(id);
        self.by_expiry.insert((expires, id));
        Admission::Fresh
    }

    /// Whether an id is remembered.
    pub fn contains(&self, id: MessageId) -> bool {
        self.seen.contains(&id)
    }

    /// Ids remembered now.
    pub fn len(&self) -> usize {
        self.seen.len()
    }

    /// Whether no id is remembered.
    pub fn is_empty(&self) -> bool {
        self.seen.is_empty()
    }

    fn expire(&mut self, now: Timestamp) {
        while let Some(&(expires, id)) = self.by_expiry.first() {
            if expires >= now {
                break;
            }
            self.by_expiry.pop_first();
            self.seen.remove(&id);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn id(n: u64) -> MessageId {
        MessageId::new(Timestamp::from_millis(n), &[0; 10])
    }

    #[test]
    fn an_unexpired_id_is_never_evicted() {
        let mut window = ReplayWindow::with_capacity(2);
        let at = Timestamp::from_millis;
        assert_eq!(window.admit(id(1), at(100), at(0)), Admission::Fresh);
        assert_eq!(window.admit(id(2), at(200), at(0)), Admission::Fresh);
        assert_eq!(window.admit(id(3), at(300), at(0)), Admission::Full);
        assert_eq!(window.admit(id(1), at(100), at(100)), Admission::Replay);
        assert_eq!(window.admit(id(3), at(300), at(101)), Admission::Fresh);
        assert_eq!(window.len(), 2);
    }

    proptest! {
        #[test]
        fn no_id_is_fresh_twice_while_it_lives(steps in proptest::collection::vec((0u64..20, 0u64..50), 1..200)) {
            let mut window = ReplayWindow::with_capacity(8);
            let mut alive: std::collections::HashMap<u64, u64> = Default::default();
            let mut now = 0;
            for (n, advance) in steps {
                now += advance;
                let expires = now + 60;
                let seen = alive.get(&n).is_some_and(|&expiry| expiry >= now);
                match window.admit(id(n), Timestamp::from_millis(expires), Timestamp::from_millis(now)) {
                    Admission::Fresh => { prop_assert!(!seen); alive.insert(n, expires); }
                    Admission::Replay => prop_assert!(seen),
                    Admission::Full => prop_assert!(!seen),
                }
            }
        }
    }
}
