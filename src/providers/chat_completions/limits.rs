//! The API's rate-limit headers.

use std::time::Duration;

use crate::engine::protocol::Headers;
use crate::http::seconds;

/// How long a server lets no more calls in, by its headers: where nothing remains, until the
/// reset.
pub(in crate::providers) fn announced_pause(headers: &dyn Headers) -> Option<Duration> {
    let pause = |remaining, reset| {
        let left: u64 = headers.get(remaining)?.trim().parse().ok()?;
        (left == 0).then(|| headers.get(reset).and_then(go_duration)).flatten()
    };
    let requests = pause("x-ratelimit-remaining-requests", "x-ratelimit-reset-requests");
    requests.max(pause("x-ratelimit-remaining-tokens", "x-ratelimit-reset-tokens"))
}

/// A duration in the form of OpenAI's reset headers: `12ms`, `1.5s`, `6m0s`, `1h2m3s`.
pub(in crate::providers) fn go_duration(text: &str) -> Option<Duration> {
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
            "h" => 3600.0,
            "m" => 60.0,
            // Some servers send plain seconds.
            "s" | "" => 1.0,
            "ms" => 1e-3,
            "us" => 1e-6,
            "ns" => 1e-9,
            _ => return None,
        };
        sum = sum.checked_add(seconds(amount, unit_seconds)?)?;
        rest = after;
    }
    Some(sum)
}

#[cfg(test)]
mod tests {
    use super::*;

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
