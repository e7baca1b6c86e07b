//! Ordered helpers: the first one that succeeds answers.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use super::call::CallWatch;
use super::cool_down::{CoolDowns, Probe};
use super::fallback_report::{FallbackReport, Tried, WhyNot};
use super::together::{Speech, Together};
use crate::error::Error;
use crate::event::{Event, EventFacts, EventKind, Fact};
use crate::id::HelperId;
use crate::manager::AutomationAssistantManager;
use crate::task::TaskRequest;

/// Default share of the total time that is reserved for each following helper.
const DEFAULT_SHARE: f64 = 0.2;

/// Ordered helpers (for example a cloud, another cloud, Local), of which the first that succeeds
/// answers.
///
/// A helper whose failure will repeat (no network, a spent quota, a rejected key) is left out for
/// a while: 5 s at first, doubled at each further failure up to 300 s, or as long as its provider
/// asks. Then one request probes it, and a success ends the cool-down. While it is left out it is
/// asked only if no other helper answered. Keep the value and use it for many requests, also from
/// several threads.
///
/// Calls to a helper that is not the last are not retried: the next helper replaces the retry. A
/// result that a helper drops before it is read (see [`Together`]) counts as no answer: the next
/// helper is asked.
///
/// It applies no [`AdmissionPolicy`](crate::AdmissionPolicy): create it from the helpers that
/// [`AdmissionControl::admitted`](crate::AdmissionControl::admitted) returns.
///
/// ```
/// use automation_assistant::together::Fallback;
/// use automation_assistant::{AutomationAssistantManager, create_local_helper};
///
/// let manager = AutomationAssistantManager::new(2);
/// let cloud = create_local_helper(&manager, "stands for a cloud")?;
/// let local = create_local_helper(&manager, "local")?;
/// let fallback = Fallback::new([cloud, local]);
/// let report = fallback.ask(&manager, "hello")?;
/// assert_eq!(report.helper(), Some(cloud));
/// # Ok::<(), automation_assistant::Error>(())
/// ```
pub struct Fallback {
    helpers: Vec<HelperId>,
    share: f64,
    restart_after_text: bool,
    cool_downs: CoolDowns,
}

impl Fallback {
    /// A fallback over these helpers, in this order.
    pub fn new(helpers: impl IntoIterator<Item = HelperId>) -> Self {
        Self {
            helpers: helpers.into_iter().collect(),
            share: DEFAULT_SHARE,
            restart_after_text: false,
            cool_downs: CoolDowns::new(),
        }
    }

    /// The share of the total time, 0 to 1, that is reserved for each following helper; never
    /// more than an equal share. Defaults to 0.2.
    #[must_use]
    pub fn reserve_share(mut self, share: f64) -> Self {
        self.share = share.clamp(0.0, 1.0);
        self
    }

    /// First and longest cool-down after failures that will repeat. Defaults to 5 s and 300 s.
    #[must_use]
    pub fn cool_down(mut self, first: Duration, longest: Duration) -> Self {
        self.cool_downs.limits(first, longest);
        self
    }

    /// Whether another helper may take over after text was delivered to [`Together::on_text`];
    /// the callback then gets [`Speech::StartsAgain`] before the new text. Defaults to `false`:
    /// the request ends with its failure.
    #[must_use]
    pub fn restart_after_text(mut self, restart: bool) -> Self {
        self.restart_after_text = restart;
        self
    }

    /// Asks the helpers in order until one answers, within 300 s or the request's deadline.
    /// Helpers that cool down are asked last, if no other helper answered. The request's callbacks
    /// are called: `on_text` and `on_reasoning` for each helper that is asked (under
    /// [`restart_after_text`](Self::restart_after_text) the text of the next follows that of the
    /// one before), `on_done` once, with the task that the report has or else the last that failed.
    ///
    /// # Errors
    ///
    /// As [`run`](Self::run).
    #[doc(alias = "failover")]
    pub fn ask(
        &self,
        manager: &AutomationAssistantManager,
        request: impl Into<TaskRequest>,
    ) -> Result<FallbackReport, Error> {
        let mut request = request.into();
        let callbacks = request.take_on_text();
        self.run(&Together::new(manager).delta_callbacks(callbacks), &request)
    }

