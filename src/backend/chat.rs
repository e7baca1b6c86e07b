//! One task as calls to a chat server: attempts, their outcome, and the answer.

use std::cell::Cell;
use std::sync::OnceLock;
use std::time::{Duration, SystemTime};

use serde_json::{Map, Value};

use crate::backend::answer::Answer;
use crate::backend::build::Env;
use crate::backend::endpoint::Endpoint;
use crate::backend::failure::{Failure, Retry, may_retry, provider_error};
use crate::backend::http::{Client, Limits, Request, Response, Setup};
use crate::backend::reply::{Chat, ErrorBody, ModelList, not_a_reply};
use crate::backend::retry::{Backoff, asked_retry, asked_wait};
use crate::backend::scrub::Scrubber;
use crate::backend::wire::{self, Said};
use crate::backend::{AiBackend, Attempt, CallContext, Reply};
use crate::config::{HelperConfig, Secret};
use crate::error::Error;
use crate::id::random_u64;
use crate::task::Usage;
use crate::task_error::{ErrorKind, TaskError};

/// Most of an error's body that is read: its message is cut to less anyway.
const ERROR_BYTES_MAX: usize = 16 << 10;
/// How much is read at once.
const READ_BYTES: usize = 4 << 10;
/// Largest first allocation for a reply, whatever length the server announces.
const REPLY_BYTES_FIRST: u64 = 64 << 10;
/// Where roots are named for all programs of a system.
const ROOTS_VARIABLE: &str = "SSL_CERT_FILE";

/// What a provider's module decides.
pub(crate) struct Plan {
    name: String,
    endpoint: Endpoint,
    tail: &'static str,
    pub(crate) model: Model,
    pub(crate) headers: Vec<(&'static str, String)>,
    pub(crate) key: Option<Secret>,
    /// Whether HTTP 409 is worth another try.
    pub(crate) retries_conflicts: bool,
}

impl Plan {
    pub(crate) fn new(name: String, endpoint: Endpoint, tail: &'static str) -> Self {
        let model = Model::Known(String::new());
        let headers = Vec::with_capacity(3);
        Self { name, endpoint, tail, model, headers, key: None, retries_conflicts: true }
    }
}

/// Which model is asked for.
pub(crate) enum Model {
    Known(String),
    /// The first that the server lists at this URL; asked once, when first needed.
    FirstOf {
        url: String,
        found: OnceLock<String>,
    },
}

impl Model {
    pub(crate) fn first_of(url: String) -> Self {
        Self::FirstOf { url, found: OnceLock::new() }
    }
}

/// A server that speaks the OpenAI protocol.
pub(crate) struct ChatBackend {
    name: String,
    client: Client,
    url: String,
    headers: Vec<(&'static str, String)>,
    key: Option<Secret>,
    model: Model,
    params: Map<String, Value>,
    connect_timeout: Duration,
    first_byte_timeout: Option<Duration>,
    idle_timeout: Duration,
    /// The idle time-out, if it was set by hand: then it also holds before the first payload.
    idle_timeout_set: Option<Duration>,
    max_reply_bytes: usize,
    max_retries: u32,
    max_retry_wait: Duration,
    retries_conflicts: bool,
}

impl ChatBackend {
    pub(crate) fn new(config: &HelperConfig, env: &Env<'_>, plan: Plan) -> Result<Self, Error> {
        let Plan { name, endpoint, tail, model, headers, key, retries_conflicts } = plan;
        if endpoint.is_https() && !cfg!(feature = "tls") {
            return Err(Error::Unsupported { what: "an https endpoint", feature: "tls" });
        }
        let in_the_clear = key.is_some() && !endpoint.is_https() && !endpoint.is_loopback();
        if in_the_clear && !config.http.allow_insecure_http {
            return Err(Error::InvalidConfig(
                "the key would go over plain http to another host, where anyone on the way can \
                 read it: use https, or allow it with allow_insecure_http"
                    .to_owned(),
            ));
        }
        if let Some(key) = reserved(&config.custom_params) {
            return Err(Error::InvalidConfig(reserved_text(key)));
        }
        let roots = config.http.root_certificates.clone();
        let roots = roots.or_else(|| env.variable(ROOTS_VARIABLE).map(Into::into));
        let client = Client::new(&Setup {
            endpoint: &endpoint,
            with_key: key.is_some(),
            roots: roots.as_deref(),
        })?;
        Ok(Self {
            name,
            client,
            url: endpoint.join(tail),
            headers,
            key,
            model,
            params: config.custom_params.clone(),
            connect_timeout: config.http.connect_timeout,
            first_byte_timeout: config.http.first_byte_timeout,
            idle_timeout: config.effective_idle_timeout(),
            idle_timeout_set: config.http.idle_timeout,
            max_reply_bytes: config.max_reply_bytes,
            max_retries: config.http.max_retries,
            max_retry_wait: config.http.max_retry_wait,
            retries_conflicts,
        })
    }
}

/// A parameter that the library writes itself.
fn reserved(params: &Map<String, Value>) -> Option<&'static str> {
    wire::RESERVED.iter().copied().find(|key| params.contains_key(*key))
}

fn reserved_text(key: &str) -> String {
    format!(
        "custom_params cannot set \"{key}\": the request's own methods do (turn, context, on_text)"
    )
}

impl AiBackend for ChatBackend {
    fn name(&self) -> &str {
        &self.name
    }

