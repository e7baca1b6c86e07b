//! Ordered helpers, of which the first that can answers.

use std::collections::HashMap;
use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use super::gather::{await_one, will_repeat};
use super::{Speech, Together, Vigil, say};
use crate::error::Error;
use crate::event::{Event, EventKind, Fact};
use crate::foreign::catch_panic;
use crate::id::HelperId;
use crate::task::{Task, TaskRequest};
use crate::task_error::ErrorKind;

/// Default share of the whole time that is kept for each helper that follows.
const DEFAULT_SHARE: f64 = 0.2;
/// Default first pause of a helper that failed in a way that will repeat.
const DEFAULT_PAUSE: Duration = Duration::from_secs(5);
/// Default longest pause.
const DEFAULT_PAUSE_MAX: Duration = Duration::from_secs(300);

/// Ordered helpers (say cloud, other cloud, Local), of which the first that can answers.
///
/// A helper that fails in a way that will repeat (no network, a spent quota, a refused key)
/// is left out for a while: 5 s at first, doubled each time up to 300 s, or as long as its
/// provider asks. Then one task tries it again, and a success brings it back. While it is left
/// out it is asked only if nobody else answered. Keep the value and use it for many requests,
/// from several threads if you like.
///
/// Attempts at a helper that others follow are not retried: the next helper is the retry.
///
/// It asks no [`AdmissionPolicy`](crate::AdmissionPolicy): make it of the helpers that
/// [`AdmissionControl::admitted`](crate::AdmissionControl::admitted) leaves.
///
/// ```
/// use automation_assistant::{
///     AutomationAssistantManager, Fallback, TaskRequest, Together, create_local_helper,
/// };
///
/// let manager = AutomationAssistantManager::new(2);
/// let cloud = create_local_helper(&manager, "stands for a cloud")?;
/// let local = create_local_helper(&manager, "local")?;
/// let fallback = Fallback::new([cloud, local]);
/// let report = fallback.run(&Together::new(&manager), &TaskRequest::new("hello"))?;
/// assert_eq!(report.helper(), Some(cloud));
/// # Ok::<(), automation_assistant::Error>(())
/// ```
pub struct Fallback {
    helpers: Vec<HelperId>,
    share: f64,
    pause: Duration,
    pause_max: Duration,
    restart_after_text: bool,
    cooling: Mutex<HashMap<HelperId, Cooling>>,
}

/// A helper on its cool-down.
struct Cooling {
    until: Instant,
    pause: Duration,
    /// One task tries it just now.
    probing: bool,
}

/// Why a helper gave no answer.
#[derive(Debug)]
#[non_exhaustive]
pub enum WhyNot {
    /// Its task failed.
    Failed(Box<Task>),
    /// The task could not be submitted or waited for.
    Refused(Error),
    /// It is left out for so long yet, after failures that will repeat.
    CoolingDown(Duration),
}

impl WhyNot {
    /// A short name, for telemetry and for people.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Failed(task) => task.error.as_ref().map_or("other", |e| e.kind().as_str()),
            Self::Refused(Error::QueueFull(_)) => "queue_full",
            Self::Refused(Error::Stopped(_)) => "stopped",
            Self::Refused(Error::UnknownHelper(_)) => "unknown_helper",
            Self::Refused(Error::InvalidRequest(_)) => "invalid_request",
            Self::Refused(_) => "refused",
            Self::CoolingDown(_) => "cooling_down",
        }
    }
}

/// A helper that was asked, or left out, before another one answered.
#[derive(Debug)]
#[non_exhaustive]
pub struct Tried {
    /// The helper.
    pub helper_id: HelperId,
    /// Why the answer is not its.
    pub why: WhyNot,
}

/// What became of a request over ordered helpers.
#[derive(Debug)]
#[non_exhaustive]
pub struct FallbackReport {
    /// The successful task, if any helper had one.
    pub task: Option<Task>,
    /// The helpers before it (or all of them), in the order in which they were asked or left
    /// out, and why the answer is not theirs.
    pub tried: Vec<Tried>,
    /// Why nobody answered although not all were heard to the end: [`ErrorKind::Cancelled`],
    /// or [`ErrorKind::Timeout`] when the call's time was over.
    pub ended_early: Option<ErrorKind>,
}

