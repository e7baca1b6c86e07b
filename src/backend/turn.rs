//! Waiting for a call's turn, and settling what it took.

use std::time::{Duration, Instant};

use crate::backend::failure::{Failure, Retry};
use crate::backend::retry::go_duration;
use crate::backend::run::{Facts, Run};
use crate::backend::wire::Said;
use crate::limits::{NoPermit, Permit, RateLimiter, estimated_tokens};
use crate::number::whole_seconds;
use crate::task_error::{ErrorKind, TaskError};

/// A call that was let in, on each of its helper's accounts.
pub(super) struct Turn(Vec<Permit>);

impl Run<'_> {
    /// Waits until the limits let a call in; tells how long that took, if it took any time.
    pub(super) fn take_turn(&self) -> Result<(Turn, Option<Duration>), TaskError> {
        let began = Instant::now();
        let mut waited = false;
        loop {
            let wait = match self.admit() {
                Ok(turn) => return Ok((turn, waited.then(|| began.elapsed()))),
                Err(refused) => refused,
            };
            // No call is under way while it waits, and none will be if it is refused.
            self.withdraw_attempt();
            let wait = match wait {
                NoPermit::Later(wait) => wait,
                NoPermit::Spent { budget } => {
                    let what = format!(
                        "the token budget of {budget} is spent: raise token_budget, or make a \
                         new limiter"
                    );
                    return Err(TaskError::new(ErrorKind::QuotaExceeded, what));
                }
            };
            if self.call.remaining().is_some_and(|left| left <= wait) {
                let what = format!(
                    "the helper's own rate limit lets the next call through in {} s, which is \
                     beyond the task's time",
                    whole_seconds(wait)
                );
                return Err(TaskError::new(ErrorKind::RateLimited, what).with_retry_after(wait));
            }
            waited = true;
            self.call.pause(wait)?;
        }
    }

    /// Goes on all accounts, or on none.
    fn admit(&self) -> Result<Turn, NoPermit> {
        let limiters = &self.backend.limiters;
        let mut turn = Turn(Vec::with_capacity(limiters.len()));
        if limiters.is_empty() {
            return Ok(turn);
        }
        let estimate = self.estimate();
        for limiter in limiters {
            match limiter.admit(Instant::now(), estimate) {
                Ok(admitted) => turn.0.push(admitted),
                Err(refused) => {
                    let back = limiters.iter().zip(&turn.0);
                    back.for_each(|(limiter, admitted)| limiter.withdraw(*admitted));
                    return Err(refused);
                }
            }
        }
        Ok(turn)
    }

    /// A guess at what the model will have to read.
    fn estimate(&self) -> u64 {
        let request = self.call.request();
        let turns: usize = request.turns.iter().map(|turn| turn.text.len()).sum();
        let system = self.call.system_prompt().map_or(0, str::len);
        let talk: usize = self
            .talk
            .iter()
            .map(|said| match said {
                Said::Tool { text, .. } => text.len(),
                Said::Model { text, calls } => {
                    text.len() + calls.iter().map(|call| call.arguments.len()).sum::<usize>()
                }
            })
            .sum();
        estimated_tokens(self.call.prompt().len() + system + turns + talk)
    }

    /// Puts on the accounts what a call took, and what the server said about its limits.
    pub(super) fn settle_turn(&self, turn: &Turn, facts: &Facts, failure: Option<&Failure>) {
        if turn.0.is_empty() {
            return;
        }
        let tokens = match (facts.usage, failure) {
            (Some(usage), _) => usage.total_tokens,
            (None, None) => self.estimate() + estimated_tokens(facts.text_bytes),
            // The model was at work, but nobody says how much.
            (None, Some(_)) if self.told.get() => self.estimate(),
            (None, Some(_)) => 0,
        };
        let asked = match failure {
            Some(Failure { retry: Retry::After(wait), error })
                if error.kind() == ErrorKind::RateLimited =>
            {
                Some(*wait)
            }
            _ => None,
        };
        let now = Instant::now();
        for (limiter, admitted) in self.backend.limiters.iter().zip(&turn.0) {
            limiter.settle(now, *admitted, tokens);
            for wait in [asked, facts.pause].into_iter().flatten() {
                RateLimiter::pause(limiter, now, wait);
            }
        }
    }
}

/// How long a server lets no more calls in, by its headers: where nothing remains, until the
/// reset.
pub(super) fn announced_pause<'h>(header: impl Fn(&str) -> Option<&'h str>) -> Option<Duration> {
    let pause = |remaining, reset| {
        let left: u64 = header(remaining)?.trim().parse().ok()?;
        (left == 0).then(|| header(reset).and_then(go_duration)).flatten()
    };
    let requests = pause("x-ratelimit-remaining-requests", "x-ratelimit-reset-requests");
    requests.max(pause("x-ratelimit-remaining-tokens", "x-ratelimit-reset-tokens"))
}
