//! One task as calls to a server: attempts, waits, tools, and the answer in the end.

use std::cell::{Cell, RefCell};
use std::sync::atomic::Ordering;
use std::time::Duration;

use crate::backend::answer::Answer;
use crate::backend::chat::{ChatBackend, Model};
use crate::backend::failure::{Failure, Retry};
use crate::backend::http::{Limits, Request, Response};
use crate::backend::reply::{ModelList, not_a_reply};
use crate::backend::retry::Backoff;
use crate::backend::turn::announced_pause;
use crate::backend::wire::{self, Said};
use crate::backend::{Attempt, CallContext, Reply, receive, tools};
use crate::id::random_u64;
use crate::task::Usage;
use crate::task_error::{ErrorKind, TaskError, clean};

/// One task under way.
pub(crate) struct Run<'a> {
    pub(super) backend: &'a ChatBackend,
    pub(super) call: &'a CallContext<'a>,
    /// What the model and its tools have said since the prompt.
    pub(super) talk: Vec<Said>,
    /// Whether a call counts as begun. A task's first has begun with the task.
    attempt_open: Cell<bool>,
    /// Whether this attempt has handed text to the task's owner.
    pub(super) told: Cell<bool>,
    /// Whether this attempt asks for the usage of its stream.
    pub(super) asks_usage: Cell<bool>,
    /// Who runs the model, where a gateway told.
    provider: RefCell<Option<String>>,
}

/// What is known of an attempt, however it ended.
#[derive(Default)]
pub(super) struct Facts {
    pub(super) status: Option<u16>,
    pub(super) first_byte: Option<Duration>,
    pub(super) usage: Option<Usage>,
    /// Bytes of text that came.
    pub(super) text_bytes: usize,
    /// How long the server lets no more calls in, by its own word.
    pub(super) pause: Option<Duration>,
}

impl<'a> Run<'a> {
    pub(crate) fn new(backend: &'a ChatBackend, call: &'a CallContext<'a>) -> Self {
        Self {
            backend,
            call,
            talk: Vec::new(),
            attempt_open: Cell::new(true),
            told: Cell::new(false),
            asks_usage: Cell::new(false),
            provider: RefCell::default(),
        }
    }

    /// Asks until the model has answered, running the tools that it wants in between.
    pub(crate) fn run(mut self) -> Result<Reply, TaskError> {
        let mut usage: Option<Usage> = None;
        let mut rounds_left = self.backend.max_tool_rounds;
        loop {
            let answer = self.ask()?;
            usage = match (usage, answer.usage) {
                (Some(mut sum), Some(more)) => {
                    sum.add(&more);
                    Some(sum)
                }
                (before, now) => before.or(now),
            };
            if answer.calls.is_empty() {
                let mut reply = Reply::new(answer.text);
                reply.model = answer.model.filter(|model| !self.tells_key(model));
                reply.usage = usage;
                reply.finish_reason = answer.finish;
                reply.provider = self.provider.take();
                return Ok(reply);
            }
            if rounds_left == 0 {
                let rounds = self.backend.max_tool_rounds;
                let what = format!(
                    "the model still wants tools after {rounds} rounds: raise max_tool_rounds, \
                     or give it tools that settle the matter"
                );
                return Err(TaskError::new(ErrorKind::Other, what).with_partial(answer.text));
            }
            rounds_left -= 1;
            self.use_tools(answer)?;
        }
    }

    /// Runs the tools that the model wants, in its order, and keeps what they said.
    fn use_tools(&mut self, answer: Answer) -> Result<(), TaskError> {
        let offered = &self.call.request().tools;
        if offered.is_empty() {
            return Err(TaskError::new(
                ErrorKind::Unsupported,
                "the model wants a tool, but the request has none: add it with \
                 TaskRequest::tool",
            ));
        }
        let numbered = answer.calls.into_iter().zip(self.talk.len()..);
        let calls: Vec<_> = numbered.take(tools::CALLS_MAX).collect();
        let mut outputs = Vec::with_capacity(calls.len());
        for (call, _) in &calls {
            self.call.check()?;
            outputs.push(tools::run(offered, call, self.backend.max_tool_output_bytes));
        }
        let calls = calls.into_iter().map(|(call, number)| tools::presentable(call, number));
        let calls: Vec<_> = calls.collect();
        let ids: Vec<_> = calls.iter().map(|call| call.id.clone()).collect();
        self.talk.push(Said::Model { text: answer.text, calls });
        let results = ids.into_iter().zip(outputs).map(|(id, text)| Said::Tool { id, text });
        self.talk.extend(results);
        self.call.check()
    }

