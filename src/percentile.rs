//! Percentiles by nearest rank: the p-th percentile of n sorted values is the value at place
//! ⌈p/100 · n⌉, counted from 1. It is a value that occurred.

/// The place of the percentile among `count` sorted values, counted from 1; 0 if there are none.
/// `percent` is 1 to 100.
pub(crate) fn rank(count: u64, percent: u64) -> u64 {
    let rank = (u128::from(count) * u128::from(percent)).div_ceil(100);
    u64::try_from(rank).unwrap_or(u64::MAX)
}

/// The percentile of sorted values; 0 if there are none.
pub(crate) fn percentile(sorted: &[f64], percent: u64) -> f64 {
    let rank = rank(sorted.len() as u64, percent);
    let place = usize::try_from(rank.saturating_sub(1)).unwrap_or(usize::MAX);
    sorted.get(place).copied().unwrap_or(0.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_values_that_occurred() {
        let hundred: Vec<f64> = (1..=100).map(f64::from).collect();
        for (sorted, percent, value) in [
            (&[][..], 50, 0.0),
            (&[7.0], 1, 7.0),
            (&[7.0], 100, 7.0),
            (&[1.0, 2.0], 50, 1.0),
            (&[1.0, 2.0], 51, 2.0),
            (&[1.0, 2.0, 3.0], 50, 2.0),
            (&hundred, 50, 50.0),
            (&hundred, 95, 95.0),
            (&hundred, 100, 100.0),
        ] {
            assert_eq!(percentile(sorted, percent), value, "p{percent} of {}", sorted.len());
        }
        assert_eq!(rank(u64::MAX, 100), u64::MAX);
    }
}
