//! How many tokens of a prompt are computed at once: as many as are done in time.

use std::time::Duration;

/// The time that a batch may take. Cancel and deadline are checked between batches and must act within
/// 250 ms: a fifth is left for a core that slows down meanwhile.
const BATCH_TIME: Duration = Duration::from_millis(200);
/// The first batch of a context, and every batch of a prompt that is computed afresh.
const FIRST_TOKENS: usize = 32;
/// A batch reads all weights once: fewer tokens would be read for in vain.
const MIN_TOKENS: usize = 8;
/// Sizes are multiples of this: as many numbers are computed by one instruction.
const STEP: usize = 8;

/// The size of the next batch, from the time that the latest one took.
#[derive(Debug)]
pub(crate) struct Pace {
    tokens: usize,
    max: usize,
}

impl Pace {
    pub(crate) fn new(max: usize) -> Self {
        Self { tokens: FIRST_TOKENS.min(max), max }
    }

    /// Tokens of the next batch. With `afresh` time does not matter: the same prompt is computed
    /// in the same batches, and gives the same numbers to the last bit.
    pub(crate) fn next(&self, afresh: bool) -> usize {
        if afresh { FIRST_TOKENS.min(self.max) } else { self.tokens }
    }

    /// Notes how long a batch took. A prompt's last, short one is no measure of a full one.
    pub(crate) fn note(&mut self, tokens: usize, took: Duration) {
        if tokens < self.tokens {
            return;
        }
        let fitting = tokens as u128 * BATCH_TIME.as_nanos() / took.as_nanos().max(1);
        let fitting = usize::try_from(fitting).unwrap_or(usize::MAX);
        self.tokens = (fitting / STEP * STEP).max(MIN_TOKENS).min(self.max);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn batches_take_the_time_they_may() {
        // The most tokens, the latest batch's milliseconds a token, the next batch.
        for (max, token_ms, expected) in [
            (64, 4, 48),
            (64, 6, 32),
            (64, 20, 8),
            (64, 1000, 8),
            (64, 1, 64),
            (64, 0, 64),
            (512, 1, 200),
            (20, 1, 20),
            (4, 1000, 4),
        ] {
            let mut pace = Pace::new(max);
            let full = pace.next(false);
            assert_eq!(full, max.min(32));
            let took = Duration::from_millis(token_ms) * u32::try_from(full).unwrap();
            pace.note(full, took);
            assert_eq!(pace.next(false), expected, "at most {max}, {token_ms} ms a token");
            // Neither a short batch nor the clock changes these.
            pace.note(1, Duration::from_secs(1).min(took));
            assert_eq!(pace.next(false), expected);
            assert_eq!(pace.next(true), max.min(32));
        }
    }
}
