//! What observers are notified of.

use std::fmt;
use std::time::{Duration, SystemTime};

use crate::config::{Provider, TraceMode};
use crate::id::{HelperId, TaskId};
use crate::task::{Image, OpenAiApi, Task, Usage};
use crate::task_error::TaskError;
use crate::trace::{TraceId, TraceNote};

/// What happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum EventKind {
    /// A helper was made.
    HelperSpawn,
    /// A backend was called once, well or not. A task with retries has several.
    BackendCall,
    /// A task ended.
    TaskComplete,
    /// A helper was stopped.
    HelperStop,
    /// A result nobody had read made room for newer ones.
    ResultDropped,
    /// Another helper took over a task.
    Fallback,
    /// Requests of a batch were handed to no helper.
    NotAsked,
    /// The device's state decided over a task.
    Admission,
    /// Traces were sent to Opik, or lost.
    TraceExport,
    /// The device slept (Doze, a closed lid) while tasks were there. One sleep, one event.
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
        f.write_str(self.as_str())
    }
}

/// A further fact of an event.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub enum Fact<'a> {
    /// A count.
    Count(u64),
    /// A measure.
    Number(f64),
    /// A short text of our own making: never a prompt, reply or key.
    Text(&'a str),
}

impl fmt::Display for Fact<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Count(count) => write!(f, "{count}"),
            Self::Number(measure) => write!(f, "{measure}"),
            Self::Text(text) => f.write_str(text),
        }
    }
}

/// One event: a kind, whom it concerns, how it went, and the facts of its kind. Lives only while
/// observers look at it.
///
/// ```
/// use automation_assistant::{Event, EventFacts, Observe};
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
    /// What a trace of this would have beyond the task, on events of a helper.
    pub(crate) trace: Option<TraceFacts<'a>>,
}

/// The facts of an event's kind.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub enum EventFacts<'a> {
    /// Of [`EventKind::BackendCall`].
    Call(CallFacts<'a>),
    /// Of [`EventKind::TaskComplete`].
    Task(TaskFacts<'a>),
    /// Of every other kind: values by the names that they have in telemetry lines. May be empty.
    Named(&'a [(&'static str, Fact<'a>)]),
}

/// How one call to a backend went.
#[derive(Debug, Clone, Copy, Default)]
#[non_exhaustive]
pub struct CallFacts<'a> {
    /// Which call of the task it was, from 1.
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
    /// How many places of the reply were not as its API has them, but understood: members of
    /// another type, events outside of the format, and the like.
    pub oddities: u32,
}

/// How a task ended.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub struct TaskFacts<'a> {
    /// The whole task, prompt and answer included: an observer that keeps or sends these needs
    /// its user's consent.
    pub task: &'a Task,
    /// Time in the queue.
    pub queue: Duration,
}

/// What a trace tells that a task does not.
#[derive(Clone, Copy)]
pub(crate) struct TraceFacts<'a> {
    /// How much the helper's owner lets out.
    pub(crate) mode: TraceMode,
    /// The helper's name.
    pub(crate) helper: &'a str,
    /// The model asked for, where one was named.
    pub(crate) model: Option<&'a str>,
    /// Who made the helper's backend.
    pub(crate) provider: Option<&'static Provider>,
    /// Who wrote the answer, as the reply told.
    pub(crate) vendor: Option<&'a str>,
    /// The project set at the helper itself. Only a build with HTTP has anyone to read it.
    #[cfg_attr(not(feature = "http"), allow(dead_code))]
    pub(crate) project: Option<&'a str>,
    /// What the request asked of its trace.
    pub(crate) note: Option<&'a TraceNote>,
    /// The prompt's pictures.
    pub(crate) images: &'a [Image],
    /// From the task's begin to the first piece of text.
    pub(crate) first_text: Option<Duration>,
}

impl<'a> Event<'a> {
    /// An event of this kind that went well, took no time, and concerns nobody yet.
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

    /// Sets what the request asked of its trace.
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

/// What an observer reads.
impl<'a> Event<'a> {
    /// What happened.
    pub fn kind(&self) -> EventKind {
        self.kind
    }

    /// The facts of its kind.
    pub fn facts(&self) -> EventFacts<'a> {
        self.facts
    }

    /// One of the [`Named`](EventFacts::Named) facts.
    pub fn fact(&self, name: &str) -> Option<Fact<'a>> {
        let EventFacts::Named(facts) = self.facts else { return None };
        facts.iter().find(|fact| fact.0 == name).map(|fact| fact.1)
    }

    /// When it happened, or ended, by the device's wall clock.
    pub fn at(&self) -> SystemTime {
        self.at
    }

    /// How long it took; zero where nothing ran.
    pub fn latency(&self) -> Duration {
        self.latency
    }

    /// Whether it went well.
    pub fn success(&self) -> bool {
        self.success
    }

    /// What went wrong.
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

    /// The backend's name, such as `ChatGPT (gpt-4o-mini)`; empty where none is concerned.
    pub fn backend(&self) -> &'a str {
        self.backend
    }

    /// The helper's name, on events of a helper's own.
    pub fn helper_name(&self) -> Option<&'a str> {
        self.trace.map(|trace| trace.helper)
    }

    /// The model that the helper asks for: the one configured, or its provider's default. The
    /// model that answered is [`Task::model`].
    pub fn model_requested(&self) -> Option<&'a str> {
        let trace = self.trace?;
        trace.model.or_else(|| trace.provider?.default_model)
    }

    /// Who runs the model, such as `openai`: as the reply says, or else by the helper's kind.
    pub fn provider(&self) -> Option<&'a str> {
        let trace = self.trace?;
        trace.vendor.or_else(|| trace.provider?.vendor)
    }

    /// From the task's begin to the first delta of its text, at its end.
    pub fn first_text(&self) -> Option<Duration> {
        self.trace.and_then(|trace| trace.first_text)
    }

    /// The id that the request gave its trace, at each of its task's calls and its end.
    pub fn trace_id(&self) -> Option<TraceId> {
        self.trace.and_then(|trace| trace.note).and_then(|note| note.id)
    }

    /// The conversation that the request named, at each of its task's calls and its end.
    pub fn conversation(&self) -> Option<&'a str> {
        self.trace.and_then(|trace| trace.note).and_then(|note| note.conversation.as_deref())
    }

    /// How much of this helper's tasks its owner lets traces show.
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

/// Watches what happens.
///
/// Called outside every lock on the thread where the event happens: for a task's end that is
/// the thread that ends the task (the helper's, or one that cancels it, stops the helper, or
/// finds the task's deadline passed). Called before the outcome can be read, so once `wait_task`
/// has returned, every observer has. A slow observer delays the task that its event is about,
/// and that thread; other tasks go on. A task that an observer ends is ended when the observer
/// has returned. A panic in an observer is caught and counted.
pub trait Observe: Send + Sync {
    /// Called for each event.
    fn on_event(&self, event: &Event<'_>) {
        let _ = event;
    }

    /// Called for several events that came at one moment on one thread, such as a task's last
    /// call and the task's end. An observer that deals with them together, in one write say,
    /// does so and returns `true`. Defaults to `false`: [`on_event`](Self::on_event) is called
    /// for each.
    fn on_events(&self, events: &[Event<'_>]) -> bool {
        let _ = events;
        false
    }
}
