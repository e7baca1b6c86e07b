//! Waits from a reply's headers, and back-offs of our own. Pure: time and chance
//! are passed in.

use std::time::{Duration, SystemTime};

use crate::calendar::{http_date, rfc3339, unix_seconds};
use crate::number::{decimal, scientific};

/// Headers that name a wait in seconds, or until a date. (The second is LiteLLM's, for what the
/// provider behind it said.)
const WAITS: [&str; 2] = ["retry-after", "llm_provider-retry-after"];
/// A number of seconds that is a moment since 1970, and one of milliseconds, up to what is none.
const EPOCH_SECONDS_MIN: f64 = 1e9;
const EPOCH_MILLIS_MIN: f64 = 1e11;
const EPOCH_END: f64 = 1e14;
/// How long past a moment may be; a number that would be an earlier one is a time.
const PAST_MAX: Duration = Duration::from_secs(86_400);

/// The wait that a server asks for, by its headers; `header` finds one by name.
pub(crate) fn asked_wait<'h>(
    header: &dyn Fn(&str) -> Option<&'h str>,
    now: SystemTime,
) -> Option<Duration> {
    let millis = header("retry-after-ms").and_then(|text| seconds(text, 1e-3));
    millis.or_else(|| {
        let text = WAITS.iter().find_map(|name| header(name))?.trim();
        let then = || Some(http_date(text)?.saturating_sub(clock(header, now)?));
        let until = until_reset(text, header, now).or_else(|| then().map(Duration::from_secs));
        until.or_else(|| seconds(text, 1.0))
    })
}

/// Seconds since 1970 by the server's own clock where its headers have it: the device's may be wrong.
fn clock<'h>(header: &dyn Fn(&str) -> Option<&'h str>, now: SystemTime) -> Option<u64> {
    header("date").and_then(http_date).or_else(|| unix_seconds(now))
}

/// Whether the server itself says if a retry makes sense.
pub(crate) fn asked_retry<'h>(header: &dyn Fn(&str) -> Option<&'h str>) -> Option<bool> {
    match header("x-should-retry")?.trim() {
        "true" => Some(true),
        "false" => Some(false),
        _ => None,
    }
}

/// A number of some unit, as a time. One beyond all sense is the longest time.
pub(crate) fn seconds(text: &str, unit_seconds: f64) -> Option<Duration> {
    let text = text.trim();
    let number = scientific(text)? * unit_seconds;
    (number >= 0.0).then(|| Duration::try_from_secs_f64(number).unwrap_or(Duration::MAX))
}

/// A time such as `7`, `45.8s`, `12ms`, `6m0s` or `1h2m3s`; without a unit it is in seconds.
pub(crate) fn duration(text: &str) -> Option<Duration> {
    let mut rest = text.trim();
    let mut sum = Duration::ZERO;
    if rest.is_empty() {
        return None;
    }
    while !rest.is_empty() {
        let unit = rest.find(|c: char| c.is_ascii_alphabetic()).unwrap_or(rest.len());
        let (amount, after) = rest.split_at(unit);
        let end = after.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(after.len());
        let (unit, after) = after.split_at(end);
        let unit_seconds = match unit {
            "d" => 86_400.0,
            "h" => 3600.0,
            "m" => 60.0,
            "s" | "" => 1.0,
            "ms" => 1e-3,
            "us" => 1e-6,
            "ns" => 1e-9,
            _ => return None,
        };
        sum = sum.saturating_add(seconds(amount, unit_seconds)?);
        rest = after;
    }
    Some(sum)
}

/// Time until a limit is reset, in any form in use: a time, or a moment as RFC 3339 writes it or
/// as seconds or milliseconds since 1970.
pub(crate) fn until_reset<'h>(
    text: &str,
    header: &dyn Fn(&str) -> Option<&'h str>,
    now: SystemTime,
) -> Option<Duration> {
    let number = decimal(text.trim()).unwrap_or(0.0);
    let unit = if number >= EPOCH_MILLIS_MIN { 1e-3 } else { 1.0 };
    let moment = seconds(text, unit).filter(|_| (EPOCH_SECONDS_MIN..EPOCH_END).contains(&number));
    let clock = Duration::from_secs(clock(header, now)?);
    match moment.filter(|moment| moment.saturating_add(PAST_MAX) >= clock) {
        Some(moment) => Some(moment.saturating_sub(clock)),
        None => duration(text).or_else(|| until_rfc3339(text, header, now)),
    }
}

