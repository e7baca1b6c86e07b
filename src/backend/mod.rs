//! The trait of backends, and the parts of a call. A program implements [`AiBackend`] and passes
//! it to [`spawn_with`](crate::AutomationAssistantManager::spawn_with).

mod attempt;
mod reply;
mod sent;
mod settings;

use std::cell::{Cell, RefCell};
use std::fmt;
use std::ops::ControlFlow;
use std::time::{Duration, Instant};

pub use attempt::Attempt;
pub(crate) use attempt::AttemptLog;
pub(crate) use settings::CallSettings;

pub use crate::cancel::{CancelGuard, CancelSignal};
use crate::id::{HelperId, TaskId};
use crate::task::{OnText, TaskRequest};
use crate::task_error::{ErrorKind, TaskError};
pub use reply::Reply;
pub(crate) use sent::SentText;

/// Something that answers tasks.
///
/// One value serves all threads of a helper at once. Each call blocks its thread until there is
/// an answer; it should return soon after [`CallContext::deadline`], and at once after
/// [`CallContext::cancel`] is raised. If it does neither, it occupies its thread, and the task is
/// ended without it. The last thread of a stopped helper drops it.
///
/// ```
/// use automation_assistant::backend::{CallContext, Reply};
/// use automation_assistant::{AiBackend, TaskError};
///
/// struct Shout;
///
/// impl AiBackend for Shout {
///     fn name(&self) -> &str {
///         "Shout"
///     }
///
///     fn process(&self, call: &CallContext<'_>) -> Result<Reply, TaskError> {
///         Ok(Reply::new(call.prompt().to_uppercase()))
///     }
/// }
/// ```
pub trait AiBackend: Send + Sync {
    /// The name in status reports and telemetry, such as `ChatGPT (gpt-4o-mini)`.
    fn name(&self) -> &str;

    /// Answers one task. The text of the [`Reply`] becomes [`Task::result`](crate::Task::result);
    /// it is not given to the request's `on_text`, which gets what
    /// [`CallContext::send_text`] is given. A backend that streams does both.
    ///
    /// # Errors
    ///
    /// The reason why there is no answer; the task ends with this error.
    ///
    /// # Panics
    ///
    /// A panic is caught, and ends the task as [`ErrorKind::Panicked`].
    fn process(&self, call: &CallContext<'_>) -> Result<Reply, TaskError>;

    /// How long a cancelled call may take to return, at most; a stop waits this long plus 0.8 s
    /// before it detaches a thread. Asked once, when the helper is made. Defaults to zero.
    fn stop_grace(&self) -> Duration {
        Duration::ZERO
    }

    /// Whether the backend uses [`TaskRequest::images`] and those of the turns. If `false`, a
    /// task with pictures ends as [`ErrorKind::Unsupported`] without a call: no picture is
    /// silently left out. Defaults to `false`.
    fn accepts_images(&self) -> bool {
        false
    }

    /// Whether a call sends anything to another device; see
    /// [`AdmissionControl`](crate::AdmissionControl). Defaults to `false`.
    fn leaves_device(&self) -> bool {
        false
    }
}

/// Everything a backend needs for one task: the request, its settings, its deadline, and the ways
/// to stream text and to notice that the task is cancelled.
///
/// [`guide::custom_backend`](crate::guide::custom_backend) shows one in use.
pub struct CallContext<'a> {
    pub(crate) task_id: TaskId,
    pub(crate) request: &'a TaskRequest,
    pub(crate) settings: CallSettings<'a>,
    pub(crate) system_prompt: Option<&'a str>,
    pub(crate) cancel: &'a CancelSignal,
    pub(crate) deadline: Option<Instant>,
    pub(crate) on_text: RefCell<Option<OnText>>,
    /// The text sent so far, kept for a task that fails.
    pub(crate) sent: &'a SentText,
    /// Whether any text was delivered to the callback.
    pub(crate) text_sent: Cell<bool>,
    /// When the first delta of text arrived.
    pub(crate) first_text: Cell<Option<Instant>>,
    /// While a callback of the owner's runs: what a panic in it is reported as. Stays set after
    /// a panic.
    pub(crate) in_callback: Cell<Option<&'static str>>,
    /// Whether the owner's callback has returned `Break`.
    pub(crate) text_refused: Cell<bool>,
    pub(crate) attempts: &'a dyn AttemptLog,
}

