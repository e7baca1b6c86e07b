//! Percentiles in bounded memory.
//!
//! Up to [`EXACT_MAX`] values are kept and percentiles are exact; beyond, values are counted in
//! buckets whose width is a 64th of their power of two, and the middle of the bucket stands for
//! its values: within 0.8 % of exact (for values of 0.1 µs to half a year).

use super::order::sort_short;
use crate::percentile::{percentile, rank};

/// So many values are kept as they are.
const EXACT_MAX: usize = 256;

/// Buckets per power of two, as a power of two: 2^6.
const STEP_BITS: u32 = 6;
const STEPS: usize = 1 << STEP_BITS;

/// Bits of an `f64`'s mantissa, and the offset of its exponent.
const MANTISSA_BITS: u32 = 52;
const EXPONENT_BIAS: u64 = 1023;

/// Powers of two covered, of a millisecond: from 2^-14 (61 ns) to 2^34 (198 days). Values
/// outside are counted in the outermost bucket.
const POWER_MIN: i32 = -14;
const POWERS: usize = 48;

/// Counts values above zero; knows their average, percentiles and spread.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Histogram {
    count: u64,
    sum: f64,
    min: f64,
    max: f64,
    exact: Vec<f64>,
    buckets: Vec<u64>,
}

impl Histogram {
    /// Adds a value, if it is above zero and finite.
    pub(super) fn add(&mut self, value: f64) {
        if !(value > 0.0 && value.is_finite()) {
            return;
        }
        if self.count == 0 {
            self.min = value;
            // Zeroed memory that nobody touches stays the system's.
            self.buckets = vec![0; POWERS * STEPS];
        }
        self.count += 1;
        self.sum = (self.sum + value).min(f64::MAX);
        self.min = self.min.min(value);
        self.max = self.max.max(value);
        if self.count <= EXACT_MAX as u64 {
            self.exact.push(value);
        }
        if let Some(bucket) = self.buckets.get_mut(bucket_of(value)) {
            *bucket += 1;
        }
    }

    pub(super) fn count(&self) -> u64 {
        self.count
    }

    pub(super) fn sum(&self) -> f64 {
        self.sum
    }

    /// The greatest value; 0 of nothing.
    pub(super) fn max(&self) -> f64 {
        self.max
    }

    /// Counts by bucket; none at all of nothing.
    pub(super) fn buckets(&self) -> &[u64] {
        &self.buckets
    }

    /// The exact average; 0 of nothing.
    pub(super) fn average(&self) -> f64 {
        if self.count == 0 { 0.0 } else { self.sum / self.count as f64 }
    }

    /// The percentile by nearest rank; 0 of nothing. `percent` is 1 to 100.
    pub(super) fn percentile(&self, percent: u64) -> f64 {
        if self.count <= EXACT_MAX as u64 {
            let mut sorted = self.exact.clone();
            sort_short(&mut sorted, |a, b| a < b);
            return percentile(&sorted, percent);
        }
        let rank = rank(self.count, percent);
        let mut seen = 0;
        for (bucket, count) in self.buckets.iter().enumerate() {
            seen += count;
            if seen >= rank {
                // Not `clamp`: its panic brings all that formats floats, 15 KB.
                return middle_of(bucket).max(self.min).min(self.max);
            }
        }
        self.max
    }

    /// The columns that have any value, `per_power` equal steps of the logarithm for each power
    /// of two. The place is the logarithm of a column's beginning, in milliseconds and steps.
    pub(super) fn columns(&self, per_power: u32) -> Vec<Column> {
        let mut columns: Vec<Column> = Vec::new();
        for (bucket, count) in self.buckets.iter().enumerate().filter(|(_, count)| **count > 0) {
            let place = (middle_of(bucket).log2() * f64::from(per_power)).floor() as i64;
            match columns.last_mut() {
                Some(last) if last.place == place => last.count += count,
                _ => columns.push(Column { place, count: *count }),
            }
        }
        columns
    }

    /// How many values lie between the round numbers 1, 2, 5, 10, 20 and so on of a
    /// nanosecond, `(from, to, count)`, from the lowest to the highest that has any. A value
    /// within 1 % of an edge may be counted on its other side.
    pub(super) fn rows(&self) -> Vec<Row> {
        let mut rows = Vec::new();
        let mut from = EDGE_MIN_MS;
        let mut steps = [2.0, 2.5, 2.0].iter().cycle();
        let mut buckets = self.buckets.iter().enumerate().peekable();
        while buckets.peek().is_some() {
            // Steps of 2, 2.5 and 2 lead from one power of ten to the next.
            let to = from * steps.next().unwrap_or(&2.0);
            let mut count = 0;
            while let Some((_, found)) = buckets.next_if(|(place, _)| middle_of(*place) < to) {
                count += found;
            }
            rows.push(Row { from, to, count });
            from = to;
        }
        let first = rows.iter().position(|row| row.count > 0).unwrap_or(0);
        let last = rows.iter().rposition(|row| row.count > 0).map_or(0, |last| last + 1);
        rows.get(first..last).unwrap_or_default().to_vec()
    }
}

/// Values in a step of the logarithm: see [`Histogram::columns`].
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Column {
    pub(super) place: i64,
    pub(super) count: u64,
}

/// Values between two edges, in milliseconds.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Row {
    pub(super) from: f64,
    pub(super) to: f64,
    pub(super) count: u64,
}