    /// Asks the server, again and again where that can help.
    fn ask(&self) -> Result<Answer, TaskError> {
        let mut backoff = None;
        let mut waited: Option<Duration> = None;
        let own = self.call.request().max_retries;
        let mut retries_left = own.unwrap_or(self.backend.max_retries);
        loop {
            self.call.check()?;
            let (turn, queued) = self.take_turn()?;
            waited = match (waited, queued) {
                (Some(a), Some(b)) => Some(a + b),
                (a, b) => a.or(b),
            };
            if !self.attempt_open.replace(true) {
                self.call.begin_attempt();
            }
            self.told.set(false);
            let mut facts = Facts::default();
            let outcome = self.attempt(&mut facts);
            facts.text_bytes = outcome.as_ref().map_or(0, |answer| answer.text.len());
            self.settle_turn(&turn, &facts, outcome.as_ref().err());
            self.attempt_open.set(false);
            self.call.end_attempt(&Attempt {
                error: outcome.as_ref().err().map(|failure| &failure.error),
                http_status: facts.status,
                usage: facts.usage.as_ref(),
                first_byte: facts.first_byte,
                waited,
                last: outcome.as_ref().is_ok_and(|answer| answer.calls.is_empty()),
            });
            let failure = match outcome {
                Ok(answer) => return Ok(answer),
                Err(failure) => failure,
            };
            waited = None;
            let wait = match failure.retry {
                // Whoever has heard half an answer must not hear it twice.
                _ if self.told.get() => None,
                Retry::Changed => continue,
                Retry::Never => None,
                _ if retries_left == 0 => None,
                Retry::After(wait) if wait > self.backend.max_retry_wait => None,
                Retry::After(wait) if !wait.is_zero() => Some(wait),
                Retry::After(_) | Retry::Soon => {
                    backoff.get_or_insert_with(|| Backoff::new(random_u64())).next()
                }
            };
            // A wait that does not fit: the task ends now, and with its cause.
            let fits = |wait| self.call.remaining().is_none_or(|left| wait < left);
            let Some(wait) = wait.filter(|wait| fits(*wait)) else { return Err(failure.error) };
            retries_left -= 1;
            self.call.pause(wait)?;
            waited = Some(wait);
        }
    }

    /// No call is under way: what follows is a wait.
    pub(super) fn withdraw_attempt(&self) {
        if self.attempt_open.replace(false) {
            self.call.withdraw_attempt();
        }
    }

    fn limits(&self) -> Limits {
        Limits {
            deadline: self.call.deadline(),
            connect: self.backend.connect_timeout,
            first_byte: self.backend.first_byte_timeout,
            idle_before_payload: self.backend.idle_timeout_set,
            idle: self.backend.idle_timeout,
        }
    }

    fn attempt(&self, facts: &mut Facts) -> Result<Answer, Failure> {
        let model = self.model(facts)?;
        let stream = self.call.wants_text();
        let body = self.body(model, stream)?;
        let accept = if stream { "text/event-stream, application/json" } else { JSON };
        let mut response = self.send(facts, &self.backend.url, Some(&body), accept)?;
        // The prompt's copy is not needed while the model thinks.
        drop(body);
        if stream { self.streamed(&mut response, facts) } else { self.whole(&mut response, facts) }
    }

    fn body(&self, model: &str, stream: bool) -> Result<Vec<u8>, Failure> {
        let request = self.call.request();
        let own = &request.custom_params;
        let given = |key| own.contains_key(key) || self.backend.params.contains_key(key);
        let asks = stream
            && !given("stream_options")
            && self.backend.asks_stream_usage.load(Ordering::Relaxed);
        self.asks_usage.set(asks);
        let body = wire::Body {
            model,
            request,
            system_prompt: self.call.system_prompt(),
            params: &self.backend.params,
            talk: &self.talk,
            stream,
            stream_usage: asks,
        };
        serde_json::to_vec(&body).map_err(|fault| {
            let what = format!("the request cannot be written as JSON: {fault}");
            Failure::last(TaskError::new(ErrorKind::InvalidRequest, what))
        })
    }

    /// The model's name, asked from the server if need be.
    fn model(&self, facts: &mut Facts) -> Result<&'a str, Failure> {
        let (url, found) = match &self.backend.model {
            Model::Known(name) => return Ok(name),
            Model::FirstOf { url, found } => (url, found),
        };
        if let Some(name) = found.get() {
            return Ok(name);
        }
        let mut response = self.send(facts, url, None, JSON)?;
        let json = receive::read_whole(&mut response, self.backend.max_reply_bytes)?;
        let list: ModelList = serde_json::from_slice(&json)
            .map_err(|fault| receive::broken(not_a_reply(&json, &fault)))?;
        let mut names = list.data.into_iter().filter_map(|entry| entry.id.0);
        match names.find(|name| !name.is_empty() && !name.chars().any(char::is_control)) {
            Some(name) => Ok(found.get_or_init(|| name)),
            None => Err(Failure::last(TaskError::new(
                ErrorKind::NotFound,
                "the server lists no model: load one there, or name one with HelperConfig::model",
            ))),
        }
    }

    /// Sends a request; returns once a reply begins that is no refusal.
    fn send(
        &self,
        facts: &mut Facts,
        url: &str,
        body: Option<&[u8]>,
        accept: &'static str,
    ) -> Result<Response<'a>, Failure> {
        let request = Request { url, headers: &self.backend.headers, body, accept };
        let mut response = self.backend.client.send(self.call, self.limits(), &request)?;
        facts.status = Some(response.status());
        facts.first_byte = response.first_byte();
        if let Some(provider) = response.header(PROVIDER_HEADER) {
            let provider = clean(provider, PROVIDER_BYTES_MAX);
            self.provider.replace(Some(provider).filter(|name| !name.is_empty()));
        }
        if !self.backend.limiters.is_empty() {
            facts.pause = announced_pause(|name| response.header(name));
        }
        match response.status() {
            200..=299 => {}
            status @ 300..=399 => {
                let error = TaskError::new(
                    ErrorKind::Protocol,
                    "the server sends us to another address, which is not followed: set \
                     api_endpoint to the right one",
                );
                return Err(Failure::last(error.with_status(status)));
            }
            _ => return Err(self.refusal(&mut response)),
        }
        match response.header("content-encoding") {
            None | Some("" | "identity") => Ok(response),
            Some(_) => Err(Failure::last(TaskError::new(
                ErrorKind::Protocol,
                "the server compressed its answer without being asked to",
            ))),
        }
    }
}

/// Where the Opik gateway tells who runs the model.
const PROVIDER_HEADER: &str = "x-opik-provider";
/// Longest provider's name that is kept.
const PROVIDER_BYTES_MAX: usize = 64;
const JSON: &str = "application/json";
