//! Events of helpers and tasks, and the trait of their observers.
//!
//! A program implements [`Observe`] and passes it to
//! [`ManagerBuilder::observer`](crate::ManagerBuilder::observer).

use std::fmt;
use std::time::{Duration, SystemTime};

use crate::config::{Provider, TraceMode};
use crate::id::{HelperId, TaskId};
use crate::task::{Image, OpenAiApi, Task, Usage};
use crate::task_error::TaskError;
use crate::trace::{TraceId, TraceNote};

/// The kind of an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum EventKind {
    /// A helper was started. Events of tasks that were submitted before may come earlier.
    HelperSpawn,
    /// A call to a backend ended, with success or failure. A task with retries has several.
    BackendCall,
    /// A task ended.
    TaskComplete,
    /// A helper was stopped. One that never started has neither this event nor `HelperSpawn`.
    HelperStop,
    /// An unread result was dropped for newer ones.
    ResultDropped,
    /// Another helper took over a task.
    Fallback,
    /// Requests of a batch were submitted to no helper: one event, with their number (`requests`).
    NotAsked,
    /// The device's state decided whether a task was submitted.
    Admission,
    /// Traces were sent to Opik, or lost.
    TraceExport,
    /// The device was suspended (Doze, a closed lid) while there were tasks. One event for each
    /// suspension.
    Suspended,
}

impl EventKind {
    /// The event's name in telemetry lines.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::HelperSpawn => "helper_spawn",
            Self::BackendCall => "backend_call",
            Self::TaskComplete => "task_complete",
            Self::HelperStop => "helper_stop",
            Self::ResultDropped => "result_dropped",
            Self::Fallback => "fallback",
            Self::NotAsked => "not_asked",
            Self::Admission => "admission",
            Self::TraceExport => "trace_export",
            Self::Suspended => "suspended",
        }
    }
}

impl fmt::Display for EventKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// A named value of an event.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub enum Fact<'a> {
    /// A count.
    Count(u64),
    /// A measure.
    Number(f64),
    /// A short text of the library: never a prompt, reply or key.
    Text(&'a str),
}

impl fmt::Display for Fact<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Count(count) => count.fmt(f),
            Self::Number(measure) => measure.fmt(f),
            Self::Text(text) => f.pad(text),
        }
    }
}

/// One event: its kind, the helper and task concerned, the outcome, and the facts of its kind.
/// Borrowed: observers must copy what they keep.
///
/// ```
/// use automation_assistant::event::{Event, EventFacts, Observe};
///
/// struct Print;
///
/// impl Observe for Print {
///     fn on_event(&self, event: &Event<'_>) {
///         match event.facts() {
///             EventFacts::Call(call) => println!("call {}: {:?}", call.attempt, event.latency()),
///             EventFacts::Task(end) => println!("{:?} after {:?}", end.task, end.queue),
///             other => println!("{} {other:?}", event.kind().as_str()),
///         }
///     }
/// }
/// ```
pub struct Event<'a> {
    pub(crate) kind: EventKind,
    pub(crate) at: SystemTime,
    pub(crate) helper_id: Option<HelperId>,
    pub(crate) backend: &'a str,
    pub(crate) success: bool,
    pub(crate) latency: Duration,
    pub(crate) task_id: Option<TaskId>,
    pub(crate) error: Option<&'a TaskError>,
    pub(crate) facts: EventFacts<'a>,
    /// The values that a trace needs beyond the task, on events of a helper.
    pub(crate) trace: Option<TraceFacts<'a>>,
}

