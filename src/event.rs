//! What happens in the house, told to whoever watches.

use std::fmt;
use std::time::{Duration, SystemTime};

use crate::config::TraceMode;
use crate::id::{HelperId, TaskId};
use crate::task::{Image, OpenAiApi, Task, Usage};
use crate::task_error::TaskError;
use crate::trace::TraceNote;

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
            Self::Admission => "admission",
            Self::TraceExport => "trace_export",
            Self::Suspended => "suspended",
        }
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

/// One event. Lives only while observers look at it.
#[non_exhaustive]
pub struct Event<'a> {
    /// What happened.
    pub kind: EventKind,
    /// When, by the device's wall clock.
    pub at: SystemTime,
    /// The helper concerned.
    pub helper_id: Option<HelperId>,
    /// The backend's name, such as `ChatGPT (gpt-4o-mini)`; empty where none is concerned.
    pub backend: &'a str,
    /// Whether it went well.
    pub success: bool,
    /// How long it took; zero where nothing ran.
    pub latency: Duration,
    /// The task concerned.
    pub task_id: Option<TaskId>,
    /// What went wrong.
    pub error: Option<&'a TaskError>,
    /// Which call of the task this was, from 1.
    pub attempt: Option<u32>,
    /// The HTTP status that came back.
    pub http_status: Option<u16>,
    /// Tokens, as told.
    pub usage: Option<&'a Usage>,
    /// Time in the queue.
    pub queue: Option<Duration>,
    /// Time to the reply's first byte.
    pub first_byte: Option<Duration>,
    /// Time waited before this attempt (back-off, rate limit).
    pub waited: Option<Duration>,
    /// Which of OpenAI's APIs was asked.
    pub api: Option<OpenAiApi>,
    /// How many places of the reply were not as its API has them, but understood: members of
    /// another type, events outside of the format, and the like.
    pub oddities: u32,
    /// Further facts, by name.
    pub facts: &'a [(&'static str, Fact<'a>)],
    /// The whole task, on [`EventKind::TaskComplete`]. It holds prompt and reply: an
    /// observer that keeps or sends them needs its user's word for it.
    pub task: Option<&'a Task>,
    /// What a trace of this would tell beyond the task, on events of a helper.
    pub(crate) trace: Option<TraceFacts<'a>>,
}

/// What a trace tells that a task does not.
#[derive(Clone, Copy)]
// Only a build with HTTP has anyone to read it.
#[cfg_attr(not(feature = "http"), allow(dead_code))]
pub(crate) struct TraceFacts<'a> {
    /// How much the helper's owner lets out.
    pub(crate) mode: TraceMode,
    /// The helper's name.
    pub(crate) helper: &'a str,
    /// The model asked for, where one was named.
    pub(crate) model: Option<&'a str>,
    /// Who wrote the answer: as the reply told, or as the helper's kind tells.
    pub(crate) provider: Option<&'a str>,
    /// The project set at the helper itself.
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
            attempt: None,
            http_status: None,
            usage: None,
            queue: None,
            first_byte: None,
            waited: None,
            api: None,
            oddities: 0,
            facts: &[],
            task: None,
            trace: None,
        }
    }

    /// The same event about this helper.
    pub(crate) fn helper(mut self, id: HelperId, backend: &'a str) -> Self {
        self.helper_id = Some(id);
        self.backend = backend;
        self
    }

    /// The same event with this outcome.
    pub(crate) fn outcome(mut self, latency: Duration, error: Option<&'a TaskError>) -> Self {
        self.latency = latency;
        self.success = error.is_none();
        self.error = error;
        self
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
            .field("attempt", &self.attempt)
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
