//! Tasks that are due to end: every look at such a task ends it.
//!
//! Where observers or hooks may block, the look asks a thread of its own for that ([`Duty::Due`]),
//! and waits for it no longer than [`HANDOVER`]: so a look is never held up by foreign code.

use std::time::{Duration, Instant};

use super::duty::Duty;
use super::{HANDOVER, LOOK_AGAIN, RUN_GRACE, Shared, State};
use crate::backend::{cancelled, timed_out};
use crate::foreign;
use crate::id::TaskId;
use crate::store::{Phase, Queued, Running};
use crate::sync::{Arc, MutexGuard, earlier, now};
use crate::task_error::{ErrorKind, TaskError};

impl Shared {
    /// The error with which the task must end now, if it must: the helper was stopped, the
    /// deadline passed while the task was queued, or the backend did not return in time.
    fn due(&self, state: &mut State, number: u64, now: Instant) -> Option<TaskError> {
        let stopping = state.stopping;
        match state.store.phase(number)? {
            Phase::Queued(_) if stopping => Some(terminated()),
            Phase::Running(_) if stopping => Some(stopped()),
            Phase::Queued(queued) if self.queued_is_late(queued, now) => Some(expired_in_queue()),
            Phase::Running(running) if self.is_overdue(running, now) => Some(timed_out()),
            _ => None,
        }
    }

