//! A task before ([`TaskRequest`]) and after it runs ([`Task`]).

use std::ops::{ControlFlow, Deref};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use crate::foreign::Foreign;
use crate::tool::Tool;

mod api;
mod check;
mod lookup;
mod model_settings;
mod outcome;
mod request;
mod request_images;
mod request_json;
mod turn;

pub use api::OpenAiApi;
pub use check::MAX_REQUEST_ITEMS;
#[cfg(feature = "http")]
pub(crate) use check::refused_param;
pub(crate) use check::{RefuseParam, RequestBounds};
pub use lookup::TaskLookup;
pub use outcome::{FinishReason, Task, Usage};
#[cfg(feature = "http")]
pub(crate) use request::ReplySchema;
pub use request::TaskRequest;
pub use turn::{Image, MAX_IMAGES, Role, Turn};
pub(crate) use turn::{ImageBounds, sniff as sniff_image};

/// A callback that only its owner can reach. The mutex is never locked: it makes the request (and
/// so the errors that return it) `Sync`.
pub(crate) struct Exclusive<T>(Mutex<Foreign<T>>);

impl<T> Exclusive<T> {
    fn new(inner: T) -> Self {
        Self(Mutex::new(Foreign::new(inner)))
    }

    fn get_mut(&mut self) -> &mut T {
        self.0.get_mut().unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    pub(crate) fn into_inner(self) -> Foreign<T> {
        self.0.into_inner().unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}

/// A request's `on_done`, which a call over several helpers can take from a borrowed request.
#[derive(Default)]
pub(crate) struct OnDoneCell(Mutex<Option<Foreign<OnDone>>>);

impl OnDoneCell {
    fn new(callback: OnDone) -> Self {
        Self(Mutex::new(Some(Foreign::new(callback))))
    }

    pub(crate) fn get_mut(&mut self) -> &mut Option<Foreign<OnDone>> {
        self.0.get_mut().unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    /// The callback, on the first call; `None` afterwards.
    pub(crate) fn take(&self) -> Option<Foreign<OnDone>> {
        self.0.lock().unwrap_or_else(|poisoned| poisoned.into_inner()).take()
    }
}

/// A request's tools. A panic in the drop of one affects neither the others nor the thread.
#[derive(Clone, Default)]
pub(crate) struct Tools(Vec<Arc<dyn Tool>>);

impl Tools {
    fn push(&mut self, tool: Arc<dyn Tool>) {
        self.0.push(tool);
    }
}

impl Deref for Tools {
    type Target = [Arc<dyn Tool>];

    fn deref(&self) -> &[Arc<dyn Tool>] {
        &self.0
    }
}

impl Drop for Tools {
    fn drop(&mut self) {
        self.0.drain(..).map(Foreign::new).for_each(drop);
    }
}

type TextCallback = Box<dyn FnMut(&str) -> ControlFlow<()> + Send>;
type ReasoningCallback = Box<dyn FnMut(&str) + Send>;

/// The callbacks that run during the task. A panic in the drop of one is caught.
#[derive(Default)]
pub(crate) struct OnText {
    /// Called with each delta of the answer; `Break` ends the task as cancelled.
    pub(crate) text: Option<Foreign<TextCallback>>,
    /// Called with each delta of the model's reasoning.
    pub(crate) reasoning: Option<Foreign<ReasoningCallback>>,
}

/// Called once when the task has ended.
pub(crate) type OnDone = Box<dyn FnOnce(&Task) + Send>;

/// The priority of a queued task.
///
/// High goes before normal before low; after eight takes in a row from higher lanes, one is taken
/// from the lowest lane that is not empty. Where all three always have tasks, every eighth of those
/// takes goes to the normal lane, so that no task starves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub enum Priority {
    /// Before all others.
    High,
    /// The default.
    #[default]
    Normal,
    /// After all others.
    Low,
}

/// The state of a task.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum TaskState {
    /// It waits for a helper's thread.
    Queued,
    /// A helper's thread works on it; or it has ended, and the observers are notified of that
    /// before its result can be read (`cancel_task` then returns `false`).
    Running,
    /// It has ended, with success or failure; the result can be read.
    Finished,
}

/// A duration in milliseconds, as in telemetry and in [`Task`].
pub(crate) fn millis(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e3
}
