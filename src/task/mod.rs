//! A task on its way in ([`TaskRequest`]) and out ([`Task`]).

use std::sync::Mutex;
use std::time::Duration;

mod check;
mod outcome;
mod request;
mod request_images;
mod turn;

pub(crate) use check::RequestBounds;
pub use outcome::{FinishReason, Task, Usage};
#[cfg(feature = "http")]
pub(crate) use request::ReplySchema;
pub use request::TaskRequest;
pub(crate) use turn::sniff as sniff_image;
pub use turn::{Image, MAX_IMAGES, Role, Turn};

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

/// A duration in milliseconds, as telemetry and tasks tell it.
pub(crate) fn millis(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e3
}
