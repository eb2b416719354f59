//! The pre-shared key and what is derived from it. Secrets print as `***` and are wiped from memory.

use std::fmt;

use zeroize::{Zeroize, ZeroizeOnDrop};

/// The fleet's pre-shared key: 32 bytes, written as 64 hexadecimal digits.
#[derive(Clone, Zeroize, ZeroizeOnDrop)]
pub struct Psk([u8; 32]);

/// Why a text is not a pre-shared key. It does not repeat the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a pre-shared key: it must be 64 hexadecimal digits")]
pub struct PskError;

impl Psk {
    /// A key from random bytes.
    pub fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// Parses the text of a key file; blanks around it do not count.
    pub fn parse(text: &str) -> Result<Self, PskError> {
        let text = text.trim().as_bytes();
        if text.len() != 64 {
            return Err(PskError);
        }
        let digit = |byte: u8| (byte as char).to_digit(16).and_then(|d| u8::try_from(d).ok()).ok_or(PskError);
        let mut key = [0; 32];
        for (slot, pair) in key.iter_mut().zip(text.chunks_exact(2)) {
            let [high, low] = pair else { return Err(PskError) };
            *slot = digit(*high)? << 4 | digit(*low)?;
        }
        Ok(Self(key))
    }

    /// The text of a key file.
    pub fn to_text(&self) -> String {
        self.0.iter().map(|byte| format!("{byte:02x}")).collect()
    }
}

impl fmt::Debug for Psk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

/// The keys of mode `psk`: one to seal envelopes, one to encrypt bodies.
#[derive(Clone, Zeroize, ZeroizeOnDrop)]
pub struct Keys {
    seal: [u8; 32],
    body: [u8; 32],
}

impl Keys {
    /// Whether these are of the same key.
    pub fn same(&self, other: &Self) -> bool {
        self.seal == other.seal
    }

    /// Derives both keys, each under a context of its own.
    pub fn derive(psk: &Psk) -> Self {
        Self {
            seal: blake3::derive_key("orch 2026-11 psk envelope seal v1", &psk.0),
            body: blake3::derive_key("orch 2026-11 psk body encryption v1", &psk.0),
        }
    }

    pub(crate) fn sealing(&self) -> &[u8; 32] {
        &self.seal
    }

    pub(crate) fn encrypting(&self) -> &[u8; 32] {
        &self.body
    }
}

impl fmt::Debug for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_prints_only_when_asked() {
        let psk = Psk::parse(&format!(" {}\n", "0f".repeat(32))).unwrap();
        assert_eq!(psk.to_text(), "0f".repeat(32));
        assert_eq!(format!("{psk:?} {:?}", Keys::derive(&psk)), "*** ***");
    }

    #[test]
    fn bad_keys_are_refused_without_being_shown() {
        for bad in ["", "0f", &"0g".repeat(32), &"0f".repeat(33), &"é".repeat(32)] {
            let error = Psk::parse(bad).unwrap_err().to_string();
            assert!(bad.is_empty() || !error.contains(bad));
        }
    }
}
