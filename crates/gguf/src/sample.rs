//! The choice of the next token, in Rust: llama.cpp's own samplers end the process where
//! something is odd.

use crate::params::Params;

/// Chooses tokens for one request.
pub(crate) struct Sampler {
    temperature: f64,
    top_p: f64,
    top_k: usize,
    random: Random,
    /// Tokens and their logits, then their weights; kept to be used again.
    candidates: Vec<(u32, f32)>,
}

impl Sampler {
    pub(crate) fn new(params: &Params, seed: u64) -> Self {
        Self {
            temperature: params.temperature,
            top_p: params.top_p,
            top_k: if params.top_k == 0 { usize::MAX } else { params.top_k },
            random: Random(seed),
            candidates: Vec::new(),
        }
    }

    /// The next token of those allowed; `None` where there is none with a number for a logit.
    pub(crate) fn choose(&mut self, logits: &[f32], allowed: impl Fn(u32) -> bool) -> Option<u32> {
        let usable = (0u32..).zip(logits.iter().copied());
        let usable = usable.filter(|(token, logit)| *logit > f32::NEG_INFINITY && allowed(*token));
        // On a tie the first wins.
        let best = |best: (u32, f32), next: (u32, f32)| if next.1 > best.1 { next } else { best };
        if self.temperature == 0.0 {
            return usable.reduce(best).map(|(token, _)| token);
        }
        self.candidates.clear();
        self.candidates.extend(usable);
        if self.candidates.is_empty() {
            return None;
        }
        let descending = |a: &(u32, f32), b: &(u32, f32)| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0));
        if self.top_k < self.candidates.len() {
            self.candidates.select_nth_unstable_by(self.top_k - 1, descending);
            self.candidates.truncate(self.top_k);
        }
        self.candidates.sort_unstable_by(descending);
        let highest = self.candidates[0].1;
        let weight = |logit: f32| (f64::from(logit - highest) / self.temperature).exp();
        let total: f64 = self.candidates.iter().map(|(_, logit)| weight(*logit)).sum();
        let mut kept = 0.0;
        let mut nucleus = self.candidates.len();
        for (at, (_, logit)) in self.candidates.iter().enumerate() {
            kept += weight(*logit);
            if kept >= self.top_p * total {
                nucleus = at + 1;
                break;
            }
        }
        let mut left = self.random.below_one() * kept;
        for (token, logit) in &self.candidates[..nucleus] {
            left -= weight(*logit);
            if left < 0.0 {
                return Some(*token);
            }
        }
        // Rounding left a crumb.
        self.candidates[..nucleus].last().map(|(token, _)| *token)
    }
}

/// SplitMix64: small, quick, and good enough to draw tokens with.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// Evenly from 0 to below 1.
    fn below_one(&mut self) -> f64 {
        /// Bits of a float's fraction, its hidden one included.
        const BITS: u32 = f64::MANTISSA_DIGITS;
        (self.next() >> (u64::BITS - BITS)) as f64 / (1u64 << BITS) as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::params::ToolChoice;

    const LOGITS: [f32; 5] = [1.0, 3.0, f32::NAN, 2.0, f32::NEG_INFINITY];

    fn sampler(temperature: f64, top_p: f64, top_k: usize, seed: u64) -> Sampler {
        let params = Params {
            temperature,
            top_p,
            top_k,
            seed: None,
            max_tokens: None,
            stop: Vec::new(),
            tool_choice: ToolChoice::Auto,
        };
        Sampler::new(&params, seed)
    }

    /// How often each token comes in 10,000 draws.
    fn drawn(mut sampler: Sampler) -> [u32; 5] {
        let mut counts = [0; 5];
        for _ in 0..10_000 {
            counts[sampler.choose(&LOGITS, |_| true).unwrap() as usize] += 1;
        }
        counts
    }

    #[test]
    fn at_temperature_zero_the_likeliest_allowed_token_is_taken() {
        let mut sampler = sampler(0.0, 1.0, 40, 1);
        assert_eq!(sampler.choose(&LOGITS, |_| true), Some(1));
        assert_eq!(sampler.choose(&LOGITS, |token| token != 1), Some(3));
        assert_eq!(sampler.choose(&LOGITS, |token| token == 2 || token == 4), None);
        assert_eq!(sampler.choose(&[5.0, 5.0], |_| true), Some(0));
    }

    #[test]
    fn draws_follow_the_weights() {
        // e^3, e^2 and e^1 of their sum.
        let [c, a, nan, b, never] = drawn(sampler(1.0, 1.0, 0, 7));
        for (count, expected) in [(a, 6652), (b, 2447), (c, 900)] {
            assert!(count.abs_diff(expected) < 200, "{count} for {expected}");
        }
        assert_eq!((nan, never), (0, 0));
        // At a higher temperature they come closer together.
        let [c, a, ..] = drawn(sampler(2.0, 1.0, 0, 7));
        assert!(a.abs_diff(5064) < 200 && c.abs_diff(1863) < 200, "{a} {c}");
    }

    #[test]
    fn top_k_and_top_p_leave_the_unlikely_out() {
        assert_eq!(drawn(sampler(1.0, 1.0, 1, 7)), [0, 10_000, 0, 0, 0]);
        let [c, a, _, b, _] = drawn(sampler(1.0, 1.0, 2, 7));
        assert!(c == 0 && a > b && b > 0);
        assert_eq!(drawn(sampler(1.0, 0.6, 0, 7)), [0, 10_000, 0, 0, 0]);
        let [c, a, _, b, _] = drawn(sampler(1.0, 0.7, 0, 7));
        assert!(c == 0 && a > b && b > 0);
        assert_eq!(sampler(1.0, 1.0, 0, 7).choose(&[f32::NAN], |_| true), None);
    }

    #[test]
    fn a_seed_repeats_its_draws_and_another_does_not() {
        let draws = |seed| {
            let mut sampler = sampler(1.0, 1.0, 0, seed);
            let draw = move || sampler.choose(&LOGITS, |_| true);
            std::iter::repeat_with(draw).take(64).collect::<Vec<_>>()
        };
        assert_eq!(draws(1), draws(1));
        assert_ne!(draws(1), draws(2));
    }
}
