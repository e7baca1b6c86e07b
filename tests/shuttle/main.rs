//! The core under a model checker: thousands of schedules of its real code, each with other
//! moments at which threads give way. See README.md beside this file for how to run it.
//!
//! A model must not assert inside a backend, an observer or a callback: the helper would
//! catch that. Failures there are recorded, and checked at the end.
#![cfg(shuttle)]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stdout)]

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use automation_assistant::{
    AiBackend, Attempt, AutomationAssistantManager, AutomationHelper, CallContext, Error,
    ErrorKind, Event, EventKind, HelperConfig, Observe, Reply, Task, TaskError, TaskId,
    TaskRequest, TaskState, WhenResultsFull,
};
use shuttle::scheduler::{PctScheduler, RandomScheduler, ReplayScheduler};
use shuttle::sync::Mutex;
use shuttle::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use shuttle::thread;

/// In a model a wait this long never runs out: what never comes is reported as a deadlock.
const LONG: Duration = Duration::from_secs(20);

/// In a model a wait this short may run out at any moment.
const SHORT: Duration = Duration::from_millis(1);

/// Schedules of each model and kind of schedule, unless the environment names a number.
const SCHEDULES: usize = 3000;

/// How many moments of giving way a PCT schedule places against the odds.
const PCT_DEPTH: usize = 3;

/// More stack than the checker's own 60 KiB: events carry whole tasks.
const STACK_BYTES: usize = 256 << 10;

/// Runs a model under random and under PCT schedules, or once under a given schedule.
fn check(name: &str, model: fn()) {
    let mut config = shuttle::Config::new();
    config.stack_size = STACK_BYTES;
    config.silence_warnings = true;
    if let Ok(schedule) = std::env::var("SHUTTLE_REPLAY") {
        let scheduler = ReplayScheduler::new_from_encoded(&schedule);
        shuttle::Runner::new(scheduler, config).run(model);
        return;
    }
    let number = |name| std::env::var(name).ok().and_then(|value| value.parse().ok());
    let schedules = number("SHUTTLE_SCHEDULES").map_or(SCHEDULES, |number: u64| number as usize);
    let seed = number("SHUTTLE_RANDOM_SEED")
        .unwrap_or_else(|| SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_nanos() as u64);
    println!("{name}: {schedules} schedules of each kind, SHUTTLE_RANDOM_SEED={seed}");
    let random = RandomScheduler::new_from_seed(seed, schedules);
    shuttle::Runner::new(random, config.clone()).run(model);
    let pct = PctScheduler::new_from_seed(seed, PCT_DEPTH, schedules);
    shuttle::Runner::new(pct, config).run(model);
}

