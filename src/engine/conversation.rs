//! One task as a conversation with a server: attempts, waits, rounds of tools, and the answer in
//! the end.

use std::cell::{Cell, RefCell};
use std::time::{Duration, SystemTime};

use crate::backend::{Attempt, CallContext, Reply};
use crate::backoff::Backoff;
use crate::engine::body::read_complete;
use crate::engine::draft::Completion;
use crate::engine::error_body::ErrorBody;
use crate::engine::failure::{Failure, Retry, redirection};
use crate::engine::limits::announced_pause;
use crate::engine::message::{self, Round};
use crate::engine::protocol::{Ask, Offer, Protocol};
use crate::engine::{Model, RemoteBackend, tools};
use crate::http::{Body, Limits, Request, Response};
use crate::id::random_u64;
use crate::task::{OpenAiApi, Usage};
use crate::task_error::{ErrorKind, TaskError};

const JSON: &str = "application/json";
/// Longest wait of our own choice between two attempts.
const BACKOFF_MAX: Duration = Duration::from_secs(8);

/// One task in progress.
pub(crate) struct Conversation<'a> {
    pub(super) backend: &'a RemoteBackend,
    pub(super) call: &'a CallContext<'a>,
    tools: Vec<Offer<'a>>,
    /// The replies and tool results since the prompt.
    pub(super) rounds: Vec<Round>,
    /// Whether a call counts as begun. A task's first has begun with the task.
    attempt_open: Cell<bool>,
    /// Whether this attempt has delivered text to the task's owner.
    pub(super) delivered: Cell<bool>,
    /// Whether the next request must go over a new connection.
    wants_fresh: Cell<bool>,
    /// The provider that runs the model, where a gateway names it.
    provider: RefCell<Option<String>>,
    /// The protocol in use: the one chosen, or the one that the server named instead.
    protocol: Cell<Option<&'a dyn Protocol>>,
    /// Why the protocol was changed.
    switched_for: RefCell<Option<TaskError>>,
}

/// The facts about an attempt with any outcome.
#[derive(Default)]
pub(super) struct Facts {
    pub(super) status: Option<u16>,
    pub(super) first_byte: Option<Duration>,
    pub(super) usage: Option<Usage>,
    /// Whether the server has the whole prompt and has not rejected it.
    pub(super) sent: bool,
    /// Bytes that the model has written.
    pub(super) written_bytes: usize,
    /// How long the server lets no more calls in, by its own word.
    pub(super) pause: Option<Duration>,
    /// How much of the reply was odd but understood.
    pub(super) oddities: u32,
    /// Which of OpenAI's APIs was asked.
    pub(super) api: Option<OpenAiApi>,
}