impl CallContext<'_> {
    /// The task's id.
    pub fn task_id(&self) -> TaskId {
        self.task_id
    }

    /// The helper that runs it.
    pub fn helper_id(&self) -> HelperId {
        self.task_id.helper_id()
    }

    /// The prompt.
    pub fn prompt(&self) -> &str {
        &self.request.prompt
    }

    /// The request: context, earlier turns, tools and so on (without its callbacks).
    pub fn request(&self) -> &TaskRequest {
        self.request
    }

    /// Instructions to the model: the request's, or else the helper's.
    pub fn system_prompt(&self) -> Option<&str> {
        self.system_prompt
    }

    /// When the answer is due; `None` if there is no limit.
    pub fn deadline(&self) -> Option<Instant> {
        self.deadline
    }

    /// Time left until the deadline; zero if it has passed, `None` if there is none.
    pub fn remaining(&self) -> Option<Duration> {
        self.deadline.map(|deadline| deadline.saturating_duration_since(crate::sync::now()))
    }

    /// Raised when the task is cancelled or its helper is stopped.
    pub fn cancel(&self) -> &CancelSignal {
        self.cancel
    }

    /// Fails if the task was cancelled, its callback has ended it or its deadline has passed: call
    /// it regularly in long work.
    ///
    /// # Errors
    ///
    /// Those of [`send_text`](Self::send_text), or [`ErrorKind::Timeout`].
    pub fn check(&self) -> Result<(), TaskError> {
        if let Some(error) = self.stopped() {
            return Err(error);
        }
        match self.remaining() {
            Some(Duration::ZERO) => Err(timed_out()),
            _ => Ok(()),
        }
    }

    /// Waits this long, or until the task is cancelled or its deadline passes.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Cancelled`] or [`ErrorKind::Timeout`], as soon as either occurs.
    pub fn pause(&self, wait: Duration) -> Result<(), TaskError> {
        let left = self.remaining();
        let (wait, short) = match left {
            Some(left) if left < wait => (left, true),
            _ => (wait, false),
        };
        if self.cancel.wait(wait) {
            Err(cancelled())
        } else if short {
            Err(timed_out())
        } else {
            Ok(())
        }
    }

    /// Whether the request has a callback for deltas of text.
    pub fn wants_text(&self) -> bool {
        let wants = |on_text: &OnText| on_text.text.is_some();
        self.on_text.try_borrow().is_ok_and(|callbacks| callbacks.as_ref().is_some_and(wants))
    }

    /// Whether any text was delivered already; a retry would then repeat it.
    pub fn text_was_sent(&self) -> bool {
        self.text_sent.get()
    }

    /// Delivers a delta of the answer's text to the request's callback, if it has one. If the
    /// task fails afterwards, the text that was sent is in [`TaskError::partial`], up to
    /// [`max_reply_bytes`](crate::HelperConfig::max_reply_bytes). If it succeeds,
    /// its result is the text of the [`Reply`] alone: what was sent is neither added to it nor
    /// compared with it.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Cancelled`] once the task is cancelled, and once the callback has returned
    /// `Break`; [`ErrorKind::Panicked`] once it has panicked. Stop working: whatever
    /// [`AiBackend::process`] returns, the task ends with this error.
    ///
    /// # Panics
    ///
    /// If the callback panics.
    pub fn send_text(&self, text: &str) -> Result<(), TaskError> {
        if let Some(error) = self.stopped() {
            return Err(error);
        }
        if !text.is_empty() {
            if self.first_text.get().is_none() {
                self.first_text.set(Some(Instant::now()));
            }
            self.sent.keep(text);
        }
        let mut goes_on = ControlFlow::Continue(());
        self.call_back("the on_text callback panicked", text, |on_text| {
            if let Some(callback) = &mut on_text.text {
                self.text_sent.set(true);
                goes_on = (**callback)(text);
            }
        });
        self.text_refused.set(goes_on.is_break());
        self.callback_error().map_or(Ok(()), Err)
    }

    /// The error of a task that was cancelled, or that its callback has ended.
    fn stopped(&self) -> Option<TaskError> {
        if self.cancel.is_cancelled() { Some(cancelled()) } else { self.callback_error() }
    }

    /// The error with which the owner's callback has ended the task, if it has.
    pub(crate) fn callback_error(&self) -> Option<TaskError> {
        if let Some(panicked) = self.in_callback.get() {
            return Some(TaskError::new(ErrorKind::Panicked, panicked));
        }
        self.text_refused.get().then(cancelled)
    }

    /// Delivers a delta of the model's reasoning to the request's callback, if it has one.
    ///
    /// # Panics
    ///
    /// If the callback panics.
    pub fn send_reasoning(&self, text: &str) {
        self.call_back("the on_reasoning callback panicked", text, |on_text| {
            if let Some(callback) = &mut on_text.reasoning {
                (**callback)(text);
            }
        });
    }

    fn call_back(&self, panicked: &'static str, text: &str, call: impl FnOnce(&mut OnText)) {
        // A callback cannot call back into its own call, so the borrow succeeds.
        let Ok(mut callbacks) = self.on_text.try_borrow_mut() else { return };
        let ended = text.is_empty() || self.in_callback.get().is_some();
        if let (Some(callbacks), false) = (callbacks.as_mut(), ended) {
            self.in_callback.set(Some(panicked));
            call(callbacks);
            self.in_callback.set(None);
        }
    }

    /// Marks the start of a further call to the provider. The first call begins with the task.
    pub fn begin_attempt(&self) {
        // The new call sends its text from the start; text that was delivered is kept.
        if !self.text_sent.get() {
            self.sent.forget();
        }
        self.attempts.begin();
    }

    /// Marks that the call that was begun is not made: a wait follows, or a failure without a
    /// call.
    pub(crate) fn withdraw_attempt(&self) {
        self.attempts.withdraw();
    }

    /// Records the outcome of the current call: one `backend_call` event. A backend that never
    /// calls this gets one event for the complete [`AiBackend::process`].
    pub fn end_attempt(&self, attempt: &Attempt<'_>) {
        self.attempts.end(attempt);
    }
}

impl fmt::Debug for CallContext<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CallContext")
            .field("task_id", &self.task_id)
            .field("request", &self.request)
            .field("remaining", &self.remaining())
            .finish_non_exhaustive()
    }
}

/// The error of a task that was cancelled.
pub(crate) fn cancelled() -> TaskError {
    TaskError::new(ErrorKind::Cancelled, "the task was cancelled")
}

/// The error of a task whose deadline passes while it runs.
pub(crate) fn timed_out() -> TaskError {
    TaskError::new(
        ErrorKind::Timeout,
        "no answer within the task's time: raise the timeout, or ask for less",
    )
}
