//! The one way in which orch waits before it tries again: exponential, with full jitter.

use std::time::Duration;

use crate::entropy;

/// Delays between tries: each a random part of a span that doubles from [`Backoff::FIRST`] to [`Backoff::LAST`], so that
/// a thousand nodes that lost one broker do not come back at one moment.
#[derive(Debug, Default)]
pub struct Backoff {
    tries: u32,
}

impl Backoff {
    /// Span that the first delay is drawn from.
    pub const FIRST: Duration = Duration::from_millis(250);
    /// Span that no delay exceeds.
    pub const LAST: Duration = Duration::from_secs(15);

    /// The next delay.
    pub fn next_delay(&mut self) -> Duration {
        let span = Self::FIRST.saturating_mul(1 << self.tries.min(10)).min(Self::LAST);
        self.tries = self.tries.saturating_add(1);
        // 32 random bits as a fraction of the span.
        let part = u32::from_le_bytes(entropy::random());
        span.mul_f64(f64::from(part) / f64::from(u32::MAX))
    }

    /// Starts over, after something worked.
    pub fn reset(&mut self) {
        self.tries = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delays_grow_to_their_limit_and_start_over() {
        let mut backoff = Backoff::default();
        for tries in 0..40u32 {
            let span = (Backoff::FIRST * 2u32.pow(tries.min(10))).min(Backoff::LAST);
            assert!(backoff.next_delay() <= span);
        }
        let longest = (0..50).map(|_| backoff.next_delay()).max().unwrap();
        assert!(longest > Backoff::FIRST, "fifty draws from 15 s are not all under 250 ms");
        backoff.reset();
        assert!(backoff.next_delay() <= Backoff::FIRST);
    }
}