impl FallbackReport {
    /// The text, if any helper answered.
    pub fn text(&self) -> Option<&str> {
        self.task.as_ref().and_then(|task| task.result.as_deref())
    }

    /// The helper that answered.
    pub fn helper(&self) -> Option<HelperId> {
        self.task.as_ref().map(|task| task.helper_id)
    }
}

impl Fallback {
    /// Over these helpers, in this order.
    pub fn new(helpers: impl IntoIterator<Item = HelperId>) -> Self {
        Self {
            helpers: helpers.into_iter().collect(),
            share: DEFAULT_SHARE,
            pause: DEFAULT_PAUSE,
            pause_max: DEFAULT_PAUSE_MAX,
            restart_after_text: false,
            cooling: Mutex::new(HashMap::new()),
        }
    }

    /// The share of the whole time, 0 to 1, that is kept for each helper that follows; never
    /// more than an equal share. Defaults to 0.2.
    #[must_use]
    pub fn reserve_share(mut self, share: f64) -> Self {
        self.share = share.clamp(0.0, 1.0);
        self
    }

    /// First and longest pause of a helper that failed in a way that will repeat. Defaults
    /// to 5 s and 300 s.
    #[must_use]
    pub fn cool_down(mut self, first: Duration, longest: Duration) -> Self {
        self.pause = first;
        self.pause_max = longest.max(first);
        self
    }

    /// Whether another helper may take over after text was delivered to
    /// [`Together::on_text`]; the callback is told that the text starts again. Defaults to
    /// `false`: what was said stands, and the request ends as it failed.
    #[must_use]
    pub fn restart_after_text(mut self, restart: bool) -> Self {
        self.restart_after_text = restart;
        self
    }

    /// Asks the helpers in order until one answers. Helpers on their cool-down are asked last,
    /// if nobody else answered: better than to fail without a try. The template's own
    /// callbacks are not called; use [`Together::on_text`].
    ///
    /// # Errors
    ///
    /// [`Error::InvalidRequest`] if there is no helper, or if none of them accepts the
    /// request. That nobody answered stands in the report.
    pub fn run(
        &self,
        together: &Together<'_>,
        template: &TaskRequest,
    ) -> Result<FallbackReport, Error> {
        if self.helpers.is_empty() {
            return Err(Error::InvalidRequest("there is no helper to fall back on".into()));
        }
        // One deadline for all of them: the template's does not begin anew with each.
        let whole = template.deadline.map_or(together.deadline, |own| own.min(together.deadline));
        let mut run = Run {
            fallback: self,
            together,
            template,
            whole,
            vigil: Vigil::new(together, whole),
            report: FallbackReport { task: None, tried: Vec::new(), ended_early: None },
            not_asked: self.helpers.len(),
            untold: 0,
            starts_again: Arc::new(AtomicBool::new(false)),
        };
        let goes_on = self.helpers.iter().all(|&helper| run.ask_or_leave_out(helper));
        if goes_on {
            run.ask_those_left_out();
        }
        run.finish()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<HelperId, Cooling>> {
        self.cooling.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    /// How long the helper is left out yet, if it may not be asked. The first who asks after
    /// its cool-down is the probe; others go on without it until that has ended.
    fn admit(&self, helper: HelperId) -> Result<Probe<'_>, Duration> {
        let mut cooling = self.lock();
        let Some(cool) = cooling.get_mut(&helper) else {
            return Ok(Probe { fallback: self, helper: None });
        };
        let left = cool.until.saturating_duration_since(Instant::now());
        if left.is_zero() && !cool.probing {
            cool.probing = true;
            return Ok(Probe { fallback: self, helper: Some(helper) });
        }
        Err(left)
    }

    /// Begins or lengthens a cool-down. The pause grows once an outage, however many requests
    /// were under way when it began: only a try that began after the last pause counts.
    fn note_failure(&self, helper: HelperId, why: &WhyNot, began: Instant) {
        let WhyNot::Failed(task) = why else { return };
        let Some(error) = task.error.as_ref().filter(|error| will_repeat(error.kind())) else {
            return;
        };
        let mut cooling = self.lock();
        let now = Instant::now();
        let (pause, least) = match cooling.get(&helper) {
            None => (self.pause, now),
            Some(cool) if began < cool.until => (cool.pause, cool.until),
            Some(cool) => (cool.pause.saturating_mul(2).min(self.pause_max), now),
        };
        let fresh = if least == now { pause } else { Duration::ZERO };
        let wait = error.retry_after().unwrap_or_default().max(fresh);
        let until = now.checked_add(wait).unwrap_or(now).max(least);
        let probing = cooling.get(&helper).is_some_and(|cool| cool.probing);
        cooling.insert(helper, Cooling { until, pause, probing });
    }
}

/// The right to try a helper after its cool-down; given up when dropped.
struct Probe<'a> {
    fallback: &'a Fallback,
    /// The helper, if it cooled down.
    helper: Option<HelperId>,
}

