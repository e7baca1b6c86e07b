//! Names for runs, from the wall clock.

use std::time::{SystemTime, UNIX_EPOCH};

const SECONDS_PER_DAY: u64 = 86_400;

/// Days of 400, 100, 4 and 1 Gregorian years; the last three as they are within the next.
const DAYS_400: u64 = 146_097;
const DAYS_100: u64 = 36_524;
const DAYS_4: u64 = 1_461;
const DAYS_1: u64 = 365;

/// From 1 March of the year 0 to 1 January 1970, in days.
const DAYS_BEFORE_1970: u64 = 719_468;

/// The first day of each month of a year that begins in March, so that the leap day is last.
const MONTH_STARTS: [u64; 12] = [0, 31, 61, 92, 122, 153, 184, 214, 245, 275, 306, 337];

/// The second as `YYYYMMDD_HHMMSS` in UTC. A clock before 1970 counts as 1970.
pub(super) fn run_second(at: SystemTime) -> String {
    let seconds = at.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    let (year, month, day) = date(seconds / SECONDS_PER_DAY + DAYS_BEFORE_1970);
    let rest = seconds % SECONDS_PER_DAY;
    let (hour, minute, second) = (rest / 3600, rest / 60 % 60, rest % 60);
    format!("{year:04}{month:02}{day:02}_{hour:02}{minute:02}{second:02}")
}

/// The moment as `YYYY-MM-DDTHH:MM:SS.ffffffZ`. A clock before 1970 counts as 1970.
// Only traces are told so.
#[cfg_attr(not(feature = "http"), allow(dead_code))]
pub(crate) fn iso_micros(at: SystemTime) -> String {
    let since = at.duration_since(UNIX_EPOCH).unwrap_or_default();
    let (seconds, micros) = (since.as_secs(), since.subsec_micros());
    let (year, month, day) = date(seconds / SECONDS_PER_DAY + DAYS_BEFORE_1970);
    let rest = seconds % SECONDS_PER_DAY;
    let (hour, minute, second) = (rest / 3600, rest / 60 % 60, rest % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{micros:06}Z")
}

/// Year, month and day from days since 1 March of the year 0.
fn date(days: u64) -> (u64, u64, u64) {
    let (era, mut rest) = (days / DAYS_400, days % DAYS_400);
    // The last day of a cycle is the leap day, which makes it one longer than its fellows.
    let centuries = (rest / DAYS_100).min(3);
    rest -= centuries * DAYS_100;
    let fours = rest / DAYS_4;
    rest -= fours * DAYS_4;
    let years = (rest / DAYS_1).min(3);
    rest -= years * DAYS_1;
    let months = MONTH_STARTS.iter().filter(|&&start| start <= rest).count() as u64;
    let start = MONTH_STARTS.iter().rev().find(|&&start| start <= rest).copied().unwrap_or(0);
    // `months` counts from March as 1; January and February belong to the next year.
    let (month, later) = if months <= 10 { (months + 2, 0) } else { (months - 10, 1) };
    (era * 400 + centuries * 100 + fours * 4 + years + later, month, rest - start + 1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn seconds_become_dates() {
        // Each from `date -u -d @N +%Y%m%d_%H%M%S`.
        for (seconds, text) in [
            (0, "19700101_000000"),
            (951_782_399, "20000228_235959"),
            (951_782_400, "20000229_000000"),
            (951_868_800, "20000301_000000"),
            (1_709_164_800, "20240229_000000"),
            (1_735_689_599, "20241231_235959"),
            (1_763_830_000, "20251122_164640"),
            (4_107_542_400, "21000301_000000"),
            (4_107_456_000, "21000228_000000"),
        ] {
            assert_eq!(run_second(UNIX_EPOCH + Duration::from_secs(seconds)), text);
        }
    }

    #[test]
    fn moments_are_told_to_the_microsecond() {
        let at = UNIX_EPOCH + Duration::new(1_763_830_000, 1_234_567);
        assert_eq!(iso_micros(at), "2025-11-22T16:46:40.001234Z");
        assert_eq!(iso_micros(UNIX_EPOCH - Duration::from_secs(1)), "1970-01-01T00:00:00.000000Z");
    }

    #[test]
    fn every_day_of_400_years_follows_the_one_before() {
        let mut last = date(DAYS_BEFORE_1970 - 1);
        for days in DAYS_BEFORE_1970..DAYS_BEFORE_1970 + DAYS_400 {
            let (year, month, day) = date(days);
            let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
            let fits = [31, 28 + u64::from(leap), 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
            let next = if last.2 < fits[last.1 as usize - 1] && last.0 == year {
                (last.0, last.1, last.2 + 1)
            } else if last.1 < 12 {
                (last.0, last.1 + 1, 1)
            } else {
                (last.0 + 1, 1, 1)
            };
            assert_eq!((year, month, day), next);
            last = (year, month, day);
        }
    }
}
