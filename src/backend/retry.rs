//! When to try again. Pure: time and chance are passed in.

use std::time::{Duration, SystemTime};

use crate::calendar::{http_date, unix_seconds};
use crate::number::decimal;

/// The wait that a server asks for, by its headers; `header` finds one by name.
pub(crate) fn asked_wait<'h>(
    header: impl Fn(&str) -> Option<&'h str>,
    now: SystemTime,
) -> Option<Duration> {
    let millis = header("retry-after-ms").and_then(|text| number(text, 1e-3));
    millis.or_else(|| {
        let text = header("retry-after")?.trim();
        number(text, 1.0).or_else(|| {
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
fn number(text: &str, unit_seconds: f64) -> Option<Duration> {
    Duration::try_from_secs_f64(decimal(text.trim())? * unit_seconds).ok()
}

/// A duration in the form of OpenAI's reset headers: `12ms`, `1.5s`, `6m0s`, `1h2m3s`.
pub(crate) fn go_duration(text: &str) -> Option<Duration> {
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
        let seconds = match unit {
            "h" => 3600.0,
            "m" => 60.0,
            // Some servers send plain seconds.
            "s" | "" => 1.0,
            "ms" => 1e-3,
            "us" => 1e-6,
            "ns" => 1e-9,
            _ => return None,
        };
        sum = sum.checked_add(number(amount, seconds)?)?;
        rest = after;
    }
    Some(sum)
}

#[cfg(test)]
mod tests {
    use super::*;

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
    fn resets_are_read_in_the_form_of_their_headers() {
        for (text, millis) in
            [("12ms", 12), ("1s", 1000), ("6m0s", 360_000), ("1h0m1.5s", 3_601_500), ("3", 3000)]
        {
            assert_eq!(go_duration(text), Some(Duration::from_millis(millis)), "{text}");
        }
        assert_eq!(go_duration("1500us20ns"), Some(Duration::from_nanos(1_500_020)));
        for bad in ["", "s", "1x", "-1s", "1e9s", "ms1"] {
            assert_eq!(go_duration(bad), None, "{bad}");
        }
    }
}
