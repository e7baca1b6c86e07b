//! The settings that all coordinated calls share.

use std::fmt;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use super::cancel_handle::CancelHandle;
use super::in_flight::Submitted;
use crate::error::Error;
use crate::id::HelperId;
use crate::manager::AutomationAssistantManager;
use crate::task::TaskRequest;

/// Default time for a whole coordinated call: as long as one slow Local model may take.
pub const DEFAULT_TOGETHER_DEADLINE: Duration = Duration::from_secs(300);

/// Streamed text of one of several helpers; see [`Together::on_text`].
#[derive(Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Speech<'a> {
    /// The next delta of the helper's text.
    Text(&'a str),
    /// All text so far is void: another helper has taken over, and its text follows.
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

type Callback = dyn FnMut(HelperId, Speech<'_>) + Send;

/// The callback of [`Together::on_text`], shared by the requests of a call.
#[derive(Clone)]
pub(super) struct SpeechCallback(Arc<Mutex<Callback>>);

impl SpeechCallback {
    pub(super) fn call(&self, helper: HelperId, speech: Speech<'_>) {
        let mut callback = self.0.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        callback(helper, speech);
    }
}

/// Runs one request or many over several helpers of a manager. Holds the settings of such
/// calls; each call is a method.
///
/// No call asks an [`AdmissionPolicy`](crate::AdmissionPolicy): pass the helpers that
/// [`AdmissionControl::admitted`](crate::AdmissionControl::admitted) returns.
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
    pub(super) manager: &'a AutomationAssistantManager,
    pub(super) deadline: Duration,
    pub(super) count_suspended_time: bool,
    pub(super) cancel: CancelHandle,
    pub(super) on_text: Option<SpeechCallback>,
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

    /// The time for a whole call. Tasks still running at its end are cancelled. Defaults to
    /// 300 s.
    #[must_use]
    pub fn deadline(mut self, deadline: Duration) -> Self {
        self.deadline = deadline;
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
    /// helper. It is called on the helpers' threads, one call at a time. Defaults to none.
    #[must_use]
    pub fn on_text(mut self, callback: impl FnMut(HelperId, Speech<'_>) + Send + 'static) -> Self {
        self.on_text = Some(SpeechCallback(Arc::new(Mutex::new(callback))));
        self
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
        if let Some(on_text) = self.on_text.clone() {
            request = request.on_text(move |text| on_text.call(helper, Speech::Text(text)));
        }
        request
    }

    /// Submits to one helper without waiting for room in its queue.
    pub(super) fn submit(
        &self,
        request: TaskRequest,
        helper: HelperId,
    ) -> Result<Submitted, Error> {
        let shared = self.manager.shared(helper)?;
        let id = shared.submit(request, Duration::ZERO)?;
        Ok(Submitted { shared, id })
    }
}

impl fmt::Debug for Together<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Together")
            .field("deadline", &self.deadline)
            .field("cancel", &self.cancel)
            .finish_non_exhaustive()
    }
}