    fn process(&self, call: &CallContext<'_>) -> Result<Reply, TaskError> {
        if let Some(key) = reserved(&call.request().custom_params) {
            return Err(TaskError::new(ErrorKind::InvalidRequest, reserved_text(key)));
        }
        Run::new(self, call).run()
    }

    /// Opening a connection cannot be interrupted.
    fn stop_grace(&self) -> Duration {
        self.connect_timeout
    }
}

/// One task under way.
struct Run<'a> {
    backend: &'a ChatBackend,
    call: &'a CallContext<'a>,
    talk: Vec<Said>,
    /// Whether the task's first attempt, which has begun with the task, is over.
    begun: Cell<bool>,
}

/// What is known of an attempt, however it ended.
#[derive(Default)]
struct Facts {
    status: Option<u16>,
    first_byte: Option<Duration>,
    usage: Option<Usage>,
}

impl<'a> Run<'a> {
    fn new(backend: &'a ChatBackend, call: &'a CallContext<'a>) -> Self {
        Self { backend, call, talk: Vec::new(), begun: Cell::new(false) }
    }

    fn run(self) -> Result<Reply, TaskError> {
        let answer = self.ask()?;
        let mut reply = Reply::new(answer.text);
        reply.model = answer.model;
        reply.usage = answer.usage;
        reply.finish_reason = answer.finish;
        Ok(reply)
    }

    /// Asks the server, again and again where that can help.
    fn ask(&self) -> Result<Answer, TaskError> {
        let mut backoff = None;
        let mut waited = None;
        for retries_left in (0..=self.backend.max_retries).rev() {
            self.call.check()?;
            if self.begun.replace(true) {
                self.call.begin_attempt();
            }
            let mut facts = Facts::default();
            let outcome = self.attempt(&mut facts);
            self.call.end_attempt(&Attempt {
                error: outcome.as_ref().err().map(|failure| &failure.error),
                http_status: facts.status,
                usage: facts.usage.as_ref(),
                first_byte: facts.first_byte,
                waited,
            });
            let failure = match outcome {
                Ok(answer) => return Ok(answer),
                Err(failure) => failure,
            };
            let wait = match failure.retry {
                _ if retries_left == 0 => None,
                Retry::Never => None,
                Retry::After(wait) if wait > self.backend.max_retry_wait => None,
                Retry::After(wait) if !wait.is_zero() => Some(wait),
                Retry::After(_) | Retry::Soon => {
                    backoff.get_or_insert_with(|| Backoff::new(random_u64())).next()
                }
            };
            let fits = |wait| self.call.remaining().is_none_or(|left| wait < left);
            let Some(wait) = wait.filter(|wait| fits(*wait)) else { return Err(failure.error) };
            self.call.pause(wait)?;
            waited = Some(wait);
        }
        // Not reached: the last try returns. Said in types rather than by a panic.
        Err(TaskError::new(ErrorKind::Server, "no try was left"))
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
        let body = self.body(model)?;
        let mut response = self.send(facts, &self.backend.url, Some(&body))?;
        drop(body);
        let json = self.read_whole(&mut response)?;
        let mut chat = Chat::parse(&json).map_err(broken)?;
        facts.usage = chat.usage.usage();
        if let Some(error) = chat.take_error() {
            return Err(self.refused(&response, &error));
        }
        Answer::of(chat)
    }

