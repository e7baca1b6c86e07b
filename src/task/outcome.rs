//! A finished task and its outcome.

use std::fmt;
use std::time::SystemTime;

use serde::ser::SerializeStruct;
use serde::{Serialize, Serializer};
use serde_json::{Map, Value};

use super::OpenAiApi;
use crate::calendar::unix_time;
use crate::id::{HelperId, TaskId};
use crate::task_error::TaskError;

/// The tokens of a task, as reported by the provider.
///
/// `None` instead of a `Usage` means that the provider reported nothing, which is not zero.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Usage {
    /// Tokens of the prompt.
    pub prompt_tokens: u64,
    /// Tokens of the answer, reasoning included.
    pub completion_tokens: u64,
    /// The total as reported, or else the sum of both.
    pub total_tokens: u64,
    /// The prompt tokens that came from the provider's cache. `None`: not reported.
    pub cached_tokens: Option<u64>,
    /// The completion tokens spent on reasoning. `None`: not reported.
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

    /// Adds another call's usage, for tasks with several calls. A count that only one of the two
    /// has is kept.
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
    /// The answer is complete.
    Stop,
    /// A token limit cut it off: the answer is incomplete.
    Length,
    /// The model requested a tool.
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

impl fmt::Display for FinishReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// A finished task: its request and its outcome.
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
    /// The prompt.
    pub prompt: String,
    /// The context given with the prompt, and the helper's messages, if the task got some, under
    /// the key `inbox` ([`send_result`](crate::AutomationAssistantManager::send_result)).
    pub context: Map<String, Value>,
    /// When it was submitted, by the device's wall clock.
    pub created_at: SystemTime,
    /// When it ended, by the device's wall clock. Set on every finished task.
    pub completed_at: Option<SystemTime>,
    /// The answer.
    pub result: Option<String>,
    /// Why there is no answer.
    pub error: Option<TaskError>,
    /// The model that answered, if known.
    pub model: Option<String>,
    /// Tokens used, as the backend's reply reports them: those of the library count all calls of
    /// the task that the provider reported. `None` if there is no reply, or none in it.
    pub usage: Option<Usage>,
    /// The cost of those tokens, in the currency of the helper's
    /// [`prices`](crate::HelperConfig::prices). `None` if there are no prices, if they do not
    /// have the model, or if no tokens were reported: unpriced is not free.
    pub cost: Option<f64>,
    /// Why the model stopped, if known.
    pub finish_reason: Option<FinishReason>,
    /// Which of OpenAI's APIs answered; `None` if neither was called, or the task failed.
    pub api: Option<OpenAiApi>,
    /// Whether the embedded engine answered, which returns its input: no model answered. The
    /// request's tools, reply schema, system prompt and model settings were not used.
    pub echoed: bool,
    /// How many calls were made for it, those included that reached no server; 0 for a task that
    /// never ran. A look-up of a Local server's first model is part of the call that needs it.
    pub attempts: u32,
    /// Time spent in the queue, in milliseconds.
    pub queue_ms: f64,
    /// Time from a helper's take to the end, in milliseconds; 0 if it never ran.
    pub latency_ms: f64,
}

impl Task {
    /// Whether there is an answer.
    pub fn is_success(&self) -> bool {
        self.error.is_none()
    }

    /// Parses the answer as JSON.
    ///
    /// # Errors
    ///
    /// The task's own error, if it failed; [`ErrorKind::Protocol`](crate::ErrorKind::Protocol)
    /// with the position of the fault, if the answer is not JSON of the expected form. (The
    /// embedded engine's echo never is.)
    ///
    /// # Examples
    ///
    /// ```
    /// use automation_assistant::{AutomationAssistantManager, HelperConfig, TaskRequest};
    /// use serde_json::{Value, json};
    ///
    /// let schema = json!({
    ///     "type": "object",
    ///     "properties": {"celsius": {"type": "number"}},
    ///     "required": ["celsius"],
    ///     "additionalProperties": false,
    /// });
    /// let manager = AutomationAssistantManager::new(1);
    /// // HelperConfig::chatgpt() would answer `{"celsius": 21.5}`; the embedded engine echoes.
    /// let helper = manager.spawn(HelperConfig::local())?;
    /// let task = helper.ask(TaskRequest::new("How warm?").reply_schema("weather", schema))?;
    /// match task.parse_result::<Value>() {
    ///     Ok(weather) => println!("{} degrees", weather["celsius"]),
    ///     Err(error) => println!("{}: {error}", error.kind()),
    /// }
    /// # assert!(task.echoed);
    /// # Ok::<(), automation_assistant::Error>(())
    /// ```
    pub fn parse_result<T: serde::de::DeserializeOwned>(&self) -> Result<T, TaskError> {
        use crate::task_error::ErrorKind;
        if let Some(error) = &self.error {
            return Err(error.clone());
        }
        let text = self.result.as_deref().unwrap_or_default();
        serde_json::from_str(strip_fence(text)).map_err(|fault| {
            // serde's own message can quote the text: only its kind and position are used.
            let what = match fault.classify() {
                serde_json::error::Category::Data => "is JSON of another shape",
                serde_json::error::Category::Eof => "ends in the middle of the JSON",
                _ => "is not JSON",
            };
            let (line, column) = (fault.line(), fault.column());
            let advice = if self.echoed {
                "the embedded engine echoes its prompt, ask a model"
            } else {
                "ask with reply_schema, and see whether finish_reason is Length"
            };
            TaskError::new(
                ErrorKind::Protocol,
                format!("the answer {what} (line {line}, column {column}): {advice}"),
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

/// Small models often wrap JSON in a Markdown code fence.
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
            .field("api", &self.api)
            .field("echoed", &self.echoed)
            .field("attempts", &self.attempts)
            .field("queue_ms", &self.queue_ms)
            .field("latency_ms", &self.latency_ms)
            .finish_non_exhaustive()
    }
}

impl Serialize for Task {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut out = serializer.serialize_struct("Task", 17)?;
        out.serialize_field("task_id", &self.task_id)?;
        out.serialize_field("helper_id", &self.helper_id)?;
        out.serialize_field("prompt", &self.prompt)?;
        out.serialize_field("context", &self.context)?;
        out.serialize_field("created_at", &unix_time(self.created_at))?;
        out.serialize_field("completed_at", &self.completed_at.map(unix_time))?;
        out.serialize_field("result", &self.result)?;
        out.serialize_field("error", &self.error)?;
        out.serialize_field("model", &self.model)?;
        out.serialize_field("usage", &self.usage)?;
        out.serialize_field("cost", &self.cost)?;
        out.serialize_field("finish_reason", &self.finish_reason.map(FinishReason::as_str))?;
        out.serialize_field("api", &self.api)?;
        out.serialize_field("echoed", &self.echoed)?;
        out.serialize_field("attempts", &self.attempts)?;
        out.serialize_field("queue_ms", &self.queue_ms)?;
        out.serialize_field("latency_ms", &self.latency_ms)?;
        out.end()
    }
}
