//! Things to do later, in the order of their time.

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::time::Instant;

/// Which alarm of a task; until it has rung.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct AlarmKey(Instant, u64);

/// Alarms of one task, which waits for the next one beside its other events: one timer for all of them.
#[derive(Debug)]
pub(crate) struct Alarms<T> {
    by_time: BTreeMap<AlarmKey, T>,
    /// Keeps alarms of one moment apart, in the order in which they were set.
    number: u64,
}

impl<T> Default for Alarms<T> {
    fn default() -> Self {
        Self { by_time: BTreeMap::new(), number: 0 }
    }
}

impl<T> Alarms<T> {
    /// Sets an alarm; none where its time is beyond what the clock can say.
    pub(crate) fn set(&mut self, after: Duration, alarm: T) -> Option<AlarmKey> {
        self.number = self.number.wrapping_add(1);
        let key = AlarmKey(Instant::now().checked_add(after)?, self.number);
        self.by_time.insert(key, alarm);
        Some(key)
    }

    /// Takes back an alarm that has not rung, so that the task does not wake for it.
    pub(crate) fn cancel(&mut self, key: AlarmKey) {
        self.by_time.remove(&key);
    }

    pub(crate) fn next(&self) -> Option<Instant> {
        self.by_time.first_key_value().map(|(key, _)| key.0)
    }

    /// The first alarm whose time has come.
    pub(crate) fn pop_due(&mut self) -> Option<T> {
        self.next().filter(|at| *at <= Instant::now())?;
        self.by_time.pop_first().map(|(_, alarm)| alarm)
    }

    /// All that are left, due or not.
    pub(crate) fn take_all(&mut self) -> impl Iterator<Item = T> + use<T> {
        std::mem::take(&mut self.by_time).into_values()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn alarms_ring_in_order() {
        let mut alarms = Alarms::default();
        alarms.set(Duration::from_secs(7200), "late");
        alarms.set(Duration::from_secs(3600), "sooner");
        let never = alarms.set(Duration::ZERO, "never").unwrap();
        alarms.set(Duration::ZERO, "first");
        alarms.set(Duration::ZERO, "second");
        alarms.cancel(never);
        assert!(alarms.next() <= Some(Instant::now()));
        assert_eq!(alarms.pop_due(), Some("first"));
        assert_eq!(alarms.pop_due(), Some("second"));
        assert_eq!(alarms.pop_due(), None);
        assert_eq!(alarms.take_all().collect::<Vec<_>>(), ["sooner", "late"]);
        assert_eq!(alarms.next(), None);
    }
}
