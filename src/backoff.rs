//! Waits between attempts: each is twice as long as the one before, up to a maximum, and loses
//! a random part of up to a quarter, so that clients that failed together do not come back
//! together. Pure: the caller sleeps, and passes the random seed.

use std::time::Duration;

/// The first wait, before its random part is subtracted.
const FIRST: Duration = Duration::from_millis(500);
/// The largest random part, in 1/256 of a wait: a quarter.
const JITTER_OF_256: u64 = 64;

/// An endless iterator of waits.
#[derive(Debug, Clone)]
pub(crate) struct Backoff {
    next: Duration,
    max: Duration,
    random: u64,
}

impl Backoff {
    /// Waits from half a second to `max`, with a seed for their random parts.
    pub(crate) fn new(max: Duration, seed: u64) -> Self {
        // The generator below never leaves zero.
        Self { next: FIRST.min(max), max, random: seed | 1 }
    }

    /// Starts again with the shortest wait.
    pub(crate) fn reset(&mut self) {
        self.next = FIRST.min(self.max);
    }

    /// Marsaglia's xorshift64: random enough to spread clients.
    fn random(&mut self) -> u64 {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        self.random
    }
}

impl Iterator for Backoff {
    type Item = Duration;

    fn next(&mut self) -> Option<Duration> {
        let whole = self.next;
        self.next = whole.saturating_mul(2).min(self.max);
        let off = u32::try_from(self.random() % (JITTER_OF_256 + 1)).unwrap_or_default();
        Some(whole - whole * off / 256)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_to_their_maximum_and_lose_at_most_a_quarter() {
        for (max, wholes) in [
            (8_000, [500, 1000, 2000, 4000, 8000, 8000, 8000, 8000, 8000]),
            (60_000, [500, 1000, 2000, 4000, 8000, 16_000, 32_000, 60_000, 60_000]),
            (300, [300; 9]),
        ] {
            for seed in 0..100 {
                let mut backoff = Backoff::new(Duration::from_millis(max), seed);
                for _ in 0..2 {
                    for whole in wholes.map(Duration::from_millis) {
                        let wait = backoff.next().unwrap();
                        assert!(wait <= whole && wait >= whole * 3 / 4, "{wait:?} of {whole:?}");
                    }
                    backoff.reset();
                }
            }
        }
    }

    #[test]
    fn random_parts_take_a_quarter_at_most_and_nothing_at_least() {
        // The generator's known sequence.
        let mut backoff = Backoff::new(FIRST, 1);
        let random = [(); 3].map(|()| backoff.random());
        assert_eq!(random, [1_082_269_761, 1_152_992_998_833_853_505, 11_177_516_664_432_764_457]);
        let firsts: Vec<_> =
            (0..2000).filter_map(|seed| Backoff::new(FIRST, seed).next()).collect();
        assert_eq!(firsts.iter().min(), Some(&Duration::from_millis(375)));
        assert_eq!(firsts.iter().max(), Some(&FIRST));
    }
}
