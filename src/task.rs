//! A task on its way in ([`TaskRequest`]) and out ([`Task`]).

use std::fmt;
use std::io::{self, Write};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::ser::SerializeStruct;
use serde::{Serialize, Serializer};
use serde_json::{Map, Value};

use crate::id::{HelperId, TaskId};
use crate::task_error::TaskError;
use crate::tool::Tool;
use crate::trace::{TraceId, TraceNote};

/// A callback that only its owner can reach. The mutex is never locked: it makes the
/// request (and so the errors that give it back) shareable between threads.
pub(crate) struct Exclusive<T>(Mutex<T>);

impl<T> Exclusive<T> {
    fn new(inner: T) -> Self {
        Self(Mutex::new(inner))
    }

    pub(crate) fn into_inner(self) -> T {
        self.0.into_inner().unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}

/// Called with each piece of text as it arrives.
pub(crate) type OnText = Box<dyn FnMut(&str) + Send>;
/// Called once when the task has ended.
pub(crate) type OnDone = Box<dyn FnOnce(&Task) + Send>;

/// Which of the queued tasks goes first.
///
/// High goes before normal before low; after eight takes in a row from higher lanes, one is
/// taken from the lowest lane that waits, so that nothing starves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub enum Priority {
    /// Before all others.
    High,
    /// The default.
    #[default]
    Normal,
    /// When nothing else waits.
    Low,
}

/// Where a task is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum TaskState {
    /// Waits for a helper's thread.
    Queued,
    /// A helper's thread works on it.
    Running,
    /// It has ended, well or not; the result can be read.
    Finished,
}

/// Who said something in a conversation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Role {
    /// Instructions to the model.
    System,
    /// The person, or the program in its place.
    User,
    /// The model.
    Assistant,
}

impl Role {
    /// The role's name in the OpenAI protocol.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::System => "system",
            Self::User => "user",
            Self::Assistant => "assistant",
        }
    }
}

/// One earlier turn of a conversation, sent before the prompt.
#[derive(Clone, PartialEq, Eq)]
pub struct Turn {
    /// Who said it.
    pub role: Role,
    /// What was said.
    pub text: String,
}

impl fmt::Debug for Turn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Turn").field("role", &self.role).field("bytes", &self.text.len()).finish()
    }
}

/// A JSON schema that the answer must follow (OpenAI's `response_format`).
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct ReplySchema {
    pub(crate) name: String,
    pub(crate) schema: Value,
}

/// What a helper is asked to do: a prompt, and all that goes with it.
///
/// Made from a `&str` or `String` where the prompt is all there is. Checked when it is
/// submitted, against the helper's bounds.
///
/// ```
/// use automation_assistant::{Priority, TaskRequest};
/// use std::time::Duration;
///
/// let request = TaskRequest::new("Why is the battery low?")
///     .context("battery_percent", 12)
///     .priority(Priority::High)
///     .timeout(Duration::from_secs(20));
/// # let _ = request;
/// ```
pub struct TaskRequest {
    pub(crate) prompt: String,
    pub(crate) context: Map<String, Value>,
    pub(crate) system_prompt: Option<String>,
    pub(crate) turns: Vec<Turn>,
    pub(crate) custom_params: Map<String, Value>,
    pub(crate) tools: Vec<Arc<dyn Tool>>,
    pub(crate) reply_schema: Option<Box<ReplySchema>>,
    pub(crate) max_retries: Option<u32>,
    pub(crate) note: Option<Box<TraceNote>>,
    pub(crate) priority: Priority,
    pub(crate) timeout: Option<Duration>,
    pub(crate) deadline: Option<Duration>,
    pub(crate) on_text: Option<Exclusive<OnText>>,
    pub(crate) on_done: Option<Exclusive<OnDone>>,
}

