//! Dates of the Gregorian calendar, in UTC, from and to Unix seconds. Pure: the time is a
//! parameter. For dates, a time before 1970 counts as the start of 1970.

use std::time::{SystemTime, UNIX_EPOCH};

const SECONDS_PER_DAY: u64 = 86_400;

/// Days of 400, 100, 4 and 1 Gregorian years. The last three are those without the leap day
/// that ends a cycle.
const DAYS_400: u64 = 146_097;
const DAYS_100: u64 = 36_524;
const DAYS_4: u64 = 1_461;
const DAYS_1: u64 = 365;

/// From 1 March of the year 0 to 1 January 1970, in days. Years are counted from March, so
/// that the leap day is the last of its year.
const DAYS_BEFORE_1970: u64 = 719_468;

/// A second of a day, in UTC.
struct Moment {
    year: u64,
    month: u64,
    day: u64,
    hour: u64,
    minute: u64,
    second: u64,
}

impl Moment {
    fn of_unix(seconds: u64) -> Self {
        let (year, month, day) = date(seconds / SECONDS_PER_DAY);
        let rest = seconds % SECONDS_PER_DAY;
        Self { year, month, day, hour: rest / 3600, minute: rest / 60 % 60, second: rest % 60 }
    }
}

/// The second as `YYYYMMDD_HHMMSS`.
pub(crate) fn run_second(at: SystemTime) -> String {
    let Moment { year, month, day, hour, minute, second } =
        Moment::of_unix(unix_seconds(at).unwrap_or(0));
    format!("{year:04}{month:02}{day:02}_{hour:02}{minute:02}{second:02}")
}

/// The moment as `YYYY-MM-DDTHH:MM:SS.ffffffZ`.
// For traces, which need HTTP.
#[cfg_attr(not(feature = "http"), allow(dead_code))]
pub(crate) fn iso_micros(at: SystemTime) -> String {
    let micros = at.duration_since(UNIX_EPOCH).unwrap_or_default().subsec_micros();
    let Moment { year, month, day, hour, minute, second } =
        Moment::of_unix(unix_seconds(at).unwrap_or(0));
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{micros:06}Z")
}

/// Seconds since 1970 with their fraction, negative before it.
pub(crate) fn unix_time(at: SystemTime) -> f64 {
    match at.duration_since(UNIX_EPOCH) {
        Ok(since) => since.as_secs_f64(),
        Err(before) => -before.duration().as_secs_f64(),
    }
}

/// Whole seconds since 1970; `None` for a time before it.
pub(crate) fn unix_seconds(at: SystemTime) -> Option<u64> {
    at.duration_since(UNIX_EPOCH).ok().map(|since| since.as_secs())
}

#[cfg_attr(not(feature = "http"), allow(dead_code))]
const MONTHS: [&str; 12] =
    ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/// Two digits of a year from here on are one of the 20th century, those below one of the 21st:
/// no date that is read is before 1970.
#[cfg_attr(not(feature = "http"), allow(dead_code))]
const FIRST_OF_1900S: u64 = 70;

/// Unix seconds of a date such as `Sun, 06 Nov 1994 08:49:37 GMT`, the only form that HTTP
/// allows to be sent, or in one of the two older forms that are to be read too (RFC 9110, 5.6.7).
#[cfg_attr(not(feature = "http"), allow(dead_code))]
pub(crate) fn http_date(text: &str) -> Option<u64> {
    let between = |c| matches!(c, ' ' | ',' | '-');
    let mut parts = [""; 6];
    let found = text.split(between).filter(|part| !part.is_empty());
    parts.iter_mut().zip(found).for_each(|(part, found)| *part = found);
    let (day, month, year, clock) = match parts {
        [_, day, month, year, clock, "GMT"] | [_, month, day, clock, year, ""] => {
            (day, month, year, clock)
        }
        _ => return None,
    };
    let month = MONTHS.iter().position(|name| *name == month)? as u64 + 1;
    let day: u64 = day.parse().ok()?;
    let year = match (year.len(), year.parse().ok()?) {
        (2, year @ FIRST_OF_1900S..) => 1900 + year,
        (2, year) => 2000 + year,
        (_, year) => year,
    };
    let mut clock = clock.split(':');
    let mut field = |max: u64| clock.next()?.parse::<u64>().ok().filter(|n| *n <= max);
    // A leap second is the sixtieth.
    let (hour, minute, second) = (field(23)?, field(59)?, field(60)?);
    if !(1970..=9999).contains(&year) || !(1..=31).contains(&day) {
        return None;
    }
    let days = days_since_1970(year, month, day);
    Some(days * SECONDS_PER_DAY + hour * 3600 + minute * 60 + second)
}

/// Unix seconds of a moment such as `2025-08-21T12:40:59Z` (RFC 3339, in UTC; fractions of a
/// second are dropped).
#[cfg_attr(not(feature = "http"), allow(dead_code))]
pub(crate) fn rfc3339(text: &str) -> Option<u64> {
    let (date, clock) = text.strip_suffix('Z')?.split_once('T')?;
    let numbers = |text: &str, between| -> Option<Vec<u64>> {
        text.split(between).map(|number| number.parse().ok()).collect()
    };
    let (date, clock) = (numbers(date, '-')?, numbers(clock.split('.').next()?, ':')?);
    let (&[year, month, day], &[hour, minute, second]) = (&date[..], &clock[..]) else {
        return None;
    };
    let is_date =
        (1970..=9999).contains(&year) && (1..=12).contains(&month) && (1..=31).contains(&day);
    let is_time = hour <= 23 && minute <= 59 && second <= 60;
    (is_date && is_time).then(|| {
        let days = days_since_1970(year, month, day);
        days * SECONDS_PER_DAY + hour * 3600 + minute * 60 + second
    })
}

