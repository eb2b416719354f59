//! Chance that is the same each time for the same seed.

/// splitmix64.
#[derive(Debug)]
pub(crate) struct Chance(u64);

impl Chance {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub(crate) fn number(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number up to and with `most`.
    pub(crate) fn up_to(&mut self, most: u64) -> u64 {
        self.number() % (most + 1)
    }

    /// Whether something of this likelihood happens.
    pub(crate) fn happens(&mut self, percent: u8) -> bool {
        self.number() % 100 < u64::from(percent)
    }

    /// Bytes for ids and nonces.
    pub(crate) fn bytes<const N: usize>(&mut self) -> [u8; N] {
        std::array::from_fn(|_| self.number().to_le_bytes()[0])
    }
}