/// Makes tests of a module's models.
macro_rules! models {
    ($($name:ident),* $(,)?) => {
        mod models {
            $(#[test] fn $name() { crate::check(stringify!($name), super::$name); })*
        }
    };
}

mod callbacks;
mod ends;
mod stops;
mod waits;

/// An event as a model remembers it.
type Note = (EventKind, Option<TaskId>);

/// Records events. Its lock is the checker's, so threads are switched while observers are
/// notified.
#[derive(Default)]
struct Notes(Mutex<Vec<Note>>);

impl Observe for Notes {
    fn on_event(&self, event: &Event<'_>) {
        self.0.lock().unwrap().push((event.kind(), event.task_id()));
    }
}

impl Notes {
    fn all(&self) -> Vec<Note> {
        self.0.lock().unwrap().clone()
    }

    fn count(&self, kind: EventKind, task: Option<TaskId>) -> usize {
        self.all().iter().filter(|note| **note == (kind, task)).count()
    }
}

/// A backend made of a closure.
struct Backend<F>(F);

impl<F> AiBackend for Backend<F>
where
    F: Fn(&CallContext<'_>) -> Result<Reply, TaskError> + Send + Sync,
{
    fn name(&self) -> &str {
        "Model"
    }

    fn process(&self, call: &CallContext<'_>) -> Result<Reply, TaskError> {
        (self.0)(call)
    }
}

fn echo(call: &CallContext<'_>) -> Result<Reply, TaskError> {
    thread::yield_now();
    Ok(Reply::new(call.prompt()))
}

/// A helper under observation, and the tasks it has taken.
#[derive(Clone)]
struct Scene {
    helper: AutomationHelper,
    notes: Arc<Notes>,
    called_back: Arc<Mutex<HashMap<TaskId, usize>>>,
    accepted: Arc<Mutex<Vec<TaskId>>>,
}

fn config() -> HelperConfig {
    HelperConfig::local().count_suspended_time(false)
}

fn scene(
    config: HelperConfig,
    backend: impl Fn(&CallContext<'_>) -> Result<Reply, TaskError> + Send + Sync + 'static,
) -> Scene {
    let notes = Arc::new(Notes::default());
    let helper = AutomationHelper::builder(config)
        .backend(Backend(backend))
        .observer(notes.clone())
        .build()
        .unwrap();
    Scene { helper, notes, called_back: Arc::default(), accepted: Arc::default() }
}

impl Scene {
    fn started(self) -> Self {
        self.helper.start().unwrap();
        self
    }

    /// The request, with a callback that counts.
    fn request(&self, request: impl Into<TaskRequest>) -> TaskRequest {
        self.request_then(request, || {})
    }

    /// The request, with a callback that counts and then does something.
    fn request_then(
        &self,
        request: impl Into<TaskRequest>,
        then: impl FnOnce() + Send + 'static,
    ) -> TaskRequest {
        let called_back = Arc::clone(&self.called_back);
        request.into().on_done(move |task| {
            *called_back.lock().unwrap().entry(task.task_id).or_default() += 1;
            then();
        })
    }

    fn submit_then(
        &self,
        request: impl Into<TaskRequest>,
        then: impl FnOnce() + Send + 'static,
    ) -> TaskId {
        let request = self.request_then(request, then);
        self.took(self.helper.submit_task(request).unwrap())
    }

    fn took(&self, id: TaskId) -> TaskId {
        self.accepted.lock().unwrap().push(id);
        id
    }

    fn submit(&self, request: impl Into<TaskRequest>) -> Result<TaskId, Error> {
        self.helper.submit_task(self.request(request)).map(|id| self.took(id))
    }

    fn submit_wait(&self, request: impl Into<TaskRequest>) -> Result<TaskId, Error> {
        self.helper.submit_task_wait(self.request(request), LONG).map(|id| self.took(id))
    }

    /// Runs something with this scene on a thread of its own.
    fn aside<T: Send + 'static>(
        &self,
        work: impl FnOnce(Scene) -> T + Send + 'static,
    ) -> thread::JoinHandle<T> {
        let scene = self.clone();
        thread::spawn(move || work(scene))
    }

    /// Stops the helper, and looks whether the books are right.
    fn close(&self) {
        self.helper.stop();
        let report = self.helper.get_status();
        assert_eq!((report.threads, report.unjoined_threads), (0, 0), "no thread is left");
        assert_eq!((report.queued_tasks, report.active_tasks), (0, 0));
        assert_eq!((report.observer_panics, report.callback_panics), (0, 0));
        let accepted = self.accepted.lock().unwrap().clone();
        assert_eq!(report.completed_tasks, accepted.len() as u64, "each task ends once");
        let called_back = self.called_back.lock().unwrap().clone();
        assert_eq!(called_back.len(), accepted.len(), "each task is called back");
        assert!(called_back.values().all(|&times| times == 1), "once");
        for &id in &accepted {
            assert_eq!(self.notes.count(EventKind::TaskComplete, Some(id)), 1, "reported once");
            if let Some(task) = self.helper.get_task_result(id) {
                self.calls_are_right(&task);
            }
        }
        let spawned = self.notes.count(EventKind::HelperSpawn, None);
        assert_eq!(self.notes.count(EventKind::HelperStop, None), spawned, "both are reported");
    }

    /// As many calls are reported as the task counts, all before its end.
    fn calls_are_right(&self, task: &Task) {
        let id = Some(task.task_id);
        assert_eq!(self.notes.count(EventKind::BackendCall, id), task.attempts as usize);
        let notes = self.notes.all();
        let last = notes.iter().rposition(|note| note.1 == id).unwrap();
        assert_eq!(notes[last].0, EventKind::TaskComplete);
    }
}

fn kind(task: &Task) -> Option<ErrorKind> {
    task.error.as_ref().map(TaskError::kind)
}

/// Something that happens once, and can be waited for.
#[derive(Clone, Default)]
struct Once(Arc<(Mutex<bool>, shuttle::sync::Condvar)>);

impl Once {
    fn happens(&self) {
        *self.0.0.lock().unwrap() = true;
        self.0.1.notify_all();
    }

    /// In a model that it never happens is a deadlock.
    fn wait(&self) {
        let mut happened = self.0.0.lock().unwrap();
        while !*happened {
            happened = self.0.1.wait(happened).unwrap();
        }
    }
}

/// Runs until it is cancelled.
fn stubborn(call: &CallContext<'_>) -> Result<Reply, TaskError> {
    call.pause(LONG)?;
    Ok(Reply::new("in vain"))
}