impl TaskRequest {
    /// A request with this prompt and nothing else.
    pub fn new(prompt: impl Into<String>) -> Self {
        Self {
            prompt: prompt.into(),
            context: Map::new(),
            system_prompt: None,
            turns: Vec::new(),
            custom_params: Map::new(),
            tools: Vec::new(),
            reply_schema: None,
            max_retries: None,
            note: None,
            priority: Priority::Normal,
            timeout: None,
            deadline: None,
            on_text: None,
            on_done: None,
        }
    }

    /// Adds one fact to the context. Context goes to the model as JSON in a system message.
    #[must_use]
    pub fn context(mut self, key: impl Into<String>, value: impl Into<Value>) -> Self {
        self.context.insert(key.into(), value.into());
        self
    }

    /// Adds all of a map to the context; later values win.
    #[must_use]
    pub fn context_map(mut self, map: impl IntoIterator<Item = (String, Value)>) -> Self {
        self.context.extend(map);
        self
    }

    /// Instructions to the model for this task, in place of the helper's.
    #[must_use]
    pub fn system_prompt(mut self, text: impl Into<String>) -> Self {
        self.system_prompt = Some(text.into());
        self
    }

    /// Adds an earlier turn of the conversation; turns are sent in this order, before the
    /// prompt.
    #[must_use]
    pub fn turn(mut self, role: Role, text: impl Into<String>) -> Self {
        self.turns.push(Turn { role, text: text.into() });
        self
    }

    /// Adds earlier turns of the conversation.
    #[must_use]
    pub fn turns(mut self, turns: impl IntoIterator<Item = Turn>) -> Self {
        self.turns.extend(turns);
        self
    }

    /// Sets a field of the provider's request body for this task, over the helper's
    /// [`custom_param`](crate::HelperConfig::custom_param) of that name.
    #[must_use]
    pub fn custom_param(mut self, key: impl Into<String>, value: impl Into<Value>) -> Self {
        self.custom_params.insert(key.into(), value.into());
        self
    }

    /// Gives the model a tool that it may call while it works on this task.
    #[must_use]
    pub fn tool(self, tool: impl Tool + 'static) -> Self {
        self.shared_tool(Arc::new(tool))
    }

    /// Gives the model a tool that other requests have too.
    #[must_use]
    pub fn shared_tool(mut self, tool: Arc<dyn Tool>) -> Self {
        self.tools.push(tool);
        self
    }

    /// Asks for an answer that follows a JSON schema. Read it with [`Task::parse_result`].
    ///
    /// The name is one of letters, digits, `_` and `-`, at most 64 (a rule of OpenAI's).
    #[must_use]
    pub fn reply_schema(mut self, name: impl Into<String>, schema: Value) -> Self {
        self.reply_schema = Some(Box::new(ReplySchema { name: name.into(), schema }));
        self
    }

    /// How often a failed call is tried again, for this task. Defaults to the helper's
    /// [`max_retries`](crate::HelperConfig::max_retries).
    #[must_use]
    pub fn max_retries(mut self, retries: u32) -> Self {
        self.max_retries = Some(retries);
        self
    }

    /// Names the conversation that this task belongs to: its traces stand together in Opik
    /// as one thread. 1 to 256 bytes. (What was said before goes to the model by
    /// [`turn`](Self::turn), not by this.) Defaults to none.
    #[must_use]
    pub fn conversation(mut self, id: impl Into<String>) -> Self {
        self.note_mut().conversation = Some(id.into());
        self
    }

    /// Adds a tag to this task's trace. 1 to 100 bytes each, at most 20. Defaults to none.
    #[must_use]
    pub fn trace_tag(mut self, tag: impl Into<String>) -> Self {
        self.note_mut().tags.push(tag.into());
        self
    }

    /// The id of this task's trace, for a score later. Use each id once: a second trace of
    /// the same id replaces the first. Defaults to a new one.
    #[must_use]
    pub fn trace_id(mut self, id: TraceId) -> Self {
        self.note_mut().id = Some(id);
        self
    }

