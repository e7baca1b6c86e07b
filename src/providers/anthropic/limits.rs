//! The API's rate-limit headers.

use std::time::{Duration, SystemTime};

use crate::engine::protocol::Headers;
use crate::http::until_rfc3339;

/// The limits' headers: the rest and its reset, which is a time of day.
const LIMITED: [(&str, &str); 4] = [
    ("anthropic-ratelimit-requests-remaining", "anthropic-ratelimit-requests-reset"),
    ("anthropic-ratelimit-tokens-remaining", "anthropic-ratelimit-tokens-reset"),
    ("anthropic-ratelimit-input-tokens-remaining", "anthropic-ratelimit-input-tokens-reset"),
    ("anthropic-ratelimit-output-tokens-remaining", "anthropic-ratelimit-output-tokens-reset"),
];

/// How long a server lets no more calls in, by its headers.
pub(super) fn announced_pause(headers: &dyn Headers) -> Option<Duration> {
    let pause = |(remaining, reset)| {
        let left: u64 = headers.get(remaining)?.trim().parse().ok()?;
        let header = |name: &str| headers.get(name);
        (left == 0).then(|| until_rfc3339(headers.get(reset)?, &header, SystemTime::now()))?
    };
    LIMITED.into_iter().filter_map(pause).max()
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Pairs<'a>(&'a [(&'a str, &'a str)]);

    impl Headers for Pairs<'_> {
        fn get(&self, name: &str) -> Option<&str> {
            self.0.iter().find(|(key, _)| *key == name).map(|(_, value)| *value)
        }
    }

    #[test]
    fn the_longest_pause_counts_and_only_where_nothing_remains() {
        let date = ("date", "Thu, 21 Aug 2025 12:40:50 GMT");
        let pause = |pairs: &[(&str, &str)]| announced_pause(&Pairs(pairs));
        let seconds = |pairs: &[(&str, &str)]| pause(pairs).map(|pause| pause.as_secs());
        let requests = [
            date,
            (LIMITED[0].0, "0"),
            (LIMITED[0].1, "2025-08-21T12:40:59Z"),
            (LIMITED[3].0, "0"),
            (LIMITED[3].1, "2025-08-21T12:41:20Z"),
        ];
        assert_eq!(seconds(&requests), Some(30));
        assert_eq!(seconds(&requests[..3]), Some(9));
        assert_eq!(
            pause(&[date, (LIMITED[1].0, "5"), (LIMITED[1].1, "2025-08-21T12:40:59Z")]),
            None
        );
        assert_eq!(pause(&[date, (LIMITED[1].0, "0"), (LIMITED[1].1, "soon")]), None);
    }
}
