//! The outcome of a job.

use std::fmt;
use std::time::SystemTime;

use automation_assistant::{Task, TaskError, Usage};
use serde_json::{Value, json};

use crate::clock::{from_ms, now_ms};
use crate::id::JobId;
use crate::record::{Members, OUTCOME_TYPE, count, envelope, number, open, text};
use crate::state::JobState;

/// The outcome of a job: the one that was recorded for it. `Debug` shows lengths, never
/// the texts.
#[derive(Clone, PartialEq)]
#[non_exhaustive]
pub struct JobOutcome {
    /// The job.
    pub id: JobId,
    /// Its idempotency key.
    pub key: Option<String>,
    /// [`Completed`](JobState::Completed), [`Failed`](JobState::Failed) or
    /// [`Canceled`](JobState::Canceled).
    pub state: JobState,
    /// The answer; on every completed job and on no other.
    pub result: Option<String>,
    /// Why there is none; on every failed job and on no other.
    pub error: Option<JobError>,
    /// The model that answered, where known.
    pub model: Option<String>,
    /// Tokens used, where the provider reports them.
    pub usage: Option<Usage>,
    /// Why the model stopped, in the OpenAI protocol's spelling, where known.
    pub finish_reason: Option<String>,
    /// Calls of the backend in this delivery.
    pub calls: u32,
    /// Which lease recorded the outcome; see [`JobStatus::attempt`](crate::JobStatus::attempt).
    pub attempt: u32,
    /// Time the task ran, in milliseconds.
    pub latency_ms: f64,
    /// The worker that recorded it.
    pub worker: String,
    /// When it was recorded, by the worker's wall clock.
    pub finished_at: SystemTime,
}

/// How a job failed.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct JobError {
    /// The kind, as [`ErrorKind::as_str`](automation_assistant::ErrorKind::as_str) spells it;
    /// `dead` for a job on the dead list.
    pub kind: String,
    /// The failure and its remedy, in our own words.
    pub message: String,
    /// The provider's own message, if it sent one.
    pub detail: Option<String>,
    /// The HTTP status, where a server answered.
    pub status: Option<u16>,
    /// The provider's code for the failure.
    pub code: Option<String>,
    /// The provider's id of the failed request.
    pub request_id: Option<String>,
    /// The part of the answer that came before the failure.
    pub partial: Option<String>,
}

impl JobError {
    pub(crate) fn new(kind: &str, message: impl Into<String>) -> Self {
        Self {
            kind: kind.to_owned(),
            message: message.into(),
            detail: None,
            status: None,
            code: None,
            request_id: None,
            partial: None,
        }
    }
}

impl From<&TaskError> for JobError {
    fn from(error: &TaskError) -> Self {
        let own = error.message() == error.summary();
        Self {
            kind: error.kind().as_str().to_owned(),
            message: error.summary().to_owned(),
            detail: (!own).then(|| error.message().to_owned()),
            status: error.status(),
            code: error.code().map(str::to_owned),
            request_id: error.request_id().map(str::to_owned),
            partial: error.partial().map(str::to_owned),
        }
    }
}

impl fmt::Display for JobError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.message, self.kind)
    }
}

/// Without the partial answer, of which only the length is shown.
impl fmt::Debug for JobError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JobError")
            .field("kind", &self.kind)
            .field("message", &self.message)
            .field("status", &self.status)
            .field("code", &self.code)
            .field("partial_bytes", &self.partial.as_ref().map(String::len))
            .finish_non_exhaustive()
    }
}

impl JobOutcome {
    /// An outcome without an answer.
    pub(crate) fn without_result(id: JobId, state: JobState, error: Option<JobError>) -> Self {
        Self {
            id,
            key: None,
            state,
            result: None,
            error,
            model: None,
            usage: None,
            finish_reason: None,
            calls: 0,
            attempt: 0,
            latency_ms: 0.0,
            worker: String::new(),
            finished_at: SystemTime::now(),
        }
    }

    /// The outcome of a finished task.
    pub(crate) fn of_task(id: JobId, task: &Task) -> Self {
        let (state, error) = match &task.error {
            None => (JobState::Completed, None),
            Some(error) => (JobState::Failed, Some(JobError::from(error))),
        };
        Self {
            result: task.result.clone(),
            model: task.model.clone(),
            usage: task.usage,
            finish_reason: task.finish_reason.map(|reason| reason.as_str().to_owned()),
            calls: task.attempts,
            latency_ms: task.latency_ms,
            ..Self::without_result(id, state, error)
        }
    }

