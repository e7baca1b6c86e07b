//! One coordinated call while it runs: its deadline, its cancellation, and its sleep until a
//! task ends.

use std::time::{Duration, Instant, SystemTime};

use super::cancel_handle::CancelHandle;
use super::in_flight::Submitted;
use super::together::Together;
use crate::error::Error;
use crate::helper::shared::Shared;
use crate::manager::WatchSet;
use crate::suspended::SuspendedTime;
use crate::sync::{Arc, earlier};
use crate::task::{Task, TaskRequest};
use crate::task_error::ErrorKind;

/// Why a call woke up.
pub(super) enum Woken {
    /// A task may have ended, or the given moment has come.
    Look,
    /// The call was cancelled, or its deadline has passed.
    Over,
}

/// Watches the tasks of the call's helpers, the cancel handle and the deadline, until it is
/// dropped.
pub(super) struct CallWatch<'a> {
    watch: WatchSet,
    cancel: &'a CancelHandle,
    began: (SystemTime, Instant),
    deadline: Option<Instant>,
    /// The suspended time, if it counts.
    suspended: Option<&'a SuspendedTime>,
}

impl<'a> CallWatch<'a> {
    /// A watch for a call that may take this long.
    pub(super) fn new(together: &'a Together<'_>, time: Duration) -> Self {
        let watch = WatchSet::new();
        together.cancel.add(watch.watch());
        let began = (SystemTime::now(), Instant::now());
        let deadline = began.1.checked_add(time);
        let suspended = &together.manager.observers().suspended;
        suspended.watch();
        let suspended = Some(suspended).filter(|_| together.count_suspended_time);
        Self { watch, cancel: &together.cancel, began, deadline, suspended }
    }

    /// The call's deadline on the clock of `Instant`, less the suspended time.
    pub(super) fn until(&self) -> Option<Instant> {
        let deadline = self.deadline?;
        let suspended = self
            .suspended
            .map_or(Duration::ZERO, |suspended| suspended.since(self.began.0, self.began.1));
        // Suspended for longer than the clock can go back: the deadline has passed.
        Some(deadline.checked_sub(suspended).unwrap_or(self.began.1))
    }

    /// Adds a helper to those watched.
    pub(super) fn add(&mut self, shared: &Arc<Shared>) {
        self.watch.add(shared);
    }

    /// The reason why the call is over; `None` while it is not.
    pub(super) fn over(&self) -> Option<ErrorKind> {
        if self.cancel.is_cancelled() {
            return Some(ErrorKind::Cancelled);
        }
        let late = self.until().is_some_and(|until| until <= Instant::now());
        late.then_some(ErrorKind::Timeout)
    }

    pub(super) fn is_over(&self) -> bool {
        self.over().is_some()
    }

    /// Sleeps until a watched helper ends a task, the given moment has come, or the call is over.
    pub(super) fn sleep(&self, look_again: Option<Instant>) -> Woken {
        if self.is_over() {
            return Woken::Over;
        }
        self.watch.sleep_until(earlier(self.until(), look_again));
        if self.is_over() { Woken::Over } else { Woken::Look }
    }

    /// Waits for one task; cancels it when the call is over. See [`Submitted::end`].
    pub(super) fn await_task(
        &mut self,
        task: Submitted,
        template: Option<&TaskRequest>,
    ) -> Result<Task, Error> {
        self.add(&task.shared);
        loop {
            match task.shared.poll(task.id)? {
                Ok(task) => return Ok(task),
                Err(look_again) => {
                    if let Woken::Over = self.sleep(look_again) {
                        return task.end(template);
                    }
                }
            }
        }
    }
}

impl Drop for CallWatch<'_> {
    fn drop(&mut self) {
        self.cancel.remove(self.watch.watch());
    }
}
