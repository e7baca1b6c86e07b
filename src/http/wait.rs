//! What a reply's headers say about waiting, and back-offs of our own. Pure: time and chance
//! are passed in.

use std::time::{Duration, SystemTime};

use crate::calendar::{http_date, rfc3339, unix_seconds};
use crate::number::decimal;

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

/// Time until a moment such as `2025-08-21T12:40:59Z` (RFC 3339, in UTC), by the server's own
/// clock where it tells it.
pub(crate) fn until_rfc3339<'h>(
    text: &str,
    header: impl Fn(&str) -> Option<&'h str>,
    now: SystemTime,
) -> Option<Duration> {
    let now = header("date").and_then(http_date).or_else(|| unix_seconds(now))?;
    Some(Duration::from_secs(rfc3339(text.trim())?.saturating_sub(now)))
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
}
