//! The API's rate-limit headers.

use std::time::{Duration, SystemTime};

use crate::engine::protocol::Headers;
use crate::http::until_reset;

/// The limits' headers: the rest and its reset. (The last are those of
/// servers that limit one thing.)
const LIMITED: [(&str, &str); 3] = [
    ("x-ratelimit-remaining-requests", "x-ratelimit-reset-requests"),
    ("x-ratelimit-remaining-tokens", "x-ratelimit-reset-tokens"),
    ("x-ratelimit-remaining", "x-ratelimit-reset"),
];

/// How long a server lets no more calls in, by its headers.
pub(in crate::providers) fn announced_pause(headers: &dyn Headers) -> Option<Duration> {
    let pause = |(remaining, reset)| {
        let left: u64 = headers.get(remaining)?.trim().parse().ok()?;
        let header = |name: &str| headers.get(name);
        (left == 0).then(|| until_reset(headers.get(reset)?, &header, SystemTime::now()))?
    };
    LIMITED.into_iter().filter_map(pause).max()
}
