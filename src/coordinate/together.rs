//! The settings that all coordinated calls share.

use std::fmt;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::answer::Answer;
use super::cancel_handle::CancelHandle;
use super::in_flight::Submitted;
use super::one_at_a_time::OneAtATime;
use crate::error::Error;
use crate::foreign::{Foreign, catch_panic};
use crate::id::HelperId;
use crate::manager::AutomationAssistantManager;
use crate::task::{OnText, Task, TaskRequest};

/// Default deadline of a complete coordinated call, or of each request of a batch: as long as one
/// slow Local model may take.
pub const DEFAULT_TOGETHER_DEADLINE: Duration = Duration::from_secs(300);

/// Streamed text of one of several helpers; see [`Together::on_text`].
#[derive(Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Speech<'a> {
    /// The next delta of the helper's text.
    Text(&'a str),
    /// The text so far is void: another helper has taken over, and its text follows.
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

type SpeechFn = dyn FnMut(HelperId, Speech<'_>) -> ControlFlow<()> + Send;
type ReasoningFn = dyn FnMut(&str) + Send;
type AnswerFn<'a> = dyn FnMut(&Answer) + Send + 'a;

/// The callback of [`Together::on_text`], shared by the requests of a call.
pub(super) type SpeechCallback = Arc<OneAtATime<SpeechFn>>;

/// Runs one request or many over several helpers of a manager. It holds the settings; each kind
/// of call is a method.
///
/// An answer is [`Error::ResultDropped`] if its helper drops the result for newer ones, of others'
/// tasks say, before the call has read it: raise
/// [`max_results`](crate::HelperConfig::max_results) and
/// [`max_result_bytes`](crate::HelperConfig::max_result_bytes), or choose
/// [`WhenResultsFull::RefuseTasks`](crate::limits::WhenResultsFull::RefuseTasks), which prevents it.
///
/// No call applies an [`AdmissionPolicy`](crate::AdmissionPolicy): pass the helpers that
/// [`AdmissionControl::admitted`](crate::AdmissionControl::admitted) returns.
///
/// ```
/// use automation_assistant::{AutomationAssistantManager, TaskRequest, create_local_helper};
/// use automation_assistant::together::Together;
///
/// let manager = AutomationAssistantManager::new(2);
/// let helpers = [create_local_helper(&manager, "a")?, create_local_helper(&manager, "b")?];
/// let race = Together::new(&manager).race(&helpers, &TaskRequest::new("hello"))?;
/// assert!(race.winner().is_some());
/// # Ok::<(), automation_assistant::Error>(())
/// ```
#[derive(Clone)]
pub struct Together<'a> {
    pub(super) manager: &'a AutomationAssistantManager,
    /// The program's deadline for the complete call.
    pub(super) deadline: Option<Duration>,
    pub(super) count_suspended_time: bool,
    pub(super) cancel: CancelHandle,
    on_text: Option<SpeechCallback>,
    on_reasoning: Option<Arc<OneAtATime<ReasoningFn>>>,
    on_answer: Option<Arc<OneAtATime<AnswerFn<'a>>>>,
}

impl<'a> Together<'a> {
    /// Coordinated calls over this manager's helpers.
    pub fn new(manager: &'a AutomationAssistantManager) -> Self {
        Self {
            manager,
            deadline: None,
            count_suspended_time: true,
            cancel: CancelHandle::new(),
            on_text: None,
            on_reasoning: None,
            on_answer: None,
        }
    }

    /// The deadline of a complete call. Tasks still running then are cancelled, and their outcomes
    /// waited for while observers are notified: at most 1 s, which a call in an observer takes, since
    /// none of its tasks can end before that observer returns. (The answer of a task whose observers
    /// take longer is `WaitTimedOut`. Its `on_done` is called when they have returned, on a thread of
    /// the helper, unless another task's was; and its result counts as read.)
    /// Defaults to 300 s; for a [`batch`](Self::batch) to none as a whole, and 300 s for each request
    /// from its hand-over to a helper.
    #[must_use]
    pub fn deadline(mut self, deadline: Duration) -> Self {
        self.deadline = Some(deadline);
        self
    }

    /// Whether time in which the device was suspended (Doze, a closed lid) counts against the
    /// call's deadline; see [`HelperConfig::count_suspended_time`](crate::HelperConfig).
    /// Defaults to `true`.
    #[must_use]
    pub fn count_suspended_time(mut self, count: bool) -> Self {
        self.count_suspended_time = count;
        self
    }

    /// A handle that stops the calls from another thread. Defaults to none.
    #[must_use]
    pub fn cancel_handle(mut self, handle: &CancelHandle) -> Self {
        self.cancel = handle.clone();
        self
    }

    /// Streams the text of all helpers: the callback gets each delta with the id of its
    /// helper. It is called on the helpers' threads, one call at a time, which clones of the
    /// `Together` share: a slow call delays the text of the other helpers. It is not called for
    /// text of calls that are made within it on its thread. Defaults to none.
    #[must_use]
    pub fn on_text(mut self, callback: impl FnMut(HelperId, Speech<'_>) + Send + 'static) -> Self {
        let mut callback = Foreign::new(callback);
        self.on_text = Some(Arc::new(OneAtATime::new(move |helper, speech: Speech<'_>| {
            callback(helper, speech);
            ControlFlow::Continue(())
        })));
        self
    }

    /// Called with each answer of a call as it arrives, those without a task included: once for
    /// each request of a [`batch`](Self::batch), each helper of a [`fan_out`](Self::fan_out) or
    /// [`race`](Self::race), each stage of a [`pipeline`](Self::pipeline). It runs on the thread
    /// of the call; a panic in it is caught. Defaults to none.
    ///
    /// Clones share the callback, which is called one call at a time: a slow one delays the calls
    /// of other threads, also beyond their deadlines. It is not called for answers of calls that are
    /// made within it on its thread. (It must not wait for another thread's call on a clone: that
    /// call waits for it.)
    ///
    /// The `Together` keeps what the closure borrows until it is dropped. A program that reads a
    /// borrowed value afterwards makes the call in one expression, as here, or drops the
    /// `Together` first.
    ///
    /// ```
    /// use automation_assistant::together::Together;
    /// use automation_assistant::{AutomationAssistantManager, TaskRequest, create_local_helper};
    ///
    /// let manager = AutomationAssistantManager::new(2);
    /// let helpers = [create_local_helper(&manager, "a")?, create_local_helper(&manager, "b")?];
    /// let requests: Vec<TaskRequest> = (1..=10).map(|n| format!("page {n}").into()).collect();
    /// let mut done = 0;
    /// let answers = Together::new(&manager)
    ///     .on_answer(|answer| {
    ///         done += 1;
    ///         println!("{done} of 10: {}", answer.text().unwrap_or("no answer"));
    ///     })
    ///     .batch(&helpers, &requests)?;
    /// assert!(answers.iter().all(|answer| answer.is_success()));
    /// assert_eq!(done, 10);
    /// # Ok::<(), automation_assistant::Error>(())
    /// ```
    #[must_use]
    pub fn on_answer(mut self, callback: impl FnMut(&Answer) + Send + 'a) -> Self {
        let mut callback = Foreign::new(callback);
        self.on_answer = Some(Arc::new(OneAtATime::new(move |answer: &Answer| callback(answer))));
        self
    }

    /// Adds a request's own callbacks to the streaming.
    pub(super) fn delta_callbacks(mut self, callbacks: Option<Foreign<OnText>>) -> Self {
        let Some(mut callbacks) = callbacks else { return self };
        if let Some(on_text) = callbacks.text.take() {
            let mut on_text = Foreign::new(on_text);
            self.on_text =
                Some(Arc::new(OneAtATime::new(move |_, speech: Speech<'_>| match speech {
                    Speech::Text(text) => (*on_text)(text),
                    Speech::StartsAgain => ControlFlow::Continue(()),
                })));
        }
        if let Some(on_reasoning) = callbacks.reasoning.take() {
            let mut on_reasoning = Foreign::new(on_reasoning);
            self.on_reasoning =
                Some(Arc::new(OneAtATime::new(move |text: &str| (*on_reasoning)(text))));
        }
        self
    }

    /// The callback of [`on_text`](Self::on_text), unless this call is made within it.
    pub(super) fn speech_callback(&self) -> Option<SpeechCallback> {
        callable(&self.on_text)
    }

    /// The deadline of a complete call other than a batch.
    pub(super) fn whole(&self) -> Duration {
        self.deadline.unwrap_or(DEFAULT_TOGETHER_DEADLINE)
    }

    /// Delivers a final answer: the task, if there is one, to its request's own `on_done`, and
    /// the answer to [`on_answer`](Self::on_answer).
    pub(super) fn settle(&self, template: &TaskRequest, answer: &Answer) {
        if let Ok(task) = &answer.outcome {
            self.call_on_done(template, task);
        }
        self.report_answer(answer);
    }

    /// Calls a request's own `on_done`, when its outcome is first known.
    pub(super) fn call_on_done(&self, template: &TaskRequest, task: &Task) {
        if let Some(on_done) = template.on_done.take() {
            self.fence(task.helper_id, || (on_done.into_inner())(task));
        }
    }

    pub(super) fn report_answer(&self, answer: &Answer) {
        let Some(callback) = callable(&self.on_answer) else { return };
        self.fence(answer.helper_id, || callback.call(|callback| callback(answer)));
    }

    /// Calls code of the program on the thread of the call. A panic is counted at that helper and
    /// changes no answer.
    pub(super) fn fence(&self, helper: HelperId, call: impl FnOnce()) {
        match self.manager.shared(helper) {
            Ok(shared) => shared.fence(call),
            Err(_) => catch_panic(call),
        };
    }

    /// A copy of the template for one helper; see [`prepare`](Self::prepare).
    pub(super) fn request_for(
        &self,
        template: &TaskRequest,
        helper: HelperId,
        until: Option<Instant>,
    ) -> TaskRequest {
        self.prepare(template.clone(), helper, until)
    }

    /// The request with its deadline shortened to the call's, and its text streamed to
    /// [`on_text`](Self::on_text).
    pub(super) fn prepare(
        &self,
        mut request: TaskRequest,
        helper: HelperId,
        until: Option<Instant>,
    ) -> TaskRequest {
        if let Some(until) = until {
            let left = until.saturating_duration_since(Instant::now());
            request.deadline = Some(request.deadline.map_or(left, |own| own.min(left)));
        }
        if let Some(on_text) = self.speech_callback() {
            request = request.on_text_control(move |text| {
                on_text.call(|callback| callback(helper, Speech::Text(text)))
            });
        }
        if let Some(on_reasoning) = self.on_reasoning.clone() {
            request =
                request.on_reasoning(move |text| on_reasoning.call(|callback| callback(text)));
        }
        request
    }

    /// Submits to one helper without waiting for a free place in its queue.
    pub(super) fn submit(
        &self,
        request: TaskRequest,
        helper: HelperId,
    ) -> Result<Submitted, Error> {
        let shared = self.manager.shared(helper)?;
        let submitted = Instant::now();
        let id = shared.submit(request, Duration::ZERO)?;
        Ok(Submitted { shared, id, submitted })
    }
}

/// A callback that this thread, which runs a call, is not in: else the call would wait for itself.
fn callable<F: ?Sized>(callback: &Option<Arc<OneAtATime<F>>>) -> Option<Arc<OneAtATime<F>>> {
    callback.clone().filter(|callback| !callback.is_within())
}

impl fmt::Debug for Together<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Together")
            .field("deadline", &self.deadline)
            .field("cancel", &self.cancel)
            .finish_non_exhaustive()
    }
}
