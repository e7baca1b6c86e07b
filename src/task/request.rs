//! A request: the prompt and its settings.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Map, Value};

use super::model_settings::ModelSettings;
use super::turn::{Image, Role, Turn};
use super::{Exclusive, OnDoneCell, OnText, Priority, RequestBounds, Task, Tools};
use crate::nesting::bounded;
use crate::tool::Tool;
use crate::trace::{TraceId, TraceNote};

/// A JSON schema that the answer must follow (OpenAI's `response_format`).
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct ReplySchema {
    pub(crate) name: String,
    pub(crate) schema: Value,
}

type Validate = fn(&TaskRequest, &RequestBounds) -> Result<(), String>;

/// A request to a helper: a prompt, and everything that goes with it.
///
/// A `&str`, `String` or `&String` converts into a request with just a prompt. The request is
/// validated at submission, against the helper's limits.
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
    pub(crate) images: Vec<Image>,
    pub(crate) custom_params: Map<String, Value>,
    pub(crate) tools: Tools,
    pub(crate) reply_schema: Option<Box<ReplySchema>>,
    /// Validates the values that few requests have. Set with the first of them: programs that
    /// set none do not link it.
    pub(super) validate_rest: Option<Validate>,
    pub(crate) max_retries: Option<u32>,
    pub(crate) note: Option<Box<TraceNote>>,
    pub(crate) priority: Priority,
    pub(crate) timeout: Option<Duration>,
    pub(crate) deadline: Option<Duration>,
    pub(crate) on_text: Option<Exclusive<OnText>>,
    pub(crate) on_done: OnDoneCell,
    pub(crate) model_settings: ModelSettings,
}

impl TaskRequest {
    /// A request with this prompt and nothing else.
    pub fn new(prompt: impl Into<String>) -> Self {
        Self {
            prompt: prompt.into(),
            context: Map::new(),
            system_prompt: None,
            turns: Vec::new(),
            images: Vec::new(),
            custom_params: Map::new(),
            tools: Tools::default(),
            reply_schema: None,
            validate_rest: None,
            max_retries: None,
            note: None,
            priority: Priority::Normal,
            timeout: None,
            deadline: None,
            on_text: None,
            on_done: OnDoneCell::default(),
            model_settings: ModelSettings::default(),
        }
    }

    /// Adds one entry to the context. The context is sent to the model as JSON in a system
    /// message.
    #[must_use]
    pub fn context(mut self, key: impl Into<String>, value: impl Into<Value>) -> Self {
        self.has_rest();
        self.context.insert(key.into(), bounded(value.into()));
        self
    }

    /// Adds all entries of a map to the context; later values win.
    #[must_use]
    pub fn context_map(mut self, map: impl IntoIterator<Item = (String, Value)>) -> Self {
        self.has_rest();
        self.context.extend(map.into_iter().map(|(key, value)| (key, bounded(value))));
        self
    }

    /// Instructions to the model for this task; overrides the helper's.
    #[must_use]
    pub fn system_prompt(mut self, text: impl Into<String>) -> Self {
        self.system_prompt = Some(text.into());
        self
    }

    /// Adds an earlier turn of the conversation; turns are sent in the order of the calls, before
    /// the prompt. Where a [`Turn`] is at hand, [`turns`](Self::turns) takes it.
    #[must_use]
    pub fn turn(mut self, role: Role, text: impl Into<String>) -> Self {
        self.has_rest();
        self.turns.push(Turn::new(role, text));
        self
    }

    /// Adds earlier turns of the conversation, such as `[Turn::user("..."), Turn::assistant("...")]`.
    #[doc(alias("messages", "chat history"))]
    #[must_use]
    pub fn turns(mut self, turns: impl IntoIterator<Item = Turn>) -> Self {
        self.has_rest();
        self.turns.extend(turns);
        self
    }

    /// Sets a field of the provider's request body for this task; overrides the helper's
    /// [`custom_param`](crate::HelperConfig::custom_param) of that name. As there, a value set by a
    /// method of its own precedes it, `tools` is sent before the request's own tools, and
    /// `messages`, `input`, `stream`, and `n` other than 1 are rejected as invalid.
    #[must_use]
    pub fn custom_param(mut self, key: impl Into<String>, value: impl Into<Value>) -> Self {
        self.has_rest();
        self.custom_params.insert(key.into(), bounded(value.into()));
        self
    }