impl Drop for Probe<'_> {
    fn drop(&mut self) {
        let Some(helper) = self.helper else { return };
        if let Some(cool) = self.fallback.lock().get_mut(&helper) {
            cool.probing = false;
        }
    }
}

/// One request on its way through the helpers.
struct Run<'a> {
    fallback: &'a Fallback,
    together: &'a Together<'a>,
    template: &'a TaskRequest,
    /// The time for all of it.
    whole: Duration,
    vigil: Vigil<'a>,
    report: FallbackReport,
    /// Helpers that may be asked yet.
    not_asked: usize,
    /// How many of those tried last the observers were not told of.
    untold: usize,
    /// Something was said, and another helper works now: its first word comes after a notice.
    starts_again: Arc<AtomicBool>,
}

impl Run<'_> {
    /// Asks the helper unless it cools down; tells whether to go on with the next.
    fn ask_or_leave_out(&mut self, helper: HelperId) -> bool {
        match self.fallback.admit(helper) {
            Ok(probe) => self.ask(helper, probe),
            Err(left) => {
                self.note(helper, WhyNot::CoolingDown(left));
                true
            }
        }
    }

    /// Asks those that cool down after all.
    fn ask_those_left_out(&mut self) {
        let cools = |tried: &Tried| matches!(tried.why, WhyNot::CoolingDown(_));
        let left_out: Vec<_> =
            self.report.tried.iter().filter(|tried| cools(tried)).map(|t| t.helper_id).collect();
        for helper in left_out {
            // Its place is behind those asked before it now.
            self.report.tried.retain(|tried| tried.helper_id != helper || !cools(tried));
            self.untold = self.untold.min(self.report.tried.len());
            if !self.ask(helper, Probe { fallback: self.fallback, helper: None }) {
                return;
            }
        }
    }

    fn note(&mut self, helper_id: HelperId, why: WhyNot) {
        self.report.tried.push(Tried { helper_id, why });
        self.untold += 1;
    }

    /// Asks one helper; tells whether to go on with the next.
    fn ask(&mut self, helper: HelperId, probe: Probe<'_>) -> bool {
        if let Some(over) = self.vigil.over() {
            self.report.ended_early = Some(over);
            return false;
        }
        self.not_asked -= 1;
        let tried = &self.report.tried;
        for before in &tried[tried.len() - self.untold..] {
            tell(self.together, before, helper);
        }
        self.untold = 0;
        let began = Instant::now();
        let spoken =
            Spoken::listen(self.together, self.request(helper), helper, &self.starts_again);
        let outcome = self
            .together
            .submit(spoken.request, helper)
            .and_then(|pending| await_one(&mut self.vigil, pending));
        let why = match outcome {
            Ok(task) if task.is_success() => {
                self.fallback.lock().remove(&helper);
                // An answer that came in one piece is told of too.
                announce(self.together, helper, &self.starts_again);
                self.report.task = Some(task);
                return false;
            }
            Ok(task) => WhyNot::Failed(Box::new(task)),
            Err(error) => WhyNot::Refused(error),
        };
        self.fallback.note_failure(helper, &why, began);
        drop(probe);
        self.note(helper, why);
        if spoken.spoke.load(Ordering::SeqCst) {
            self.starts_again.store(true, Ordering::SeqCst);
            return self.fallback.restart_after_text;
        }
        true
    }

    /// The template with this helper's share of the time.
    fn request(&self, helper: HelperId) -> TaskRequest {
        let mut request = self.together.request_for(self.template, helper, self.vigil.until());
        let following = self.not_asked as u32;
        if following > 0 {
            if let Some(until) = self.vigil.until() {
                let left = until.saturating_duration_since(Instant::now());
                let share = self.fallback.share.min(1.0 / f64::from(following + 1));
                let kept = self.whole.mul_f64(share).saturating_mul(following);
                // Those before may have taken more than was theirs.
                let own = left.saturating_sub(kept).max(left / (following + 1));
                request.deadline = Some(own);
            }
            request.max_retries = request.max_retries.or(Some(0));
        }
        request
    }

    /// The report; an error if the request itself is at fault.
    fn finish(mut self) -> Result<FallbackReport, Error> {
        let invalid =
            |tried: &Tried| matches!(tried.why, WhyNot::Refused(Error::InvalidRequest(_)));
        let report = &mut self.report;
        if report.task.is_none() && !report.tried.is_empty() && report.tried.iter().all(invalid) {
            if let Some(Tried { why: WhyNot::Refused(error), .. }) = report.tried.pop() {
                return Err(error);
            }
        }
        // Whoever was asked last may have run out of the call's time, or been cancelled.
        if report.task.is_none() && report.ended_early.is_none() {
            report.ended_early = self.vigil.over();
        }
        Ok(self.report)
    }
}

