//! Helpers that work together, over the manager: fan-out, batch, pipeline, race, fallback.
//!
//! Every call blocks its own thread, keeps one deadline, can be cancelled from another
//! thread, and starts no thread of its own.

mod admission;
mod batch;
mod fallback;
mod gather;

pub use admission::AdmissionControl;
pub use fallback::{Fallback, FallbackReport, Tried, WhyNot};
pub use gather::{Answer, Pipeline, Race, Stage, Want};

use std::fmt;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant, SystemTime};

use crate::error::Error;
use crate::helper::shared::{Shared, Watch};
use crate::id::{HelperId, TaskId};
use crate::manager::AutomationAssistantManager;
use crate::slept::Slept;
use crate::sync::earlier;
use crate::task::{Task, TaskRequest};
use crate::task_error::ErrorKind;

/// Default time for a whole coordinated call: as long as one slow Local model may take.
pub const DEFAULT_TOGETHER_DEADLINE: Duration = Duration::from_secs(300);

/// How long an ended task's result may take to show; it is there at once, but for a thread
/// that just tells observers.
const END_SHOWS_WITHIN: Duration = Duration::from_secs(1);

/// Stops a coordinated call from another thread. Clones stop the same call.
#[derive(Clone, Default)]
pub struct CancelHandle(Arc<Mutex<Handle>>);

#[derive(Default)]
struct Handle {
    cancelled: bool,
    watches: Vec<crate::sync::Arc<Watch>>,
}

impl CancelHandle {
    /// A handle that is not raised.
    pub fn new() -> Self {
        Self::default()
    }

    /// Stops the calls that were given this handle; their tasks are cancelled. A call that
    /// is given it later ends at once.
    pub fn cancel(&self) {
        let mut handle = self.lock();
        handle.cancelled = true;
        for watch in handle.watches.drain(..) {
            watch.fire();
        }
    }

    /// Whether it was raised.
    pub fn is_cancelled(&self) -> bool {
        self.lock().cancelled
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Handle> {
        self.0.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}

impl fmt::Debug for CancelHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CancelHandle").field("cancelled", &self.is_cancelled()).finish()
    }
}

/// What a helper says while several work.
#[derive(Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Speech<'a> {
    /// A piece of its text.
    Text(&'a str),
    /// What this helper's predecessors said is void; the text starts again.
    StartsAgain,
}

/// The length of the text, never the text.
impl fmt::Debug for Speech<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(text) => write!(f, "Text({} bytes)", text.len()),
            Self::StartsAgain => f.write_str("StartsAgain"),
        }
    }
}

type OnSpeech = Arc<Mutex<dyn FnMut(HelperId, Speech<'_>) + Send>>;

/// Settings of a coordinated call, and the door to each of them.
///
/// It asks no [`AdmissionPolicy`](crate::AdmissionPolicy): give it the helpers that
/// [`AdmissionControl::admitted`] leaves.
///
/// ```
/// use automation_assistant::{
///     AutomationAssistantManager, TaskRequest, Together, create_local_helper,
/// };
///
/// let manager = AutomationAssistantManager::new(2);
/// let helpers = [create_local_helper(&manager, "a")?, create_local_helper(&manager, "b")?];
/// let race = Together::new(&manager).race(&helpers, &TaskRequest::new("hello"))?;
/// assert!(race.winner().is_some());
/// # Ok::<(), automation_assistant::Error>(())
/// ```
#[derive(Clone)]
pub struct Together<'a> {
    manager: &'a AutomationAssistantManager,
    deadline: Duration,
    count_suspended_time: bool,
    cancel: CancelHandle,
    on_text: Option<OnSpeech>,
}

impl<'a> Together<'a> {
    /// Calls over this manager's helpers.
    pub fn new(manager: &'a AutomationAssistantManager) -> Self {
        Self {
            manager,
            deadline: DEFAULT_TOGETHER_DEADLINE,
            count_suspended_time: true,
            cancel: CancelHandle::new(),
            on_text: None,
        }
    }

    /// How long the whole call may take. Defaults to 300 s.
    #[must_use]
    pub fn deadline(mut self, deadline: Duration) -> Self {
        self.deadline = deadline;
        self
    }

    /// Whether time in which the device slept (Doze, a closed lid) counts against the call's
    /// deadline; see [`HelperConfig::count_suspended_time`](crate::HelperConfig). Defaults to
    /// `true`.
    #[must_use]
    pub fn count_suspended_time(mut self, count: bool) -> Self {
        self.count_suspended_time = count;
        self
    }

    /// Lets this handle stop the call from another thread.
    #[must_use]
    pub fn cancel_handle(mut self, handle: &CancelHandle) -> Self {
        self.cancel = handle.clone();
        self
    }

