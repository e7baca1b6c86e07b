//! What a reply's headers say about waiting, and back-offs of our own. Pure: time and chance
//! are passed in.

use std::time::{Duration, SystemTime};

use crate::number::decimal;

/// First back-off; each further one is twice as long.
const BACKOFF_FIRST: Duration = Duration::from_millis(500);
/// Longest back-off of our own choice.
const BACKOFF_MAX: Duration = Duration::from_secs(8);
/// Most that chance takes off a back-off, in 1/256: a quarter. Clients that failed together
/// shall not come back together.
const JITTER_OF_256: u64 = 64;

/// Back-offs of our own choice, one after another.
#[derive(Debug, Clone)]
pub(crate) struct Backoff {
    next: Duration,
    chance: u64,
}

impl Backoff {
    /// Back-offs with this seed for their jitter.
    pub(crate) fn new(seed: u64) -> Self {
        // The generator below stands still at zero.
        Self { next: BACKOFF_FIRST, chance: seed | 1 }
    }

    /// Marsaglia's xorshift64: good enough to tell clients apart.
    fn roll(&mut self) -> u64 {
        self.chance ^= self.chance << 13;
        self.chance ^= self.chance >> 7;
        self.chance ^= self.chance << 17;
        self.chance
    }
}

impl Iterator for Backoff {
    type Item = Duration;

    fn next(&mut self) -> Option<Duration> {
        let whole = self.next;
        self.next = (whole * 2).min(BACKOFF_MAX);
        let off = self.roll() % (JITTER_OF_256 + 1);
        let off = u32::try_from(off).unwrap_or_default();
        Some(whole - whole * off / 256)
    }
}

/// The wait that a server asks for, by its headers; `header` finds one by name.
pub(crate) fn asked_wait<'h>(
    header: impl Fn(&str) -> Option<&'h str>,
    now: SystemTime,
) -> Option<Duration> {
    let millis = header("retry-after-ms").and_then(|text| seconds(text, 1e-3));
    millis.or_else(|| {
        let text = header("retry-after")?.trim();
        seconds(text, 1.0).or_else(|| {
            let then = http_date(text)?;
            // The server's own clock, where it tells it: the device's may be wrong.
            let now = header("date").and_then(http_date).or_else(|| unix_seconds(now))?;
            Some(Duration::from_secs(then.saturating_sub(now)))
        })
    })
}

/// Whether the server itself says if a retry makes sense.
pub(crate) fn asked_retry<'h>(header: impl Fn(&str) -> Option<&'h str>) -> Option<bool> {
    match header("x-should-retry")?.trim() {
        "true" => Some(true),
        "false" => Some(false),
        _ => None,
    }
}

/// A plain decimal number of some unit, as a time.
pub(crate) fn seconds(text: &str, unit_seconds: f64) -> Option<Duration> {
    Duration::try_from_secs_f64(decimal(text.trim())? * unit_seconds).ok()
}

fn unix_seconds(at: SystemTime) -> Option<u64> {
    at.duration_since(SystemTime::UNIX_EPOCH).ok().map(|since| since.as_secs())
}

const MONTHS: [&str; 12] =
    ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
const DAY_SECONDS: u64 = 86_400;

/// Unix seconds of a date such as `Sun, 06 Nov 1994 08:49:37 GMT`, the only form that HTTP
/// allows to be sent.
fn http_date(text: &str) -> Option<u64> {
    let (_, rest) = text.trim().split_once(", ")?;
    let mut parts = rest.split(' ');
    let day: u64 = parts.next()?.parse().ok()?;
    let month = parts.next()?;
    let month = MONTHS.iter().position(|name| *name == month)? as u64 + 1;
    let year: u64 = parts.next()?.parse().ok()?;
    let mut clock = parts.next()?.split(':');
    let mut field = |max: u64| clock.next()?.parse::<u64>().ok().filter(|n| *n <= max);
    let (hour, minute, second) = (field(23)?, field(59)?, field(60)?);
    if parts.next()? != "GMT" || !(1970..=9999).contains(&year) || !(1..=31).contains(&day) {
        return None;
    }
    let days = days_since_1970(year, month, day);
    Some(days * DAY_SECONDS + hour * 3600 + minute * 60 + second)
}

