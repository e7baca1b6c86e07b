//! Cloud tasks and a device under pressure.

use std::fmt;
use std::time::{Duration, Instant, SystemTime};

use super::cancel_handle::CancelHandle;
use crate::device::{Admission, AdmissionPolicy, DeviceReader, DeviceWatch, Pressure};
use crate::error::Error;
use crate::event::{Event, EventFacts, EventKind, Fact};
use crate::helper::shared::{Shared, Watch};
use crate::id::{HelperId, TaskId};
use crate::manager::AutomationAssistantManager;
use crate::suspended::SuspendedTime;
use crate::sync::Arc;
use crate::task::{TaskRequest, millis};

/// Default limit on waiting for the device to get better.
const DEFAULT_MAX_WAIT: Duration = Duration::from_secs(60);
/// Default pause of a waiting task between two reads of the device: no system reports changes of
/// its battery or temperature, and neither changes faster.
const DEFAULT_LOOK_EVERY: Duration = Duration::from_secs(5);
/// Least pause: each read takes some twenty files.
const LOOK_EVERY_MIN: Duration = Duration::from_millis(10);

// Names of decisions in events; `Admission` has the first two and `wait`.
const REFUSE: &str = "refuse";
const USE_LOCAL: &str = "use_local";
const LEAVE_OUT: &str = "leave_out";
const ADMIT_AFTER_WAIT: &str = "admit_after_wait";
const REFUSE_AFTER_WAIT: &str = "refuse_after_wait";
const CANCEL_WAIT: &str = "cancel_wait";

/// Applies an [`AdmissionPolicy`] to cloud tasks: holds them back while the device is beyond a
/// limit.
///
/// A task for a helper that stays on the device is submitted as it is. Observers are notified of
/// each decision against a cloud task, by an `admission` event with the facts `decision` and
/// `pressure`. Decisions are `refuse`, `use_local` (the fact `to` names the helper), `leave_out`
/// (see [`admitted`](Self::admitted)) and `wait`; each `wait` is followed by `admit_after_wait`,
/// `refuse_after_wait` or `cancel_wait` (by the handle, or because the helper was terminated), with
/// the time waited.
///
/// [`Together`](crate::Together) and [`Fallback`](crate::Fallback) submit tasks themselves and
/// apply no policy: pass them the helpers that [`admitted`](Self::admitted) returns.
///
/// ```
/// use automation_assistant::{AutomationAssistantManager, create_local_helper};
/// use automation_assistant::device::{AdmissionPolicy, CloudAction};
/// use automation_assistant::together::AdmissionControl;
/// use std::time::Duration;
///
/// let manager = AutomationAssistantManager::new(2);
/// let local = create_local_helper(&manager, "local")?;
/// let policy = AdmissionPolicy::new().min_battery_percent(20).when_beyond(CloudAction::UseLocal);
/// let control = AdmissionControl::new(policy).local_helper(local);
/// // The task may have gone to another helper than the one asked for.
/// let (helper, task) = control.submit(&manager, local, "hello")?;
/// manager.wait_task(helper, task, Duration::from_secs(5))?;
/// # Ok::<(), automation_assistant::Error>(())
/// ```
pub struct AdmissionControl {
    policy: AdmissionPolicy,
    device: DeviceWatch,
    local: Option<HelperId>,
    max_wait: Duration,
    look_every: Duration,
    cancel: CancelHandle,
}

/// How a pause between two reads ended.
enum Paused {
    Look,
    Late,
    Cancelled,
}

/// The time since a wait began; the device may be suspended during it, the likelier the lower its
/// charge.
struct Wait<'a> {
    began: (SystemTime, Instant),
    /// The suspended time, if it counts.
    suspended: Option<&'a SuspendedTime>,
}

impl Wait<'_> {
    fn time(&self) -> Duration {
        let (wall, began) = self.began;
        let suspended =
            self.suspended.map_or(Duration::ZERO, |suspended| suspended.since(wall, began));
        began.elapsed().saturating_add(suspended)
    }
}