/// Time until a moment such as `2025-08-21T12:40:59Z` (RFC 3339, in UTC), by the server's own
/// clock where its headers have it.
fn until_rfc3339<'h>(
    text: &str,
    header: &dyn Fn(&str) -> Option<&'h str>,
    now: SystemTime,
) -> Option<Duration> {
    Some(Duration::from_secs(rfc3339(text.trim())?.saturating_sub(clock(header, now)?)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_are_read_in_every_form_that_servers_use() {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(784_111_777);
        let wait = |pairs: &[(&str, &'static str)]| {
            asked_wait(
                &|name| pairs.iter().find(|(key, _)| *key == name).map(|(_, value)| *value),
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
        for date in [date, "Sunday, 06-Nov-94 08:49:40 GMT", "Sun Nov  6 08:49:40 1994"] {
            assert_eq!(wait(&[("retry-after", date)]), Some(Duration::from_secs(3)), "{date}");
        }
        let server = [("retry-after", date), ("date", "Sun, 06 Nov 1994 08:49:39 GMT")];
        assert_eq!(wait(&server), Some(Duration::from_secs(1)));
        assert_eq!(wait(&[("retry-after", "Sun, 06 Nov 1994 08:49:00 GMT")]), Some(Duration::ZERO));
        assert_eq!(wait(&[("retry-after", "7s")]), Some(Duration::from_secs(7)));
        assert_eq!(wait(&[("llm_provider-retry-after", "7")]), Some(Duration::from_secs(7)));
        // Beyond all sense: for ever, and never no wait.
        let endless = "999999999999999999999999999999";
        assert_eq!(wait(&[("retry-after", endless)]), Some(Duration::MAX));
        assert_eq!(wait(&[("retry-after-ms", endless)]), Some(Duration::MAX));
        assert_eq!(wait(&[("retry-after", "1e99")]), Some(Duration::MAX));
        assert_eq!(wait(&[("retry-after", "784111780")]), Some(Duration::from_secs(784_111_780)));
        let later = SystemTime::UNIX_EPOCH + Duration::from_secs(1_789_582_400);
        let moment =
            |text: &'static str| asked_wait(&|name| (name == "retry-after").then_some(text), later);
        assert_eq!(moment("1789582462"), Some(Duration::from_secs(62)));
        assert_eq!(moment("1000000000"), Some(Duration::from_secs(1_000_000_000)));
        assert_eq!(moment("4000000000"), Some(Duration::from_secs(4_000_000_000 - 1_789_582_400)));
        for bad in ["", "soon", "-1", "inf", "nan", "Sun, 06 Foo 1994 08:49:40 GMT"] {
            let bad: &'static str = bad;
            assert_eq!(wait(&[("retry-after", bad)]), None, "{bad}");
        }
        assert_eq!(wait(&[]), None);
    }

    #[test]
    fn times_and_moments_are_read_in_the_form_of_their_headers() {
        for (text, millis) in
            [("12ms", 12), ("1s", 1000), ("6m0s", 360_000), ("1h0m1.5s", 3_601_500), ("3", 3000)]
        {
            assert_eq!(duration(text), Some(Duration::from_millis(millis)), "{text}");
        }
        assert_eq!(duration("1500us20ns"), Some(Duration::from_nanos(1_500_020)));
        for bad in ["", "s", "1x", "-1s", "1e9s", "ms1"] {
            assert_eq!(duration(bad), None, "{bad}");
        }
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_789_582_400);
        let until = |text: &str| until_reset(text, &|_| None, now).map(|wait| wait.as_millis());
        assert_eq!(until("1789582462"), Some(62_000));
        assert_eq!(until("1789582462500"), Some(62_500));
        assert_eq!(until("1789582000"), Some(0));
        assert_eq!(until("62"), Some(62_000));
        assert_eq!(until("2026-09-16T18:14:20Z"), Some(60_000));
        let date = |name: &str| (name == "date").then_some("Wed, 16 Sep 2026 18:14:20 GMT");
        assert_eq!(until_reset("1789584870", &date, now), Some(Duration::from_secs(2_410)));
    }
}