/// The facts of an event, by kind.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub enum EventFacts<'a> {
    /// The facts of [`EventKind::BackendCall`].
    Call(CallFacts<'a>),
    /// The facts of [`EventKind::TaskComplete`].
    Task(TaskFacts<'a>),
    /// The facts of every other kind: values by the names that they have in telemetry lines. May
    /// be empty.
    Named(&'a [(&'static str, Fact<'a>)]),
}

/// The outcome of one call to a backend.
#[derive(Debug, Clone, Copy, Default)]
#[non_exhaustive]
pub struct CallFacts<'a> {
    /// The number of the call within its task, from 1.
    pub attempt: u32,
    /// The HTTP status of the response.
    pub http_status: Option<u16>,
    /// Tokens, where the provider reported them.
    pub usage: Option<&'a Usage>,
    /// Time to the response's first byte.
    pub first_byte: Option<Duration>,
    /// Time waited before the call (back-off, rate limit).
    pub waited: Option<Duration>,
    /// Which of OpenAI's APIs was asked.
    pub api: Option<OpenAiApi>,
    /// How many places of the reply deviated from its API but were understood: members of another
    /// type, events outside of the format, and the like.
    pub oddities: u32,
}

/// The outcome of a task.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub struct TaskFacts<'a> {
    /// The complete task, prompt and answer included: an observer that keeps or sends these needs
    /// its user's consent.
    pub task: &'a Task,
    /// Time in the queue.
    pub queue: Duration,
}

/// The values that a trace needs and a task does not have.
#[derive(Clone, Copy)]
pub(crate) struct TraceFacts<'a> {
    /// How much of the task the helper's owner allows in traces.
    pub(crate) mode: TraceMode,
    /// The helper's name.
    pub(crate) helper: &'a str,
    /// The configured model, if there is one.
    pub(crate) model: Option<&'a str>,
    /// The provider that created the helper's backend; `None` for a custom backend.
    pub(crate) provider: Option<&'static Provider>,
    /// The provider that runs the model, as the reply names it.
    pub(crate) vendor: Option<&'a str>,
    /// The project set at the helper itself. Only builds with HTTP read it.
    #[cfg_attr(not(feature = "http"), allow(dead_code))]
    pub(crate) project: Option<&'a str>,
    /// The trace settings of the request.
    pub(crate) note: Option<&'a TraceNote>,
    /// The prompt's pictures.
    pub(crate) images: &'a [Image],
    /// From the task's start to the first delta of text.
    pub(crate) first_text: Option<Duration>,
}

impl<'a> Event<'a> {
    /// A successful event of this kind, with latency zero and no helper or task.
    pub(crate) fn new(kind: EventKind) -> Self {
        Self {
            kind,
            at: SystemTime::now(),
            helper_id: None,
            backend: "",
            success: true,
            latency: Duration::ZERO,
            task_id: None,
            error: None,
            facts: EventFacts::Named(&[]),
            trace: None,
        }
    }

    /// The same event about this helper.
    pub(crate) fn helper(mut self, id: HelperId, backend: &'a str) -> Self {
        self.helper_id = Some(id);
        self.backend = backend;
        self
    }

    /// Sets the request's trace settings.
    pub(crate) fn set_note(&mut self, note: Option<&'a TraceNote>) {
        if let Some(trace) = &mut self.trace {
            trace.note = note;
        }
    }

    /// The same event with this outcome.
    pub(crate) fn outcome(mut self, latency: Duration, error: Option<&'a TaskError>) -> Self {
        self.latency = latency;
        self.success = error.is_none();
        self.error = error;
        self
    }
}

/// The values of an event.
impl<'a> Event<'a> {
    /// The kind of the event.
    pub fn kind(&self) -> EventKind {
        self.kind
    }

