//! Rate limits and token budgets. Pure: the time is passed in, and the caller does the waiting.

use crate::sync::{Arc, Mutex, lock};
use std::collections::VecDeque;
use std::fmt;
use std::time::{Duration, Instant};

/// Requests and tokens are limited within any span of this length.
const WINDOW: Duration = Duration::from_secs(60);
/// Calls this close together are counted in one [`Span`], which bounds the number of spans in a
/// window. They leave the window together, with the last of them.
const GRAIN: Duration = Duration::from_millis(100);
/// Longest pause that a server can impose; a longer one is assumed to be a mistake.
const PAUSE_MAX: Duration = Duration::from_secs(3600);
/// Bytes of text per token, where a provider does not report the number (English: about four).
const BYTES_PER_TOKEN: u64 = 4;
/// Tokens of a picture, likewise. A megapixel takes 765 at GPT-4o and 1,400 at Claude.
#[cfg_attr(not(feature = "http"), allow(dead_code))]
pub(crate) const TOKENS_PER_IMAGE: u64 = 1000;

/// Limits the requests and tokens per minute, and the tokens in all.
///
/// Clones share one account: give the same limiter to several helpers that use one key. A helper
/// waits for its permit, but not beyond its task's deadline: if the wait does not fit, the task
/// ends at once as [`RateLimited`](crate::ErrorKind::RateLimited). Once the budget is spent,
/// tasks end as [`QuotaExceeded`](crate::ErrorKind::QuotaExceeded) without a call.
///
/// A minute is any 60 seconds. Every call counts, retries included, but not a look-up of a Local
/// server's first model. Tokens are counted as the provider reports them; until then, and where it
/// reports none (a call that breaks off once sent, too), they are estimated: one for four bytes of
/// text, a thousand for each picture. Several calls in flight may together exceed a limit.
///
/// The limits that a provider reports (`x-ratelimit-…` headers) are respected too, and the wait that
/// it asks for (`retry-after`) when it limits or cannot serve a call.
///
/// ```
/// use automation_assistant::HelperConfig;
/// use automation_assistant::limits::RateLimiter;
///
/// let limiter = RateLimiter::new().requests_per_minute(60).tokens_per_minute(100_000);
/// let fast = HelperConfig::chatgpt().model("gpt-4o-mini").rate_limiter(&limiter);
/// let good = HelperConfig::chatgpt().model("gpt-4o").rate_limiter(&limiter);
/// # let _ = (fast, good);
/// ```
#[derive(Clone, Default)]
pub struct RateLimiter(Arc<Mutex<Account>>);

#[derive(Default)]
struct Account {
    requests_max: Option<u32>,
    tokens_max: Option<u64>,
    budget: Option<u64>,
    /// The last minute, oldest first.
    spans: VecDeque<Span>,
    requests: u64,
    tokens: u64,
    spent: u64,
    /// No call before this moment, at a server's request.
    paused_until: Option<Instant>,
}

#[derive(Clone, Copy)]
struct Span {
    opened: Instant,
    requests: u64,
    tokens: u64,
}

/// Allows one call, for which an estimate of its tokens is counted.
#[derive(Debug, Clone, Copy)]
#[cfg_attr(not(feature = "http"), allow(dead_code))]
pub(crate) struct Permit {
    at: Instant,
    estimate: u64,
}

/// Why there is no permit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(not(feature = "http"), allow(dead_code))]
pub(crate) enum NoPermit {
    /// Ask again after this duration.
    Later(Duration),
    /// The budget is spent.
    Spent { budget: u64 },
}

impl RateLimiter {
    /// A limiter without limits of its own; it respects those that the provider reports.
    pub fn new() -> Self {
        Self::default()
    }

    /// At most this many requests in any 60 seconds; at least 1. Defaults to no limit.
    #[must_use]
    pub fn requests_per_minute(self, requests: u32) -> Self {
        lock(&self.0).requests_max = Some(requests);
        self
    }