    fn note_mut(&mut self) -> &mut TraceNote {
        self.note.get_or_insert_default()
    }

    /// Which lane of the queue it waits in. Defaults to [`Priority::Normal`].
    #[must_use]
    pub fn priority(mut self, priority: Priority) -> Self {
        self.priority = priority;
        self
    }

    /// How long the task may run, from the moment a helper takes it, retries included.
    /// Defaults to the helper's time-out.
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = Some(timeout);
        self
    }

    /// How long the task may take from its submission, waiting included. It can only
    /// shorten what the time-out allows. Defaults to none.
    #[must_use]
    pub fn deadline(mut self, deadline: Duration) -> Self {
        self.deadline = Some(deadline);
        self
    }

    /// Asks for the text piece by piece, as it arrives. Runs on the helper's thread, outside
    /// every lock; a panic in it ends the task as
    /// [`Panicked`](crate::ErrorKind::Panicked).
    #[must_use]
    pub fn on_text(mut self, callback: impl FnMut(&str) + Send + 'static) -> Self {
        self.on_text = Some(Exclusive::new(Box::new(callback)));
        self
    }

    /// Called once when the task has ended and its result can be read, on the thread that
    /// ended it (the helper's, or one that cancelled or stopped it), outside every lock. A
    /// panic in it is counted and changes nothing.
    #[must_use]
    pub fn on_done(mut self, callback: impl FnOnce(&Task) + Send + 'static) -> Self {
        self.on_done = Some(Exclusive::new(Box::new(callback)));
        self
    }

    /// A copy of everything but the callbacks.
    pub fn clone_without_callbacks(&self) -> Self {
        Self {
            prompt: self.prompt.clone(),
            context: self.context.clone(),
            system_prompt: self.system_prompt.clone(),
            turns: self.turns.clone(),
            custom_params: self.custom_params.clone(),
            tools: self.tools.clone(),
            reply_schema: self.reply_schema.clone(),
            max_retries: self.max_retries,
            note: self.note.clone(),
            priority: self.priority,
            timeout: self.timeout,
            deadline: self.deadline,
            on_text: None,
            on_done: None,
        }
    }

    /// A copy of what a finished task shows of its request.
    pub(crate) fn clone_for_record(&self) -> Self {
        let mut copy = Self::new(self.prompt.clone());
        copy.context = self.context.clone();
        copy.note = self.note.clone();
        copy
    }

    /// The prompt.
    pub fn prompt(&self) -> &str {
        &self.prompt
    }

    /// The context.
    pub fn context_ref(&self) -> &Map<String, Value> {
        &self.context
    }

    /// The earlier turns of the conversation, oldest first.
    pub fn turns_ref(&self) -> &[Turn] {
        &self.turns
    }

    /// The tools that the model may call. A [`Custom`](crate::BackendType::Custom) backend
    /// calls them itself.
    pub fn tools_ref(&self) -> &[Arc<dyn Tool>] {
        &self.tools
    }

    /// Parameters for this provider alone.
    pub fn custom_params_ref(&self) -> &Map<String, Value> {
        &self.custom_params
    }

    /// Name and JSON schema that the answer must follow, if any.
    pub fn reply_schema_ref(&self) -> Option<(&str, &Value)> {
        self.reply_schema.as_ref().map(|reply| (reply.name.as_str(), &reply.schema))
    }

    /// Why the request cannot be accepted, or nothing. Read once, at the door.
    pub(crate) fn problem(&self, prompt_max: usize, context_max: usize) -> Option<String> {
        if self.prompt.trim().is_empty() {
            return Some("the prompt is empty: say what the helper is to do".into());
        }
        let system = self.system_prompt.as_ref().map_or(0, String::len);
        let turns: usize = self.turns.iter().map(|turn| turn.text.len()).sum();
        let prompt = self.prompt.len() + system + turns;
        if prompt > prompt_max {
            return Some(format!(
                "the prompt (with system prompt and earlier turns) has {prompt} bytes, \
                 the helper takes {prompt_max}: shorten it, or raise max_prompt_bytes"
            ));
        }
        let mut values = self.context.values().chain(self.custom_params.values());
        // Before anything else looks into them: all else goes as deep as they do.
        if values.any(|value| is_deeper(value, MAX_JSON_DEPTH)) {
            return Some(format!(
                "context or custom_params are nested deeper than {MAX_JSON_DEPTH} levels: \
                 flatten them"
            ));
        }
        let context = if self.context.is_empty() { 0 } else { json_bytes(&self.context) };
        if context > context_max {
            return Some(format!(
                "the context has {context} bytes as JSON, the helper takes {context_max}: \
                 leave some out, or raise max_context_bytes"
            ));
        }
        if self.timeout == Some(Duration::ZERO) {
            return Some("a timeout of zero leaves no time to run: leave it out".into());
        }
        self.note.as_ref().and_then(|note| note.problem())
    }

    /// Bytes of text held, for the bound on kept results.
    pub(crate) fn text_bytes(&self) -> usize {
        self.prompt.len() + if self.context.is_empty() { 0 } else { json_bytes(&self.context) }
    }
}