    /// Adds a tool that the model may call during this task. Its [name](Tool::name) must follow
    /// the providers' rules and differ from those of the request's other tools. The embedded
    /// engine calls no tool; [`Task::echoed`] is `true` for its answers.
    #[doc(alias("function calling", "tool calling"))]
    #[must_use]
    pub fn tool(self, tool: impl Tool + 'static) -> Self {
        self.shared_tool(Arc::new(tool))
    }

    /// Adds a tool that is shared with other requests: a clone of an `Arc<dyn Tool>`, as a list of
    /// tools has them. (An `Arc` of any tool is a tool itself, and [`tool`](Self::tool) takes it.)
    ///
    /// ```
    /// use automation_assistant::{FnTool, TaskRequest, Tool};
    /// use serde_json::json;
    /// use std::sync::Arc;
    ///
    /// let schema = json!({"type": "object"});
    /// let noon = FnTool::new("read_clock", "The time.", schema, |_| Ok("12:00".to_owned()));
    /// let tools: Vec<Arc<dyn Tool>> = vec![Arc::new(noon)];
    /// let requests = ["Is it noon?", "Is it night?"].map(|prompt| {
    ///     tools.iter().fold(TaskRequest::new(prompt), |request, tool| {
    ///         request.shared_tool(Arc::clone(tool))
    ///     })
    /// });
    /// assert_eq!(requests[1].get_tools().len(), 1);
    /// ```
    #[must_use]
    pub fn shared_tool(mut self, tool: Arc<dyn Tool>) -> Self {
        self.has_rest();
        self.tools.push(tool);
        self
    }

    /// Asks for an answer that follows a JSON schema. Read it with [`Task::parse_result`].
    ///
    /// The schema is sent as strict where the provider knows that: OpenAI's strict mode wants
    /// `"additionalProperties": false` in each object and every property in `required`, and rejects
    /// others as [`InvalidRequest`](crate::ErrorKind::InvalidRequest).
    ///
    /// The name consists of ASCII letters, digits, `_` and `-`, 1 to 64 (a rule of OpenAI's). The
    /// embedded engine ignores the schema: its echo follows none.
    #[doc(alias("structured output", "json schema", "response_format"))]
    #[must_use]
    pub fn reply_schema(mut self, name: impl Into<String>, schema: Value) -> Self {
        self.set_reply_schema(ReplySchema { name: name.into(), schema: bounded(schema) });
        self
    }

    /// How often a failed call is retried, for this task; a backend of the program's own retries by
    /// itself or not at all. Defaults to the helper's
    /// [`max_retries`](crate::HelperConfig::max_retries).
    #[must_use]
    pub fn max_retries(mut self, retries: u32) -> Self {
        self.max_retries = Some(retries);
        self
    }

    /// Names the conversation that this task belongs to: Opik shows its traces as one thread. 1
    /// to 256 bytes. (It sends nothing to the model: earlier messages are sent by
    /// [`turn`](Self::turn).) Defaults to none.
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

    /// The id of this task's trace, for a later score. Use each id once: a second trace with the
    /// same id replaces the first. Defaults to a new one.
    #[must_use]
    pub fn trace_id(mut self, id: TraceId) -> Self {
        self.note_mut().id = Some(id);
        self
    }

    pub(super) fn set_reply_schema(&mut self, reply: ReplySchema) {
        self.has_rest();
        self.reply_schema = Some(Box::new(reply));
    }

    /// To be called with each value that [`validate_rest`](Self::validate_rest) validates.
    pub(super) fn has_rest(&mut self) {
        self.validate_rest = Some(Self::validate_rest);
    }

    pub(super) fn model_settings_mut(&mut self) -> &mut ModelSettings {
        self.has_rest();
        &mut self.model_settings
    }

    pub(super) fn note_mut(&mut self) -> &mut TraceNote {
        self.has_rest();
        self.note.get_or_insert_default()
    }

    /// The task's lane in the queue. Defaults to [`Priority::Normal`].
    #[must_use]
    pub fn priority(mut self, priority: Priority) -> Self {
        self.priority = priority;
        self
    }

