//! Results of tasks, waiting for them, and the helper's status.

use std::time::{Duration, Instant};

use serde_json::json;

use super::{
    HANDOVER, INBOX_BYTES_MAX, INBOX_MESSAGES_MAX, RUN_GRACE, Shared, State, Watch, YIELDS,
};
use crate::backend::cancelled;
use crate::error::Error;
use crate::foreign::{self, Foreign};
use crate::helper::thread;
use crate::id::TaskId;
use crate::status::{HelperStatus, HelperStatusReport};
use crate::store::Phase;
use crate::sync::{Arc, MutexGuard, Ordering, earlier, now, wait_until, yield_now};
use crate::task::{OnDone, Task, TaskLookup, TaskState, millis};

impl Shared {
    /// A copy of the finished task; while it is not finished, the moment at which to look again.
    /// Never waits.
    pub(crate) fn poll(
        self: &Arc<Self>,
        id: TaskId,
    ) -> Result<Result<Task, Option<Instant>>, Error> {
        let number = self.number(id)?;
        let (mut state, asked) = self.touch_at(self.lock(), number, now());
        let found = self.peek(&mut state, id, number)?;
        Ok(found.map_err(|moment| moment.filter(|_| !asked)))
    }

    /// A copy of the finished task; `Ok(None)` while it is not finished.
    pub(crate) fn result(self: &Arc<Self>, id: TaskId) -> Result<Option<Task>, Error> {
        let number = self.number(id)?;
        let mut state = self.touch(self.lock(), number);
        Ok(self.peek(&mut state, id, number)?.ok())
    }

    pub(super) fn peek(
        &self,
        state: &mut State,
        id: TaskId,
        number: u64,
    ) -> Result<Result<Task, Option<Instant>>, Error> {
        let Some(phase) = state.store.phase(number) else {
            let dropped = state.store.was_dropped(number);
            return Err(if dropped { Error::ResultDropped(id) } else { Error::UnknownTask(id) });
        };
        match phase {
            Phase::Queued(queued) => {
                // One that begins meanwhile is overdue then at the earliest.
                let time = queued.request.timeout.unwrap_or(self.timeout);
                let overdue = now().checked_add(time).and_then(|at| at.checked_add(RUN_GRACE));
                let over = earlier(queued.deadline, overdue);
                Ok(Err(self.look_again(over, queued.deadline.is_some())))
            }
            Phase::Running(running) => {
                // If its thread was already asked to end it, it is not asked again.
                let asked = running.end_with.is_some();
                let over = running.deadline.and_then(|at| at.checked_add(RUN_GRACE));
                let again = self.look_again(over, running.own_deadline.is_some());
                Ok(Err(if asked { None } else { again }))
            }
            Phase::Finished { .. } => match state.store.read(number) {
                Some(task) => {
                    self.notify_capacity(state);
                    Ok(Ok(task))
                }
                None => Err(Error::UnknownTask(id)),
            },
            Phase::Ending(_) => Ok(Err(None)),
        }
    }

    /// Wakes waiting submissions: a task has left the queue, or a result was read (see
    /// [`WhenResultsFull::RefuseTasks`]). All are woken, since which request fits depends on its
    /// pictures.
    pub(super) fn notify_capacity(&self, state: &State) {
        if state.capacity_waiters > 0 {
            self.capacity.notify_all();
        }
    }

    pub(crate) fn wait(self: &Arc<Self>, id: TaskId, timeout: Duration) -> Result<Task, Error> {
        let number = self.number(id)?;
        let mut looked = now();
        let until = looked.checked_add(timeout);
        let mut yields_left = YIELDS;
        let mut state = self.lock();
        loop {
            let (touched, asked) = self.touch_at(state, number, looked);
            state = touched;
            let look_again = match self.peek(&mut state, id, number)? {
                Ok(task) => return Ok(task),
                // The thread that was asked to end it wakes this one.
                Err(moment) => moment.filter(|_| !asked),
            };
            if until.is_some_and(|until| until <= looked) {
                return Err(Error::WaitTimedOut { waited: timeout });
            }
            if yields_left > 0 {
                yields_left -= 1;
                drop(state);
                yield_now();
                state = self.lock();
                continue;
            }
            let woken = self.sleep_for(state, number, earlier(until, look_again));
            state = woken.unwrap_or_else(|| self.lock());
            looked = now();
        }
    }

