//! Submission: a request becomes a queued task.

use std::time::{Duration, SystemTime};

use super::{Shared, State};
use crate::config::WhenResultsFull;
use crate::error::Error;
use crate::id::TaskId;
use crate::store::Queued;
use crate::sync::{Arc, earlier, now, wait_until};
use crate::task::{ImageBounds, RequestBounds, TaskRequest};

impl Shared {
    /// Checks a request and adds it to the queue; waits this long for a free place.
    // Not inlined into what a program's `main` may be: that takes more bytes.
    #[inline(never)]
    pub(crate) fn submit(
        self: &Arc<Self>,
        request: TaskRequest,
        patience: Duration,
    ) -> Result<TaskId, Error> {
        let bounds = RequestBounds {
            prompt: self.config.max_prompt_bytes,
            context: self.config.max_context_bytes,
            request: self.config.max_request_bytes,
            images: ImageBounds {
                each: self.config.max_image_bytes,
                queued: self.config.max_queued_image_bytes,
            },
            refuse_param: self.provider.and_then(|provider| provider.refuse_param),
        };
        let image_bytes = match request.validate(bounds) {
            Ok(image_bytes) => image_bytes,
            Err(why) => {
                self.count_panics(|| drop(request));
                return Err(Error::InvalidRequest(why));
            }
        };
        let submitted = now();
        let deadline = request.deadline.and_then(|deadline| submitted.checked_add(deadline));
        let until = submitted.checked_add(patience);
        let created_at = SystemTime::now();
        if self.observers.any() || (deadline.is_some() && self.config.count_suspended_time) {
            self.observers.suspended.watch();
        }
        let mut state = self.lock();
        loop {
            if state.stopping {
                return Err(Error::Stopped(Box::new(request)));
            }
            if self.has_capacity(&state, image_bytes) {
                break;
            }
            let looked = now();
            state = self.end_due(state, looked);
            if self.has_capacity(&state, image_bytes) {
                continue;
            }
            if deadline.is_some_and(|deadline| deadline <= looked) || patience.is_zero() {
                return Err(Error::QueueFull(Box::new(request)));
            }
            // One that has passed is that of a task whose end is under way.
            let expiry = state.store.next_expiry().filter(|at| *at > looked);
            let wake = earlier(earlier(until, deadline), expiry);
            state.capacity_waiters += 1;
            let woken = wait_until(&self.capacity, state, wake);
            state = woken.unwrap_or_else(|| self.lock());
            state.capacity_waiters -= 1;
            if until.is_some_and(|until| until <= now()) && !self.has_capacity(&state, image_bytes)
            {
                return Err(Error::QueueFull(Box::new(request)));
            }
        }
        let number =
            state.store.insert(Queued { request, image_bytes, created_at, submitted, deadline });
        let woken = state.wake(1);
        drop(state);
        self.send_tickets(woken);
        Ok(self.task_id(number))
    }

    /// Whether the queue has capacity for a task with this many bytes of pictures.
    pub(super) fn has_capacity(&self, state: &State, image_bytes: usize) -> bool {
        let store = &state.store;
        let images_max = self.config.max_queued_image_bytes;
        // Callbacks that wait for a thread are bounded as the queue is, beside it: a queue whose tasks
        // have all expired has capacity, but not for more and more of them.
        let callbacks = state.callbacks.len() + state.callbacks_held;
        let capacity = self.config.queue_capacity;
        if store.queued() >= capacity
            || callbacks > capacity
            || store.queued_image_bytes().saturating_add(image_bytes) > images_max
        {
            return false;
        }
        match self.config.when_results_full {
            WhenResultsFull::DropOldest => true,
            // Every accepted task must find a place for its result without dropping an unread
            // one.
            WhenResultsFull::RefuseTasks => {
                let owed = state.store.unread() + state.store.unfinished();
                owed < self.config.max_results
                    && state.store.unread_bytes() < self.config.max_result_bytes
            }
        }
    }
}
