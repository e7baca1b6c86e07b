//! A helper's status.

use std::fmt;

use serde::ser::SerializeStruct;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::id::HelperId;

/// The state of a helper.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum HelperStatus {
    /// Its threads do not run yet.
    Initializing,
    /// It waits for its first task.
    Ready,
    /// At least one task runs, or has ended while observers are notified of it.
    Processing,
    /// It waits for further tasks.
    Idle,
    /// It waits, and a task failed in a way that repeats until a person changes something (a key,
    /// a model's name). It still accepts tasks. The next success clears this state, no other
    /// failure does.
    Error,
    /// It was stopped.
    Terminated,
}

impl HelperStatus {
    const ALL: [Self; 6] = [
        Self::Initializing,
        Self::Ready,
        Self::Processing,
        Self::Idle,
        Self::Error,
        Self::Terminated,
    ];

    /// The status in lower case.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Initializing => "initializing",
            Self::Ready => "ready",
            Self::Processing => "processing",
            Self::Idle => "idle",
            Self::Error => "error",
            Self::Terminated => "terminated",
        }
    }
}

impl fmt::Display for HelperStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl Serialize for HelperStatus {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for HelperStatus {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let name = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        let found = Self::ALL.into_iter().find(|status| status.as_str() == name);
        found.ok_or_else(|| de::Error::custom("no helper status"))
    }
}

/// A helper's status and counters at one moment.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct HelperStatusReport {
    /// The helper's id.
    pub helper_id: HelperId,
    /// Its display name.
    pub name: String,
    /// Its backend's name, such as `Local (local-mock)`.
    pub backend: String,
    /// Its state.
    pub status: HelperStatus,
    /// The number of queued tasks.
    pub queued_tasks: usize,
    /// The number of tasks that run, or that have ended while observers are notified of it. (Tasks
    /// that end in the queue are among the latter, so it can exceed the number of threads.)
    pub active_tasks: usize,
    /// Tasks that ended in any way: succeeded, failed, cancelled, terminated, expired.
    pub completed_tasks: u64,
    /// Of those, the ones that ended with an error.
    pub failed_tasks: u64,
    /// The number of results kept.
    pub kept_results: usize,
    /// The number of results dropped before they were read; those that only an `on_done` got are
    /// among them.
    pub dropped_results: u64,
    /// The number of its running threads, including those still in foreign code after a stop, and
    /// those that a stop uses.
    pub threads: usize,
    /// The number of threads that a stop could not join in time, since foreign code holds them.
    pub unjoined_threads: usize,
    /// Callbacks of ended tasks ([`on_done`](crate::TaskRequest::on_done), and the drop of a
    /// request's values) that wait for a thread.
    pub waiting_callbacks: usize,
    /// How long the latest callback had waited when it started, in milliseconds; 0 if none has
    /// run.
    pub callback_delay_ms: f64,
    /// The longest time that a callback has waited, in milliseconds.
    pub callback_delay_max_ms: f64,
    /// Panics in `on_done` callbacks, in drops of a request's values and of the backend, and in the
    /// backend's [`stop_grace`](crate::AiBackend::stop_grace) and
    /// [`leaves_device`](crate::AiBackend::leaves_device).
    pub callback_panics: u64,
    /// Panics in observers.
    pub observer_panics: u64,
}

impl Serialize for HelperStatusReport {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut out = serializer.serialize_struct("HelperStatusReport", 17)?;
        out.serialize_field("helper_id", &self.helper_id)?;
        out.serialize_field("name", &self.name)?;
        out.serialize_field("backend", &self.backend)?;
        out.serialize_field("status", &self.status)?;
        out.serialize_field("queued_tasks", &self.queued_tasks)?;
        out.serialize_field("active_tasks", &self.active_tasks)?;
        out.serialize_field("completed_tasks", &self.completed_tasks)?;
        out.serialize_field("failed_tasks", &self.failed_tasks)?;
        out.serialize_field("kept_results", &self.kept_results)?;
        out.serialize_field("dropped_results", &self.dropped_results)?;
        out.serialize_field("threads", &self.threads)?;
        out.serialize_field("unjoined_threads", &self.unjoined_threads)?;
        out.serialize_field("waiting_callbacks", &self.waiting_callbacks)?;
        out.serialize_field("callback_delay_ms", &self.callback_delay_ms)?;
        out.serialize_field("callback_delay_max_ms", &self.callback_delay_max_ms)?;
        out.serialize_field("callback_panics", &self.callback_panics)?;
        out.serialize_field("observer_panics", &self.observer_panics)?;
        out.end()
    }
}
