//! Chance that can be played again: every roll follows from a seed.

/// Steele, Lea and Flood's splitmix64. Its stream number keeps users of one seed apart.
pub struct Chance(u64);

impl Chance {
    pub fn new(seed: u64, stream: u64) -> Self {
        let mut chance = Self(seed ^ stream.wrapping_mul(0xD134_2543_DE82_EF95));
        chance.roll();
        chance
    }

    pub fn roll(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// A number below this one.
    pub fn below(&mut self, end: usize) -> usize {
        (self.roll() % end as u64) as usize
    }

    /// True once in so many times.
    pub fn one_in(&mut self, times: usize) -> bool {
        self.below(times) == 0
    }

    pub fn pick<'a, T>(&mut self, list: &'a [T]) -> &'a T {
        &list[self.below(list.len())]
    }

    /// A time between these two, in milliseconds.
    pub fn millis(&mut self, from: usize, to: usize) -> std::time::Duration {
        std::time::Duration::from_millis((from + self.below(to - from + 1)) as u64)
    }
}

/// The seed of a test: the one that was asked for, or a new one; it is printed.
pub fn seed() -> u64 {
    let seed = std::env::var("AA_TEST_SEED").map_or_else(
        |_| std::time::UNIX_EPOCH.elapsed().unwrap().as_nanos() as u64,
        |seed| seed.parse().unwrap(),
    );
    println!("AA_TEST_SEED={seed}");
    seed
}
