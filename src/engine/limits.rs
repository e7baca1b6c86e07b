//! Rate limits, by the headers of a reply. Pure: the clock is passed in.

use std::time::{Duration, SystemTime};

use crate::http::until_reset;

/// The names, in lower case, of the headers with a rate limit's rest and its reset.
pub(crate) type LimitHeaders = (&'static str, &'static str);

/// How long a server lets no more calls in, by its rate-limit headers; `header` finds one by name.
pub(super) fn announced_pause<'h>(
    limits: &[LimitHeaders],
    header: &dyn Fn(&str) -> Option<&'h str>,
    now: SystemTime,
) -> Option<Duration> {
    let pause = |(remaining, reset): &LimitHeaders| {
        let left: u64 = header(remaining)?.trim().parse().ok()?;
        (left == 0).then(|| until_reset(header(reset)?, header, now))?
    };
    limits.iter().filter_map(pause).max()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_pause_counts_and_only_where_nothing_remains() {
        const LIMITS: &[LimitHeaders] =
            &[("requests", "requests-reset"), ("tokens", "tokens-reset")];
        let date = ("date", "Thu, 21 Aug 2025 12:40:50 GMT");
        let soon = ("requests-reset", "2025-08-21T12:40:59Z");
        for (headers, seconds) in [
            (
                &[date, ("requests", "0"), soon, ("tokens", "0"), ("tokens-reset", "30s")][..],
                Some(30),
            ),
            (&[date, ("requests", "0"), soon, ("tokens", "0")], Some(9)),
            (&[date, ("requests", "5"), soon], None),
            (&[date, ("requests", "0"), ("requests-reset", "soon")], None),
        ] {
            let header =
                |name: &str| headers.iter().find(|(key, _)| *key == name).map(|(_, value)| *value);
            let pause = announced_pause(LIMITS, &header, SystemTime::UNIX_EPOCH);
            assert_eq!(pause.map(|pause| pause.as_secs()), seconds, "{headers:?}");
        }
    }
}