    /// Asks the helpers in order until one answers, with the settings of [`Together`]: its
    /// deadline, cancel handle and `on_text`. Helpers that cool down are asked last, if no other
    /// helper answered. The template's `on_done` is called as by [`ask`](Self::ask); its `on_text`
    /// and `on_reasoning` are not: use [`Together::on_text`].
    ///
    /// # Errors
    ///
    /// [`Error::InvalidRequest`] if there is no helper, or if none of them accepts the
    /// request. A request that no helper answered is a report without a task.
    pub fn run(
        &self,
        together: &Together<'_>,
        template: &TaskRequest,
    ) -> Result<FallbackReport, Error> {
        if self.helpers.is_empty() {
            return Err(Error::InvalidRequest("there is no helper to fall back on".into()));
        }
        // One deadline for all helpers: the template's does not begin anew for each.
        let whole = template.deadline.map_or(together.whole(), |own| own.min(together.whole()));
        let mut call = FallbackCall {
            fallback: self,
            together,
            template,
            whole,
            watch: CallWatch::new(together, whole),
            report: FallbackReport { task: None, tried: Vec::new(), ended_early: None },
            not_asked: self.helpers.len(),
            unreported: 0,
            starts_again: Arc::new(AtomicBool::new(false)),
        };
        let goes_on = self.helpers.iter().all(|&helper| call.ask_or_leave_out(helper));
        if goes_on {
            call.ask_those_left_out();
        }
        call.finish()
    }
}

/// One request, asked of one helper after the other.
struct FallbackCall<'a, 't> {
    fallback: &'a Fallback,
    together: &'a Together<'t>,
    template: &'a TaskRequest,
    /// The time for the complete call.
    whole: Duration,
    watch: CallWatch<'a>,
    report: FallbackReport,
    /// The number of helpers that may still be asked.
    not_asked: usize,
    /// How many entries at the end of `report.tried` were not reported to the observers.
    unreported: usize,
    /// Whether text was delivered and another helper has taken over: its first delta comes after
    /// [`Speech::StartsAgain`].
    starts_again: Arc<AtomicBool>,
}

impl FallbackCall<'_, '_> {
    /// Asks the helper unless it is cooling down; returns whether to go on with the next.
    fn ask_or_leave_out(&mut self, helper: HelperId) -> bool {
        match self.fallback.cool_downs.admit(helper) {
            Ok(probe) => self.ask(helper, probe),
            Err(left) => {
                self.note(helper, WhyNot::CoolingDown(left));
                true
            }
        }
    }

    /// Asks the helpers that were left out.
    fn ask_those_left_out(&mut self) {
        let cools = |tried: &Tried| matches!(tried.why, WhyNot::CoolingDown(_));
        let left_out: Vec<_> =
            self.report.tried.iter().filter(|tried| cools(tried)).map(|t| t.helper_id).collect();
        for helper in left_out {
            // Its entry is moved behind those asked since.
            self.report.tried.retain(|tried| tried.helper_id != helper || !cools(tried));
            self.unreported = self.unreported.min(self.report.tried.len());
            if !self.ask(helper, None) {
                return;
            }
        }
    }

    fn note(&mut self, helper_id: HelperId, why: WhyNot) {
        self.report.tried.push(Tried { helper_id, why });
        self.unreported += 1;
    }