impl<'a> Conversation<'a> {
    /// # Errors
    ///
    /// Where a tool cannot be offered.
    pub(crate) fn new(
        backend: &'a RemoteBackend,
        call: &'a CallContext<'a>,
    ) -> Result<Self, TaskError> {
        let mut tools = Vec::new();
        for tool in call.request().tools.iter() {
            let offer = Offer::of(tool.as_ref());
            tools.push(offer.map_err(|why| TaskError::new(ErrorKind::InvalidRequest, why))?);
        }
        Ok(Self {
            backend,
            call,
            tools,
            rounds: Vec::new(),
            attempt_open: Cell::new(true),
            delivered: Cell::new(false),
            wants_fresh: Cell::new(false),
            provider: RefCell::default(),
            protocol: Cell::new(None),
            switched_for: RefCell::default(),
        })
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
            if !answer.wants_tools() {
                let model = answer.model.as_deref();
                let model = model.and_then(|name| self.foreign_name(name, &[&answer.text]));
                let mut reply = Reply::new(answer.text);
                reply.model = model;
                reply.usage = usage;
                reply.finish_reason = answer.finish;
                reply.provider = self.provider.take();
                reply.api = self.protocol().api();
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

    /// Runs the tools that the model wants, in its order, and keeps what they returned.
    #[inline(never)]
    fn use_tools(&mut self, answer: Completion) -> Result<(), TaskError> {
        let offered = &self.call.request().tools;
        if offered.is_empty() {
            return Err(TaskError::new(
                ErrorKind::Unsupported,
                "the model wants a tool, but the request has none: add it with \
                 TaskRequest::tool",
            ));
        }
        let mut reply = answer.parts;
        let before: usize = self.rounds.iter().map(|round| round.results.len()).sum();
        let mut results = Vec::new();
        for call in message::calls_mut(&mut reply) {
            self.call.check()?;
            let mut result = tools::run(offered, call, self.backend.max_tool_output_bytes);
            tools::make_presentable(call, before + results.len());
            result.id.clone_from(&call.id);
            results.push(result);
        }
        self.rounds.push(Round { reply, results });
        self.call.check()
    }

    /// Asks the server, again and again where that can help.
    fn ask(&self) -> Result<Completion, TaskError> {
        let mut backoff = None;
        let mut waited: Option<Duration> = None;
        let own = self.call.request().max_retries;
        let mut retries_left = own.unwrap_or(self.backend.max_retries);
        let mut may_change = true;
        loop {
            self.call.check()?;
            let (permit, queued) = self.take_permit()?;
            waited = match (waited, queued) {
                (Some(a), Some(b)) => Some(a + b),
                (a, b) => a.or(b),
            };
            if !self.attempt_open.replace(true) {
                self.call.begin_attempt();
            }
            self.delivered.set(false);
            let mut facts = Facts::default();
            let outcome = self.attempt(&mut facts);
            self.settle_permit(&permit, &facts, outcome.as_ref().err());
            self.attempt_open.set(false);
            self.call.end_attempt(&Attempt {
                error: outcome.as_ref().err().map(|failure| &failure.error),
                http_status: facts.status,
                usage: facts.usage.as_ref(),
                first_byte: facts.first_byte,
                waited,
                api: facts.api,
                oddities: facts.oddities,
                last: outcome.as_ref().is_ok_and(|answer| !answer.wants_tools()),
            });
            let failure = match outcome {
                Ok(answer) => return Ok(answer),
                Err(failure) => failure,
            };
            waited = None;
            let wait = match failure.retry {
                // A caller that received text must not receive it twice.
                _ if self.delivered.get() => None,
                Retry::Changed if std::mem::take(&mut may_change) => continue,
                Retry::Switched => {
                    self.switched_for.replace(Some(failure.error));
                    continue;
                }
                Retry::Never | Retry::Changed => None,
                _ if retries_left == 0 => None,
                Retry::Fresh => {
                    self.wants_fresh.set(true);
                    Some(Duration::ZERO)
                }
                Retry::After(wait) if wait > self.backend.max_retry_wait => None,
                Retry::After(wait) if !wait.is_zero() => Some(wait),
                Retry::After(_) | Retry::Soon => {
                    backoff.get_or_insert_with(|| Backoff::new(BACKOFF_MAX, random_u64())).next()
                }
            };
            // A wait that does not fit: the task ends now, and with its cause.
            let fits = |wait| self.call.remaining().is_none_or(|left| wait < left);
            let Some(wait) = wait.filter(|wait| fits(*wait)) else {
                return Err(self.first_error(failure.error));
            };
            retries_left -= 1;
            self.call.pause(wait)?;
            waited = Some(wait);
        }
    }

    /// The error of a task whose final attempt failed with `last`; where the protocol was switched
    /// and the other one failed too, the server's first error.
    fn first_error(&self, last: TaskError) -> TaskError {
        match last.kind() {
            ErrorKind::Cancelled | ErrorKind::Timeout => last,
            _ if self.delivered.get() || !self.rounds.is_empty() => last,
            _ => self.switched_for.take().unwrap_or(last),
        }
    }

    /// No call is running: a wait follows.
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

    /// The request to a model of this name.
    fn ask_of<'s>(&'s self, model: &'s str) -> Ask<'s> {
        let request = self.call.request();
        let (settings, backend) = (&request.model_settings, self.backend);
        let effort = settings.reasoning_effort.as_deref();
        Ask {
            model,
            request,
            system_prompt: self.call.system_prompt(),
            params: &backend.params,
            max_output_tokens: settings.max_output_tokens.or(backend.max_output_tokens),
            effort: effort.or(backend.reasoning_effort.as_deref()),
            tools: &self.tools,
            rounds: &self.rounds,
            stream: self.call.wants_text(),
        }
    }

    /// The protocol of this task.
    pub(super) fn protocol(&self) -> &'a dyn Protocol {
        self.protocol.get().unwrap_or_else(|| {
            let model = self.asked_model().unwrap_or_default();
            let chosen = self.backend.protocols.choose(&self.ask_of(model));
            self.protocol.set(Some(chosen));
            chosen
        })
    }

    /// Speaks the protocol that the server named in its rejection of the first request, if it
    /// named one. Once a task.
    pub(super) fn switch(&self, ask: &Ask<'_>, status: u16, body: &ErrorBody) -> bool {
        let may = self.rounds.is_empty() && self.switched_for.borrow().is_none();
        let instead = self.backend.protocols.instead(ask, status, body).filter(|_| may);
        instead.inspect(|protocol| self.protocol.set(Some(*protocol))).is_some()
    }

    fn attempt(&self, facts: &mut Facts) -> Result<Completion, Failure> {
        let ask = self.ask_of(self.model(facts)?);
        let protocol = self.protocol();
        facts.api = protocol.api();
        let body = protocol.write(&ask);
        let accept = if ask.stream { "text/event-stream, application/json" } else { JSON };
        let url = self.backend.endpoint.join(&protocol.path(&ask));
        let mut response = self.send(facts, &url, Some((body.body(), &ask)), accept)?;
        // The prompt's copy is not needed while the model thinks.
        drop(body);
        let completion = self.receive(&mut response, ask.stream, facts)?;
        if self.switched_for.borrow().is_some() {
            self.backend.protocols.remember(&ask, protocol);
        }
        Ok(completion)
    }

    /// The model's name as the helper's configuration has it, or as the server listed it.
    pub(super) fn asked_model(&self) -> Option<&'a str> {
        match &self.backend.model {
            Model::Named(name) => Some(name),
            Model::FirstListed { found, .. } => found.get().map(String::as_str),
        }
    }

