//! Keeps the log readable while somebody knocks without end: of the refusals of one party, or of all strangers, some
//! are told one by one and the rest in one line now and then.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// Refusals of one party that are told one by one within [`SPAN`].
const TOLD: u32 = 10;
/// After this time the rest is told, and begins anew.
pub(crate) const SPAN: Duration = Duration::from_secs(10);
/// Parties that are counted apart.
const DISTINCT: usize = 256;

struct Noise {
    since: Instant,
    told: u32,
    hushed: BTreeMap<&'static str, u64>,
}

/// What was not told, by party.
#[derive(Default)]
pub(crate) struct Hush(BTreeMap<String, Noise>);

impl Hush {
    /// Whether this refusal is to be told by itself.
    pub(crate) fn tells(&mut self, now: Instant, party: &str, reason: &'static str) -> bool {
        // Beyond all reason: as if they were one.
        let party = if self.0.len() >= DISTINCT && !self.0.contains_key(party) { "(others)" } else { party };
        let noise =
            self.0.entry(party.to_owned()).or_insert(Noise { since: now, told: 0, hushed: BTreeMap::new() });
        if noise.told < TOLD {
            noise.told += 1;
            return true;
        }
        *noise.hushed.entry(reason).or_default() += 1;
        false
    }

    /// What was not told of those whose time is over: party, and reasons with their counts.
    pub(crate) fn due(&mut self, now: Instant) -> Vec<(String, String)> {
        let mut due = Vec::new();
        self.0.retain(|party, noise| {
            let over = now.saturating_duration_since(noise.since) >= SPAN;
            if over && !noise.hushed.is_empty() {
                let counts: Vec<String> =
                    noise.hushed.iter().map(|(reason, count)| format!("{reason} {count}")).collect();
                due.push((party.clone(), counts.join(", ")));
            }
            !over
        });
        due
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_are_told_and_the_rest_is_counted() {
        let (mut hush, now) = (Hush::default(), Instant::now());
        let told = (0..1000).filter(|n| hush.tells(now, "", ["tls", "io"][n % 2])).count();
        assert_eq!(told, TOLD as usize);
        // Others are heard meanwhile.
        assert!(hush.tells(now, "node web1", "malformed"));
        assert_eq!(hush.due(now), []);
        let rest = (String::new(), "io 495, tls 495".to_owned());
        assert_eq!(hush.due(now + SPAN), [rest]);
        assert_eq!(hush.due(now + SPAN), []);
        assert!(hush.tells(now + SPAN, "", "tls"));
    }

    #[test]
    fn parties_without_number_are_few() {
        let (mut hush, now) = (Hush::default(), Instant::now());
        for n in 0..10_000 {
            hush.tells(now, &format!("node web{n}"), "tls");
        }
        assert!(hush.0.len() <= DISTINCT + 1);
    }
}