    /// Asks one helper; returns whether to go on with the next.
    fn ask(&mut self, helper: HelperId, probe: Option<Probe<'_>>) -> bool {
        if let Some(over) = self.watch.over() {
            self.report.ended_early = Some(over);
            return false;
        }
        self.not_asked -= 1;
        let tried = &self.report.tried;
        for before in &tried[tried.len() - self.unreported..] {
            report_switch(self.together, before, helper);
        }
        self.unreported = 0;
        let began = Instant::now();
        let spoke = Arc::new(AtomicBool::new(false));
        let outcome = self
            .together
            .submit(self.request(helper, &spoke), helper)
            .and_then(|task| self.watch.await_task(task, Some(self.template)));
        let why = match outcome {
            Ok(task) if task.is_success() => {
                self.fallback.cool_downs.note_success(helper);
                // An answer that was not streamed also voids the text before it.
                self.announce_restart(helper);
                self.report.task = Some(task);
                return false;
            }
            Ok(task) => WhyNot::Failed(Box::new(task)),
            Err(error) => WhyNot::Refused(error),
        };
        if let WhyNot::Failed(task) = &why {
            if let Some(error) = &task.error {
                self.fallback.cool_downs.note_failure(helper, error, began);
            }
        }
        drop(probe);
        self.note(helper, why);
        if spoke.load(Ordering::SeqCst) {
            self.starts_again.store(true, Ordering::SeqCst);
            return self.fallback.restart_after_text;
        }
        true
    }

    /// The template with this helper's share of the time. `spoke` is set when text is delivered.
    fn request(&self, helper: HelperId, spoke: &Arc<AtomicBool>) -> TaskRequest {
        let mut request = self.together.request_for(self.template, helper, self.watch.until());
        let following = self.not_asked as u32;
        if following > 0 {
            if let Some(until) = self.watch.until() {
                let left = until.saturating_duration_since(Instant::now());
                let share = self.fallback.share.min(1.0 / f64::from(following + 1));
                let kept = self.whole.mul_f64(share).saturating_mul(following);
                // Earlier helpers may have taken more than their share.
                let own = left.saturating_sub(kept).max(left / (following + 1));
                request.deadline = Some(own);
            }
            request.max_retries = request.max_retries.or(Some(0));
        }
        if let Some(on_text) = self.together.speech_callback() {
            let (spoke, starts_again) = (Arc::clone(spoke), Arc::clone(&self.starts_again));
            request = request.on_text_control(move |text| {
                spoke.store(true, Ordering::SeqCst);
                if starts_again.swap(false, Ordering::SeqCst) {
                    on_text.call(|callback| callback(helper, Speech::StartsAgain))?;
                }
                on_text.call(|callback| callback(helper, Speech::Text(text)))
            });
        }
        request
    }

    /// Calls the template's `on_done` with the task that decided.
    fn call_on_done(&self) {
        let failed = || {
            self.report.tried.iter().rev().find_map(|tried| match &tried.why {
                WhyNot::Failed(task) => Some(task.as_ref()),
                _ => None,
            })
        };
        if let Some(task) = self.report.task.as_ref().or_else(failed) {
            self.together.call_on_done(self.template, task);
        }
    }

    /// Announces that the text starts again, unless that was done. Runs on the caller's thread: a
    /// panic of the callback is counted and does not change the answer.
    fn announce_restart(&self, helper: HelperId) {
        let Some(on_text) = self.together.speech_callback() else { return };
        if !self.starts_again.swap(false, Ordering::SeqCst) {
            return;
        }
        self.together.fence(helper, || {
            // The answer is complete: there is nothing to stop.
            let _ = on_text.call(|callback| callback(helper, Speech::StartsAgain));
        });
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
        // The last helper's task may have failed because the call ended.
        if report.task.is_none() && report.ended_early.is_none() {
            report.ended_early = self.watch.over();
        }
        self.call_on_done();
        Ok(self.report)
    }
}

/// Notifies the observers that this helper takes over, and of the reason.
fn report_switch(together: &Together<'_>, before: &Tried, to: HelperId) {
    let Ok(shared) = together.manager.shared(to) else { return };
    let (from_id, to_id) = (before.helper_id.to_string(), to.to_string());
    // A terminated helper has no name.
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
    event.facts = EventFacts::Named(&facts);
    shared.observers.notify(&event);
}

impl fmt::Debug for Fallback {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Fallback")
            .field("helpers", &self.helpers)
            .field("cooling", &self.cool_downs.helpers())
            .finish_non_exhaustive()
    }
}
