//! The wait that a server asks for. Pure: the time is passed in.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use ureq::http::HeaderMap;

/// Shortest and longest wait that a server can ask for.
const ASKED_WAIT: [Duration; 2] = [Duration::from_secs(1), Duration::from_secs(300)];

/// The wait of a `Retry-After`, in seconds or until a date, within bounds.
pub(crate) fn asked_wait(headers: &HeaderMap, now: SystemTime) -> Option<Duration> {
    let text = |name| Some(headers.get(name)?.to_str().ok()?.trim());
    let date = |name| http_date(text(name)?);
    let asked = text("retry-after")?;
    let [least, most] = ASKED_WAIT;
    let wait = if !asked.is_empty() && asked.bytes().all(|byte| byte.is_ascii_digit()) {
        // A number beyond all sense is the longest wait.
        asked.parse().map_or(most, Duration::from_secs)
    } else {
        // By the server's own clock where it gives the time: the device's may be wrong.
        let now = date("date").unwrap_or(now);
        date("retry-after")?.duration_since(now).unwrap_or_default()
    };
    Some(wait.clamp(least, most))
}

/// The moment of a date such as `Sun, 06 Nov 1994 08:49:37 GMT`, the only form that HTTP allows to
/// be sent (RFC 9110, 5.6.7).
fn http_date(text: &str) -> Option<SystemTime> {
    let parts: Vec<&str> = text.split([' ', ':']).collect();
    let [_, day, month, year, hour, minute, second, "GMT"] = parts[..] else { return None };
    // Four digits at most: nothing below overflows.
    let number = |text: &str| text.parse::<u64>().ok().filter(|number| *number <= 9999);
    let month = MONTHS.iter().position(|name| *name == month)? as u64;
    let year = number(year).filter(|year| *year >= 1970)?;
    // Of a year that begins in March: the leap day is its last, and the months' lengths a line.
    let (year, month) = if month < 2 { (year - 1, month + 10) } else { (year, month - 2) };
    let before = 365 * year + year / 4 - year / 100 + year / 400 + (153 * month + 2) / 5;
    let days = (before + number(day)?).checked_sub(MARCH_0_TO_1970)?;
    let seconds = ((days * 24 + number(hour)?) * 60 + number(minute)?) * 60 + number(second)?;
    UNIX_EPOCH.checked_add(Duration::from_secs(seconds))
}

const MONTHS: [&str; 12] =
    ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
/// Days from the last of February of the year 0 to the first of January 1970.
const MARCH_0_TO_1970: u64 = 719_469;

#[cfg(test)]
pub(crate) mod tests {
    use ureq::http::HeaderValue;

    use super::*;

    pub(crate) fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        pairs.iter().map(|(n, v)| (n.parse().unwrap(), HeaderValue::from_static(v))).collect()
    }

    #[test]
    fn the_longest_wait_is_bounded_and_none_is_zero() {
        let now = UNIX_EPOCH + Duration::from_secs(784_111_777);
        let cases = [
            ("7", Some(7)),
            (" 0 ", Some(1)),
            ("99999999999", Some(300)),
            ("99999999999999999999", Some(300)),
            ("Sun, 06 Nov 1994 08:49:40 GMT", Some(3)),
            ("Sun, 06 Nov 1994 08:49:37 GMT", Some(1)),
            ("Wed, 21 Oct 1970 07:28:00 GMT", Some(1)),
            ("Fri, 31 Dec 9999 23:59:59 GMT", Some(300)),
            ("Sun, 06 Foo 1994 08:49:40 GMT", None),
            ("Sun, 06 Nov 1994 08:49:40 CET", None),
            ("Sun, 06 Nov 1994 99999999999999999999:49:40 GMT", None),
            ("Thu, 00 Jan 1970 00:00:00 GMT", None),
            ("", None),
            ("soon", None),
            ("-1", None),
            ("2.5", None),
        ];
        for (text, expect) in cases {
            let wait = asked_wait(&headers(&[("retry-after", text)]), now);
            assert_eq!(wait.map(|wait| wait.as_secs()), expect, "{text}");
        }
        let date = "Sun, 06 Nov 1994 08:49:40 GMT";
        let server = headers(&[("retry-after", date), ("date", "Sun, 06 Nov 1994 08:49:30 GMT")]);
        assert_eq!(asked_wait(&server, now), Some(Duration::from_secs(10)), "its own clock");
        assert_eq!(asked_wait(&headers(&[("date", date)]), now), None);
    }

    #[test]
    fn dates_are_counted_through_leap_years() {
        for (date, seconds) in [
            ("Thu, 01 Jan 1970 00:00:00 GMT", 0),
            ("Sun, 06 Nov 1994 08:49:37 GMT", 784_111_777),
            ("Tue, 29 Feb 2000 23:59:59 GMT", 951_868_799),
            ("Wed, 01 Mar 2000 00:00:00 GMT", 951_868_800),
            ("Thu, 31 Dec 2026 12:00:00 GMT", 1_798_718_400),
            ("Mon, 01 Mar 2100 00:00:00 GMT", 4_107_542_400),
            ("Fri, 31 Dec 9999 23:59:59 GMT", 253_402_300_799),
        ] {
            let moment = UNIX_EPOCH + Duration::from_secs(seconds);
            assert_eq!(http_date(date), Some(moment), "{date}");
        }
    }
}