    /// The model's name, asked from the server if need be.
    #[inline(never)]
    fn model(&self, facts: &mut Facts) -> Result<&'a str, Failure> {
        let (path, read, found) = match &self.backend.model {
            Model::Named(name) => return Ok(name),
            Model::FirstListed { path, read, found } => (path, read, found),
        };
        if let Some(name) = found.get() {
            return Ok(name);
        }
        let url = self.backend.endpoint.join(path);
        let mut response = self.send(facts, &url, None, JSON)?;
        let json = read_complete(&mut response, self.backend.max_reply_bytes)?;
        let name = read(&json).map_err(|rejected| self.failure(rejected, &response, &[]))?;
        match name {
            Some(name) => Ok(found.get_or_init(|| name)),
            None => Err(Failure::last(TaskError::new(
                ErrorKind::NotFound,
                "the server lists no model: load one there, or name one with HelperConfig::model",
            ))),
        }
    }

    /// Sends a request; returns once a reply begins that is no rejection.
    fn send(
        &self,
        facts: &mut Facts,
        url: &str,
        post: Option<(Body<'_>, &Ask<'_>)>,
        accept: &'static str,
    ) -> Result<Box<Response<'a>>, Failure> {
        let headers = &self.backend.headers;
        let body = post.map(|(body, _)| body);
        let fresh = self.wants_fresh.take();
        let further = &self.backend.further;
        let request = Request { url, headers, further, body, put: false, accept, fresh };
        let sent = self.backend.client.send(self.call.cancel(), self.limits(), &request);
        facts.sent = body.is_some()
            && match &sent {
                Ok(response) => matches!(response.status(), 200..=299),
                Err(unanswered) => unanswered.is_sent,
            };
        let mut response = sent.map_err(|unanswered| unanswered.fault)?;
        facts.status = Some(response.status());
        facts.first_byte = response.first_byte();
        let protocol = self.protocol();
        if let Some(name) = protocol.provider_header().and_then(|name| response.header(name)) {
            self.provider.replace(self.foreign_name(name, &[]));
        }
        if !self.backend.limiters.is_empty() {
            let header = |name: &str| response.header(name);
            facts.pause = announced_pause(protocol.limit_headers(), &header, SystemTime::now());
        }
        match response.status() {
            200..=299 => {}
            status @ 300..=399 => return Err(redirection(status)),
            407 => {
                let what = "the proxy wants a name and a password, or others: put them into \
                            its variable, as in http://name:password@host:port";
                let error = TaskError::new(ErrorKind::Network, what);
                return Err(Failure::last(error.with_status(407)));
            }
            _ => return Err(self.rejection(&mut response, post.map(|(_, ask)| ask))),
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
