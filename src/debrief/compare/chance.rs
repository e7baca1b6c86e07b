//! The probability of a difference at least as large as the one observed if nothing changed
//! and every count is independent of the others.

use std::f64::consts::PI;

/// A part of a whole, such as failed calls of all calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Proportion {
    pub(super) part: u64,
    pub(super) whole: u64,
}

/// Totals below this are not compared.
const WHOLE_MIN: u64 = 5;

/// From this expected count on in each of the four cells, the normal distribution stands in for
/// the exact one, whose sum grows long. (At Cochran's 5 it is off by half in its tail.)
const EXPECTED_MIN: f64 = 50.0;

/// Fewer values on a side are too few for the rank test's normal distribution.
const RANKED_MIN: u64 = 8;

/// The most that rounding adds to the probability of an equally probable table.
const EQUAL_WITHIN: f64 = 1e-7;

/// The probability of two shares so far apart: Fisher's exact test where some expected count is
/// small, a z-test elsewhere. `None` where there are too few.
pub(super) fn shares(before: Proportion, after: Proportion) -> Option<f64> {
    if before.whole.min(after.whole) < WHOLE_MIN {
        return None;
    }
    let whole = (before.whole + after.whole) as f64;
    let part = (before.part + after.part) as f64;
    let smaller = (before.whole.min(after.whole)) as f64;
    let expected = smaller * part.min(whole - part) / whole;
    if part == 0.0 || part == whole {
        return Some(1.0);
    }
    if expected < EXPECTED_MIN {
        return Some(fisher(before, after));
    }
    let rate = part / whole;
    let deviation =
        (rate * (1.0 - rate) * (1.0 / before.whole as f64 + 1.0 / after.whole as f64)).sqrt();
    let rate_of = |share: Proportion| share.part as f64 / share.whole as f64;
    Some(two_sided((rate_of(before) - rate_of(after)) / deviation))
}

/// Fisher's exact test: all tables with these sums that are at most as probable as this one.
fn fisher(before: Proportion, after: Proportion) -> f64 {
    let whole = before.whole + after.whole;
    let mut part = before.part + after.part;
    let mut found = before.part;
    // The failures or the successes: the rarer have fewer tables.
    if part > whole - part {
        part = whole - part;
        found = before.whole - before.part;
    }
    let all = ln_choose(whole, part);
    let probability = |count: u64| {
        (ln_choose(before.whole, count) + ln_choose(after.whole, part - count) - all).exp()
    };
    let observed = probability(found) * (1.0 + EQUAL_WITHIN);
    let tables = part.saturating_sub(after.whole)..=part.min(before.whole);
    tables.map(probability).filter(|other| *other <= observed).sum::<f64>().min(1.0)
}

/// The probability that values of two groups differ so much in their ranks (Mann and Whitney's
/// test, corrected for ties). The groups are counts by bucket; `repeats` is how many counts
/// each independent value makes. `None` where there are too few.
pub(super) fn ranks(before: &[u64], after: &[u64], repeats: f64) -> Option<f64> {
    let (count, other) = (before.iter().sum::<u64>(), after.iter().sum::<u64>());
    if count.min(other) < RANKED_MIN {
        return None;
    }
    let (mut wins, mut below, mut ties) = (0.0, 0.0, 0.0);
    for (mine, theirs) in before.iter().zip(after).map(|(a, b)| (*a as f64, *b as f64)) {
        wins += theirs * (below + mine / 2.0);
        below += mine;
        let tied = mine + theirs;
        ties += tied * tied * tied - tied;
    }
    let (count, other) = (count as f64, other as f64);
    let all = count + other;
    let variance = count * other / 12.0 * (all + 1.0 - ties / (all * (all - 1.0)));
    if variance <= 0.0 {
        return Some(1.0);
    }
    Some(two_sided((wins - count * other / 2.0) / (variance * repeats.max(1.0)).sqrt()))
}

/// The probability of a normal value at least so far from zero, on either side.
fn two_sided(z: f64) -> f64 {
    erfc(z.abs() / std::f64::consts::SQRT_2)
}

