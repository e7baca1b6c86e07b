//! A task on its way in ([`TaskRequest`]) and out ([`Task`]).

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
pub(crate) use check::RequestBounds;
pub use lookup::TaskLookup;
pub use outcome::{FinishReason, Task, Usage};
#[cfg(feature = "http")]
pub(crate) use request::ReplySchema;
pub use request::TaskRequest;
pub use turn::{Image, MAX_IMAGES, Role, Turn};
pub(crate) use turn::{ImageBounds, sniff as sniff_image};

/// A callback that only its owner can reach. The mutex is never locked: it makes the
/// request (and so the errors that give it back) shareable between threads.
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

/// A request's `on_done`, which one call over several helpers takes out of a request that it has
/// only borrowed.
#[derive(Default)]
pub(crate) struct OnDoneCell(Mutex<Option<Foreign<OnDone>>>);

impl OnDoneCell {
    fn new(callback: OnDone) -> Self {
        Self(Mutex::new(Some(Foreign::new(callback))))
    }

    /// The callback, the first time.
    pub(crate) fn take(&self) -> Option<Foreign<OnDone>> {
        self.0.lock().unwrap_or_else(|poisoned| poisoned.into_inner()).take()
    }
}

/// A request's tools. A panic in the drop of one harms neither the others nor the thread.
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

/// The callbacks for what arrives while the task runs. The drop of each is fenced by itself.
#[derive(Default)]
pub(crate) struct OnText {
    /// Called with each delta of the answer; a break ends the task as cancelled.
    pub(crate) text: Option<Foreign<TextCallback>>,
    /// Called with each delta of the model's reasoning.
    pub(crate) reasoning: Option<Foreign<ReasoningCallback>>,
}

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
