//! The tests that take long: kills without number, a fleet of a thousand. See README, "Tests".
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
#![allow(clippy::print_stdout, clippy::print_stderr)]

#[cfg(feature = "embedded")]
mod embedded;
#[cfg(feature = "redis")]
mod fleet;
#[cfg(feature = "redis")]
mod redis;
#[path = "../support/mod.rs"]
mod support;

/// A number from the environment, or the full size.
fn size(name: &str, full: usize) -> usize {
    std::env::var(name).ok().map_or(full, |text| text.parse().unwrap())
}

/// Numbers that look random, the same in each run.
struct Chance(u64);

#[allow(dead_code)]
impl Chance {
    fn below(&mut self, bound: usize) -> usize {
        // splitmix64
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) % bound as u64) as usize
    }
}
