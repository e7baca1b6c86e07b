//! Asking a helper: a task from its submission to its end in one call, and look-ups.

use std::time::Duration;

use super::{AutomationHelper, thread};
use crate::error::Error;
use crate::foreign;
use crate::id::TaskId;
use crate::task::{Task, TaskLookup, TaskRequest};

impl AutomationHelper {
    /// Submits a task, waits until it has ended, and takes its result: the helper keeps none.
    ///
    /// The wait is as long as the task: at most its [`deadline`](TaskRequest::deadline), or else
    /// its time in the queue and its time-out, and then as long as observers of its end take,
    /// which are called before an outcome can be read. A task that failed is `Ok` too: see
    /// [`Task::error`].
    ///
    /// ```
    /// use automation_assistant::{AutomationAssistantManager, HelperConfig};
    ///
    /// let manager = AutomationAssistantManager::new(5);
    /// let helper = manager.spawn(HelperConfig::local())?;
    /// let task = helper.ask("hello")?;
    /// assert_eq!(task.result.as_deref(), Some("Local Response: Echo of 'hello'"));
    /// # Ok::<(), automation_assistant::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As [`submit_task`](Self::submit_task). [`Error::CannotWait`], which returns the request,
    /// where the wait might never end: on one of this helper's own threads (in a backend, a tool
    /// or a callback), in an observer, and on a helper that was not started. (Two helpers whose
    /// tasks ask each other may wait for each other: give such requests a deadline.)
    /// [`Error::UnknownTask`] or [`Error::ResultDropped`] if someone else took or cleared the
    /// result, or newer ones displaced it, before this call could read it.
    #[doc(alias = "blocking")]
    pub fn ask(&self, request: impl Into<TaskRequest>) -> Result<Task, Error> {
        let request = request.into();
        let why = if thread::is_of(self.shared.id) {
            "this is one of the helper's own threads: submit the task and use on_done"
        } else if foreign::in_observer() {
            "an observer may not wait for a task: submit it and use on_done"
        } else if !self.shared.lock().starting {
            "the helper was not started: call start first"
        } else {
            let id = self.submit_task(request)?;
            let task = self.wait_task(id, Duration::MAX)?;
            self.take_task_result(id);
            return Ok(task);
        };
        Err(Error::CannotWait { why, request: Box::new(request) })
    }

    /// Where a task is, and its result if it has ended. The result counts as read and stays
    /// with the helper.
    ///
    /// ```
    /// use automation_assistant::{AutomationAssistantManager, HelperConfig, TaskLookup};
    ///
    /// let manager = AutomationAssistantManager::new(5);
    /// let helper = manager.spawn(HelperConfig::local())?;
    /// let task = helper.submit_task("hello")?;
    /// match helper.look_up(task) {
    ///     TaskLookup::Queued | TaskLookup::Running => println!("not yet"),
    ///     TaskLookup::Finished(task) => println!("{:?}", task.result),
    ///     TaskLookup::Dropped => println!("read results sooner, or raise max_results"),
    ///     TaskLookup::Unknown => println!("no task of this helper, or its result was taken"),
    /// }
    /// # Ok::<(), automation_assistant::Error>(())
    /// ```
    pub fn look_up(&self, task: TaskId) -> TaskLookup {
        self.shared.look_up(task)
    }
}