/// A request that remembers whether its helper said anything to the caller.
struct Spoken {
    request: TaskRequest,
    spoke: Arc<AtomicBool>,
}

impl Spoken {
    fn listen(
        together: &Together<'_>,
        mut request: TaskRequest,
        helper: HelperId,
        starts_again: &Arc<AtomicBool>,
    ) -> Self {
        let spoke = Arc::new(AtomicBool::new(false));
        if let Some(callback) = &together.on_text {
            let (callback, heard) = (Arc::clone(callback), Arc::clone(&spoke));
            let again = Arc::clone(starts_again);
            request = request.on_text(move |text| {
                heard.store(true, Ordering::SeqCst);
                if again.swap(false, Ordering::SeqCst) {
                    say(&callback, helper, Speech::StartsAgain);
                }
                say(&callback, helper, Speech::Text(text));
            });
        }
        Self { request, spoke }
    }
}

/// Says that the text starts again, unless it was said. On a helper's thread a panic in the
/// callback would end the task; here the task has ended well, and that stands.
fn announce(together: &Together<'_>, helper: HelperId, starts_again: &AtomicBool) {
    let Some(callback) = &together.on_text else { return };
    if starts_again.swap(false, Ordering::SeqCst) {
        let call = || say(callback, helper, Speech::StartsAgain);
        match together.manager.shared(helper) {
            Ok(shared) => shared.fence(call),
            Err(_) => catch_panic(call),
        };
    }
}

/// Tells the observers which helper takes over for whom, and why.
fn tell(together: &Together<'_>, before: &Tried, to: HelperId) {
    let Ok(shared) = together.manager.shared(to) else { return };
    let (from_id, to_id) = (before.helper_id.to_string(), to.to_string());
    // One that was terminated has left its id alone.
    let from = together.manager.shared(before.helper_id);
    let from_name = from.as_ref().map_or(from_id.as_str(), |from| from.shown_name());
    let facts = [
        ("from", Fact::Text(&from_id)),
        ("to", Fact::Text(&to_id)),
        ("from_name", Fact::Text(from_name)),
        ("to_name", Fact::Text(shared.shown_name())),
        ("why", Fact::Text(before.why.as_str())),
    ];
    let mut event = Event::new(EventKind::Fallback).helper(shared.id, &shared.backend_name);
    event.facts = &facts;
    shared.observers.notify(&event);
}

impl fmt::Debug for Fallback {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Fallback")
            .field("helpers", &self.helpers)
            .field("cooling", &self.lock().keys().collect::<Vec<_>>())
            .finish_non_exhaustive()
    }
}
