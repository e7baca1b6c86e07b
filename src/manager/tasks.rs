//! Tasks, addressed by the ids of helper and task.

use std::time::Duration;

use super::registry::AutomationAssistantManager;
use super::watch_set::WatchSet;
use crate::error::Error;
use crate::id::{HelperId, TaskId};
use crate::sync::{earlier, now};
use crate::task::{Task, TaskLookup, TaskRequest, TaskState};

impl AutomationAssistantManager {
    /// Submits a task to a helper's queue.
    ///
    /// # Errors
    ///
    /// [`Error::UnknownHelper`]; [`Error::InvalidRequest`]; [`Error::QueueFull`] and
    /// [`Error::Stopped`], which return the request.
    pub fn submit_task(
        &self,
        helper: HelperId,
        request: impl Into<TaskRequest>,
    ) -> Result<TaskId, Error> {
        self.helper(helper)?.submit_task(request)
    }

    /// Submits a task to a helper's queue; waits at most this long for a free place.
    ///
    /// # Errors
    ///
    /// As [`submit_task`](Self::submit_task); [`Error::QueueFull`] after the time-out.
    pub fn submit_task_wait(
        &self,
        helper: HelperId,
        request: impl Into<TaskRequest>,
        timeout: Duration,
    ) -> Result<TaskId, Error> {
        self.helper(helper)?.submit_task_wait(request, timeout)
    }

    /// Where a task is, and its result if it has ended; see [`AutomationHelper::look_up`](crate::AutomationHelper::look_up).
    /// [`TaskLookup::Unknown`] if its helper is unknown.
    pub fn look_up(&self, task: TaskId) -> TaskLookup {
        self.get_helper(task.helper_id()).map_or(TaskLookup::Unknown, |helper| helper.look_up(task))
    }

    /// A copy of the finished task. `None` while it is queued or running, and if it is unknown;
    /// [`look_up`](Self::look_up) distinguishes these.
    pub fn get_task_result(&self, helper: HelperId, task: TaskId) -> Option<Task> {
        self.get_helper(helper)?.get_task_result(task)
    }

    /// Waits until the task has ended, at most this long; returns a copy.
    ///
    /// # Errors
    ///
    /// [`Error::WaitTimedOut`]; [`Error::UnknownHelper`], [`Error::UnknownTask`] and
    /// [`Error::ResultDropped`] at once.
    pub fn wait_task(
        &self,
        helper: HelperId,
        task: TaskId,
        timeout: Duration,
    ) -> Result<Task, Error> {
        self.helper(helper)?.wait_task(task, timeout)
    }

    /// Waits until one of several tasks has ended, at most this long; returns a copy of the
    /// first ended one in the list.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidRequest`] for an empty list; otherwise as
    /// [`wait_task`](Self::wait_task). An id that is unknown or dropped is an error at once
    /// unless a task before it in the list has ended.
    pub fn wait_any(&self, tasks: &[(HelperId, TaskId)], timeout: Duration) -> Result<Task, Error> {
        if tasks.is_empty() {
            return Err(Error::InvalidRequest("there is no task to wait for".into()));
        }
        let until = now().checked_add(timeout);
        let pairs = tasks
            .iter()
            .map(|&(helper, task)| Ok((self.shared(helper)?, task)))
            .collect::<Result<Vec<_>, Error>>()?;
        let mut watch = WatchSet::new();
        pairs.iter().for_each(|(shared, _)| watch.add(shared));
        loop {
            let mut look_again = until;
            for (shared, task) in &pairs {
                match shared.poll(*task)? {
                    Ok(task) => return Ok(task),
                    Err(moment) => look_again = earlier(look_again, moment),
                }
            }
            if until.is_some_and(|until| until <= now()) {
                return Err(Error::WaitTimedOut { waited: timeout });
            }
            watch.sleep_until(look_again);
        }
    }

    /// The finished task, which is removed from the helper. `None` if it has not ended or is
    /// unknown.
    pub fn take_task_result(&self, helper: HelperId, task: TaskId) -> Option<Task> {
        self.get_helper(helper)?.take_task_result(task)
    }

    /// Removes a helper's finished tasks; returns their number, 0 for an unknown helper.
    pub fn clear_results(&self, helper: HelperId) -> usize {
        self.get_helper(helper).map_or(0, |helper| helper.clear_results())
    }

    /// Ends a queued or running task as [`Cancelled`](crate::ErrorKind::Cancelled). `false` if
    /// it has ended already or is unknown.
    pub fn cancel_task(&self, helper: HelperId, task: TaskId) -> bool {
        self.get_helper(helper).is_some_and(|helper| helper.cancel_task(task))
    }

    /// Whether a task is queued, running or finished; `None` if it is unknown.
    pub fn task_state(&self, helper: HelperId, task: TaskId) -> Option<TaskState> {
        self.get_helper(helper)?.task_state(task)
    }

    /// Puts one helper's successful result into another helper's inbox. The next task that
    /// the receiver begins gets the inbox in its context, under the key `inbox`, as a list of
    /// `{"from": …, "text": …}`. If that task fails, its messages are lost: send the result
    /// again. A task whose context has a key `inbox` already leaves the messages to the next
    /// one. An inbox holds at most [`INBOX_MESSAGES_MAX`](crate::INBOX_MESSAGES_MAX) messages
    /// of at most [`INBOX_BYTES_MAX`](crate::INBOX_BYTES_MAX) bytes together.
    ///
    /// # Errors
    ///
    /// [`Error::UnknownHelper`]; [`Error::UnknownTask`] and [`Error::ResultDropped`];
    /// [`Error::InvalidRequest`] if the task has not ended or has failed, or if its result is
    /// longer than an inbox; [`Error::InboxFull`].
    pub fn send_result(&self, from: HelperId, task: TaskId, to: HelperId) -> Result<(), Error> {
        let (sender, receiver) = (self.shared(from)?, self.shared(to)?);
        let Some(task) = sender.result(task)? else {
            return Err(Error::InvalidRequest("the task has not ended: wait for it".into()));
        };
        let Some(text) = task.result else {
            return Err(Error::InvalidRequest("the task failed: it has no result".into()));
        };
        receiver.put_message(&sender.name, text)
    }
}