    /// Ends the task if it is due. Releases the lock for that and returns it locked again.
    pub(super) fn touch<'a>(
        self: &'a Arc<Self>,
        mut state: MutexGuard<'a, State>,
        number: u64,
    ) -> MutexGuard<'a, State> {
        // Finished tasks are looked up most often: they cost no clock reading.
        if !matches!(state.store.phase(number), Some(Phase::Queued(_) | Phase::Running(_))) {
            return state;
        }
        let now = now();
        let (state, asked) = self.touch_at(state, number, now);
        if asked { self.await_end(state, number, now.checked_add(HANDOVER)) } else { state }
    }

    /// As [`touch`](Self::touch), but does not wait for a thread that was asked to end the task;
    /// returns whether one was.
    pub(super) fn touch_at<'a>(
        self: &'a Arc<Self>,
        mut state: MutexGuard<'a, State>,
        number: u64,
        now: Instant,
    ) -> (MutexGuard<'a, State>, bool) {
        if self.due(&mut state, number, now).is_none() {
            return (state, false);
        }
        drop(state);
        (self.perform)(self, Duty::Due);
        (self.lock(), true)
    }

    /// Ends every task that is due, as [`touch`](Self::touch) ends one. Returns the lock, released
    /// and taken again if any was due.
    pub(super) fn end_due<'a>(
        self: &'a Arc<Self>,
        mut state: MutexGuard<'a, State>,
        now: Instant,
    ) -> MutexGuard<'a, State> {
        // It is ended last.
        let mut numbers = self.may_be_due(&mut state, now).into_iter();
        let last = numbers.rfind(|number| self.due(&mut state, *number, now).is_some());
        let Some(last) = last else { return state };
        drop(state);
        (self.perform)(self, Duty::Due);
        self.await_end(self.lock(), last, now.checked_add(HANDOVER))
    }

    /// Ends every task that is due or called off, one after the other. A slow observer of one end does not
    /// delay the others, since another thread may end them meanwhile.
    pub(super) fn end_those_due(self: &Arc<Self>) {
        let mut callbacks = Vec::new();
        let mut state = self.lock();
        let now = now();
        let due = self.may_be_due(&mut state, now);
        let mut numbers = due.into_iter();
        loop {
            let (number, why) = if let Some(number) = state.called_off.pop() {
                (number, Some(cancelled()))
            } else if let Some(number) = numbers.next() {
                (number, self.due(&mut state, number, now))
            } else {
                break;
            };
            let Some(why) = why else { continue };
            let Some(ended) = self.claim(&mut state, number, why) else { continue };
            drop(state);
            callbacks.extend(self.conclude(ended));
            state = self.lock();
        }
        drop(state);
        callbacks.into_iter().for_each(|callback| self.queue_callback(Some(callback)));
    }

    /// Cancels a task, as a task that is due is ended: without waiting for foreign code.
    pub(crate) fn call_off(self: &Arc<Self>, id: TaskId) {
        let Ok(number) = self.number(id) else { return };
        self.lock().called_off.push(number);
        (self.perform)(self, Duty::Due);
    }

    /// All tasks that are due, and others. At a stopped helper: all tasks.
    fn may_be_due(&self, state: &mut State, now: Instant) -> Vec<u64> {
        let mut numbers = Vec::new();
        for number in state.running.iter().flatten() {
            numbers.push(*number);
        }
        // While the device was suspended, deadlines came closer than the clock shows.
        let latest = now.checked_add(self.observers.suspended.noticed());
        state.store.expired(latest.filter(|_| !state.stopping), &mut numbers);
        numbers
    }

    /// Waits until a task that another thread was asked to end has ended, no longer than until
    /// the given moment. Not in an observer: that thread may wait for the same.
    pub(super) fn await_end<'a>(
        &'a self,
        mut state: MutexGuard<'a, State>,
        number: u64,
        until: Option<Instant>,
    ) -> MutexGuard<'a, State> {
        while !matches!(state.store.phase(number), Some(Phase::Finished { .. }) | None)
            && !foreign::in_observer()
        {
            let Some(woken) = self.sleep_for(state, number, until) else { return self.lock() };
            state = woken;
        }
        state
    }

    /// When a waiting thread must look at the task again: at its end, or earlier where suspended
    /// time counts.
    pub(super) fn look_again(&self, over: Option<Instant>, has_deadline: bool) -> Option<Instant> {
        let counts = has_deadline && self.config.count_suspended_time;
        if counts { earlier(over, now().checked_add(LOOK_AGAIN)) } else { over }
    }

    /// Whether a running task has passed its time and its backend has not returned.
    pub(super) fn is_overdue(&self, running: &Running, now: Instant) -> bool {
        let over = |at: Instant| at.checked_add(RUN_GRACE).is_some_and(|at| at <= now);
        if running.end_with.is_some() {
            return false;
        }
        if running.deadline.is_some_and(over) {
            return true;
        }
        let Some(own) = running.own_deadline else { return false };
        let submitted = running.began.checked_sub(running.queue_time).unwrap_or(running.began);
        let suspended = self.observers.suspended.since(running.created_at, submitted);
        !suspended.is_zero() && own.checked_sub(suspended).is_none_or(over)
    }

    /// How long the device was suspended while the task was queued, where suspended time counts.
    pub(super) fn suspended_since(&self, queued: &Queued) -> Duration {
        if queued.deadline.is_none() || !self.config.count_suspended_time {
            return Duration::ZERO;
        }
        self.observers.suspended.since(queued.created_at, queued.submitted)
    }

    pub(super) fn queued_is_late(&self, queued: &Queued, now: Instant) -> bool {
        let Some(deadline) = queued.deadline else { return false };
        deadline.saturating_duration_since(now) <= self.suspended_since(queued)
    }
}

pub(super) fn expired_in_queue() -> TaskError {
    TaskError::new(
        ErrorKind::Timeout,
        "the deadline passed while the task was queued: give it longer, \
         or the helper more threads",
    )
}

/// The error of a task that was queued when its helper was stopped.
pub(super) fn terminated() -> TaskError {
    TaskError::new(ErrorKind::Terminated, "the helper was stopped before it began this task")
}

/// The summary of a task that was running when its helper was stopped.
pub(super) const STOPPED: &str = "the helper was stopped during this task";

fn stopped() -> TaskError {
    TaskError::new(ErrorKind::Cancelled, STOPPED)
}
