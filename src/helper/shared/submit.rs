//! The way in: a request becomes a task that waits.

use std::time::{Duration, SystemTime};

use super::{Shared, State};
use crate::config::WhenResultsFull;
use crate::error::Error;
use crate::id::TaskId;
use crate::store::Queued;
use crate::sync::{Arc, earlier, now, wait_until};
use crate::task::TaskRequest;

impl Shared {
    /// Checks a request and puts it into the queue; waits for room this long.
    pub(crate) fn submit(
        self: &Arc<Self>,
        request: TaskRequest,
        patience: Duration,
    ) -> Result<TaskId, Error> {
        let (prompt_max, context_max) =
            (self.config.max_prompt_bytes, self.config.max_context_bytes);
        if let Err(why) = request.validate(prompt_max, context_max) {
            self.count_panics(|| drop(request));
            return Err(Error::InvalidRequest(why));
        }
        let submitted = now();
        let until = submitted.checked_add(patience);
        let deadline = request.deadline.and_then(|deadline| submitted.checked_add(deadline));
        let created_at = SystemTime::now();
        if self.observers.any() || (deadline.is_some() && self.config.count_suspended_time) {
            self.observers.suspended.watch();
        }
        let mut state = self.lock();
        loop {
            if state.stopping {
                return Err(Error::Stopped(Box::new(request)));
            }
            if self.has_room(&state) {
                break;
            }
            let looked = now();
            let (unlocked, ended_any) = self.end_due(state, looked);
            state = unlocked;
            if ended_any {
                continue;
            }
            if deadline.is_some_and(|deadline| deadline <= looked) || patience.is_zero() {
                return Err(Error::QueueFull(Box::new(request)));
            }
            let wake = earlier(earlier(until, deadline), state.store.next_expiry());
            state.room_waiters += 1;
            let woken = wait_until(&self.room, state, wake);
            state = woken.unwrap_or_else(|| self.lock());
            state.room_waiters -= 1;
            if until.is_some_and(|until| until <= now()) && !self.has_room(&state) {
                return Err(Error::QueueFull(Box::new(request)));
            }
        }
        let number = state.store.insert(Queued { request, created_at, submitted, deadline });
        let woken = state.wake(1);
        drop(state);
        self.send_tickets(woken);
        Ok(self.task_id(number))
    }

    pub(super) fn has_room(&self, state: &State) -> bool {
        let queued = state.store.queued();
        if queued >= self.config.queue_capacity {
            return false;
        }
        match self.config.when_results_full {
            WhenResultsFull::DropOldest => true,
            // Whatever is accepted must find a place without pushing out an unread result.
            WhenResultsFull::RefuseTasks => {
                let owed = state.store.unread() + state.store.unfinished();
                owed < self.config.max_results
                    && state.store.unread_bytes() < self.config.max_result_bytes
            }
        }
    }
}