    /// How long the task may run, from the moment a helper takes it, retries included. Defaults
    /// to the helper's time-out.
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = Some(timeout);
        self
    }

    /// How long the task may take from its submission, waiting included. It can only shorten the
    /// time-out, and has the same 0.25 s for a running task's backend. Defaults to none.
    ///
    /// No clock ends a queued task. Once its deadline has passed, it ends when it is waited for or
    /// looked up, when its helper's status is asked for or another task is submitted there, or else
    /// when a thread would take it: its `on_done` alone may be called later than the deadline.
    #[doc(alias = "time limit")]
    #[must_use]
    pub fn deadline(mut self, deadline: Duration) -> Self {
        self.deadline = Some(deadline);
        self
    }

    /// Called once when the task has ended and its result can be read; if a stop ended it, when
    /// the results of all tasks that the stop ended can be read. Runs outside every lock on one
    /// of the helper's own threads: an idle one is woken; if all are busy, the callback waits for
    /// the first free one. `cancel_task` runs the callback of the task that it ends itself. If it
    /// is called within another callback, an idle thread of the helper runs it; if there is none,
    /// and that other one is not on a helper's thread, it is called after that one. At a helper that
    /// was never started, the stop runs the remaining ones. A panic in it is counted and has no other
    /// effect. The result does not count as read (see
    /// [`WhenResultsFull`](crate::limits::WhenResultsFull)).
    ///
    /// A callback may submit, cancel, stop, or drop its manager. While it blocks, its thread runs
    /// no tasks; a stop waits for it no longer than for threads.
    #[must_use]
    pub fn on_done(mut self, callback: impl FnOnce(&Task) + Send + 'static) -> Self {
        self.on_done = OnDoneCell::new(Box::new(callback));
        self
    }

    /// A copy of the request's values that a finished task contains.
    pub(crate) fn clone_for_record(&self) -> Self {
        let mut copy = Self::new(self.prompt.clone());
        copy.context = self.context.clone();
        copy.note = self.note.clone();
        copy
    }
}

/// A clone carries no callbacks: `on_text`, `on_reasoning` and `on_done` stay with the original.
impl Clone for TaskRequest {
    fn clone(&self) -> Self {
        Self {
            prompt: self.prompt.clone(),
            context: self.context.clone(),
            system_prompt: self.system_prompt.clone(),
            turns: self.turns.clone(),
            images: self.images.clone(),
            custom_params: self.custom_params.clone(),
            tools: self.tools.clone(),
            reply_schema: self.reply_schema.clone(),
            validate_rest: self.validate_rest,
            max_retries: self.max_retries,
            note: self.note.clone(),
            priority: self.priority,
            timeout: self.timeout,
            deadline: self.deadline,
            on_text: None,
            on_done: OnDoneCell::default(),
            model_settings: self.model_settings.clone(),
        }
    }
}

/// The values that are set. Getters whose plain name is a setter's begin with `get_`, as those of
/// [`std::process::Command`] do.
impl TaskRequest {
    /// The prompt.
    pub fn prompt(&self) -> &str {
        &self.prompt
    }

    /// The context.
    pub fn get_context(&self) -> &Map<String, Value> {
        &self.context
    }

    /// The earlier turns of the conversation, oldest first.
    pub fn get_turns(&self) -> &[Turn] {
        &self.turns
    }

    /// The pictures that belong to the prompt; those of earlier turns are in [`Turn::images`]. A
    /// custom backend gets them only if it [accepts them](crate::AiBackend::accepts_images).
    pub fn images(&self) -> &[Image] {
        &self.images
    }

    /// The tools that the model may call. A [`Custom`](crate::BackendType::Custom) backend
    /// calls them itself, by [`CallContext::run_tool`](crate::CallContext::run_tool).
    pub fn get_tools(&self) -> &[Arc<dyn Tool>] {
        &self.tools
    }

    /// Parameters for this provider alone.
    pub fn get_custom_params(&self) -> &Map<String, Value> {
        &self.custom_params
    }

    /// Name and JSON schema that the answer must follow, if any.
    pub fn get_reply_schema(&self) -> Option<(&str, &Value)> {
        self.reply_schema.as_ref().map(|reply| (reply.name.as_str(), &reply.schema))
    }
}

impl From<&str> for TaskRequest {
    fn from(prompt: &str) -> Self {
        Self::new(prompt)
    }
}

impl From<&String> for TaskRequest {
    fn from(prompt: &String) -> Self {
        Self::new(prompt)
    }
}

impl From<String> for TaskRequest {
    fn from(prompt: String) -> Self {
        Self::new(prompt)
    }
}

/// Shows sizes and settings; never the texts.
impl fmt::Debug for TaskRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TaskRequest")
            .field("prompt_bytes", &self.prompt.len())
            .field("context_keys", &self.context.len())
            .field("turns", &self.turns.len())
            .field("images", &self.image_count())
            .field("tools", &self.tools.len())
            .field("priority", &self.priority)
            .field("timeout", &self.timeout)
            .field("deadline", &self.deadline)
            .finish_non_exhaustive()
    }
}