/// The complementary error function for `x` not below zero, within 1.2e-7 of its value
/// (Numerical Recipes, "erfcc").
fn erfc(x: f64) -> f64 {
    const COEFFICIENTS: [f64; 10] = [
        -1.265_512_23,
        1.000_023_68,
        0.374_091_96,
        0.096_784_18,
        -0.186_288_06,
        0.278_868_07,
        -1.135_203_98,
        1.488_515_87,
        -0.822_152_23,
        0.170_872_77,
    ];
    let t = 1.0 / (1.0 + x / 2.0);
    let sum = COEFFICIENTS.iter().rev().fold(0.0, |sum, coefficient| sum * t + coefficient);
    t * (-x * x + sum).exp()
}

/// The logarithm of the number of ways to choose `part` of `whole`.
fn ln_choose(whole: u64, part: u64) -> f64 {
    ln_factorial(whole) - ln_factorial(part) - ln_factorial(whole - part)
}

/// Stirling's series; exact for small numbers.
fn ln_factorial(n: u64) -> f64 {
    /// From here on the series is exact to 1e-12.
    const SERIES_FROM: u64 = 32;
    if n < SERIES_FROM {
        return (2..=n).map(|factor| (factor as f64).ln()).sum();
    }
    let n = n as f64;
    n * n.ln() - n + (2.0 * PI * n).ln() / 2.0 + 1.0 / (12.0 * n) - 1.0 / (360.0 * n.powi(3))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn near(found: Option<f64>, expected: f64, within: f64) {
        let found = found.unwrap();
        assert!((found - expected).abs() <= within * expected, "{found} for {expected}");
    }

    #[test]
    fn shares_differ_as_scipy_says() {
        let test =
            |a, n, b, m| shares(Proportion { part: a, whole: n }, Proportion { part: b, whole: m });
        // scipy.stats.fisher_exact([[a, n - a], [b, m - b]]).pvalue
        near(test(1, 10, 9, 10), 0.001_093_333_910_671_372, 1e-6);
        near(test(0, 40, 4, 40), 0.115_567_976_327_469_96, 1e-6);
        near(test(39, 40, 35, 40), 0.200_723_327_305_605_71, 1e-6);
        near(test(0, 5, 0, 5), 1.0, 0.0);
        near(test(5, 5, 7, 7), 1.0, 0.0);
        // scipy.stats.chi2_contingency([[a, n - a], [b, m - b]], correction=False).pvalue
        near(test(50, 1000, 80, 1000), 0.006_506_597_483_637_84, 1e-5);
        near(test(500, 1000, 500, 1000), 1.0, 1e-6);
        assert_eq!(test(1, 4, 2, 1000), None);
        assert_eq!(test(0, 0, 2, 1000), None);
    }

    #[test]
    fn ranks_differ_as_scipy_says() {
        let counts = |values: &[usize]| {
            let mut counts = vec![0; 64];
            values.iter().for_each(|value| counts[*value] += 1);
            counts
        };
        let (low, high): (Vec<_>, Vec<_>) = ((0..30).collect(), (10..40).collect());
        // scipy.stats.mannwhitneyu(x, y, method="asymptotic", use_continuity=False).pvalue
        near(ranks(&counts(&low), &counts(&high), 1.0), 2.180_474_618_470_596_4e-4, 1e-5);
        let tied: Vec<_> = (0..30).map(|n| n / 10).collect();
        near(ranks(&counts(&tied), &counts(&tied), 1.0), 1.0, 1e-6);
        // Every value twice is no more evidence.
        let twice = |values: &[usize]| counts(&[values, values].concat());
        let (once, doubled) =
            (ranks(&counts(&low), &counts(&high), 1.0), ranks(&twice(&low), &twice(&high), 2.0));
        near(doubled, once.unwrap(), 0.1);
        assert_eq!(ranks(&counts(&low[..7]), &counts(&high), 1.0), None);
        assert_eq!(ranks(&[], &[], 1.0), None);
        near(ranks(&counts(&[3; 20]), &counts(&[3; 20]), 1.0), 1.0, 0.0);
    }

    #[test]
    fn factorials_and_the_error_function_are_right() {
        let exact: f64 = (2..=40).map(|n| f64::from(n).ln()).sum();
        assert!((ln_factorial(40) - exact).abs() < 1e-10);
        for (x, expected) in
            [(0.0, 1.0), (0.5, 0.479_500_122), (1.0, 0.157_299_207), (3.0, 2.209_05e-5)]
        {
            assert!((erfc(x) - expected).abs() < 1e-6 * expected.max(1e-3), "{x}: {}", erfc(x));
        }
    }
}