/// How deep context and custom parameters may be nested: as deep as serde_json reads. What
/// is deeper would run out of the helper's stack when it is written.
pub(crate) const MAX_JSON_DEPTH: usize = 128;

/// Whether the value is nested deeper than this. Looks no deeper itself.
fn is_deeper(value: &Value, depth_max: usize) -> bool {
    let Some(rest) = depth_max.checked_sub(1) else { return true };
    match value {
        Value::Array(values) => values.iter().any(|value| is_deeper(value, rest)),
        Value::Object(map) => map.values().any(|value| is_deeper(value, rest)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => false,
    }
}

/// The value's length as JSON, without writing it anywhere.
fn json_bytes(value: &impl Serialize) -> usize {
    struct Count(usize);
    impl Write for Count {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0 += bytes.len();
            Ok(bytes.len())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let mut count = Count(0);
    // A map of JSON values always serializes; should it not, it is over every bound.
    match serde_json::to_writer(&mut count, value) {
        Ok(()) => count.0,
        Err(_) => usize::MAX,
    }
}

impl From<&str> for TaskRequest {
    fn from(prompt: &str) -> Self {
        Self::new(prompt)
    }
}

impl From<String> for TaskRequest {
    fn from(prompt: String) -> Self {
        Self::new(prompt)
    }
}

/// Sizes and settings; never the texts.
impl fmt::Debug for TaskRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TaskRequest")
            .field("prompt_bytes", &self.prompt.len())
            .field("context_keys", &self.context.len())
            .field("turns", &self.turns.len())
            .field("tools", &self.tools.len())
            .field("priority", &self.priority)
            .field("timeout", &self.timeout)
            .field("deadline", &self.deadline)
            .finish_non_exhaustive()
    }
}

/// What a task cost in tokens, as the provider told it.
///
/// `None` for a whole usage means that the provider told nothing, which is not zero.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Usage {
    /// Tokens read.
    pub prompt_tokens: u64,
    /// Tokens written, reasoning included.
    pub completion_tokens: u64,
    /// Both, as told; their sum where it was not told.
    pub total_tokens: u64,
    /// Of the tokens read, those that came from the provider's cache. `None`: not told.
    pub cached_tokens: Option<u64>,
    /// Of the tokens written, those spent on reasoning. `None`: not told.
    pub reasoning_tokens: Option<u64>,
}

impl Usage {
    /// A usage with these two counts, and their sum as the total.
    pub const fn new(prompt_tokens: u64, completion_tokens: u64) -> Self {
        Self {
            prompt_tokens,
            completion_tokens,
            total_tokens: prompt_tokens.saturating_add(completion_tokens),
            cached_tokens: None,
            reasoning_tokens: None,
        }
    }

