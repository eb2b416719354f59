//! Medians and spreads of rounds.

use std::fmt;
use std::time::Duration;

/// The rounds of one kind on one side.
#[derive(Debug, Clone, Default)]
pub(crate) struct Rounds(Vec<Duration>);

impl Rounds {
    pub(crate) fn push(&mut self, round: Duration) {
        self.0.push(round);
    }

    /// The value below which this part of the rounds lie.
    fn at(&self, part: f64) -> Duration {
        let mut sorted = self.0.clone();
        sorted.sort();
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            clippy::cast_precision_loss,
            reason = "an index into a short list"
        )]
        let index = (part * (sorted.len().saturating_sub(1)) as f64).round() as usize;
        sorted.get(index).copied().unwrap_or_default()
    }

    pub(crate) fn median(&self) -> Duration {
        self.at(0.5)
    }

    /// How often the other's median fits into this one's.
    pub(crate) fn ratio(&self, other: &Self) -> f64 {
        self.median().as_secs_f64() / other.median().as_secs_f64().max(1e-9)
    }
}

impl fmt::Display for Rounds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ms = |span: Duration| span.as_secs_f64() * 1000.0;
        write!(
            f,
            "{:7.2} ms (quartiles {:.2} to {:.2}, all {:.2} to {:.2})",
            ms(self.median()),
            ms(self.at(0.25)),
            ms(self.at(0.75)),
            ms(self.at(0.0)),
            ms(self.at(1.0))
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_in_the_middle() {
        let mut rounds = Rounds::default();
        for ms in [5, 1, 9, 3, 7] {
            rounds.push(Duration::from_millis(ms));
        }
        assert_eq!(rounds.median(), Duration::from_millis(5));
        assert_eq!((rounds.at(0.0), rounds.at(1.0)), (Duration::from_millis(1), Duration::from_millis(9)));
        let mut half = Rounds::default();
        half.push(Duration::from_micros(2500));
        assert!((rounds.ratio(&half) - 2.0).abs() < 1e-9);
    }
}
