//! A queue in a folder, a manager, and a helper that answers as a closure says.

use std::time::Duration;

use automation_assistant::backend::{CallContext, Reply};
use automation_assistant::{
    AiBackend, AutomationAssistantManager, HelperConfig, HelperId, TaskError,
};
use automation_assistant_queue::{JobId, JobQueue, JobState, Limits, Stop, Worker, WorkerReport};

use super::{Folder, LONG};

/// Answers with what a closure says.
struct Says<F>(F);

impl<F> AiBackend for Says<F>
where
    F: Fn(&CallContext<'_>) -> Result<Reply, TaskError> + Send + Sync,
{
    fn name(&self) -> &str {
        "Says"
    }

    fn process(&self, call: &CallContext<'_>) -> Result<Reply, TaskError> {
        (self.0)(call)
    }
}

/// A queue in a folder, a manager, a helper.
pub(crate) struct Bench {
    pub(crate) queue: JobQueue,
    pub(crate) manager: AutomationAssistantManager,
    pub(crate) helper: HelperId,
    _folder: Folder,
}

impl Bench {
    pub(crate) fn new(
        threads: usize,
        limits: Limits,
        says: impl Fn(&CallContext<'_>) -> Result<Reply, TaskError> + Send + Sync + 'static,
    ) -> Self {
        let folder = Folder::new();
        let queue = JobQueue::open_with(folder.file("q"), limits).unwrap();
        let manager = AutomationAssistantManager::new(2);
        let config = HelperConfig::local().max_concurrent_tasks(threads);
        let helper = manager.spawn_helper_with(config, Says(says)).unwrap();
        Self { queue, manager, helper, _folder: folder }
    }

    pub(crate) fn worker(&self) -> Worker<'_> {
        Worker::new(&self.queue, &self.manager)
            .helper(self.helper)
            .retry_pause(Duration::from_millis(1))
    }

    pub(crate) fn run_all(&self) -> WorkerReport {
        self.worker().until_empty().run(&Stop::new()).unwrap()
    }

    pub(crate) fn state(&self, id: JobId) -> JobState {
        self.queue.status(id).unwrap().unwrap().state
    }

    /// Runs a worker beside a test, and stops it then.
    pub(crate) fn beside<T>(
        &self,
        worker: Worker<'_>,
        test: impl FnOnce() -> T,
    ) -> (WorkerReport, T) {
        let stop = Stop::new();
        std::thread::scope(|scope| {
            let running = scope.spawn(|| worker.run(&stop).unwrap());
            let value = std::panic::catch_unwind(std::panic::AssertUnwindSafe(test));
            stop.stop();
            let report = running.join().unwrap();
            (report, value.unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
        })
    }
}

pub(crate) fn echo(call: &CallContext<'_>) -> Result<Reply, TaskError> {
    Ok(Reply::new(call.prompt()))
}

/// Runs until it is cancelled.
pub(crate) fn endless(call: &CallContext<'_>) -> Result<Reply, TaskError> {
    call.pause(LONG).map(|()| Reply::new("too late"))
}
