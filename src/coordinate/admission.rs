//! Cloud tasks and a device under pressure.

use std::fmt;
use std::time::{Duration, Instant};

use super::CancelHandle;
use crate::device::{Admission, AdmissionPolicy, DeviceReader, DeviceWatch};
use crate::error::Error;
use crate::event::{Event, EventKind, Fact};
use crate::helper::shared::Watch;
use crate::id::{HelperId, TaskId};
use crate::manager::AutomationAssistantManager;
use crate::task::TaskRequest;

/// Default limit on waiting for the device to get better.
const DEFAULT_MAX_WAIT: Duration = Duration::from_secs(60);
/// How long a waiting task sleeps between two looks at the device: no system tells when its
/// battery or temperature is better, and none of them changes in less.
const LOOK_AGAIN: Duration = Duration::from_secs(5);

/// Holds cloud tasks back while the device is beyond the limits of a policy.
///
/// A task for a helper that stays on the device is submitted as it is. Each decision against
/// a cloud task is told to the observers as an `admission` event.
///
/// ```
/// use automation_assistant::{
///     AdmissionControl, AdmissionPolicy, AutomationAssistantManager, CloudAction,
///     create_local_helper,
/// };
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
    cancel: CancelHandle,
}

impl AdmissionControl {
    /// With this policy, over this device.
    pub fn new(policy: AdmissionPolicy) -> Self {
        Self {
            policy,
            device: DeviceWatch::new(DeviceReader::new()),
            local: None,
            max_wait: DEFAULT_MAX_WAIT,
            cancel: CancelHandle::new(),
        }
    }

    /// Reads the device so. Defaults to [`DeviceReader::new`], which starts no process.
    #[must_use]
    pub fn device(mut self, device: DeviceWatch) -> Self {
        self.device = device;
        self
    }

    /// The helper that takes tasks over under
    /// [`CloudAction::UseLocal`](crate::CloudAction::UseLocal). Without one they are refused.
    #[must_use]
    pub fn local_helper(mut self, helper: HelperId) -> Self {
        self.local = Some(helper);
        self
    }

    /// How long a task may wait for the device to get better; its own deadline can shorten
    /// that. Defaults to 60 s.
    #[must_use]
    pub fn max_wait(mut self, wait: Duration) -> Self {
        self.max_wait = wait;
        self
    }

    /// Lets this handle end the waiting from another thread.
    #[must_use]
    pub fn cancel_handle(mut self, handle: &CancelHandle) -> Self {
        self.cancel = handle.clone();
        self
    }

    /// Submits a task to the helper, or as the policy says; tells which helper has it. Blocks
    /// under [`CloudAction::Wait`](crate::CloudAction::Wait).
    ///
    /// # Errors
    ///
    /// [`Error::NotAdmitted`], which gives the request back; otherwise as
    /// [`AutomationAssistantManager::submit_task`].
    pub fn submit(
        &self,
        manager: &AutomationAssistantManager,
        helper: HelperId,
        request: impl Into<TaskRequest>,
    ) -> Result<(HelperId, TaskId), Error> {
        let mut request = request.into();
        let shared = manager.shared(helper)?;
        if !shared.backend.leaves_device() {
            return manager.submit_task(helper, request).map(|task| (helper, task));
        }
        let began = Instant::now();
        let patience = request.deadline.map_or(self.max_wait, |own| own.min(self.max_wait));
        let mut told = false;
        loop {
            let decision = self.policy.decide(&self.device.snapshot());
            let Some(pressure) = decision.pressure() else {
                // Waiting here is waiting too: a deadline counts from submission.
                request.deadline = request.deadline.map(|own| own.saturating_sub(began.elapsed()));
                return manager.submit_task(helper, request).map(|task| (helper, task));
            };
            if !std::mem::replace(&mut told, true) {
                let facts = [
                    ("decision", Fact::Text(decision.as_str())),
                    ("pressure", Fact::Text(pressure.as_str())),
                ];
                let mut event =
                    Event::new(EventKind::Admission).helper(helper, &shared.backend_name);
                event.facts = &facts;
                shared.observers.tell(&event);
            }
            let why = pressure.to_string();
            match (&decision, self.local) {
                (Admission::UseLocal(_), Some(local)) => {
                    return manager.submit_task(local, request).map(|task| (local, task));
                }
                (Admission::Wait(_), _) if self.sleep(began, patience) => {}
                _ => return Err(Error::NotAdmitted { why, request: Box::new(request) }),
            }
        }
    }

    /// Sleeps until the device is worth another look; `false` when there is no time left, or
    /// the waiting was cancelled.
    fn sleep(&self, began: Instant, patience: Duration) -> bool {
        let left = patience.saturating_sub(began.elapsed());
        if left.is_zero() || self.cancel.is_cancelled() {
            return false;
        }
        let watch = Watch::new();
        self.cancel.lock().watches.push(crate::sync::Arc::clone(&watch));
        // Looked at again now that the handle can wake us.
        if !self.cancel.is_cancelled() {
            watch.sleep_until(Instant::now().checked_add(left.min(LOOK_AGAIN)));
        }
        self.cancel.lock().watches.retain(|other| !crate::sync::Arc::ptr_eq(other, &watch));
        !self.cancel.is_cancelled()
    }
}

impl fmt::Debug for AdmissionControl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AdmissionControl")
            .field("policy", &self.policy)
            .field("local", &self.local)
            .field("max_wait", &self.max_wait)
            .finish_non_exhaustive()
    }
}
