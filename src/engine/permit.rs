//! Waiting for the rate limits' permit for a call, and settling what the call used.

use std::time::{Duration, Instant};

use crate::engine::conversation::{Conversation, Facts};
use crate::engine::failure::Failure;
use crate::engine::message;
use crate::number::whole_seconds;
use crate::rate_limit::{NoPermit, Permit, RateLimiter, TOKENS_PER_IMAGE, estimated_tokens};
use crate::task::Usage;
use crate::task_error::{ErrorKind, TaskError};

/// The status of a request that is larger than the server takes.
const TOO_LARGE: u16 = 413;

/// A permit for one call from each of the helper's limiters.
pub(super) struct Permits(Vec<Permit>);

impl Conversation<'_> {
    /// Waits until the limits permit a call; returns how long that took, if it took any time.
    #[inline(never)]
    pub(super) fn take_permit(&self) -> Result<(Permits, Option<Duration>), TaskError> {
        let began = Instant::now();
        let mut waited = false;
        loop {
            let wait = match self.admit() {
                Ok(permit) => return Ok((permit, waited.then(|| began.elapsed()))),
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
                    "the rate limit, the helper's own or one that the provider asked for, permits \
                     the next call in {} s, which is beyond the task's time",
                    whole_seconds(wait)
                );
                return Err(TaskError::new(ErrorKind::RateLimited, what).with_retry_after(wait));
            }
            waited = true;
            self.call.pause(wait)?;
        }
    }

    /// Goes on all accounts, or on none.
    fn admit(&self) -> Result<Permits, NoPermit> {
        let limiters = &self.backend.limiters;
        let mut permit = Permits(Vec::with_capacity(limiters.len()));
        if limiters.is_empty() {
            return Ok(permit);
        }
        let estimate = self.estimate();
        for limiter in limiters {
            match limiter.admit(Instant::now(), estimate) {
                Ok(admitted) => permit.0.push(admitted),
                Err(refused) => {
                    let back = limiters.iter().zip(&permit.0);
                    back.for_each(|(limiter, admitted)| limiter.withdraw(*admitted));
                    return Err(refused);
                }
            }
        }
        Ok(permit)
    }

    /// A guess at what the model will have to read.
    fn estimate(&self) -> u64 {
        let images = self.call.request().image_count() as u64 * TOKENS_PER_IMAGE;
        let messages: usize =
            message::messages(self.call.request()).map(|message| message.text().len()).sum();
        let system = self.call.system_prompt().map_or(0, str::len);
        let rounds: usize = self
            .rounds
            .iter()
            .map(|round| {
                let text: usize = message::text(&round.reply).map(str::len).sum();
                let calls = message::calls(&round.reply).map(|call| call.arguments.len());
                let results = round.results.iter().map(|result| result.text.len());
                text + calls.chain(results).sum::<usize>()
            })
            .sum();
        estimated_tokens(system + messages + rounds) + images
    }

    /// The tokens of a call that broke off, or whose provider reported none: no fewer than it
    /// reported so far.
    fn least_tokens(&self, usage: Option<Usage>, written_bytes: usize) -> u64 {
        let written = if written_bytes > 0 { estimated_tokens(written_bytes) } else { 0 };
        let Some(usage) = usage else { return self.estimate() + written };
        usage.total_tokens.max(usage.prompt_tokens.saturating_add(written))
    }

    /// Puts on the accounts what a call took, and what the server said about its limits.
    #[inline(never)]
    pub(super) fn settle_permit(&self, permit: &Permits, facts: &Facts, failure: Option<&Failure>) {
        if permit.0.is_empty() {
            return;
        }
        let tokens = match (facts.usage, failure) {
            (Some(usage), None) => usage.total_tokens,
            (usage, failure) if may_have_worked(facts, failure) => {
                self.least_tokens(usage, facts.written_bytes)
            }
            (usage, _) => usage.map_or(0, |usage| usage.total_tokens),
        };
        let asked = failure.and_then(|failure| {
            let busy = matches!(failure.error.kind(), ErrorKind::RateLimited | ErrorKind::Server);
            // A request that is too large for a limit stays so; others may go.
            let fits = facts.status != Some(TOO_LARGE);
            failure.error.retry_after().filter(|_| busy && fits)
        });
        let now = Instant::now();
        for (limiter, admitted) in self.backend.limiters.iter().zip(&permit.0) {
            limiter.settle(now, *admitted, tokens);
            for wait in [asked, facts.pause].into_iter().flatten() {
                RateLimiter::pause(limiter, now, wait);
            }
        }
    }
}

/// Whether a model has worked on the prompt, or may have: its work is paid for, whatever becomes of
/// the answer.
fn may_have_worked(facts: &Facts, failure: Option<&Failure>) -> bool {
    let broke_off = failure.is_none_or(|failure| {
        matches!(
            failure.error.kind(),
            ErrorKind::Timeout
                | ErrorKind::Cancelled
                | ErrorKind::Truncated
                | ErrorKind::Network
                | ErrorKind::ResponseTooLarge
        )
    });
    facts.sent && (broke_off || facts.written_bytes > 0)
}
