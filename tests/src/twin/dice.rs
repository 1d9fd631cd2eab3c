//! Choice by seed: the same seed gives the same worlds and the same requests on every machine.

/// SplitMix64 (Steele, Lea, Flood 2014): small, and no two streams of ours overlap in any length that matters.
#[derive(Debug, Clone)]
pub struct Dice(u64);

impl Dice {
    /// A stream of its own for this seed and name.
    #[must_use]
    pub fn new(seed: u64, name: &str) -> Self {
        // FNV-1a: the name only has to set streams apart.
        let hash = name
            .bytes()
            .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3));
        let mut dice = Self(seed ^ hash);
        dice.number();
        dice
    }

    /// A number of 64 bits.
    pub fn number(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below `end`; 0 where that is 0.
    pub fn below(&mut self, end: usize) -> usize {
        let end = u64::try_from(end).unwrap_or(u64::MAX);
        usize::try_from(self.number().checked_rem(end).unwrap_or(0)).unwrap_or(0)
    }

    /// A number of this range, its end included.
    pub fn between(&mut self, first: usize, last: usize) -> usize {
        first + self.below(last.saturating_sub(first) + 1)
    }

    /// True in so many of a hundred cases.
    pub fn chance(&mut self, percent: usize) -> bool {
        self.below(100) < percent
    }

    /// One of these; `None` where there is none.
    pub fn of<'a, T>(&mut self, items: &'a [T]) -> Option<&'a T> {
        items.get(self.below(items.len()))
    }

    /// One of these words; empty where there is none.
    pub fn word<'a>(&mut self, words: &[&'a str]) -> &'a str {
        self.of(words).copied().unwrap_or_default()
    }

    /// One of these texts; empty where there is none.
    pub fn text(&mut self, texts: &[String]) -> String {
        self.of(texts).cloned().unwrap_or_default()
    }
}