/// Time until a moment such as `2025-08-21T12:40:59Z` (RFC 3339, in UTC; fractions of a second
/// are dropped), by the server's own clock where it tells it.
pub(crate) fn until_rfc3339<'h>(
    text: &str,
    header: impl Fn(&str) -> Option<&'h str>,
    now: SystemTime,
) -> Option<Duration> {
    let (date, clock) = text.trim().strip_suffix('Z')?.split_once('T')?;
    let clock = clock.split('.').next()?;
    let date: Vec<u64> = date.split('-').map(|n| n.parse().ok()).collect::<Option<_>>()?;
    let clock: Vec<u64> = clock.split(':').map(|n| n.parse().ok()).collect::<Option<_>>()?;
    let (&[year, month, day], &[hour, minute, second]) = (&date[..], &clock[..]) else {
        return None;
    };
    let is_date =
        (1970..=9999).contains(&year) && (1..=12).contains(&month) && (1..=31).contains(&day);
    if !is_date || hour > 23 || minute > 59 || second > 60 {
        return None;
    }
    let then = days_since_1970(year, month, day) * DAY_SECONDS + hour * 3600 + minute * 60 + second;
    let now = header("date").and_then(http_date).or_else(|| unix_seconds(now))?;
    Some(Duration::from_secs(then.saturating_sub(now)))
}

/// Days from 1970-01-01 to a date of the Gregorian calendar, counted with years that begin
/// in March, so that the leap day comes last.
fn days_since_1970(year: u64, month: u64, day: u64) -> u64 {
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let leap_days = year / 4 - year / 100 + year / 400;
    let day_of_year = (153 * month + 2) / 5 + day - 1;
    // 719,468 days lie between 0000-03-01 and 1970-01-01.
    365 * year + leap_days + day_of_year - 719_468
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn back_offs_double_to_their_cap_and_lose_at_most_a_quarter() {
        for seed in 0..100 {
            let waits: Vec<_> = Backoff::new(seed).take(7).collect();
            for (wait, whole) in waits.iter().zip([500, 1000, 2000, 4000, 8000, 8000, 8000]) {
                let whole = Duration::from_millis(whole);
                assert!(*wait <= whole && *wait >= whole * 3 / 4, "{wait:?} of {whole:?}");
            }
        }
    }

    #[test]
    fn chance_spreads_back_offs_from_a_quarter_less_to_nothing_less() {
        // The generator's known sequence.
        let mut backoff = Backoff::new(1);
        let rolls = [(); 3].map(|()| backoff.roll());
        assert_eq!(rolls, [1_082_269_761, 1_152_992_998_833_853_505, 11_177_516_664_432_764_457]);
        let firsts: Vec<_> = (0..2000).filter_map(|seed| Backoff::new(seed).next()).collect();
        assert_eq!(firsts.iter().min(), Some(&Duration::from_millis(375)));
        assert_eq!(firsts.iter().max(), Some(&BACKOFF_FIRST));
    }

    #[test]
    fn waits_are_read_in_every_form_that_servers_use() {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(784_111_777);
        let wait = |pairs: &[(&str, &'static str)]| {
            asked_wait(
                |name| pairs.iter().find(|(key, _)| *key == name).map(|(_, value)| *value),
                now,
            )
        };
        assert_eq!(wait(&[("retry-after", "2")]), Some(Duration::from_secs(2)));
        assert_eq!(wait(&[("retry-after", "0.5")]), Some(Duration::from_millis(500)));
        assert_eq!(
            wait(&[("retry-after", "2"), ("retry-after-ms", "30")]),
            Some(Duration::from_millis(30))
        );
        let date = "Sun, 06 Nov 1994 08:49:40 GMT";
        assert_eq!(wait(&[("retry-after", date)]), Some(Duration::from_secs(3)));
        let server = [("retry-after", date), ("date", "Sun, 06 Nov 1994 08:49:39 GMT")];
        assert_eq!(wait(&server), Some(Duration::from_secs(1)));
        assert_eq!(wait(&[("retry-after", "Sun, 06 Nov 1994 08:49:00 GMT")]), Some(Duration::ZERO));
        for bad in ["", "soon", "-1", "inf", "1e99", "nan", "Sun, 06 Foo 1994 08:49:40 GMT"] {
            let bad: &'static str = bad;
            assert_eq!(wait(&[("retry-after", bad)]), None, "{bad}");
        }
        assert_eq!(wait(&[]), None);
    }

    #[test]
    fn dates_match_the_calendar() {
        assert_eq!(http_date("Thu, 01 Jan 1970 00:00:00 GMT"), Some(0));
        assert_eq!(http_date("Tue, 29 Feb 2000 00:00:01 GMT"), Some(951_782_401));
        assert_eq!(http_date("Fri, 01 Mar 2024 12:00:00 GMT"), Some(1_709_294_400));
        assert_eq!(http_date("Fri, 31 Dec 9999 23:59:60 GMT"), Some(253_402_300_800));
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
        ] {
            assert_eq!(http_date(bad), None, "{bad}");
        }
    }
}