    /// At most this many tokens, of prompts and answers, in any 60 seconds; at least 1. A single
    /// call above the limit is made when the window holds no other. Defaults to no limit.
    #[must_use]
    pub fn tokens_per_minute(self, tokens: u64) -> Self {
        lock(&self.0).tokens_max = Some(tokens);
        self
    }

    /// At most this many tokens over the limiter's lifetime; at least 1. Defaults to no limit.
    #[must_use]
    pub fn token_budget(self, tokens: u64) -> Self {
        lock(&self.0).budget = Some(tokens);
        self
    }

    /// Tokens used so far, as the provider reported them, or estimated where it did not.
    pub fn tokens_spent(&self) -> u64 {
        lock(&self.0).spent
    }

    /// # Errors
    ///
    /// A description, for limits that permit no call.
    #[cfg_attr(not(feature = "http"), allow(dead_code))]
    pub(crate) fn validate(&self) -> Result<(), &'static str> {
        let account = lock(&self.0);
        let zero = account.requests_max == Some(0)
            || account.tokens_max == Some(0)
            || account.budget == Some(0);
        match zero {
            true => Err("a limit of zero requests or tokens lets nothing through: leave it out"),
            false => Ok(()),
        }
    }
}

#[cfg_attr(not(feature = "http"), allow(dead_code))]
impl RateLimiter {
    /// A permit for one call, or the reason why there is none.
    pub(crate) fn admit(&self, now: Instant, estimate: u64) -> Result<Permit, NoPermit> {
        let mut account = lock(&self.0);
        account.forget(now);
        if let Some(budget) = account.budget.filter(|budget| account.spent >= *budget) {
            return Err(NoPermit::Spent { budget });
        }
        let wait = account.wait(now, estimate);
        if !wait.is_zero() {
            return Err(NoPermit::Later(wait));
        }
        account.count(now, 1, estimate);
        Ok(Permit { at: now, estimate })
    }

    /// Returns a permit for a call that was not made.
    pub(crate) fn withdraw(&self, permit: Permit) {
        let mut account = lock(&self.0);
        account.uncount(permit.at, 1, permit.estimate);
    }

    /// Counts the tokens that a call actually took.
    pub(crate) fn settle(&self, now: Instant, permit: Permit, tokens: u64) {
        let mut account = lock(&self.0);
        account.spent = account.spent.saturating_add(tokens);
        account.uncount(permit.at, 0, permit.estimate);
        account.forget(now);
        account.count(now, 0, tokens);
    }

    /// Grants no permit for this time, at a server's request.
    pub(crate) fn pause(&self, now: Instant, wait: Duration) {
        let mut account = lock(&self.0);
        let until = now.checked_add(wait.min(PAUSE_MAX));
        account.paused_until = account.paused_until.max(until);
    }
}

impl Account {
    /// When a span has left the window.
    fn end(span: &Span) -> Instant {
        span.opened + GRAIN + WINDOW
    }

    fn forget(&mut self, now: Instant) {
        while let Some(span) = self.spans.front().filter(|span| Self::end(span) <= now) {
            self.requests = self.requests.saturating_sub(span.requests);
            self.tokens = self.tokens.saturating_sub(span.tokens);
            self.spans.pop_front();
        }
        self.paused_until = self.paused_until.filter(|until| *until > now);
    }

    fn count(&mut self, now: Instant, requests: u64, tokens: u64) {
        self.requests += requests;
        self.tokens = self.tokens.saturating_add(tokens);
        let open = self.spans.back_mut().filter(|span| now < span.opened + GRAIN);
        match open {
            Some(span) => {
                span.requests += requests;
                span.tokens = span.tokens.saturating_add(tokens);
            }
            None => self.spans.push_back(Span { opened: now, requests, tokens }),
        }
    }

    fn uncount(&mut self, at: Instant, requests: u64, tokens: u64) {
        let holds = |span: &&mut Span| span.opened <= at && at < span.opened + GRAIN;
        // No longer in the window: it is not counted any more.
        let Some(span) = self.spans.iter_mut().find(holds) else { return };
        let (requests, tokens) = (requests.min(span.requests), tokens.min(span.tokens));
        span.requests -= requests;
        span.tokens -= tokens;
        self.requests = self.requests.saturating_sub(requests);
        self.tokens = self.tokens.saturating_sub(tokens);
    }