    /// Adds another call's usage, for tasks that take several. What one of the two did not
    /// tell counts as nothing.
    #[cfg_attr(not(feature = "http"), allow(dead_code))]
    pub(crate) fn add(&mut self, other: &Self) {
        let sum = |a: Option<u64>, b: Option<u64>| match (a, b) {
            (None, None) => None,
            (a, b) => Some(a.unwrap_or(0).saturating_add(b.unwrap_or(0))),
        };
        self.prompt_tokens = self.prompt_tokens.saturating_add(other.prompt_tokens);
        self.completion_tokens = self.completion_tokens.saturating_add(other.completion_tokens);
        self.total_tokens = self.total_tokens.saturating_add(other.total_tokens);
        self.cached_tokens = sum(self.cached_tokens, other.cached_tokens);
        self.reasoning_tokens = sum(self.reasoning_tokens, other.reasoning_tokens);
    }
}

impl Serialize for Usage {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut out = serializer.serialize_struct("Usage", 5)?;
        out.serialize_field("prompt_tokens", &self.prompt_tokens)?;
        out.serialize_field("completion_tokens", &self.completion_tokens)?;
        out.serialize_field("total_tokens", &self.total_tokens)?;
        out.serialize_field("cached_tokens", &self.cached_tokens)?;
        out.serialize_field("reasoning_tokens", &self.reasoning_tokens)?;
        out.end()
    }
}

/// Why the model stopped writing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum FinishReason {
    /// It had said all.
    Stop,
    /// A limit on tokens cut it off: the answer is incomplete.
    Length,
    /// It asked for a tool.
    ToolCalls,
    /// The provider withheld the rest.
    ContentFilter,
    /// A reason this library does not know.
    Other,
}

impl FinishReason {
    /// The reason in the OpenAI protocol's spelling.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Stop => "stop",
            Self::Length => "length",
            Self::ToolCalls => "tool_calls",
            Self::ContentFilter => "content_filter",
            Self::Other => "other",
        }
    }
}

/// A finished task: what was asked, and what came of it.
///
/// Exactly one of `result` and `error` is set. `Debug` shows lengths, never the texts;
/// `Serialize` writes everything.
#[derive(Clone)]
#[non_exhaustive]
pub struct Task {
    /// The task's id.
    pub task_id: TaskId,
    /// The helper it was submitted to.
    pub helper_id: HelperId,
    /// What was asked.
    pub prompt: String,
    /// The context given with the prompt; empty where there was none.
    pub context: Map<String, Value>,
    /// When it was submitted, by the device's wall clock.
    pub created_at: SystemTime,
    /// When it ended, by the device's wall clock. Set on every finished task.
    pub completed_at: Option<SystemTime>,
    /// The answer.
    pub result: Option<String>,
    /// Why there is no answer.
    pub error: Option<TaskError>,
    /// The model that answered, where known.
    pub model: Option<String>,
    /// Tokens used, over all calls of the task, where the provider told.
    pub usage: Option<Usage>,
    /// What those tokens cost, in the unit of the helper's
    /// [`prices`](crate::HelperConfig::prices). `None` where the price list does not know the
    /// model, where there is none, or where no tokens were told: unpriced is not free.
    pub cost: Option<f64>,
    /// Why the model stopped, where known.
    pub finish_reason: Option<FinishReason>,
    /// How many times the backend was called; 0 for a task that never ran.
    pub attempts: u32,
    /// Time spent in the queue, in milliseconds.
    pub queue_ms: f64,
    /// Time from being taken by a helper to the end, in milliseconds; 0 if it never ran.
    pub latency_ms: f64,
}

impl Task {
    /// Whether there is an answer.
    pub fn is_success(&self) -> bool {
        self.error.is_none()
    }

