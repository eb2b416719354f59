//! Whether a name is in a node set, without unfolding it: each of a thousand nodes asks this of each broadcast.

use super::NodeSetError;
use super::unfold::{Element, Numbers, Segment, bounded, elements};

/// Whether a node set holds a name.
///
/// The answer is that of [`super::unfold`], at a cost that follows the length of the text and not the number of names.
///
/// # Errors
/// With the place, when the text is malformed.
pub fn contains(text: &str, name: &str) -> Result<bool, NodeSetError> {
    bounded(text)?;
    let mut holds = false;
    if text.trim().is_empty() {
        return Ok(holds);
    }
    for (operator, span) in elements(text) {
        let matches = Element::parse(text, span)?.matches(name);
        holds = match operator {
            ',' => holds || matches,
            '&' => holds && matches,
            '^' => holds != matches,
            _ => holds && !matches,
        };
    }
    Ok(holds)
}

impl Element<'_> {
    /// Follows every way to read the name at once, as positions reached so far: trying one way after the other could
    /// take forever on a text made for it.
    fn matches(&self, name: &str) -> bool {
        let mut reached = vec![0];
        for segment in &self.segments {
            let mut next = Vec::new();
            for at in reached {
                let rest = name.get(at..).unwrap_or_default();
                match segment {
                    Segment::Text(text) if rest.starts_with(text) => next.push(at + text.len()),
                    Segment::Text(_) => {}
                    Segment::Numbers(list) => {
                        let holds = |number: &Written| list.iter().any(|numbers| numbers.holds(*number));
                        next.extend(Written::all(rest).filter(holds).map(|number| at + number.length));
                    }
                }
            }
            next.sort_unstable();
            next.dedup();
            reached = next;
        }
        reached.contains(&name.len())
    }
}

/// A number as it stands at the beginning of a text.
#[derive(Clone, Copy)]
struct Written {
    value: u64,
    /// Its digits.
    length: usize,
    /// Whether it has zeros before it that it does not need.
    padded: bool,
}

impl Written {
    /// The numbers that a text begins with: its first digit, its first two, and so on.
    fn all(text: &str) -> impl Iterator<Item = Self> {
        let zero = text.starts_with('0');
        let digits = text.bytes().map_while(|byte| byte.is_ascii_digit().then_some(u64::from(byte & 0xf)));
        let values = digits.scan(0u64, |value, digit| {
            *value = value.checked_mul(10)?.checked_add(digit)?;
            Some(*value)
        });
        values.zip(1..).map(move |(value, length)| Self { value, length, padded: zero && length > 1 })
    }
}

impl Numbers {
    /// Whether one of the numbers is written exactly so.
    fn holds(&self, number: Written) -> bool {
        (self.first..=self.last).contains(&number.value)
            && (number.value - self.first).is_multiple_of(self.step)
            && (number.length == self.width || (number.length > self.width && !number.padded))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits::NAME_BYTES;
    use crate::nodeset::{MAX_TEXT, unfold};
    use proptest::prelude::*;

    #[test]
    fn names_and_brackets() {
        for (text, name, expected) in [
            ("", "web1", false),
            ("web1", "web1", true),
            ("web1", "web10", false),
            ("web[1-3]", "web3", true),
            ("web[1-3]", "web03", false),
            ("web[01-20]", "web07", true),
            ("web[01-20]", "web7", false),
            ("web[08-12]", "web10", true),
            ("web[0-9/3]", "web9", true),
            ("web[0-9/3]", "web8", false),
            ("r[1-2]n[1-2].lan", "r2n1.lan", true),
            ("[1-2][1-20]", "115", true),
            ("web[1-9]!web[2-3]", "web2", false),
            ("web[1-9]!web[2-3],web3", "web3", true),
            ("web[1-9]&web[2-3]", "web3", true),
            ("web[1-3]^web[3-4]", "web3", false),
            ("web[1-3]^web[3-4]", "web4", true),
        ] {
            assert_eq!(contains(text, name), Ok(expected), "{text} {name}");
        }
        assert!(contains("web[1-", "web1").is_err());
        assert!(contains(&"x".repeat(MAX_TEXT + 1), "web1").is_err());
    }

    #[test]
    fn a_text_made_to_take_long_does_not() {
        for text in ["[0-99999999]".repeat(5000), "[0-9]".repeat(40) + "[" + &"1,".repeat(32_000) + "2]"] {
            assert_eq!(contains(&text, &"1".repeat(NAME_BYTES)), Ok(false));
        }
    }

    proptest! {
        #[test]
        fn agrees_with_the_unfolded_set(
            text in "(w?\\[[0-2]{1,2}(-[0-3]{1,2}(/[1-3])?)?\\][ab]?|w[0-9]{1,2}a?)([,!&^](w?\\[[0-2]{1,2}-[1-3]{1,2}\\]|w[0-9])){0,3}",
            name in "w?[0-9]{1,3}[ab]?",
        ) {
            match unfold(&text) {
                Ok(names) => {
                    prop_assert_eq!(contains(&text, &name), Ok(names.contains(&name)));
                    for name in names {
                        prop_assert_eq!(contains(&text, &name), Ok(true));
                    }
                }
                Err(_) => prop_assert!(contains(&text, &name).is_err()),
            }
        }
    }
}