impl AdmissionControl {
    /// A control with this policy, over this device.
    pub fn new(policy: AdmissionPolicy) -> Self {
        Self {
            policy,
            device: DeviceWatch::new(DeviceReader::new()),
            local: None,
            max_wait: DEFAULT_MAX_WAIT,
            look_every: DEFAULT_LOOK_EVERY,
            cancel: CancelHandle::new(),
        }
    }

    /// Sets the watch that provides the snapshots. Defaults to one over [`DeviceReader::new`],
    /// which starts no process.
    #[must_use]
    pub fn device(mut self, device: DeviceWatch) -> Self {
        self.device = device;
        self
    }

    /// The helper that gets the tasks under
    /// [`CloudAction::UseLocal`](crate::CloudAction::UseLocal); without one they are rejected. It
    /// must stay on this device, or nothing is submitted (see [`submit`](Self::submit)). Defaults
    /// to none.
    #[must_use]
    pub fn local_helper(mut self, helper: HelperId) -> Self {
        self.local = Some(helper);
        self
    }

    /// The longest time that a task waits until the device is within its limits; its own deadline
    /// can shorten it. Suspended time counts, unless the helper's configuration excludes it.
    /// Defaults to 60 s.
    #[must_use]
    pub fn max_wait(mut self, wait: Duration) -> Self {
        self.max_wait = wait;
        self
    }

    /// The pause of a waiting task between two reads of the device, at least 10 ms. The device is
    /// read again only if the [`DeviceWatch`]'s last snapshot is too old. Defaults to 5 s.
    #[must_use]
    pub fn look_every(mut self, pause: Duration) -> Self {
        self.look_every = pause.max(LOOK_EVERY_MIN);
        self
    }

    /// A handle that ends the wait from another thread. Defaults to none.
    #[must_use]
    pub fn cancel_handle(mut self, handle: &CancelHandle) -> Self {
        self.cancel = handle.clone();
        self
    }

    /// Submits a task to the helper, or as the policy decides; returns the helper that received
    /// it. Blocks under [`CloudAction::Wait`](crate::CloudAction::Wait).
    ///
    /// # Errors
    ///
    /// [`Error::NotAdmitted`], which returns the request and the time waited; [`Error::Stopped`],
    /// which returns the request too, if the helper was terminated meanwhile;
    /// [`Error::InvalidConfig`] if the local helper sends its tasks to another device; else as
    /// [`AutomationAssistantManager::submit_task`].
    pub fn submit(
        &self,
        manager: &AutomationAssistantManager,
        helper: HelperId,
        request: impl Into<TaskRequest>,
    ) -> Result<(HelperId, TaskId), Error> {
        let mut request = request.into();
        let shared = manager.shared(helper)?;
        if !shared.leaves_device() {
            return submit(&shared, request);
        }
        self.check_local(manager)?;
        let suspended = &shared.observers.suspended;
        suspended.watch();
        let wait = Wait {
            began: (SystemTime::now(), Instant::now()),
            suspended: Some(suspended).filter(|_| shared.config.count_suspended_time),
        };
        let patience = request.deadline.map_or(self.max_wait, |own| own.min(self.max_wait));
        // The pressure that the task waits for to end.
        let mut before: Option<Pressure> = None;
        loop {
            let decision = self.policy.decide(&self.device.snapshot());
            let name = decision.as_str();
            let pressure = match decision {
                Admission::Admit => {
                    if let Some(before) = before {
                        report(&shared, ADMIT_AFTER_WAIT, &before, Some(wait.time()), None);
                    }
                    // This wait counts too: a deadline runs from submission.
                    request.deadline = request.deadline.map(|own| own.saturating_sub(wait.time()));
                    return submit(&shared, request);
                }
                Admission::Refuse(pressure) => {
                    report(&shared, name, &pressure, None, None);
                    return Err(not_admitted(pressure.to_string(), None, false, request));
                }
                Admission::UseLocal(pressure) => {
                    return self.to_local(manager, &shared, &pressure, request);
                }
                Admission::Wait(pressure) => pressure,
            };
            if before.is_none() {
                report(&shared, name, &pressure, None, None);
            }
            let cancelled = match self.pause(&wait, patience) {
                Paused::Look if manager.shared(helper).is_err() => {
                    report(&shared, CANCEL_WAIT, &pressure, Some(wait.time()), None);
                    return Err(Error::Stopped(Box::new(request)));
                }
                Paused::Look => {
                    before = Some(pressure);
                    continue;
                }
                Paused::Late => false,
                Paused::Cancelled => true,
            };
            let waited = Some(wait.time());
            let end = if cancelled { CANCEL_WAIT } else { REFUSE_AFTER_WAIT };
            report(&shared, end, &pressure, waited, None);
            return Err(not_admitted(pressure.to_string(), waited, cancelled, request));
        }
    }

