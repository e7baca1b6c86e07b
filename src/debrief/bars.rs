//! Latencies as bars of characters: a histogram of several lines, or one line.

use super::histogram::Row;
use super::stats::BackendStats;
use crate::number::fixed;

/// Characters of the longest bar of a histogram.
const BAR_WIDTH: u64 = 30;

/// Rows of a histogram; where there would be more, adjacent rows are merged.
const ROWS_MAX: usize = 12;

/// Characters of a sparkline, likewise.
const SPARKS_MAX: usize = 24;

/// A character for each eighth of the greatest count.
const SPARKS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];

/// The rows between round numbers, with adjacent rows merged where more than `rows_max`
/// hold values. Empty where a single row would show no more than the percentiles do.
fn merged(stats: &BackendStats, rows_max: usize) -> Vec<Row> {
    let rows = stats.latency.rows();
    let filled = |rows: &[Row]| rows.iter().filter(|row| row.count > 0).count();
    let merged: Vec<_> = rows
        .chunks(filled(&rows).div_ceil(rows_max).max(1))
        .filter_map(|chunk| {
            let (first, last) = (chunk.first()?, chunk.last()?);
            let count = chunk.iter().map(|row| row.count).sum();
            Some(Row { from: first.from, to: last.to, count })
        })
        .collect();
    if filled(&merged) < 2 { Vec::new() } else { merged }
}

fn most(rows: &[Row]) -> u64 {
    rows.iter().map(|row| row.count).max().unwrap_or(1).max(1)
}

/// A count on a scale whose end is `most`; a count above zero gives at least 1.
fn scaled(count: u64, most: u64, end: u64) -> usize {
    let size = (u128::from(count) * u128::from(end)).div_ceil(u128::from(most));
    usize::try_from(size).unwrap_or(0)
}

/// The distribution of latencies in one line: `200ms ▂█▅▁ 5s`. Steps are equal on a scale of 1, 2,
/// 5, 10 and so on. `None` where all are alike.
pub(super) fn sparkline(stats: &BackendStats) -> Option<String> {
    let rows = merged(stats, SPARKS_MAX);
    let (first, last, most) = (rows.first()?, rows.last()?, most(&rows));
    let spark = |row: &Row| match scaled(row.count, most, SPARKS.len() as u64) {
        0 => ' ',
        height => SPARKS[height.min(SPARKS.len()) - 1],
    };
    let sparks: String = rows.iter().map(spark).collect();
    Some(format!("{} {sparks} {}", edge(first.from), edge(last.to)))
}

/// One row between two round numbers, or between several where there are many; three dots
/// for rows without any.
pub(super) fn histogram(stats: &BackendStats) -> Vec<String> {
    let rows = merged(stats, ROWS_MAX);
    let most = most(&rows);
    let line = |row: &Row| {
        if row.count == 0 {
            return format!("{:>9}", "…");
        }
        let bar = "█".repeat(scaled(row.count, most, BAR_WIDTH));
        format!("{:>7} – {:<7} {bar:<30} {}", edge(row.from), edge(row.to), row.count)
    };
    let mut lines: Vec<_> = rows.iter().map(line).collect();
    lines.dedup();
    lines
}

/// An edge of a histogram's row, in a unit that fits it: edges are round numbers.
pub(super) fn edge(ms: f64) -> String {
    // Steps of 2 and 2.5 leave an error in the last digits, which rounding takes away.
    let nanos = (ms * 1e6).round();
    let (value, unit) = match nanos {
        _ if nanos < 1e3 => (nanos, "ns"),
        _ if nanos < 1e6 => (nanos / 1e3, "µs"),
        _ if nanos < 1e9 => (nanos / 1e6, "ms"),
        _ => (nanos / 1e9, "s"),
    };
    fixed(value, 0) + unit
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn edges_are_printed_in_the_unit_that_fits_them() {
        for (ms, text) in [
            (1e-6, "1ns"),
            (5e-4, "500ns"),
            (1e-3, "1µs"),
            (0.5, "500µs"),
            (1.0, "1ms"),
            (500.0, "500ms"),
            (1000.0, "1s"),
        ] {
            assert_eq!(edge(ms), text);
        }
    }
}