    /// Asks for text piece by piece, with the helper that speaks. Called on the helpers'
    /// threads, one at a time.
    #[must_use]
    pub fn on_text(mut self, callback: impl FnMut(HelperId, Speech<'_>) + Send + 'static) -> Self {
        self.on_text = Some(Arc::new(Mutex::new(callback)));
        self
    }

    /// The template made ready for one helper.
    fn request_for(
        &self,
        template: &TaskRequest,
        helper: HelperId,
        until: Option<Instant>,
    ) -> TaskRequest {
        self.ready(template.clone_without_callbacks(), helper, until)
    }

    /// The request with its deadline clipped, and its speech passed on.
    fn ready(
        &self,
        mut request: TaskRequest,
        helper: HelperId,
        until: Option<Instant>,
    ) -> TaskRequest {
        if let Some(until) = until {
            let left = until.saturating_duration_since(Instant::now());
            request.deadline = Some(request.deadline.map_or(left, |own| own.min(left)));
        }
        if let Some(callback) = &self.on_text {
            let callback = Arc::clone(callback);
            request = request.on_text(move |text| say(&callback, helper, Speech::Text(text)));
        }
        request
    }

    /// Submits to one helper without waiting for room.
    fn submit(&self, request: TaskRequest, helper: HelperId) -> Result<Pending, Error> {
        let shared = self.manager.shared(helper)?;
        let id = shared.submit(request, Duration::ZERO)?;
        Ok(Pending { shared, id })
    }
}

fn say(callback: &OnSpeech, helper: HelperId, speech: Speech<'_>) {
    let mut callback = callback.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
    callback(helper, speech);
}

impl fmt::Debug for Together<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Together")
            .field("deadline", &self.deadline)
            .field("cancel", &self.cancel)
            .finish_non_exhaustive()
    }
}

/// A task under way.
struct Pending {
    shared: crate::sync::Arc<Shared>,
    id: TaskId,
}

impl Pending {
    /// Cancels it, and gives what became of it.
    fn end(&self) -> Result<Task, Error> {
        self.shared.cancel(self.id);
        self.shared.wait(self.id, END_SHOWS_WITHIN)
    }
}

/// Ended while waiting for something else.
enum Woken {
    /// Some task may have ended.
    Look,
    /// The call was cancelled, or its time is over.
    Over,
}

/// A watch over changing sets of tasks, one cancel handle and one deadline; taken off when
/// dropped.
struct Vigil<'a> {
    watch: crate::sync::Arc<Watch>,
    cancel: &'a CancelHandle,
    watched: Vec<crate::sync::Arc<Shared>>,
    began: (SystemTime, Instant),
    deadline: Option<Instant>,
    /// Who knows of the device's sleep, where that counts.
    slept: Option<&'a Slept>,
}

impl<'a> Vigil<'a> {
    /// Over a call that may take this long.
    fn new(together: &'a Together<'_>, time: Duration) -> Self {
        let watch = Watch::new();
        together.cancel.lock().watches.push(crate::sync::Arc::clone(&watch));
        let began = (SystemTime::now(), Instant::now());
        let deadline = began.1.checked_add(time);
        let slept = &together.manager.observers().slept;
        slept.watch();
        let slept = Some(slept).filter(|_| together.count_suspended_time);
        Self { watch, cancel: &together.cancel, watched: Vec::new(), began, deadline, slept }
    }

    /// The call's end, if it has any.
    fn until(&self) -> Option<Instant> {
        let deadline = self.deadline?;
        let slept =
            self.slept.map_or(Duration::ZERO, |slept| slept.since(self.began.0, self.began.1));
        // Slept through the whole of it: over since it began.
        Some(deadline.checked_sub(slept).unwrap_or(self.began.1))
    }

    /// Watches this helper too.
    fn add(&mut self, shared: &crate::sync::Arc<Shared>) {
        if !self.watched.iter().any(|other| crate::sync::Arc::ptr_eq(other, shared)) {
            shared.watch(&self.watch);
            self.watched.push(crate::sync::Arc::clone(shared));
        }
    }

    /// Why the call is over, if it is.
    fn over(&self) -> Option<ErrorKind> {
        if self.cancel.is_cancelled() {
            return Some(ErrorKind::Cancelled);
        }
        let late = self.until().is_some_and(|until| until <= Instant::now());
        late.then_some(ErrorKind::Timeout)
    }

    fn is_over(&self) -> bool {
        self.over().is_some()
    }

    /// Sleeps until a watched helper ends a task, the moment has come, or all is over.
    fn sleep(&self, look_again: Option<Instant>) -> Woken {
        if self.is_over() {
            return Woken::Over;
        }
        self.watch.sleep_until(earlier(self.until(), look_again));
        if self.is_over() { Woken::Over } else { Woken::Look }
    }
}

impl Drop for Vigil<'_> {
    fn drop(&mut self) {
        for shared in &self.watched {
            shared.unwatch(&self.watch);
        }
        let watch = &self.watch;
        let mut handle = self.cancel.lock();
        handle.watches.retain(|other| !crate::sync::Arc::ptr_eq(other, watch));
    }
}