/// The lowest edge, a nanosecond.
const EDGE_MIN_MS: f64 = 1e-6;

/// Buckets per power of two of a [`Coarse`] count, as a power of two: 2^2.
const COARSE_STEP_BITS: u32 = 2;
const COARSE_STEPS: usize = 1 << COARSE_STEP_BITS;
const COARSE_BUCKETS: usize = POWERS * COARSE_STEPS;

/// Counts in buckets of a quarter of their power of two, for where many such counts are kept:
/// 768 bytes each. Percentiles are within a bucket of exact, most within 5 %.
#[derive(Debug, Clone)]
pub(super) struct Coarse {
    buckets: [u32; COARSE_BUCKETS],
}

impl Default for Coarse {
    fn default() -> Self {
        Self { buckets: [0; COARSE_BUCKETS] }
    }
}

impl Coarse {
    /// Counts a value by its bucket, see [`coarse_bucket_of`].
    pub(super) fn add(&mut self, bucket: u8) {
        if let Some(count) = self.buckets.get_mut(usize::from(bucket)) {
            *count = count.saturating_add(1);
        }
    }

    pub(super) fn merge(&mut self, other: &Self) {
        for (count, more) in self.buckets.iter_mut().zip(other.buckets) {
            *count = count.saturating_add(more);
        }
    }

    pub(super) fn count(&self) -> u64 {
        self.buckets.iter().map(|count| u64::from(*count)).sum()
    }

    /// The percentile by nearest rank, as if the values of a bucket were spread evenly over it;
    /// 0 of nothing. `percent` is 1 to 100.
    pub(super) fn percentile(&self, percent: u64) -> f64 {
        let rank = rank(self.count(), percent);
        let mut seen = 0;
        for (bucket, count) in self.buckets.iter().enumerate().filter(|(_, count)| **count > 0) {
            let before = seen;
            seen += u64::from(*count);
            if seen >= rank {
                let within = ((rank - before) as f64 - 0.5) / f64::from(*count);
                let steps = ((bucket % COARSE_STEPS) as f64 + within) / COARSE_STEPS as f64;
                return 2f64.powi((bucket / COARSE_STEPS) as i32 + POWER_MIN) * (1.0 + steps);
            }
        }
        0.0
    }
}

/// The bucket of a value in a [`Coarse`] count: there are less than 256.
pub(super) fn coarse_bucket_of(value: f64) -> u8 {
    (bucket_of(value) >> (STEP_BITS - COARSE_STEP_BITS)) as u8
}

/// The exponent and the first bits of the mantissa are the bucket.
fn bucket_of(value: f64) -> usize {
    let lowest = (EXPONENT_BIAS as i64 + i64::from(POWER_MIN)) << STEP_BITS;
    let place = (value.to_bits() >> (MANTISSA_BITS - STEP_BITS)) as i64 - lowest;
    usize::try_from(place.max(0)).unwrap_or(0).min(POWERS * STEPS - 1)
}

/// The middle of a bucket.
fn middle_of(bucket: usize) -> f64 {
    let power = 2f64.powi((bucket / STEPS) as i32 + POWER_MIN);
    power * (1.0 + ((bucket % STEPS) as f64 + 0.5) / STEPS as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn coarse_percentiles_stay_within_their_bucket() {
        assert_eq!(Coarse::default().percentile(50), 0.0);
        let mut coarse = Coarse::default();
        let mut other = Coarse::default();
        for value in 1..=1000 {
            let half = if value % 2 == 0 { &mut coarse } else { &mut other };
            half.add(coarse_bucket_of(f64::from(value)));
        }
        coarse.merge(&other);
        assert_eq!(coarse.count(), 1000);
        for (percent, exact) in [(1, 10.0), (50, 500.0), (95, 950.0), (100, 1000.0)] {
            let found = coarse.percentile(percent);
            assert!((found / exact - 1.0).abs() < 0.06, "p{percent}: {found}");
        }
    }

    #[test]
    fn buckets_are_narrower_than_promised() {
        let mut value = 1e-4;
        while value < 1.5e10 {
            let middle = middle_of(bucket_of(value));
            assert!((middle / value - 1.0).abs() <= 0.008, "{value} {middle}");
            value *= 1.000_37;
        }
        for (odd, bucket) in
            [(f64::MIN_POSITIVE, 0), (1e-300, 0), (1e300, POWERS * STEPS - 1), (1.0, 14 * STEPS)]
        {
            assert_eq!(bucket_of(odd), bucket);
        }
    }

    #[test]
    fn few_values_are_exact_and_zero_counts_for_nothing() {
        let mut few = Histogram::default();
        for value in [0.0, 5.5, -1.0, f64::NAN, 515.2, 548.1, 497.9, f64::INFINITY] {
            few.add(value);
        }
        assert_eq!(few.count(), 4);
        assert_eq!((few.percentile(50), few.percentile(95)), (497.9, 548.1));
        let rows: Vec<_> = few.rows().iter().map(|row| row.count).collect();
        // 5 to 10, then 10, 20, 50, 100 and 200 to 500, then to 1000.
        assert_eq!(rows, [1, 0, 0, 0, 0, 1, 2]);
        assert!((few.rows()[5].from / 200.0 - 1.0).abs() < 1e-9);
        assert_eq!(Histogram::default().percentile(50), 0.0);
        assert_eq!(Histogram::default().average(), 0.0);
        assert!(Histogram::default().rows().is_empty());
    }
}