/// Year, month and day of a day counted from 1 January 1970.
fn date(days_since_1970: u64) -> (u64, u64, u64) {
    let days = days_since_1970 + DAYS_BEFORE_1970;
    let (era, mut rest) = (days / DAYS_400, days % DAYS_400);
    // The last day of a cycle is the leap day, which makes it one longer than the others.
    let centuries = (rest / DAYS_100).min(3);
    rest -= centuries * DAYS_100;
    let fours = rest / DAYS_4;
    rest -= fours * DAYS_4;
    let years = (rest / DAYS_1).min(3);
    rest -= years * DAYS_1;
    // From March, months have 31, 30, 31, 30 and 31 days, repeated: 153 in five.
    let month = (5 * rest + 2) / 153;
    let day = rest - first_day(month) + 1;
    let (month, later) = if month < 10 { (month + 3, 0) } else { (month - 9, 1) };
    (era * 400 + centuries * 100 + fours * 4 + years + later, month, day)
}

/// The inverse of [`date`]; a day after its month's last counts on into the next month.
#[cfg_attr(not(feature = "http"), allow(dead_code))]
fn days_since_1970(year: u64, month: u64, day: u64) -> u64 {
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let leap_days = year / 4 - year / 100 + year / 400;
    DAYS_1 * year + leap_days + first_day(month) + day - 1 - DAYS_BEFORE_1970
}

/// The day of the year, counted from 1 March as 0, on which a month begins; March is 0.
fn first_day(month: u64) -> u64 {
    (153 * month + 2) / 5
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
    fn moments_have_microseconds() {
        let at = UNIX_EPOCH + Duration::new(1_763_830_000, 1_234_567);
        assert_eq!(iso_micros(at), "2025-11-22T16:46:40.001234Z");
        assert_eq!(iso_micros(UNIX_EPOCH - Duration::from_secs(1)), "1970-01-01T00:00:00.000000Z");
    }

    #[test]
    fn every_day_of_400_years_follows_the_one_before_and_leads_back_to_its_number() {
        let mut last = (1969, 12, 31);
        for days in 0..DAYS_400 {
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
            assert_eq!(days_since_1970(year, month, day), days);
            last = (year, month, day);
        }
    }

    #[test]
    fn dates_of_headers_match_the_calendar() {
        assert_eq!(http_date("Thu, 01 Jan 1970 00:00:00 GMT"), Some(0));
        assert_eq!(http_date("Tue, 29 Feb 2000 00:00:01 GMT"), Some(951_782_401));
        assert_eq!(http_date("Fri, 01 Mar 2024 12:00:00 GMT"), Some(1_709_294_400));
        assert_eq!(http_date("Fri, 31 Dec 9999 23:59:60 GMT"), Some(253_402_300_800));
        for (date, older) in [
            ("Sun, 06 Nov 1994 08:49:37 GMT", "Sunday, 06-Nov-94 08:49:37 GMT"),
            ("Sun, 06 Nov 1994 08:49:37 GMT", "Sun Nov  6 08:49:37 1994"),
            ("Thu, 26 Nov 2026 08:49:37 GMT", "Thursday, 26-Nov-26 08:49:37 GMT"),
            ("Thu, 26 Nov 2026 08:49:37 GMT", "Thu Nov 26 08:49:37 2026"),
        ] {
            assert!(http_date(date).is_some() && http_date(older) == http_date(date), "{older}");
        }
        for bad in [
            "Fri, 01 Mar 2024 12:00:00 UTC",
            "Wed, 31 Dec 1969 12:00:00 GMT",
            "Sat, 01 Jan 10000 00:00:00 GMT",
            "Fri, 00 Mar 2024 12:00:00 GMT",
            "Fri, 32 Mar 2024 12:00:00 GMT",
            "Fri, 01 Mar 2024 24:00:00 GMT",
            "Fri, 01 Mar 2024 12:60:00 GMT",
            "Fri, 01 Mar 2024 12:00:61 GMT",
            "Fri, 01 Mar 2024 12:00 GMT",
            "Friday, 01-Mar-24 12:00:00",
            "Fri Mar 32 12:00:00 2024",
        ] {
            assert_eq!(http_date(bad), None, "{bad}");
        }
    }

    #[test]
    fn moments_of_rfc_3339_match_those_of_http() {
        let date = "Thu, 21 Aug 2025 12:40:59 GMT";
        assert_eq!(rfc3339("2025-08-21T12:40:59Z"), http_date(date));
        assert_eq!(rfc3339("2025-08-21T12:40:59.123Z"), http_date(date));
        for bad in [
            "",
            "2025-08-21",
            "2025-08-21T12:40:59+02:00",
            "2025-00-21T12:40:59Z",
            "2025-08-21T24:40:59Z",
            "2025-08-21T12:40Z",
            "1969-08-21T12:40:59Z",
        ] {
            assert_eq!(rfc3339(bad), None, "{bad}");
        }
    }
}
