//! The chain as its reader holds it against itself.

use super::chain::{Head, before};
use super::line::{Entry, Line};
use crate::ids::Digest;

/// What breaks the chain.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// The hash in a line is not that of the line before it.
    #[error("it does not follow the line before: that one was changed, or lines were removed or moved")]
    Broken,
    /// The number of a line is not the next one.
    #[error("it has position {found}, where {expected} is expected: lines were removed or moved")]
    Position {
        /// The next number.
        expected: u64,
        /// The one in the line.
        found: u64,
    },
    /// Not a line of an audit, and not what a crash left.
    #[error("this is no line of an audit")]
    Malformed,
    /// A line says that a torn one stands before it, and another stands there.
    #[error("it speaks of a torn line, which is not the one before")]
    NotTorn,
    /// No line has the hash that is known from elsewhere.
    #[error("no line has the hash {0}: the end is missing")]
    NoSuchHead(Digest),
}

/// What an audit holds that is sound.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Verified {
    /// Lines, the torn ones not among them.
    pub lines: u64,
    /// Number of the first line; others may have been before it.
    pub first: Option<u64>,
    /// The last line.
    pub head: Option<Head>,
    /// Requests that were decided on.
    pub decisions: u64,
    /// Those among them that were refused.
    pub refused: u64,
    /// Requests whose end is told.
    pub outcomes: u64,
    /// Lines that a crash had left torn.
    pub torn: u64,
}

/// Takes lines in order, of one file after the other.
#[derive(Debug, Clone, Default)]
pub struct Verifier {
    verified: Verified,
    /// A line that is none, which the next one must speak of.
    torn: Option<(usize, Digest)>,
    /// A hash known from elsewhere, and whether a line has it.
    sought: Option<(Digest, bool)>,
}

impl Verifier {
    /// A verifier that looks for the line with this hash too.
    pub fn new(head: Option<Digest>) -> Self {
        Self { sought: head.map(|head| (head, false)), ..Self::default() }
    }

    /// Takes a line without its line break.
    ///
    /// # Errors
    /// With what is wrong at this line.
    pub fn line(&mut self, text: &[u8]) -> Result<(), Fault> {
        let hash = Digest::of(text);
        let Ok(line) = serde_json::from_slice::<Line>(text) else {
            if self.torn.is_some() {
                return Err(Fault::Malformed);
            }
            self.torn = Some((text.len(), hash));
            return Ok(());
        };
        let spoken_of = match &line.entry {
            Entry::Recovered { bytes, torn } => Some((*bytes, *torn)),
            _ => None,
        };
        if self.torn.take() != spoken_of {
            return Err(if spoken_of.is_some() { Fault::NotTorn } else { Fault::Malformed });
        }
        let verified = &mut self.verified;
        if let Some(head) = verified.head {
            let expected = head.position + 1;
            if line.position != expected {
                return Err(Fault::Position { expected, found: line.position });
            }
            if line.before != head.hash {
                return Err(Fault::Broken);
            }
        } else if line.position == 0 && line.before != before(None) {
            return Err(Fault::Broken);
        }
        verified.first.get_or_insert(line.position);
        verified.head = Some(Head { position: line.position, hash });
        verified.lines += 1;
        match &line.entry {
            Entry::Decision(decision) => {
                verified.decisions += 1;
                verified.refused += u64::from(!decision.allowed);
            }
            Entry::Outcome(_) => verified.outcomes += 1,
            Entry::Recovered { .. } => verified.torn += 1,
            Entry::Opened { .. } => {}
        }
        if let Some((sought, found)) = &mut self.sought {
            *found |= *sought == hash;
        }
        Ok(())
    }

    /// The end of all files; a last line that is torn is one that is being written, or that a crash has just left.
    ///
    /// # Errors
    /// When the line that was looked for has not come.
    pub fn finish(self) -> Result<Verified, Fault> {
        match self.sought {
            Some((sought, false)) => Err(Fault::NoSuchHead(sought)),
            _ => Ok(self.verified),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audit::Chain;
    use crate::ids::NodeName;
    use crate::time::Timestamp;
    use proptest::prelude::*;

    fn next(chain: &mut Chain, entry: Entry, millis: u64) -> String {
        let mut line = Vec::new();
        chain.append(&mut line, entry, Timestamp::from_millis(millis)).unwrap();
        String::from_utf8(line).unwrap()
    }

    fn audit(lines: usize) -> (Vec<String>, Chain) {
        let mut chain = Chain::default();
        let node: NodeName = "web1".parse().unwrap();
        let texts = (0..lines)
            .map(|number| {
                let entry = Entry::Opened { node: node.clone(), version: number.to_string() };
                next(&mut chain, entry, number as u64)
            })
            .collect();
        (texts, chain)
    }

    fn verify(lines: &[String], head: Option<Digest>) -> Result<Verified, Fault> {
        let mut verifier = Verifier::new(head);
        for line in lines {
            verifier.line(line.as_bytes())?;
        }
        verifier.finish()
    }

    #[test]
    fn a_part_of_a_chain_is_sound_and_a_cut_tail_is_known_by_the_head() {
        let (lines, chain) = audit(9);
        let head = chain.head().unwrap();
        assert_eq!(verify(&lines, Some(head.hash)).unwrap().head, Some(head));
        assert_eq!(verify(&lines[3..], None).unwrap().first, Some(3));
        assert!(verify(&lines[..8], None).is_ok());
        assert_eq!(verify(&lines[..8], Some(head.hash)), Err(Fault::NoSuchHead(head.hash)));
    }

    #[test]
    fn a_torn_line_must_be_the_one_that_is_spoken_of() {
        let (mut lines, mut chain) = audit(3);
        let torn = r#"{"position":3,"bef"#;
        let entry = Entry::Recovered { bytes: torn.len(), torn: Digest::of(torn.as_bytes()) };
        let recovered = next(&mut chain, entry, 9);
        lines.push(torn.to_owned());
        assert!(verify(&lines, None).is_ok(), "it is being written");
        lines.push(recovered);
        assert_eq!(verify(&lines, None).unwrap().torn, 1);
        let mut without = lines.clone();
        without.remove(3);
        assert_eq!(verify(&without, None), Err(Fault::NotTorn));
        let mut other = lines.clone();
        other[3].push(' ');
        assert_eq!(verify(&other, None), Err(Fault::NotTorn));
        lines.insert(4, "x".to_owned());
        assert_eq!(verify(&lines, None), Err(Fault::Malformed));
    }

    proptest! {
        #[test]
        fn any_change_is_found(count in 3usize..12, at in 0usize..12, how in 0u8..3, byte in 0usize..200, bit in 0u8..7) {
            let (mut lines, chain) = audit(count);
            let (at, head) = (at % (count - 1), chain.head().unwrap().hash);
            let was = lines.clone();
            match how {
                0 => { lines.remove(at + 1); }
                1 => lines.swap(at, at + 1),
                _ => {
                    let mut bytes = lines[at].clone().into_bytes();
                    let place = byte % bytes.len();
                    bytes[place] ^= 1 << bit;
                    lines[at] = String::from_utf8_lossy(&bytes).into_owned();
                }
            }
            prop_assume!(lines != was);
            prop_assert!(verify(&lines, Some(head)).is_err());
        }

        #[test]
        fn no_bytes_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            let _ = Verifier::new(None).line(&bytes);
        }
    }
}