    /// Returns those of these helpers that may receive a task now, for a call over several
    /// helpers, such as [`Together::fan_out`](crate::Together::fan_out) and
    /// [`Fallback::new`](crate::Fallback::new).
    ///
    /// Helpers that stay on the device always remain, in their order; so do unknown ids, which
    /// the call itself reports. While the device is beyond a limit, cloud helpers are left out,
    /// under every action of the policy: this call never waits. Under
    /// [`CloudAction::UseLocal`](crate::CloudAction::UseLocal) the local helper replaces them,
    /// once, at the place of the first. The list may be empty.
    ///
    /// ```
    /// use automation_assistant::{AutomationAssistantManager, TaskRequest, create_local_helper};
    /// use automation_assistant::device::DeviceProfile;
    /// use automation_assistant::together::{AdmissionControl, Together, Want};
    ///
    /// let manager = AutomationAssistantManager::new(2);
    /// let helpers = [create_local_helper(&manager, "a")?, create_local_helper(&manager, "b")?];
    /// let control = AdmissionControl::new(DeviceProfile::detect().admission());
    /// let fit = control.admitted(&manager, &helpers)?;
    /// let request = TaskRequest::new("hello");
    /// let answers = Together::new(&manager).fan_out(&fit, &request, Want::All)?;
    /// assert_eq!(answers.len(), 2);
    /// # Ok::<(), automation_assistant::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::InvalidConfig`] if the local helper sends its tasks to another device.
    pub fn admitted(
        &self,
        manager: &AutomationAssistantManager,
        helpers: &[HelperId],
    ) -> Result<Vec<HelperId>, Error> {
        let leaves = |shared: &Shared| shared.leaves_device();
        let known = |id: &HelperId| manager.shared(*id).ok();
        if !helpers.iter().filter_map(known).any(|shared| leaves(&shared)) {
            return Ok(helpers.to_vec());
        }
        self.check_local(manager)?;
        let decision = self.policy.decide(&self.device.snapshot());
        let Some(pressure) = decision.pressure() else { return Ok(helpers.to_vec()) };
        let local = self.local.filter(|_| matches!(decision, Admission::UseLocal(_)));
        let mut fit = Vec::with_capacity(helpers.len());
        for &helper in helpers {
            match manager.shared(helper).ok().filter(|shared| leaves(shared)) {
                None => fit.push(helper),
                Some(shared) => {
                    let name = if local.is_some() { decision.as_str() } else { LEAVE_OUT };
                    report(&shared, name, pressure, None, local);
                    let stands_in =
                        |local: &HelperId| !helpers.contains(local) && !fit.contains(local);
                    fit.extend(local.filter(stands_in));
                }
            }
        }
        Ok(fit)
    }