    /// Reads the answer as JSON into a type of yours.
    ///
    /// # Errors
    ///
    /// The task's own error, if it failed; [`ErrorKind::Protocol`](crate::ErrorKind::Protocol)
    /// with the place of the fault, if the answer is not the JSON expected.
    pub fn parse_result<T: serde::de::DeserializeOwned>(&self) -> Result<T, TaskError> {
        use crate::task_error::ErrorKind;
        if let Some(error) = &self.error {
            return Err(error.clone());
        }
        let text = self.result.as_deref().unwrap_or_default();
        serde_json::from_str(strip_fence(text)).map_err(|fault| {
            // serde's own message can quote the text: only its kind and place are told.
            let what = match fault.classify() {
                serde_json::error::Category::Data => "is JSON of another shape",
                serde_json::error::Category::Eof => "ends in the middle of the JSON",
                _ => "is not JSON",
            };
            let (line, column) = (fault.line(), fault.column());
            TaskError::new(
                ErrorKind::Protocol,
                format!(
                    "the answer {what} (line {line}, column {column}): ask with reply_schema, \
                     and see whether finish_reason is Length"
                ),
            )
            .with_partial(text)
        })
    }

    pub(crate) fn text_bytes(&self, request_bytes: usize) -> usize {
        let result = self.result.as_ref().map_or(0, String::len);
        let model = self.model.as_ref().map_or(0, String::len);
        let error = self.error.as_ref().map_or(0, TaskError::text_bytes);
        request_bytes + result + model + error
    }
}

/// Small models like to wrap JSON in a Markdown code fence.
fn strip_fence(text: &str) -> &str {
    let text = text.trim();
    let Some(inner) = text.strip_prefix("```").and_then(|t| t.strip_suffix("```")) else {
        return text;
    };
    inner.strip_prefix("json").unwrap_or(inner).trim()
}

impl fmt::Debug for Task {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Task")
            .field("task_id", &self.task_id)
            .field("prompt_bytes", &self.prompt.len())
            .field("context_keys", &self.context.len())
            .field("result_bytes", &self.result.as_ref().map(String::len))
            .field("error", &self.error)
            .field("model", &self.model)
            .field("usage", &self.usage)
            .field("cost", &self.cost)
            .field("finish_reason", &self.finish_reason)
            .field("attempts", &self.attempts)
            .field("queue_ms", &self.queue_ms)
            .field("latency_ms", &self.latency_ms)
            .finish_non_exhaustive()
    }
}

impl Serialize for Task {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut out = serializer.serialize_struct("Task", 15)?;
        out.serialize_field("task_id", &self.task_id)?;
        out.serialize_field("helper_id", &self.helper_id)?;
        out.serialize_field("prompt", &self.prompt)?;
        out.serialize_field("context", &self.context)?;
        out.serialize_field("created_at", &unix_seconds(self.created_at))?;
        out.serialize_field("completed_at", &self.completed_at.map(unix_seconds))?;
        out.serialize_field("result", &self.result)?;
        out.serialize_field("error", &self.error)?;
        out.serialize_field("model", &self.model)?;
        out.serialize_field("usage", &self.usage)?;
        out.serialize_field("cost", &self.cost)?;
        out.serialize_field("finish_reason", &self.finish_reason.map(FinishReason::as_str))?;
        out.serialize_field("attempts", &self.attempts)?;
        out.serialize_field("queue_ms", &self.queue_ms)?;
        out.serialize_field("latency_ms", &self.latency_ms)?;
        out.end()
    }
}

/// Seconds since 1970 as a float, negative before it.
pub(crate) fn unix_seconds(at: SystemTime) -> f64 {
    match at.duration_since(UNIX_EPOCH) {
        Ok(since) => since.as_secs_f64(),
        Err(before) => -before.duration().as_secs_f64(),
    }
}

/// A duration in milliseconds, as telemetry and tasks tell it.
pub(crate) fn millis(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e3
}
