//! Chance under a seed.

/// A generator of numbers: the same seed, the same numbers (`SplitMix64`).
#[derive(Debug, Clone)]
pub struct Random(u64);

impl Random {
    /// A generator of a seed. `stream` tells generators of one seed apart.
    pub const fn new(seed: u64, stream: u64) -> Self {
        Self(seed ^ stream.wrapping_mul(0x9E37_79B9_7F4A_7C15))
    }

    /// The next number.
    pub const fn number(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    /// A number below `end`; zero for zero. The remainder's bias is of no account at these sizes.
    pub fn below(&mut self, end: usize) -> usize {
        let wide = u64::try_from(end).unwrap_or(u64::MAX).max(1);
        usize::try_from(self.number() % wide).unwrap_or_default()
    }

    /// Whether something happens that happens so many times in a thousand.
    pub const fn happens(&mut self, per_mille: u16) -> bool {
        // A u16 below 1000 tells as much as the number itself.
        let [low, high, ..] = (self.number() % 1000).to_le_bytes();
        u16::from_le_bytes([low, high]) < per_mille
    }
}