    fn body(&self, model: &str) -> Result<Vec<u8>, Failure> {
        let body = wire::Body {
            model,
            request: self.call.request(),
            system_prompt: self.call.system_prompt(),
            params: &self.backend.params,
            talk: &self.talk,
            stream: false,
            stream_usage: false,
        };
        serde_json::to_vec(&body).map_err(|_| {
            let what = "the request cannot be written as JSON";
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
        let mut response = self.send(facts, url, None)?;
        let json = self.read_whole(&mut response)?;
        let list: ModelList =
            serde_json::from_slice(&json).map_err(|fault| broken(not_a_reply(&json, &fault)))?;
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
    ) -> Result<Response<'a>, Failure> {
        let headers = &self.backend.headers;
        let request = Request { url, headers, body, accept: "application/json" };
        let mut response = self.backend.client.send(self.call, self.limits(), &request)?;
        facts.status = Some(response.status());
        facts.first_byte = response.first_byte();
        let protocol = |what| TaskError::new(ErrorKind::Protocol, what);
        match response.status() {
            200..=299 => {}
            300..=399 => {
                let what = "the server sends us to another address, which is not followed: \
                            set api_endpoint to the right one";
                return Err(Failure::last(protocol(what).with_status(response.status())));
            }
            _ => return Err(self.refusal(&mut response)),
        }
        match response.header("content-encoding") {
            None | Some("" | "identity") => Ok(response),
            Some(_) => {
                let what = "the server compressed its answer without being asked to";
                Err(Failure::last(protocol(what)))
            }
        }
    }

    /// Reads a reply to its end.
    fn read_whole(&self, response: &mut Response<'_>) -> Result<Vec<u8>, Failure> {
        let bound = self.backend.max_reply_bytes;
        let announced = response.header("content-length").and_then(|text| text.parse().ok());
        let announced: u64 = announced.unwrap_or(0);
        if usize::try_from(announced).is_ok_and(|length| length <= bound) {
            let first = announced.min(REPLY_BYTES_FIRST);
            let mut body = Vec::with_capacity(usize::try_from(first).unwrap_or(0));
            match read_to(response, &mut body, bound)? {
                true => return Ok(body),
                false => {}
            }
        }
        Err(too_large(bound))
    }

    /// What a refusal means.
    fn refusal(&self, response: &mut Response<'_>) -> Failure {
        let mut body = Vec::new();
        if let Err(failure) = read_to(response, &mut body, ERROR_BYTES_MAX) {
            // The status is known; only our own end of the call matters more.
            if let ErrorKind::Cancelled | ErrorKind::Timeout = failure.error.kind() {
                return failure;
            }
        }
        let error = ErrorBody::parse(&body).unwrap_or_else(|| ErrorBody {
            // Plain text may say something; a web page is noise.
            message: std::str::from_utf8(&body)
                .ok()
                .filter(|text| !text.trim_start().starts_with('<'))
                .map(str::to_owned),
            ..ErrorBody::default()
        });
        self.refused(response, &error)
    }

    /// The failure that a provider's error means.
    pub(crate) fn refused(&self, response: &Response<'_>, body: &ErrorBody) -> Failure {
        let status = response.status();
        let wait = asked_wait(|name| response.header(name), SystemTime::now());
        let asked = asked_retry(|name| response.header(name));
        let mut error = provider_error(status, body, wait);
        let kind = error.kind();
        if let Some(id) = response.header("x-request-id").filter(|id| !self.tells_key(id)) {
            error = error.with_request_id(id);
        }
        if error.code().is_some_and(|code| self.tells_key(code)) {
            error = error.with_code("");
        }
        if let Some(message) = &body.message {
            error = error.with_message(&self.scrub(message));
        }
        let again = may_retry(status, kind, asked)
            && (status != 409 || asked.is_some() || self.backend.retries_conflicts);
        let retry = match (again, wait) {
            (false, _) => Retry::Never,
            (true, Some(wait)) => Retry::After(wait),
            (true, None) => Retry::Soon,
        };
        Failure { error, retry }
    }

    fn tells_key(&self, text: &str) -> bool {
        let mut scrubber = Scrubber::new(text);
        if let Some(key) = &self.backend.key {
            scrubber.key(key.reveal());
        }
        scrubber.found()
    }

    /// A server's words without our key and without what we sent.
    fn scrub(&self, message: &str) -> String {
        let mut scrubber = Scrubber::new(message);
        if let Some(key) = &self.backend.key {
            scrubber.key(key.reveal());
        }
        let request = self.call.request();
        scrubber.text(self.call.prompt());
        scrubber.text(self.call.system_prompt().unwrap_or_default());
        for turn in &request.turns {
            scrubber.text(&turn.text);
        }
        for (key, value) in &request.context {
            scrubber.text(key);
            scrub_value(&mut scrubber, value);
        }
        for said in &self.talk {
            match said {
                Said::Tool { text, .. } => scrubber.text(text),
                Said::Model { text, calls } => {
                    scrubber.text(text);
                    calls.iter().for_each(|call| scrubber.text(&call.arguments));
                }
            }
        }
        scrubber.finish()
    }
}

/// Hides every text in a JSON value. Its depth is bounded by what its maker could build.
fn scrub_value(scrubber: &mut Scrubber<'_>, value: &Value) {
    match value {
        Value::String(text) => scrubber.text(text),
        Value::Array(values) => values.iter().for_each(|value| scrub_value(scrubber, value)),
        Value::Object(map) => map.values().for_each(|value| scrub_value(scrubber, value)),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

/// Reads a body to its end, or to the bound (`false`).
fn read_to(response: &mut Response<'_>, body: &mut Vec<u8>, bound: usize) -> Result<bool, Failure> {
    loop {
        let filled = body.len();
        // One byte more than allowed tells that there is more.
        let room = READ_BYTES.min(bound - filled + 1);
        body.resize(filled + room, 0);
        let outcome = response.read(&mut body[filled..]);
        body.truncate(filled + *outcome.as_ref().unwrap_or(&0));
        match outcome? {
            0 => return Ok(true),
            _ if body.len() > bound => return Ok(false),
            _ => response.progress(),
        }
    }
}

fn too_large(bound: usize) -> Failure {
    Failure::last(TaskError::new(
        ErrorKind::ResponseTooLarge,
        format!("the answer has more than {bound} bytes: raise max_reply_bytes, or ask for less"),
    ))
}

/// A reply that cannot be read. One that broke off may come whole next time.
fn broken(error: TaskError) -> Failure {
    match error.kind() {
        ErrorKind::Truncated => Failure::again(error),
        _ => Failure::last(error),
    }
}