    /// Time until a call of this size could get a permit, if no other call came first.
    fn wait(&self, now: Instant, estimate: u64) -> Duration {
        let mut until = self.paused_until;
        let (mut requests, mut tokens) = (self.requests, self.tokens);
        for span in &self.spans {
            let too_many = self.requests_max.is_some_and(|max| requests >= u64::from(max));
            let too_much = tokens > 0
                && self.tokens_max.is_some_and(|max| tokens.saturating_add(estimate) > max);
            if !too_many && !too_much {
                break;
            }
            requests = requests.saturating_sub(span.requests);
            tokens = tokens.saturating_sub(span.tokens);
            until = until.max(Some(Self::end(span)));
        }
        until.map_or(Duration::ZERO, |until| until.saturating_duration_since(now))
    }
}

/// An estimate of a text's tokens; never zero.
#[cfg_attr(not(feature = "http"), allow(dead_code))]
pub(crate) fn estimated_tokens(bytes: usize) -> u64 {
    (bytes as u64).div_ceil(BYTES_PER_TOKEN).max(1)
}

impl fmt::Debug for RateLimiter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let account = lock(&self.0);
        f.debug_struct("RateLimiter")
            .field("requests_per_minute", &account.requests_max)
            .field("tokens_per_minute", &account.tokens_max)
            .field("token_budget", &account.budget)
            .field("tokens_spent", &account.spent)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wait(outcome: Result<Permit, NoPermit>) -> Duration {
        match outcome {
            Ok(_) => Duration::ZERO,
            Err(NoPermit::Later(wait)) => wait,
            Err(NoPermit::Spent { .. }) => panic!("spent"),
        }
    }

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn requests_are_counted_over_any_minute() {
        let limiter = RateLimiter::new().requests_per_minute(3);
        let start = Instant::now();
        for n in 0..3 {
            assert_eq!(wait(limiter.admit(start + SECOND * n, 1)), Duration::ZERO);
        }
        let left = wait(limiter.admit(start + SECOND * 10, 1));
        assert_eq!(left, SECOND * 50 + GRAIN);
        let then = start + SECOND * 10 + left;
        assert_eq!(wait(limiter.admit(then, 1)), Duration::ZERO);
        assert!(wait(limiter.admit(then, 1)) > Duration::ZERO);
    }

    #[test]
    fn tokens_are_counted_as_reported_and_a_giant_goes_alone() {
        let limiter = RateLimiter::new().tokens_per_minute(100);
        let start = Instant::now();
        let giant = limiter.admit(start, 1000).unwrap();
        assert!(wait(limiter.admit(start, 1)) > Duration::ZERO);
        limiter.settle(start + SECOND, giant, 40);
        assert_eq!(limiter.tokens_spent(), 40);
        assert_eq!(wait(limiter.admit(start + SECOND, 60)), Duration::ZERO);
        assert!(wait(limiter.admit(start + SECOND, 1)) > Duration::ZERO);
        assert_eq!(wait(limiter.admit(start + SECOND * 62, 100)), Duration::ZERO);
    }

    #[test]
    fn a_withdrawn_call_counts_for_nothing() {
        let limiter = RateLimiter::new().requests_per_minute(1).tokens_per_minute(10);
        let start = Instant::now();
        let admitted = limiter.admit(start, 10).unwrap();
        limiter.withdraw(admitted);
        assert_eq!(wait(limiter.admit(start, 10)), Duration::ZERO);
    }

    #[test]
    fn calls_of_one_grain_share_an_entry_and_leave_it_together() {
        let limiter = RateLimiter::new().requests_per_minute(3);
        let start = Instant::now();
        for _ in 0..3 {
            limiter.admit(start, 1).unwrap();
        }
        let then = start + GRAIN + WINDOW;
        for _ in 0..3 {
            assert_eq!(wait(limiter.admit(then, 1)), Duration::ZERO);
        }
        assert!(wait(limiter.admit(then, 1)) > Duration::ZERO);
        // A span ends where the next one begins.
        limiter.admit(then + GRAIN, 1).unwrap_err();
        let open = RateLimiter::new();
        for at in [start, start + GRAIN, start + GRAIN + GRAIN / 2] {
            open.admit(at, 1).unwrap();
        }
        let counts: Vec<_> = lock(&open.0).spans.iter().map(|span| span.requests).collect();
        assert_eq!(counts, [1, 2]);
    }

    #[test]
    fn a_call_is_taken_back_where_it_was_counted() {
        let limiter = RateLimiter::new().requests_per_minute(2);
        let start = Instant::now();
        limiter.admit(start, 1).unwrap();
        limiter.withdraw(limiter.admit(start + GRAIN, 1).unwrap());
        // The first call leaves the window, and nothing is left in it.
        let then = start + GRAIN + WINDOW;
        for _ in 0..2 {
            assert_eq!(wait(limiter.admit(then, 1)), Duration::ZERO);
        }
        assert!(wait(limiter.admit(then, 1)) > Duration::ZERO);
    }

    #[test]
    fn what_was_taken_back_does_not_leave_the_window_a_second_time() {
        let limiter = RateLimiter::new().requests_per_minute(2).tokens_per_minute(100);
        let start = Instant::now();
        limiter.withdraw(limiter.admit(start, 10).unwrap());
        let later = start + SECOND * 10;
        limiter.admit(later, 90).unwrap();
        let then = start + GRAIN + WINDOW;
        assert!(wait(limiter.admit(then, 11)) > Duration::ZERO, "90 and 11 are too many");
        limiter.admit(then, 5).unwrap();
        assert!(wait(limiter.admit(then, 1)) > Duration::ZERO, "it would be the third");
    }

    #[test]
    fn a_giant_goes_alone_though_something_was_taken_back() {
        let limiter = RateLimiter::new().tokens_per_minute(100);
        let start = Instant::now();
        limiter.withdraw(limiter.admit(start, 5).unwrap());
        assert_eq!(wait(limiter.admit(start, 1000)), Duration::ZERO);
    }

    #[test]
    fn a_limiter_shows_its_limits() {
        let limiter = RateLimiter::new().requests_per_minute(61).tokens_per_minute(62);
        let shown = format!("{:?}", limiter.token_budget(63));
        for part in ["RateLimiter", "61", "62", "63", "tokens_spent: 0"] {
            assert!(shown.contains(part), "{part} in {shown}");
        }
    }

    #[test]
    fn a_spent_budget_lets_nothing_in() {
        let limiter = RateLimiter::new().token_budget(50);
        let start = Instant::now();
        let admitted = limiter.admit(start, 1).unwrap();
        limiter.settle(start, admitted, 50);
        let later = start + WINDOW * 10;
        assert!(matches!(limiter.admit(later, 1), Err(NoPermit::Spent { budget: 50 })));
    }

    #[test]
    fn a_server_s_word_pauses_everyone() {
        let limiter = RateLimiter::new();
        let start = Instant::now();
        limiter.pause(start, SECOND * 5);
        limiter.pause(start, SECOND);
        assert_eq!(wait(limiter.clone().admit(start, 1)), SECOND * 5);
        limiter.pause(start, Duration::MAX);
        assert_eq!(wait(limiter.admit(start, 1)), PAUSE_MAX);
    }

    #[test]
    fn the_account_stays_small_however_many_calls_there_are() {
        let limiter = RateLimiter::new();
        let start = Instant::now();
        // A call each millisecond, for longer than the window.
        for n in 0..65_000 {
            let admitted = limiter.admit(start + Duration::from_millis(n), 1).unwrap();
            limiter.settle(start + Duration::from_millis(n), admitted, 1);
        }
        assert!(lock(&limiter.0).spans.len() <= 602);
    }
}
