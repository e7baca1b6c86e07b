//! A job: what of a request can be written down.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use automation_assistant::{ErrorKind, Priority, Role, TaskError, TaskRequest, Tool};
use serde_json::{Map, Value};

use crate::error::Error;

/// How often a job is delivered by default before it goes to the dead list.
pub const DEFAULT_MAX_DELIVERIES: u32 = 5;
/// Longest idempotency key, in bytes.
pub const MAX_KEY_BYTES: usize = 256;
/// Most names of tools a job may ask for.
pub const MAX_TOOLS: usize = 16;
/// Most images a job may carry; the core's bound for a request.
pub const MAX_IMAGES: usize = 16;
/// Longest name of a tool, in bytes; the core's.
const MAX_TOOL_NAME_BYTES: usize = 64;

/// Work for some helper, now or after a restart, here or on another device.
///
/// Holds what of a [`TaskRequest`] can be written down. **The prompt and all else in it reach
/// the disk or the server in plain text.** Made from a `&str` or `String` where the prompt is
/// all there is.
///
/// ```
/// use automation_assistant_queue::Job;
/// use automation_assistant::Priority;
///
/// let job = Job::new("Sum up today's log.").key("log-2026-11-25").priority(Priority::Low);
/// # let _ = job;
/// ```
#[derive(Clone, PartialEq)]
pub struct Job {
    pub(crate) prompt: String,
    pub(crate) context: Map<String, Value>,
    pub(crate) system_prompt: Option<String>,
    pub(crate) turns: Vec<(Role, String)>,
    pub(crate) parameters: Map<String, Value>,
    pub(crate) schema: Option<(String, Value)>,
    pub(crate) images: Vec<Image>,
    pub(crate) priority: Priority,
    pub(crate) timeout: Option<Duration>,
    pub(crate) deadline: Option<SystemTime>,
    pub(crate) max_retries: Option<u32>,
    pub(crate) tools: Vec<String>,
    pub(crate) max_deliveries: u32,
    pub(crate) key: Option<String>,
}

/// A picture that goes with the prompt.
#[derive(Clone, PartialEq, Eq)]
pub(crate) enum Image {
    Bytes { media_type: String, bytes: Vec<u8> },
    Url(String),
}

impl Job {
    /// A job with this prompt and nothing else.
    pub fn new(prompt: impl Into<String>) -> Self {
        Self {
            prompt: prompt.into(),
            context: Map::new(),
            system_prompt: None,
            turns: Vec::new(),
            parameters: Map::new(),
            schema: None,
            images: Vec::new(),
            priority: Priority::Normal,
            timeout: None,
            deadline: None,
            max_retries: None,
            tools: Vec::new(),
            max_deliveries: DEFAULT_MAX_DELIVERIES,
            key: None,
        }
    }

    /// Adds one fact to the context.
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

    /// Instructions to the model for this job, in place of the helper's.
    #[must_use]
    pub fn system_prompt(mut self, text: impl Into<String>) -> Self {
        self.system_prompt = Some(text.into());
        self
    }

    /// Adds an earlier turn of the conversation.
    #[must_use]
    pub fn turn(mut self, role: Role, text: impl Into<String>) -> Self {
        self.turns.push((role, text.into()));
        self
    }

    /// Sets a field of the provider's request body for this job.
    #[must_use]
    pub fn custom_param(mut self, key: impl Into<String>, value: impl Into<Value>) -> Self {
        self.parameters.insert(key.into(), value.into());
        self
    }

    /// Asks for an answer that follows a JSON schema.
    #[must_use]
    pub fn reply_schema(mut self, name: impl Into<String>, schema: Value) -> Self {
        self.schema = Some((name.into(), schema));
        self
    }

    /// Adds a picture. At most [`MAX_IMAGES`] a job.
    #[must_use]
    pub fn image_bytes(mut self, media_type: impl Into<String>, bytes: Vec<u8>) -> Self {
        self.images.push(Image::Bytes { media_type: media_type.into(), bytes });
        self
    }

    /// Adds a picture by its address, which is passed on and never fetched here.
    #[must_use]
    pub fn image_url(mut self, url: impl Into<String>) -> Self {
        self.images.push(Image::Url(url.into()));
        self
    }

    /// Which jobs are delivered first. After eight from higher lanes one is taken from the lowest
    /// that waits; every eighth of those from the lane between. Jobs given ahead (see
    /// [`Worker`](crate::Worker)) then wait in their helper's own queue, which follows the same rule
    /// once more: there, more than eight may begin before one of a lower lane. Defaults to
    /// [`Priority::Normal`].
    #[must_use]
    pub fn priority(mut self, priority: Priority) -> Self {
        self.priority = priority;
        self
    }

