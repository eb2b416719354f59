//! A part of a set of nodes: limits and batches, as a count or in percent.

use std::str::FromStr;

use super::sort_names;

/// A text that is neither a count nor a percentage.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is no {what}: {reason}")]
pub struct PortionError {
    what: &'static str,
    text: String,
    reason: &'static str,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Portion {
    Count(usize),
    Percent(u8),
}

impl Portion {
    fn parse(text: &str, what: &'static str) -> Result<Self, PortionError> {
        let fault = |reason| PortionError { what, text: text.chars().take(40).collect(), reason };
        let (digits, percent) = match text.strip_suffix('%') {
            Some(digits) => (digits, true),
            None => (text, false),
        };
        if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(fault("write a whole number, or one with `%`"));
        }
        if percent {
            let percent = digits.parse().ok().filter(|percent| *percent <= 100);
            return percent.map(Self::Percent).ok_or_else(|| fault("it is more than 100%"));
        }
        digits.parse().map(Self::Count).map_err(|_| fault("the number is too large"))
    }

    fn is_zero(self) -> bool {
        matches!(self, Self::Count(0) | Self::Percent(0))
    }
}

fn percent_of(total: usize, percent: u8) -> u128 {
    total as u128 * u128::from(percent)
}

/// `--limit 5` or `--limit 20%`: at most so many nodes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limit(Portion);

impl FromStr for Limit {
    type Err = PortionError;

    fn from_str(text: &str) -> Result<Self, PortionError> {
        let portion = Portion::parse(text, "limit")?;
        if portion.is_zero() {
            return Err(PortionError { what: "limit", text: text.into(), reason: "it would leave no node" });
        }
        Ok(Self(portion))
    }
}

impl Limit {
    /// How many of so many nodes; percentages round down, but never below one.
    pub fn of(self, total: usize) -> usize {
        match self.0 {
            Portion::Count(count) => count.min(total),
            Portion::Percent(percent) => {
                usize::try_from(percent_of(total, percent) / 100).unwrap_or(total).max(1).min(total)
            }
        }
    }

    /// Takes the first nodes in name order; with a seed a random draw, which is the same
    /// for the same seed and set in whatever order they came. The result is in name order.
    pub fn take(self, mut names: Vec<String>, seed: Option<u64>) -> Vec<String> {
        sort_names(&mut names);
        let count = self.of(names.len());
        if let Some(seed) = seed {
            draw(&mut names, count, seed);
        }
        names.truncate(count);
        if seed.is_some() {
            sort_names(&mut names);
        }
        names
    }
}

/// Draws `count` names to the front (the first steps of a Fisher-Yates shuffle).
///
/// The generator is splitmix64: part of the promise that a seed repeats its draw, and so
/// not left to a crate that may change it.
fn draw(names: &mut [String], count: usize, seed: u64) {
    let mut state = seed;
    for at in 0..count.min(names.len()) {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = state;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^= z >> 31;
        let left = (names.len() - at) as u128;
        // Multiply and shift: even enough for any number of names, and without a loop.
        let offset = usize::try_from((u128::from(z) * left) >> 64).unwrap_or(0);
        names.swap(at, at + offset);
    }
}

/// `batch 10` or `batch 25%`: so many nodes at a time; 0 turns batching off.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Batch(Portion);

impl FromStr for Batch {
    type Err = PortionError;

    fn from_str(text: &str) -> Result<Self, PortionError> {
        Portion::parse(text, "batch").map(Self)
    }
}

impl Batch {
    /// A batch of so many nodes.
    pub fn count(nodes: usize) -> Self {
        Self(Portion::Count(nodes))
    }

    /// Whether nodes are called in batches at all.
    pub fn is_on(self) -> bool {
        !self.0.is_zero()
    }

    /// Nodes in one batch out of so many, at least one; percentages round up. Without
    /// batching all of them.
    pub fn of(self, total: usize) -> usize {
        match self.0 {
            _ if !self.is_on() => total.max(1),
            Portion::Count(count) => count,
            Portion::Percent(percent) => {
                usize::try_from(percent_of(total, percent).div_ceil(100)).unwrap_or(total).max(1)
            }
        }
    }
}