    /// The outcome as a record.
    pub(crate) fn write(&self) -> Vec<u8> {
        let mut data = Members::begin();
        data.text("state", self.state.as_str());
        data.some_text("result", self.result.as_deref());
        data.some("error", self.error.as_ref().map(write_error));
        data.some_text("model", self.model.as_deref());
        data.some("usage", self.usage.as_ref().map(write_usage));
        data.some_text("finish_reason", self.finish_reason.as_deref());
        data.some("calls", Some(self.calls.into()));
        data.some("attempt", Some(self.attempt.into()));
        data.some("latency_ms", Some(self.latency_ms.into()));
        data.text("worker", &self.worker);
        data.some_text("key", self.key.as_deref());
        let id = format!("{}-{}", self.id, self.attempt);
        let at = crate::clock::to_ms(self.finished_at);
        let mut record = envelope(OUTCOME_TYPE, &id, at, data);
        record.text("subject", &self.id.to_string());
        record.end()
    }

    /// Reads what [`write`](Self::write) wrote, or says what is wrong with it.
    pub(crate) fn read(bytes: &[u8]) -> Result<Self, String> {
        let (mut data, envelope) = open(OUTCOME_TYPE, bytes)?;
        let subject = envelope.subject.and_then(|id| id.parse().ok());
        let id = subject.ok_or("the record's subject is no job id")?;
        let mut take = |name: &'static str| data.remove(name).filter(|value| !value.is_null());
        let state = text(take("state"), "state")?.and_then(|state| state.parse().ok());
        let state: JobState = state.ok_or("the record's state is unknown")?;
        let error = take("error").as_ref().map(read_error).transpose()?;
        let mut outcome = Self::without_result(id, state, error);
        outcome.result = text(take("result"), "result")?;
        outcome.model = text(take("model"), "model")?;
        outcome.usage = take("usage").as_ref().map(read_usage);
        outcome.finish_reason = text(take("finish_reason"), "finish_reason")?;
        outcome.calls = count(take("calls"), "calls")?.unwrap_or(0);
        outcome.attempt = count(take("attempt"), "attempt")?.unwrap_or(0);
        outcome.latency_ms = take("latency_ms").and_then(|ms| ms.as_f64()).unwrap_or(0.0);
        outcome.worker = text(take("worker"), "worker")?.unwrap_or_default();
        outcome.key = text(take("key"), "key")?;
        outcome.finished_at = from_ms(envelope.at_ms);
        Ok(outcome)
    }

    /// Replaces the outcome by a failure.
    pub(crate) fn fail(&mut self, kind: &str, message: String) {
        self.state = JobState::Failed;
        self.result = None;
        self.error = Some(JobError::new(kind, message));
        self.finished_at = from_ms(now_ms());
    }
}

fn write_error(error: &JobError) -> Value {
    json!({
        "kind": error.kind,
        "message": error.message,
        "detail": error.detail,
        "status": error.status,
        "code": error.code,
        "request_id": error.request_id,
        "partial": error.partial,
    })
}

fn read_error(value: &Value) -> Result<JobError, String> {
    let text = |name: &str| value.get(name).and_then(Value::as_str).map(str::to_owned);
    let status = value.get("status").and_then(Value::as_u64);
    Ok(JobError {
        kind: text("kind").ok_or("the record's error has no kind")?,
        message: text("message").unwrap_or_default(),
        detail: text("detail"),
        status: status.and_then(|status| u16::try_from(status).ok()),
        code: text("code"),
        request_id: text("request_id"),
        partial: text("partial"),
    })
}

fn write_usage(usage: &Usage) -> Value {
    json!({
        "prompt_tokens": usage.prompt_tokens,
        "completion_tokens": usage.completion_tokens,
        "total_tokens": usage.total_tokens,
        "cached_tokens": usage.cached_tokens,
        "reasoning_tokens": usage.reasoning_tokens,
    })
}

fn read_usage(value: &Value) -> Usage {
    let tokens = |name: &str| number(value.get(name).cloned(), name).ok().flatten();
    let (read, written) = (tokens("prompt_tokens"), tokens("completion_tokens"));
    let mut usage = Usage::new(read.unwrap_or(0), written.unwrap_or(0));
    usage.total_tokens = tokens("total_tokens").unwrap_or(usage.total_tokens);
    usage.cached_tokens = tokens("cached_tokens");
    usage.reasoning_tokens = tokens("reasoning_tokens");
    usage
}

impl fmt::Debug for JobOutcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JobOutcome")
            .field("id", &self.id)
            .field("key", &self.key)
            .field("state", &self.state)
            .field("result_bytes", &self.result.as_ref().map(String::len))
            .field("error", &self.error)
            .field("model", &self.model)
            .field("attempt", &self.attempt)
            .field("worker", &self.worker)
            .finish_non_exhaustive()
    }
}