    /// How long the task may run, from the moment a helper takes it; kept in milliseconds, rounded
    /// up. Defaults to the helper's time-out.
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = Some(timeout);
        self
    }

    /// When the job is of no use any more, by the wall clock of the device that works on it. A
    /// job delivered after it fails as `timeout` without being run. Defaults to never.
    #[must_use]
    pub fn deadline(mut self, deadline: SystemTime) -> Self {
        self.deadline = Some(deadline);
        self
    }

    /// How often a failed call is tried again within one delivery. Defaults to the helper's.
    #[must_use]
    pub fn max_retries(mut self, retries: u32) -> Self {
        self.max_retries = Some(retries);
        self
    }

    /// Names a tool that the worker must offer ([`Worker::tool`](crate::Worker::tool)); others
    /// do not get the job. At most [`MAX_TOOLS`].
    #[must_use]
    pub fn tool(mut self, name: impl Into<String>) -> Self {
        self.tools.push(name.into());
        self
    }

    /// How often the job may be delivered without an outcome before it goes to the dead list;
    /// zero counts as one. Defaults to [`DEFAULT_MAX_DELIVERIES`].
    #[must_use]
    pub fn max_deliveries(mut self, deliveries: u32) -> Self {
        self.max_deliveries = deliveries.max(1);
        self
    }

    /// The idempotency key: pushing a job whose key is known gives the known job's id and
    /// changes nothing, for as long as that job's record is kept. At most [`MAX_KEY_BYTES`]
    /// bytes. Defaults to none.
    #[must_use]
    pub fn key(mut self, key: impl Into<String>) -> Self {
        self.key = Some(key.into());
        self
    }

    /// Checks the job, without the bounds of any helper, which checks it again.
    pub(crate) fn validate(&self) -> Result<(), Error> {
        let no = |why: &str| Err(Error::InvalidJob(why.to_owned()));
        if self.prompt.trim().is_empty() {
            return no("the prompt is empty: say what the helper is to do");
        }
        if let Some(key) = &self.key
            && (key.is_empty() || key.len() > MAX_KEY_BYTES)
        {
            return no("an idempotency key has 1 to 256 bytes");
        }
        if self.images.len() > MAX_IMAGES {
            return no("a job carries at most 16 images");
        }
        if self.tools.len() > MAX_TOOLS || !self.tools.iter().all(|name| is_tool_name(name)) {
            return no("a job names at most 16 tools, each of 1 to 64 letters, digits, _ and -");
        }
        if self.timeout == Some(Duration::ZERO) {
            return no("a timeout of zero leaves no time to run: leave it out");
        }
        Ok(())
    }

    /// Whether a record of the job, once validated, may turn out to be none that can be read: by
    /// values that nest, or a time beyond the calendar's.
    pub(crate) fn may_be_unreadable(&self) -> bool {
        let values = self.context.is_empty() && self.parameters.is_empty() && self.schema.is_none();
        !values || self.deadline.is_some()
    }

    /// The names of the tools, sorted, each once.
    pub(crate) fn tool_set(&self) -> String {
        let mut names: Vec<&str> = self.tools.iter().map(String::as_str).collect();
        names.sort_unstable();
        names.dedup();
        names.join(",")
    }

    /// The request, with those of the worker's tools that the job names.
    pub(crate) fn into_request(
        self,
        offered: &[Arc<dyn Tool>],
        now: SystemTime,
    ) -> Result<TaskRequest, TaskError> {
        let mut request =
            TaskRequest::new(self.prompt).context_map(self.context).priority(self.priority);
        if let Some(text) = self.system_prompt {
            request = request.system_prompt(text);
        }
        for (role, text) in self.turns {
            request = request.turn(role, text);
        }
        for (name, value) in self.parameters {
            request = request.custom_param(name, value);
        }
        if let Some((name, schema)) = self.schema {
            request = request.reply_schema(name, schema);
        }
        if let Some(timeout) = self.timeout {
            request = request.timeout(timeout);
        }
        if let Some(retries) = self.max_retries {
            request = request.max_retries(retries);
        }
        for name in &self.tools {
            let tool = offered.iter().find(|tool| tool.name() == name).ok_or_else(|| {
                TaskError::new(
                    ErrorKind::Unsupported,
                    format!("the job asks for the tool {name}, which this worker does not offer"),
                )
            })?;
            request = request.shared_tool(Arc::clone(tool));
        }
        if let Some(deadline) = self.deadline {
            let left = deadline.duration_since(now).unwrap_or_default();
            if left.is_zero() {
                return Err(TaskError::new(
                    ErrorKind::Timeout,
                    "the job's deadline passed before a worker took it",
                ));
            }
            request = request.deadline(left);
        }
        Ok(self.images.into_iter().fold(request, with_image))
    }
}

fn with_image(request: TaskRequest, image: Image) -> TaskRequest {
    match image {
        Image::Bytes { media_type, bytes } => request.image_bytes(media_type, bytes),
        Image::Url(url) => request.image_url(url),
    }
}

fn is_tool_name(name: &str) -> bool {
    let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-');
    (1..=MAX_TOOL_NAME_BYTES).contains(&name.len()) && name.bytes().all(plain)
}

impl From<&str> for Job {
    fn from(prompt: &str) -> Self {
        Self::new(prompt)
    }
}

impl From<String> for Job {
    fn from(prompt: String) -> Self {
        Self::new(prompt)
    }
}

/// Sizes and settings; never the texts.
impl fmt::Debug for Job {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Job")
            .field("prompt_bytes", &self.prompt.len())
            .field("context_keys", &self.context.len())
            .field("turns", &self.turns.len())
            .field("images", &self.images.len())
            .field("priority", &self.priority)
            .field("deadline", &self.deadline)
            .field("tools", &self.tools)
            .field("max_deliveries", &self.max_deliveries)
            .finish_non_exhaustive()
    }
}