    /// Sleeps until the task ends or until the given moment (`None`: it has passed).
    pub(super) fn sleep_for<'a>(
        &'a self,
        mut state: MutexGuard<'a, State>,
        number: u64,
        until: Option<Instant>,
    ) -> Option<MutexGuard<'a, State>> {
        state.awaited.push(number);
        let woken = wait_until(&self.finished, state, until);
        let in_time = woken.is_some();
        let mut state = woken.unwrap_or_else(|| self.lock());
        if let Some(at) = state.awaited.iter().position(|other| *other == number) {
            state.awaited.swap_remove(at);
        }
        in_time.then_some(state)
    }

    pub(crate) fn watch(&self, watch: &Arc<Watch>) {
        self.lock().watches.push(Arc::clone(watch));
    }

    pub(crate) fn unwatch(&self, watch: &Arc<Watch>) {
        self.lock().watches.retain(|other| !Arc::ptr_eq(other, watch));
    }

    /// Leaves a task to its end: its result counts as read then, after which its callback, or else
    /// this one, is called.
    ///
    /// # Errors
    ///
    /// This callback, if the task has ended.
    pub(crate) fn leave(
        self: &Arc<Self>,
        id: TaskId,
        on_done: Option<Foreign<OnDone>>,
    ) -> Result<(), Option<Foreign<OnDone>>> {
        let shared = Arc::downgrade(self);
        let mut state = self.lock();
        let Some(place) = state.store.on_done(id.number()) else { return Err(on_done) };
        let on_done = place.take().or(on_done);
        *place = Some(Foreign::new(Box::new(move |task: &Task| {
            drop(shared.upgrade().map(|shared| shared.poll(task.task_id)));
            if let Some(on_done) = on_done {
                (on_done.into_inner())(task);
            }
        })));
        Ok(())
    }

    pub(crate) fn take(self: &Arc<Self>, id: TaskId) -> Option<Task> {
        let number = self.number(id).ok()?;
        let state = self.lock();
        let mut state = self.touch(state, number);
        let task = state.store.remove(number);
        self.notify_capacity(&state);
        task
    }

    pub(crate) fn clear(&self) -> usize {
        let mut state = self.lock();
        let tasks = state.store.clear();
        self.notify_capacity(&state);
        drop(state);
        tasks.len()
    }

    pub(crate) fn task_state(self: &Arc<Self>, id: TaskId) -> Option<TaskState> {
        let number = self.number(id).ok()?;
        let state = self.lock();
        let mut state = self.touch(state, number);
        match state.store.phase(number)? {
            Phase::Queued(_) => Some(TaskState::Queued),
            Phase::Running(_) | Phase::Ending(_) => Some(TaskState::Running),
            Phase::Finished { .. } => Some(TaskState::Finished),
        }
    }

    pub(crate) fn look_up(self: &Arc<Self>, id: TaskId) -> TaskLookup {
        let Ok(number) = self.number(id) else { return TaskLookup::Unknown };
        let state = self.lock();
        let mut state = self.touch(state, number);
        match self.peek(&mut state, id, number) {
            Ok(Ok(task)) => TaskLookup::Finished(Box::new(task)),
            Ok(Err(_)) => match state.store.phase(number) {
                Some(Phase::Queued(_)) => TaskLookup::Queued,
                _ => TaskLookup::Running,
            },
            Err(Error::ResultDropped(_)) => TaskLookup::Dropped,
            Err(_) => TaskLookup::Unknown,
        }
    }

    pub(crate) fn cancel(self: &Arc<Self>, id: TaskId) -> bool {
        let Ok(number) = self.number(id) else { return false };
        let state = self.lock();
        let mut state = self.touch(state, number);
        let Some(ended) = self.claim(&mut state, number, cancelled()) else { return false };
        drop(state);
        let handed_over = ended.is_handed_over();
        if let Some(callback) = self.conclude(ended) {
            self.run_own(callback);
        }
        if handed_over && !thread::is_of_any() && !foreign::in_observer() {
            drop(self.await_end(self.lock(), number, now().checked_add(HANDOVER)));
        }
        true
    }

    pub(crate) fn status(&self) -> HelperStatus {
        status_of(&self.lock())
    }

    pub(crate) fn report(self: &Arc<Self>) -> HelperStatusReport {
        let state = self.lock();
        let state = self.end_due(state, now());
        HelperStatusReport {
            helper_id: self.id,
            name: self.name.clone(),
            backend: self.backend_name.clone(),
            status: status_of(&state),
            queued_tasks: state.store.queued(),
            active_tasks: state.active(),
            completed_tasks: state.completed,
            failed_tasks: state.failed,
            kept_results: state.store.kept(),
            dropped_results: state.dropped_unread,
            threads: state.threads,
            unjoined_threads: state.unjoined,
            waiting_callbacks: state.callbacks.len() + state.callbacks_held,
            callback_delay_ms: millis(state.callback_delay),
            callback_delay_max_ms: millis(state.callback_delay_max),
            callback_panics: self.callback_panics.load(Ordering::Relaxed),
            observer_panics: self.observers.panics(),
        }
    }

    /// Adds a message to the inbox, which the next task to begin receives.
    pub(crate) fn put_message(&self, from: &str, text: String) -> Result<(), Error> {
        let bytes = text.len();
        if bytes > INBOX_BYTES_MAX {
            return Err(Error::InvalidRequest(format!(
                "the result has {bytes} bytes, an inbox holds {INBOX_BYTES_MAX} \
                 (INBOX_BYTES_MAX): send a part of it, as context of a task"
            )));
        }
        let mut state = self.lock();
        if state.inbox.len() >= INBOX_MESSAGES_MAX || state.inbox_bytes + bytes > INBOX_BYTES_MAX {
            return Err(Error::InboxFull);
        }
        state.inbox.push(json!({"from": from, "text": text}));
        state.inbox_bytes += bytes;
        Ok(())
    }
}

fn status_of(state: &State) -> HelperStatus {
    if state.stopping {
        HelperStatus::Terminated
    } else if !state.started {
        HelperStatus::Initializing
    } else if state.active() > 0 {
        HelperStatus::Processing
    } else if state.last_failure_repeats {
        HelperStatus::Error
    } else if state.began_any {
        HelperStatus::Idle
    } else {
        HelperStatus::Ready
    }
}