    /// The facts of the event's kind.
    pub fn facts(&self) -> EventFacts<'a> {
        self.facts
    }

    /// One of the [`Named`](EventFacts::Named) facts.
    pub fn fact(&self, name: &str) -> Option<Fact<'a>> {
        let EventFacts::Named(facts) = self.facts else { return None };
        facts.iter().find(|fact| fact.0 == name).map(|fact| fact.1)
    }

    /// When the event happened, or ended, by the device's wall clock.
    pub fn at(&self) -> SystemTime {
        self.at
    }

    /// How long it took; zero if nothing ran.
    pub fn latency(&self) -> Duration {
        self.latency
    }

    /// Whether it succeeded.
    pub fn success(&self) -> bool {
        self.success
    }

    /// The error, if it failed.
    pub fn error(&self) -> Option<&'a TaskError> {
        self.error
    }

    /// The helper concerned.
    pub fn helper_id(&self) -> Option<HelperId> {
        self.helper_id
    }

    /// The task concerned.
    pub fn task_id(&self) -> Option<TaskId> {
        self.task_id
    }

    /// The backend's name, such as `ChatGPT (gpt-4o-mini)`; empty if the event has none.
    pub fn backend(&self) -> &'a str {
        self.backend
    }

    /// The helper's name, on events about a helper.
    pub fn helper_name(&self) -> Option<&'a str> {
        self.trace.map(|trace| trace.helper)
    }

    /// The model that the helper requests: the configured one, or its provider's default. The
    /// model that answered is [`Task::model`].
    pub fn model_requested(&self) -> Option<&'a str> {
        let trace = self.trace?;
        trace.model.or_else(|| trace.provider?.default_model)
    }

    /// The provider that runs the model, such as `openai`: as the reply names it, or else by the
    /// helper's backend type.
    pub fn provider(&self) -> Option<&'a str> {
        let trace = self.trace?;
        trace.vendor.or_else(|| trace.provider?.vendor)
    }

    /// From the task's start to the first delta of its text; only on the event of the task's end.
    pub fn first_text(&self) -> Option<Duration> {
        self.trace.and_then(|trace| trace.first_text)
    }

    /// The trace id that the request set; on the events of its task's calls and end.
    pub fn trace_id(&self) -> Option<TraceId> {
        self.trace.and_then(|trace| trace.note).and_then(|note| note.id)
    }

    /// The conversation that the request set; on the events of its task's calls and end.
    pub fn conversation(&self) -> Option<&'a str> {
        self.trace.and_then(|trace| trace.note).and_then(|note| note.conversation.as_deref())
    }

    /// How much of this helper's tasks its owner allows in traces.
    pub fn trace_mode(&self) -> TraceMode {
        self.trace.map_or(TraceMode::Off, |trace| trace.mode)
    }
}

/// Without the task's texts.
impl fmt::Debug for Event<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Event")
            .field("kind", &self.kind)
            .field("helper_id", &self.helper_id)
            .field("backend", &self.backend)
            .field("success", &self.success)
            .field("latency", &self.latency)
            .field("task_id", &self.task_id)
            .field("error", &self.error)
            .field("facts", &self.facts)
            .finish_non_exhaustive()
    }
}

/// Receives events.
///
/// Called outside every lock on the thread where the event happens: for a task's end that is
/// the thread that ends the task (the helper's, one that cancels it, or a short-lived thread of
/// the helper that ends tasks whose time is over, or all tasks for a stop). Called before the outcome can be read, so once `wait_task`
/// has returned, every observer has. A slow observer delays the task that its event is about,
/// and that thread; other tasks go on. A task that an observer ends is ended when the observer
/// has returned. A panic in an observer is caught and counted.
///
/// ```
/// use automation_assistant::event::{Event, EventKind, Observe};
/// use automation_assistant::{AutomationAssistantManager, HelperConfig};
/// use std::sync::Arc;
/// use std::sync::atomic::{AtomicUsize, Ordering};
///
/// #[derive(Default)]
/// struct Ended(AtomicUsize);
///
/// impl Observe for Ended {
///     fn on_event(&self, event: &Event<'_>) {
///         if event.kind() == EventKind::TaskComplete {
///             self.0.fetch_add(1, Ordering::Relaxed);
///         }
///     }
/// }
///
/// let ended = Arc::new(Ended::default());
/// let manager = AutomationAssistantManager::builder().observer(ended.clone()).build()?;
/// manager.spawn(HelperConfig::local())?.ask("hello")?;
/// assert_eq!(ended.0.load(Ordering::Relaxed), 1);
/// # Ok::<(), automation_assistant::Error>(())
/// ```
pub trait Observe: Send + Sync {
    /// Called for each event.
    fn on_event(&self, event: &Event<'_>) {
        let _ = event;
    }

    /// Called for several events of one moment on one thread, such as a task's last call and the
    /// task's end. An observer that handles them together, for example in one write, does so and
    /// returns `true`. Defaults to `false`: [`on_event`](Self::on_event) is then called for each.
    fn on_events(&self, events: &[Event<'_>]) -> bool {
        let _ = events;
        false
    }
}