    /// Checks that the local helper stays on this device. Checked at every call, not only when
    /// the device is under pressure for the first time.
    fn check_local(&self, manager: &AutomationAssistantManager) -> Result<(), Error> {
        let shared = self.local.and_then(|local| manager.shared(local).ok());
        match shared.filter(|shared| shared.leaves_device()) {
            None => Ok(()),
            Some(shared) => Err(Error::InvalidConfig(format!(
                "the helper given to AdmissionControl::local_helper, {} ({}), sends its tasks to \
                 another device: give one that stays here, embedded or with a loopback endpoint",
                shared.id, shared.backend_name
            ))),
        }
    }

    fn to_local(
        &self,
        manager: &AutomationAssistantManager,
        shared: &Shared,
        pressure: &Pressure,
        request: TaskRequest,
    ) -> Result<(HelperId, TaskId), Error> {
        let why_not = match self.local.map(|local| manager.shared(local)) {
            Some(Ok(local)) => {
                report(shared, USE_LOCAL, pressure, None, Some(local.id));
                return submit(&local, request);
            }
            Some(Err(_)) => "the local helper was terminated",
            None => "no helper was given to AdmissionControl::local_helper",
        };
        report(shared, REFUSE, pressure, None, None);
        Err(not_admitted(format!("{pressure}; {why_not}"), None, false, request))
    }

    /// Sleeps until the device must be read again.
    fn pause(&self, wait: &Wait<'_>, patience: Duration) -> Paused {
        if self.cancel.is_cancelled() {
            return Paused::Cancelled;
        }
        let left = patience.saturating_sub(wait.time());
        if left.is_zero() {
            return Paused::Late;
        }
        let watch = Watch::new();
        self.cancel.add(&watch);
        // Checked again now that the handle can wake this thread.
        if !self.cancel.is_cancelled() {
            watch.sleep_until(Instant::now().checked_add(left.min(self.look_every)));
        }
        self.cancel.remove(&watch);
        if self.cancel.is_cancelled() { Paused::Cancelled } else { Paused::Look }
    }
}

/// Submits without waiting for a free place in the queue. A helper that was terminated since it was
/// found returns the request.
fn submit(to: &Arc<Shared>, request: TaskRequest) -> Result<(HelperId, TaskId), Error> {
    to.submit(request, Duration::ZERO).map(|task| (to.id, task))
}

fn not_admitted(
    why: String,
    waited: Option<Duration>,
    cancelled: bool,
    request: TaskRequest,
) -> Error {
    Error::NotAdmitted { why, waited, cancelled, request: Box::new(request) }
}

/// Notifies the observers of a decision on a task for this helper.
fn report(
    shared: &Shared,
    decision: &str,
    pressure: &Pressure,
    waited: Option<Duration>,
    to: Option<HelperId>,
) {
    let to = to.map(|helper| helper.to_string()).unwrap_or_default();
    let mut facts =
        vec![("decision", Fact::Text(decision)), ("pressure", Fact::Text(pressure.as_str()))];
    if !to.is_empty() {
        facts.push(("to", Fact::Text(&to)));
    }
    if let Some(waited) = waited {
        facts.push(("waited_ms", Fact::Number(millis(waited))));
    }
    let mut event = Event::new(EventKind::Admission).helper(shared.id, &shared.backend_name);
    event.facts = EventFacts::Named(&facts);
    shared.observers.notify(&event);
}

impl fmt::Debug for AdmissionControl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AdmissionControl")
            .field("policy", &self.policy)
            .field("local", &self.local)
            .field("max_wait", &self.max_wait)
            .field("look_every", &self.look_every)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn suspended_time_counts_as_waited_if_configured() {
        let hour = Duration::from_secs(3600);
        let began = (SystemTime::now() - hour, Instant::now());
        let suspended = SuspendedTime::as_if_always_suspended();
        let without = Wait { began, suspended: None }.time();
        assert!(without < hour / 60, "{without:?}");
        assert!(Wait { began, suspended: Some(&suspended) }.time() > without + hour / 3600);
    }
}
