//! Numbers as people read them: thousands apart, times in a unit that fits, moments in UTC.

use std::time::{Duration, UNIX_EPOCH};

use crate::calendar::iso_micros;
use crate::number::fixed;

/// `1,234,567`.
pub(super) fn count(number: u64) -> String {
    let digits = number.to_string();
    let mut out = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// `3.2 %`, with a space that does not break; what is there is never zero, and what is not all is never 100.
pub(super) fn percent(part: u64, whole: u64) -> String {
    let text = fixed(part as f64 / (whole as f64).max(1.0) * 100.0, 1);
    match text.as_str() {
        "0.0" if part > 0 => "under 0.1\u{a0}%".to_owned(),
        "100.0" if part < whole => "over 99.9\u{a0}%".to_owned(),
        text => format!("{}\u{a0}%", text.trim_end_matches(".0")),
    }
}

/// The same without its sign, for a column that has it in its heading.
pub(super) fn percent_cell(part: u64, whole: u64) -> String {
    percent(part, whole).trim_end_matches("\u{a0}%").to_owned()
}

/// A unit of time, and how many milliseconds it has.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Unit {
    pub(super) name: &'static str,
    pub(super) ms: f64,
}

const UNITS: [Unit; 6] = [
    Unit { name: "µs", ms: 1e-3 },
    Unit { name: "ms", ms: 1.0 },
    Unit { name: "s", ms: 1e3 },
    Unit { name: "min", ms: 60e3 },
    Unit { name: "h", ms: 3.6e6 },
    Unit { name: "d", ms: 86.4e6 },
];

/// In place of a time that no clock has measured.
const VERY_LONG: &str = "very long";

impl Unit {
    /// The largest unit that the time has one of.
    pub(super) fn of(ms: f64) -> Self {
        // A time just below a unit would be shown as one of it.
        let fits = |unit: &&Self| ms >= unit.ms * 0.9995;
        UNITS.iter().rev().find(fits).copied().unwrap_or(UNITS[0])
    }

    /// The unit for a column of times.
    pub(super) fn of_all(times: impl IntoIterator<Item = f64>) -> Self {
        Self::of(times.into_iter().fold(0.0, f64::max))
    }

    /// The time in this unit, without its name: about three digits.
    pub(super) fn of_time(self, ms: f64) -> String {
        let value = ms / self.ms;
        let places = match value {
            value if value >= 99.95 => 0,
            value if value >= 9.995 => 1,
            value if value >= 0.9995 || value == 0.0 => 2,
            _ => 3,
        };
        let text = fixed(value, places);
        match text.as_str() {
            "0.000" => "~0".to_owned(),
            // More than a time can be: a line may hold any number.
            text if text.starts_with('>') || text == "inf" => VERY_LONG.to_owned(),
            _ => text,
        }
    }
}

/// `310 ms`, `2.13 s`, with a space that does not break.
pub(super) fn time(ms: f64) -> String {
    let unit = Unit::of(ms);
    match unit.of_time(ms) {
        long if long == VERY_LONG => long,
        text => format!("{text}\u{a0}{}", unit.name),
    }
}

/// A width of a slot of time: `hour`, `15 minutes`.
pub(super) fn span(seconds: u64) -> String {
    let units =
        [(604_800, "week"), (86_400, "day"), (3_600, "hour"), (60, "minute"), (1, "second")];
    let fits = |unit: &&(u64, &str)| seconds.is_multiple_of(unit.0);
    let (size, name) = units.iter().find(fits).copied().unwrap_or((1, "second"));
    match seconds / size {
        1 => name.to_owned(),
        many => format!("{many} {name}s"),
    }
}

const MONTHS: [&str; 12] =
    ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/// A moment, from Unix seconds.
pub(super) struct UtcMoment(String);

/// The last second of the year 9999: later years would not fit their four digits.
const LAST_SECOND: u64 = 253_402_300_799;

impl UtcMoment {
    pub(super) fn new(seconds: u64) -> Self {
        Self(iso_micros(UNIX_EPOCH + Duration::from_secs(seconds.min(LAST_SECOND))))
    }

    fn part(&self, from: usize, to: usize) -> &str {
        self.0.get(from..to).unwrap_or_default()
    }

    /// `22 Nov`.
    pub(super) fn day(&self) -> String {
        let month = self.part(5, 7).parse().unwrap_or(1_usize);
        let name = MONTHS.get(month.saturating_sub(1)).unwrap_or(&"");
        format!("{} {name}", self.part(8, 10).trim_start_matches('0'))
    }

    /// `22 Nov 2025`.
    pub(super) fn date(&self) -> String {
        format!("{} {}", self.day(), self.part(0, 4))
    }

    /// `16:46`.
    pub(super) fn clock(&self) -> String {
        self.part(11, 16).to_owned()
    }

    /// `16:46:40`.
    pub(super) fn second(&self) -> String {
        self.part(11, 19).to_owned()
    }

    /// `22 Nov 2025 16:46`.
    pub(super) fn minute(&self) -> String {
        format!("{} {}", self.date(), self.clock())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_read_well() {
        let counts = [0, 999, 1000, 1_234_567].map(count);
        assert_eq!(counts, ["0", "999", "1,000", "1,234,567"]);
        for (part, whole, text) in [
            (0, 0, "0 %"),
            (0, 7, "0 %"),
            (1, 3, "33.3 %"),
            (1, 2, "50 %"),
            (1, 100_000, "under 0.1 %"),
            (99_999, 100_000, "over 99.9 %"),
            (7, 7, "100 %"),
        ] {
            assert_eq!(percent(part, whole).replace('\u{a0}', " "), text);
        }
        for (ms, text) in [
            (0.0, "0.00 µs"),
            (0.0126, "12.6 µs"),
            (0.9999, "1.00 ms"),
            (310.46, "310 ms"),
            (999.9, "1.00 s"),
            (2130.0, "2.13 s"),
            (61_000.0, "1.02 min"),
            (9e7, "1.04 d"),
            (f64::MAX, "very long"),
        ] {
            assert_eq!(time(ms).replace('\u{a0}', " "), text, "{ms}");
        }
        assert_eq!(
            [1, 60, 900, 3600, 86_400, 604_800].map(span).join(", "),
            "second, minute, 15 minutes, hour, day, week"
        );
        let unit = Unit::of_all([0.1, 2000.0]);
        assert_eq!((unit.name, unit.of_time(0.0).as_str()), ("s", "0.00"));
        assert_eq!([0.1, 1e4].map(|ms| unit.of_time(ms)), ["~0", "10.0"]);
    }

    #[test]
    fn moments_are_in_utc() {
        let moment = UtcMoment::new(1_763_830_000);
        assert_eq!(moment.minute(), "22 Nov 2025 16:46");
        assert_eq!((moment.second(), moment.day()), ("16:46:40".to_owned(), "22 Nov".to_owned()));
        assert_eq!(UtcMoment::new(0).date(), "1 Jan 1970");
        assert_eq!(UtcMoment::new(u64::MAX).minute(), "31 Dec 9999 23:59");
    }
}
