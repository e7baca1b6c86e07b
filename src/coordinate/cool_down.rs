//! Helpers that a [`Fallback`](crate::Fallback) leaves out for a while after failures.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard};
use std::time::{Duration, Instant};

use super::in_flight::will_repeat;
use crate::id::HelperId;
use crate::sync::after;
use crate::task_error::TaskError;

/// Default first cool-down.
const DEFAULT_FIRST: Duration = Duration::from_secs(5);
/// Default longest cool-down.
const DEFAULT_LONGEST: Duration = Duration::from_secs(300);

/// The helpers that are cooling down.
pub(super) struct CoolDowns {
    first: Duration,
    longest: Duration,
    helpers: Mutex<HashMap<HelperId, CoolDown>>,
}

struct CoolDown {
    until: Instant,
    pause: Duration,
    /// Whether a task is probing the helper.
    probing: bool,
}

impl CoolDowns {
    pub(super) fn new() -> Self {
        Self { first: DEFAULT_FIRST, longest: DEFAULT_LONGEST, helpers: Mutex::new(HashMap::new()) }
    }

    /// Sets the first and the longest cool-down.
    pub(super) fn limits(&mut self, first: Duration, longest: Duration) {
        self.first = first;
        self.longest = longest.max(first);
    }

    /// Whether the helper may be asked; if not, how much of its cool-down is left. The first
    /// request after the cool-down is the probe; other requests skip the helper until the probe
    /// has ended.
    pub(super) fn admit(&self, helper: HelperId) -> Result<Option<Probe<'_>>, Duration> {
        let mut helpers = self.lock();
        let Some(cool_down) = helpers.get_mut(&helper) else { return Ok(None) };
        let left = cool_down.until.saturating_duration_since(Instant::now());
        if left.is_zero() && !cool_down.probing {
            cool_down.probing = true;
            return Ok(Some(Probe { cool_downs: self, helper }));
        }
        Err(left)
    }

    /// Begins or extends a cool-down, if the failure will repeat. The pause doubles once for each
    /// outage, however many requests were in flight when it began: only a request that began
    /// after the last pause counts.
    pub(super) fn note_failure(&self, helper: HelperId, error: &TaskError, began: Instant) {
        if !will_repeat(error.kind()) {
            return;
        }
        let mut helpers = self.lock();
        let now = Instant::now();
        let (pause, least) = match helpers.get(&helper) {
            None => (self.first, now),
            Some(before) if began < before.until => (before.pause, before.until),
            Some(before) => (before.pause.saturating_mul(2).min(self.longest), now),
        };
        let fresh = if least == now { pause } else { Duration::ZERO };
        let wait = error.retry_after().unwrap_or_default().max(fresh);
        let until = after(now, wait).max(least);
        let probing = helpers.get(&helper).is_some_and(|before| before.probing);
        helpers.insert(helper, CoolDown { until, pause, probing });
    }

    /// The helper has answered.
    pub(super) fn note_success(&self, helper: HelperId) {
        self.lock().remove(&helper);
    }

    pub(super) fn helpers(&self) -> Vec<HelperId> {
        self.lock().keys().copied().collect()
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<HelperId, CoolDown>> {
        self.helpers.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}

/// The right to probe a helper after its cool-down; dropping it gives the right to the next
/// request.
pub(super) struct Probe<'a> {
    cool_downs: &'a CoolDowns,
    helper: HelperId,
}

impl Drop for Probe<'_> {
    fn drop(&mut self) {
        if let Some(cool_down) = self.cool_downs.lock().get_mut(&self.helper) {
            cool_down.probing = false;
        }
    }
}
