//! The outcome of one call to a provider, and who records it.

use std::time::Duration;

use crate::task::{OpenAiApi, Usage};
use crate::task_error::TaskError;

/// The outcome of one call to a provider, for telemetry; see
/// [`CallContext::end_attempt`](crate::CallContext::end_attempt).
#[derive(Debug, Clone, Copy, Default)]
#[non_exhaustive]
pub struct Attempt<'a> {
    /// The error; `None` if the call succeeded.
    pub error: Option<&'a TaskError>,
    /// The HTTP status of the response.
    pub http_status: Option<u16>,
    /// Tokens, if reported.
    pub usage: Option<&'a Usage>,
    /// Time to the reply's first byte.
    pub first_byte: Option<Duration>,
    /// Time waited before the call (back-off, rate limit).
    pub waited: Option<Duration>,
    /// Which of OpenAI's APIs was asked.
    pub(crate) api: Option<OpenAiApi>,
    /// How many places of the reply deviated from its API but were understood.
    pub(crate) oddities: u32,
    /// Whether this is the task's final attempt.
    pub(crate) last: bool,
}

impl<'a> Attempt<'a> {
    /// A call that succeeded, or failed with this error.
    pub fn new(error: Option<&'a TaskError>) -> Self {
        Self { error, ..Self::default() }
    }
}

/// Records attempts. Implemented by the helper.
pub(crate) trait AttemptLog {
    /// A call begins. The first call of a task begins with the task.
    fn begin(&self);
    /// The call that was begun was not made: no event is reported for it.
    fn withdraw(&self);
    /// The call that was begun has ended.
    fn end(&self, attempt: &Attempt<'_>);
}
