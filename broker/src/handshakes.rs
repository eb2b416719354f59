//! Room for handshakes. When there is none, the one that has been in its handshake longest gives way: whatever
//! strangers do, an honest peer gets in within about the grace that each of them has.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::{Instant, timeout_at};
use tokio_util::sync::CancellationToken;

/// Nobody gives way before this time: an honest peer needs some round trips and a turn of the processor.
const GRACE: Duration = Duration::from_secs(1);

#[derive(Default)]
struct Open {
    next: u64,
    /// Since when each is in its handshake, the oldest first, and how it is told to give way.
    under_way: BTreeMap<u64, (Instant, CancellationToken)>,
}

/// The handshakes that are under way.
pub(crate) struct Handshakes {
    room: usize,
    open: Mutex<Open>,
    freed: Notify,
}

/// A handshake that is under way, for as long as this lives.
pub(crate) struct Handshake {
    list: Arc<Handshakes>,
    id: u64,
    evicted: CancellationToken,
}

impl Handshake {
    /// Waits until it must give way.
    pub(crate) async fn evicted(&self) {
        self.evicted.cancelled().await;
    }
}

impl Drop for Handshake {
    fn drop(&mut self) {
        self.list.lock().under_way.remove(&self.id);
        self.list.freed.notify_one();
    }
}

impl Handshakes {
    pub(crate) fn new(room: usize) -> Arc<Self> {
        Arc::new(Self { room, open: Mutex::default(), freed: Notify::new() })
    }

    fn lock(&self) -> MutexGuard<'_, Open> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for room, and makes some as soon as one may give way. There is one who asks: the gate.
    pub(crate) async fn begin(self: &Arc<Self>) -> Handshake {
        loop {
            match self.try_begin() {
                Ok(handshake) => return handshake,
                // Both mean to look again.
                Err(at) => drop(timeout_at(at, self.freed.notified()).await),
            }
        }
    }

    /// A place, or when the next one may give way.
    fn try_begin(self: &Arc<Self>) -> Result<Handshake, Instant> {
        let (now, mut open) = (Instant::now(), self.lock());
        if open.under_way.len() >= self.room
            && let Some(oldest) = open.under_way.first_entry()
        {
            let may_give_way = oldest.get().0 + GRACE;
            if may_give_way > now {
                return Err(may_give_way);
            }
            oldest.remove().1.cancel();
        }
        let (id, evicted) = (open.next, CancellationToken::new());
        open.next += 1;
        open.under_way.insert(id, (now, evicted.clone()));
        drop(open);
        Ok(Handshake { list: Arc::clone(self), id, evicted })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn the_oldest_gives_way_after_its_grace_and_nobody_else() {
        let list = Handshakes::new(2);
        let begun = Instant::now();
        let first = list.begin().await;
        tokio::time::advance(GRACE / 2).await;
        let second = list.begin().await;
        let third = list.begin().await;
        assert_eq!(begun.elapsed().as_secs(), GRACE.as_secs());
        assert!(first.evicted.is_cancelled());
        assert!(!second.evicted.is_cancelled() && !third.evicted.is_cancelled());
        // That it ends, later, makes no room a second time.
        drop(first);
        assert!(list.try_begin().is_err());
        assert_eq!(list.lock().under_way.len(), 2);
    }

    #[tokio::test(start_paused = true)]
    async fn room_that_comes_free_is_taken_at_once() {
        let list = Handshakes::new(1);
        let begun = Instant::now();
        let first = list.begin().await;
        let (second, ()) = tokio::join!(list.begin(), async move { drop(first) });
        assert!(begun.elapsed() < GRACE && !second.evicted.is_cancelled());
    }
}
