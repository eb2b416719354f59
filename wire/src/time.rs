//! Time as a parameter: this crate reads no clock.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::limits::{MAX_TIME_TO_LIVE, SKEW};

/// A moment in milliseconds since 1970-01-01 UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Timestamp(u64);

impl Timestamp {
    /// From milliseconds since the epoch.
    pub const fn from_millis(millis: u64) -> Self {
        Self(millis)
    }

    /// Milliseconds since the epoch.
    pub const fn millis(self) -> u64 {
        self.0
    }

    /// This moment and `span` later; stays at the end of time rather than wrap.
    pub fn plus(self, span: Duration) -> Self {
        Self(self.0.saturating_add(u64::try_from(span.as_millis()).unwrap_or(u64::MAX)))
    }

    /// Time since `earlier`, zero when that is later.
    pub fn since(self, earlier: Timestamp) -> Duration {
        Duration::from_millis(self.0.saturating_sub(earlier.0))
    }
}

impl fmt::Display for Timestamp {
    /// As RFC 3339 in UTC with milliseconds, by the civil-from-days rule.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (seconds, millis) = (self.0 / 1000, self.0 % 1000);
        let (days, clock) = (seconds / 86_400, seconds % 86_400);
        let shifted = days + 719_468;
        let era = shifted / 146_097;
        let day_of_era = shifted % 146_097;
        let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
        let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        let shifted_month = (5 * day_of_year + 2) / 153;
        let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
        let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
        let year = year_of_era + era * 400 + u64::from(month <= 2);
        write!(
            f,
            "{year:04}-{month:02}-{day:02}T{:02}:{:02}:{:02}.{millis:03}Z",
            clock / 3600,
            clock / 60 % 60,
            clock % 60
        )
    }
}

/// How a message stands to the node's clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Freshness {
    /// It may start.
    Fresh,
    /// It is older than its time-to-live and the allowed skew: too late, or the sender's clock is behind.
    Expired,
    /// It was issued further in the future than the allowed skew: the clocks differ.
    PostDated,
}

/// When a message may no longer start: its time-to-live, capped, plus the skew the two clocks may have.
pub fn expires_at(issued_at: Timestamp, time_to_live: Duration) -> Timestamp {
    issued_at.plus(time_to_live.min(MAX_TIME_TO_LIVE)).plus(SKEW)
}

/// Compares a message's age with its time-to-live and the allowed skew (`design.md` section 6).
pub fn freshness(issued_at: Timestamp, time_to_live: Duration, now: Timestamp) -> Freshness {
    if issued_at > now.plus(SKEW) {
        Freshness::PostDated
    } else if now > expires_at(issued_at, time_to_live) {
        Freshness::Expired
    } else {
        Freshness::Fresh
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prints_as_rfc_3339() {
        for (millis, text) in [
            (0, "1970-01-01T00:00:00.000Z"),
            (951_827_696_789, "2000-02-29T12:34:56.789Z"),
            (1_795_371_600_000, "2026-11-22T18:20:00.000Z"),
            (4_102_444_799_999, "2099-12-31T23:59:59.999Z"),
        ] {
            assert_eq!(Timestamp::from_millis(millis).to_string(), text);
        }
    }

    #[test]
    fn a_message_is_fresh_within_its_life_and_the_skew() {
        let issued = Timestamp::from_millis(1_000_000);
        let life = Duration::from_secs(60);
        let at = |millis| freshness(issued, life, Timestamp::from_millis(millis));
        assert_eq!(at(1_000_000), Freshness::Fresh);
        assert_eq!(at(970_000), Freshness::Fresh);
        assert_eq!(at(969_999), Freshness::PostDated);
        assert_eq!(at(1_090_000), Freshness::Fresh);
        assert_eq!(at(1_090_001), Freshness::Expired);
        // A sender cannot buy more than the cap.
        let long =
            freshness(issued, Duration::from_secs(1 << 40), Timestamp::from_millis(1_000_000 + 630_001));
        assert_eq!(long, Freshness::Expired);
    }
}
