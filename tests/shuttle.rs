//! The core under a model checker: thousands of schedules of its real code, each with other
//! moments at which threads give way. See README.md beside this file for how to run it.
//!
//! A model must not assert inside a backend, an observer or a callback: the helper would
//! catch that. What goes wrong there is written down, and looked at in the end.
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

macro_rules! models {
    ($($name:ident),* $(,)?) => {
        mod models {
            $(#[test] fn $name() { super::check(stringify!($name), super::$name); })*
        }
    };
}

models! {
    every_task_is_done_once,
    a_cancel_meets_the_end,
    a_cancel_meets_the_writing_down_of_a_call,
    a_hook_never_outlives_its_guard,
    stop_submit_and_start_at_once,
    two_starts_at_once,
    two_stops_and_one_from_within,
    wait_any_hears_the_first_end,
    whoever_waits_for_room_gets_it,
    a_task_late_in_the_queue_leaves_room,
    no_unread_result_is_pushed_out,
    a_deadline_passes_on_all_sides,
    a_backend_past_its_time_is_left,
    the_last_owner_goes_on_the_helper_s_thread,
    tickets_wake_for_any_number_of_tasks,
    a_manager_ends_while_others_use_it,
    callbacks_cancel_while_two_threads_end_tasks,
    a_callback_is_run_while_the_one_that_caused_it_blocks,
    a_callback_wakes_a_thread_whoever_found_its_task_late,
    a_stop_meets_callbacks_that_cancel_and_stop,
    a_stop_of_a_helper_never_started_meets_a_wait,
    an_observer_cancels_while_others_end_tasks,
    everybody_ends_one_task,
}

/// An event as a model remembers it.
type Note = (EventKind, Option<TaskId>);

/// Writes events down. Its lock is the checker's, so threads give way while observers are
/// told.
#[derive(Default)]
struct Notes(Mutex<Vec<Note>>);

impl Observe for Notes {
    fn on_event(&self, event: &Event<'_>) {
        self.0.lock().unwrap().push((event.kind, event.task_id));
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
struct House {
    helper: AutomationHelper,
    notes: Arc<Notes>,
    called_back: Arc<Mutex<HashMap<TaskId, usize>>>,
    accepted: Arc<Mutex<Vec<TaskId>>>,
}

fn config() -> HelperConfig {
    HelperConfig::local().count_suspended_time(false)
}

fn house(
    config: HelperConfig,
    backend: impl Fn(&CallContext<'_>) -> Result<Reply, TaskError> + Send + Sync + 'static,
) -> House {
    let notes = Arc::new(Notes::default());
    let helper = AutomationHelper::builder(config)
        .backend(Backend(backend))
        .observer(notes.clone())
        .build()
        .unwrap();
    House { helper, notes, called_back: Arc::default(), accepted: Arc::default() }
}

impl House {
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

    /// Runs something with this house on a thread of its own.
    fn aside<T: Send + 'static>(
        &self,
        work: impl FnOnce(House) -> T + Send + 'static,
    ) -> thread::JoinHandle<T> {
        let house = self.clone();
        thread::spawn(move || work(house))
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
            assert_eq!(self.notes.count(EventKind::TaskComplete, Some(id)), 1, "told once");
            if let Some(task) = self.helper.get_task_result(id) {
                self.calls_are_right(&task);
            }
        }
        let spawned = self.notes.count(EventKind::HelperSpawn, None);
        assert_eq!(self.notes.count(EventKind::HelperStop, None), spawned, "both are told");
    }

    /// As many calls are told of as the task says, all before its end.
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

fn every_task_is_done_once() {
    let house = house(config().max_concurrent_tasks(2), echo).started();
    let submitters: Vec<_> = (0..2)
        .map(|n| {
            house.aside(move |house| {
                let id = house.submit(format!("{n}")).unwrap();
                let task = house.helper.wait_task(id, LONG).unwrap();
                assert_eq!(task.result, Some(format!("{n}")));
                assert!(house.helper.get_status().completed_tasks >= 1);
            })
        })
        .collect();
    let own = house.submit("own").unwrap();
    assert_eq!(house.helper.wait_task(own, LONG).unwrap().result.as_deref(), Some("own"));
    submitters.into_iter().for_each(|thread| thread.join().unwrap());
    house.close();
    let report = house.helper.get_status();
    assert_eq!((report.completed_tasks, report.failed_tasks), (3, 0));
}

fn a_cancel_meets_the_end() {
    // The second task sees whether the first one's signal reaches it.
    let backend = |call: &CallContext<'_>| {
        call.check()?;
        thread::yield_now();
        Ok(Reply::new(call.prompt()))
    };
    let house = house(config(), backend).started();
    let first = house.submit("first").unwrap();
    let second = house.submit("second").unwrap();
    let canceller = house.aside(move |house| {
        let cancelled = house.helper.cancel_task(first);
        if cancelled {
            let task = house.helper.get_task_result(first).expect("a cancel ends at once");
            assert_eq!(kind(&task), Some(ErrorKind::Cancelled));
        }
        cancelled
    });
    let task = house.helper.wait_task(first, LONG).unwrap();
    let cancelled = canceller.join().unwrap();
    assert_eq!(kind(&task), cancelled.then_some(ErrorKind::Cancelled));
    assert_eq!(task.prompt, "first");
    let task = house.helper.wait_task(second, LONG).unwrap();
    assert_eq!((kind(&task), task.prompt.as_str()), (None, "second"));
    house.close();
}

fn a_cancel_meets_the_writing_down_of_a_call() {
    let backend = |call: &CallContext<'_>| {
        let failed = TaskError::new(ErrorKind::Server, "planted");
        call.end_attempt(&Attempt::new(Some(&failed)));
        call.begin_attempt();
        call.end_attempt(&Attempt::new(None));
        Ok(Reply::new(call.prompt()))
    };
    let house = house(config(), backend).started();
    let first = house.submit("first").unwrap();
    let cancellers: Vec<_> =
        (0..2).map(|_| house.aside(move |house| house.helper.cancel_task(first))).collect();
    let task = house.helper.wait_task(first, LONG).unwrap();
    let cancels: Vec<_> = cancellers.into_iter().map(|thread| thread.join().unwrap()).collect();
    let ended = cancels.iter().filter(|&&ended| ended).count();
    assert!(ended <= 1, "one cancel ends it, the other is told that it is over");
    assert_eq!(kind(&task), (ended == 1).then_some(ErrorKind::Cancelled));
    house.calls_are_right(&task);
    let second = house.submit("second").unwrap();
    assert!(house.helper.wait_task(second, LONG).unwrap().is_success());
    house.close();
}

fn a_hook_never_outlives_its_guard() {
    let broken = Arc::new(AtomicBool::new(false));
    let runs = Arc::new(AtomicUsize::new(0));
    let (seen, counted) = (Arc::clone(&broken), Arc::clone(&runs));
    let backend = move |call: &CallContext<'_>| {
        let guarded = Arc::new(AtomicBool::new(true));
        let (inside, seen, counted) =
            (Arc::clone(&guarded), Arc::clone(&seen), Arc::clone(&counted));
        let guard = call.cancel().on_cancel(move || {
            counted.fetch_add(1, Ordering::SeqCst);
            if !inside.load(Ordering::SeqCst) {
                seen.store(true, Ordering::SeqCst);
            }
        });
        thread::yield_now();
        drop(guard);
        guarded.store(false, Ordering::SeqCst);
        Ok(Reply::new(call.prompt()))
    };
    let house = house(config(), backend).started();
    let first = house.submit("first").unwrap();
    let second = house.submit("second").unwrap();
    let canceller = house.aside(move |house| {
        house.helper.cancel_task(first);
        house.helper.cancel_task(second);
    });
    house.helper.wait_task(first, LONG).unwrap();
    house.helper.wait_task(second, LONG).unwrap();
    canceller.join().unwrap();
    house.close();
    assert!(!broken.load(Ordering::SeqCst), "a hook ran after its guard was gone");
    assert!(runs.load(Ordering::SeqCst) <= 2);
}

fn stop_submit_and_start_at_once() {
    let house = house(config().max_concurrent_tasks(2), echo);
    let starter = house.aside(|house| house.helper.start());
    let submitter = house.aside(|house| {
        let (a, b) = (house.submit("a"), house.submit("b"));
        for refused in [&a, &b].into_iter().filter_map(|result| result.as_ref().err()) {
            assert!(matches!(refused, Error::Stopped(_)));
        }
        // Whatever was taken in has an end, and whoever waits for it hears of it.
        a.map(|id| house.helper.wait_task(id, LONG).unwrap()).ok()
    });
    house.helper.stop();
    // Whatever was taken in before the stop's signal was ended by it; nothing comes after.
    assert!(matches!(house.helper.submit_task("late"), Err(Error::Stopped(_))));
    let _ = starter.join().unwrap();
    submitter.join().unwrap();
    house.close();
}

fn two_starts_at_once() {
    let house = house(config(), echo);
    let other = house.aside(|house| house.helper.start().unwrap());
    house.helper.start().unwrap();
    let ids = [house.submit("a").unwrap(), house.submit("b").unwrap()];
    other.join().unwrap();
    assert_eq!(house.helper.get_status().threads, 1);
    for id in ids {
        assert!(house.helper.wait_task(id, LONG).unwrap().is_success());
    }
    house.close();
    assert_eq!(house.notes.count(EventKind::HelperSpawn, None), 1);
}

fn two_stops_and_one_from_within() {
    let house = house(config(), echo).started();
    let own = house.clone();
    house.submit(TaskRequest::new("a").on_text(|_| {})).unwrap();
    let inner = own.helper.clone();
    // Not counted by the house: its callback is another.
    let request = TaskRequest::new("b").on_done(move |_| inner.stop());
    let last = own.helper.submit_task(request).unwrap();
    let other = house.aside(|house| house.helper.stop());
    let task = house.helper.wait_task(last, LONG).unwrap();
    assert!(matches!(kind(&task), None | Some(ErrorKind::Terminated | ErrorKind::Cancelled)));
    other.join().unwrap();
    house.helper.stop();
    let report = house.helper.get_status();
    assert_eq!((report.threads, report.unjoined_threads, report.completed_tasks), (0, 0, 2));
    assert_eq!(house.notes.count(EventKind::HelperStop, None), 1);
}

fn wait_any_hears_the_first_end() {
    let manager = Arc::new(AutomationAssistantManager::new(2));
    let slow = manager.spawn_helper_with(config(), Backend(stubborn)).unwrap();
    let quick = manager.spawn_helper_with(config(), Backend(echo)).unwrap();
    let a = manager.submit_task(slow, "slow").unwrap();
    let b = manager.submit_task(quick, "quick").unwrap();
    let other = Arc::clone(&manager);
    let canceller = thread::spawn(move || other.cancel_task(slow, a));
    let first = manager.wait_any(&[(slow, a), (quick, b)], LONG).unwrap();
    assert!(first.task_id == a || first.is_success());
    assert!(canceller.join().unwrap(), "nothing else ends it");
    assert_eq!(kind(&manager.wait_any(&[(slow, a)], LONG).unwrap()), Some(ErrorKind::Cancelled));
    assert!(manager.wait_any(&[(quick, b)], LONG).unwrap().is_success());
    manager.terminate_all();
}

fn whoever_waits_for_room_gets_it() {
    let house = house(config().queue_capacity(1), echo);
    let first = house.submit("first").unwrap();
    let waiters: Vec<_> = (0..2)
        .map(|_| {
            house.aside(|house| {
                let id = house.submit_wait("waited").unwrap();
                house.helper.wait_task(id, LONG).unwrap();
                assert!(house.helper.take_task_result(id).is_some());
            })
        })
        .collect();
    let canceller = house.aside(move |house| house.helper.cancel_task(first));
    house.helper.start().unwrap();
    waiters.into_iter().for_each(|thread| thread.join().unwrap());
    canceller.join().unwrap();
    house.close();
}

fn a_task_late_in_the_queue_leaves_room() {
    // Time passes where this house's task is waited for: twice 0.4 s, so that the hurried
    // task's wait for room is a long one, and its time can be over all the same.
    const STEP: Duration = Duration::from_millis(400);
    const HURRIED: Duration = Duration::from_millis(600);
    let clock = house(config(), echo);
    let never = clock.submit("never begun").unwrap();
    let house = house(config().queue_capacity(1), echo);
    house.submit("first").unwrap();
    let hurried = house.aside(|house| {
        let _ = house.submit_wait(TaskRequest::new("hurried").deadline(HURRIED));
    });
    let patient = house.aside(|house| {
        let id = house.submit_wait("patient").unwrap();
        assert!(house.helper.wait_task(id, LONG).unwrap().is_success());
    });
    let time = thread::spawn(move || {
        for _ in 0..2 {
            let waited = clock.helper.wait_task(never, STEP);
            assert!(matches!(waited, Err(Error::WaitTimedOut { .. })));
        }
        clock.close();
    });
    house.helper.start().unwrap();
    for thread in [hurried, patient, time] {
        thread.join().unwrap();
    }
    house.close();
}

fn no_unread_result_is_pushed_out() {
    let config = config().max_results(1).when_results_full(WhenResultsFull::RefuseTasks);
    let house = house(config, echo).started();
    let first = house.submit("first").unwrap();
    let canceller = house.aside(move |house| house.helper.cancel_task(first));
    let second = house.submit("second");
    canceller.join().unwrap();
    house.helper.wait_task(first, LONG).expect("nothing pushes it out");
    if let Ok(second) = second {
        assert!(house.helper.wait_task(second, LONG).unwrap().is_success());
    }
    let third = house.submit_wait("third").expect("what was read may go");
    house.helper.wait_task(third, LONG).unwrap();
    house.close();
    assert_eq!(house.helper.get_status().dropped_results, 0);
}

fn a_deadline_passes_on_all_sides() {
    let house = house(config(), echo);
    let id = house.submit(TaskRequest::new("short").deadline(SHORT)).unwrap();
    let looker = house.aside(move |house| {
        house.helper.get_status();
        house.helper.task_state(id)
    });
    let waiter = house.aside(move |house| house.helper.wait_task(id, LONG).unwrap());
    house.helper.start().unwrap();
    let task = waiter.join().unwrap();
    match kind(&task) {
        None => assert_eq!(task.result.as_deref(), Some("short")),
        Some(kind) => assert_eq!(kind, ErrorKind::Timeout),
    }
    assert!(looker.join().unwrap().is_some());
    assert_eq!(house.helper.task_state(id), Some(TaskState::Finished));
    let next = house.submit("next").unwrap();
    assert!(house.helper.wait_task(next, LONG).unwrap().is_success());
    house.close();
}

fn a_backend_past_its_time_is_left() {
    let backend = |call: &CallContext<'_>| {
        if call.prompt() == "long" {
            // Not looked at: it goes on whatever the time.
            let _ = call.pause(SHORT);
            call.end_attempt(&Attempt::new(None));
        }
        Ok(Reply::new(call.prompt()))
    };
    let house = house(config(), backend).started();
    let long = house.submit(TaskRequest::new("long").timeout(SHORT)).unwrap();
    let looker = house.aside(move |house| house.helper.get_task_result(long));
    let next = house.submit("next").unwrap();
    let task = house.helper.wait_task(long, LONG).unwrap();
    assert!(matches!(kind(&task), None | Some(ErrorKind::Timeout)));
    assert!(house.helper.wait_task(next, LONG).unwrap().is_success());
    if let Some(seen) = looker.join().unwrap() {
        assert_eq!(kind(&seen), kind(&task), "an outcome never changes");
    }
    house.close();
}

/// Happens when it is dropped, which is when the last thread has let go of its helper.
struct OnDrop(Once);

impl Drop for OnDrop {
    fn drop(&mut self) {
        self.0.happens();
    }
}

fn the_last_owner_goes_on_the_helper_s_thread() {
    let gone = Once::default();
    let on_drop = OnDrop(gone.clone());
    let backend = move |call: &CallContext<'_>| {
        let _kept = &on_drop;
        echo(call)
    };
    let house = house(config(), backend).started();
    let notes = Arc::clone(&house.notes);
    let owner = house.helper.clone();
    house.helper.submit_task(TaskRequest::new("a").on_done(move |_| drop(owner))).unwrap();
    house.helper.submit_task("b").unwrap();
    drop(house);
    gone.wait();
    let all = notes.all();
    let count = |kind| all.iter().filter(|note| note.0 == kind).count();
    assert_eq!(count(EventKind::TaskComplete), 2);
    assert_eq!(count(EventKind::HelperStop), 1);
}

fn tickets_wake_for_any_number_of_tasks() {
    let house = house(config().max_concurrent_tasks(2), echo).started();
    let others: Vec<_> = (0..2)
        .map(|_| {
            house.aside(|house| {
                for _ in 0..2 {
                    let id = house.submit("x").unwrap();
                    house.helper.cancel_task(id);
                }
            })
        })
        .collect();
    others.into_iter().for_each(|thread| thread.join().unwrap());
    let last = house.submit("last").unwrap();
    assert!(house.helper.wait_task(last, LONG).unwrap().is_success());
    // However many tasks came and went: no more than one for each thread.
    let waiting = house.helper.tickets();
    assert!(waiting <= 2, "{waiting} waiting");
    house.close();
}

fn a_manager_ends_while_others_use_it() {
    let manager = Arc::new(AutomationAssistantManager::new(2));
    let helper = manager.spawn_helper_with(config(), Backend(echo)).unwrap();
    let handle = manager.get_helper(helper).unwrap();
    let other = Arc::clone(&manager);
    let user = thread::spawn(move || {
        let id = other.submit_task(helper, "x").ok()?;
        other.wait_task(helper, id, LONG).ok()
    });
    let other = Arc::clone(&manager);
    let spawner = thread::spawn(move || other.spawn_helper_with(config(), Backend(echo)));
    manager.terminate_all();
    assert!(manager.get_helper(helper).is_none());
    user.join().unwrap();
    if let Ok(late) = spawner.join().unwrap() {
        assert!(manager.helper_count() <= 1);
        let _ = manager.terminate_helper(late);
    }
    let report = handle.get_status();
    assert_eq!((report.threads, report.unjoined_threads), (0, 0));
    assert_eq!(report.queued_tasks + report.active_tasks, 0);
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

fn callbacks_cancel_while_two_threads_end_tasks() {
    let house = house(config().max_concurrent_tasks(2), echo);
    // Each pair: a task, and the one that its callback cancels.
    let pairs: Vec<_> = (0..2)
        .map(|_| {
            let victim = house.submit("victim").unwrap();
            let helper = house.helper.clone();
            let first = house.submit_then("first", move || drop(helper.cancel_task(victim)));
            (first, victim)
        })
        .collect();
    let cancellers: Vec<_> = pairs
        .iter()
        .map(|&(first, _)| house.aside(move |house| house.helper.cancel_task(first)))
        .collect();
    house.helper.start().unwrap();
    cancellers.into_iter().for_each(|thread| drop(thread.join().unwrap()));
    for (first, victim) in pairs {
        house.helper.wait_task(first, LONG).unwrap();
        house.helper.wait_task(victim, LONG).unwrap();
    }
    house.close();
}

fn a_callback_is_run_while_the_one_that_caused_it_blocks() {
    let house = house(config(), stubborn).started();
    let other = Once::default();
    let happens = other.clone();
    let second = house.submit_then("second", move || happens.happens());
    let helper = house.helper.clone();
    // It waits for a callback that can come by the helper's thread alone.
    let first = house.submit_then("first", move || {
        helper.cancel_task(second);
        other.wait();
    });
    assert!(house.helper.cancel_task(first));
    house.close();
}

fn a_callback_wakes_a_thread_whoever_found_its_task_late() {
    let house = house(config(), echo).started();
    let called = Once::default();
    let happens = called.clone();
    let id = house.submit_then(TaskRequest::new("short").deadline(SHORT), move || {
        happens.happens();
    });
    let looker = house.aside(|house| house.helper.get_status());
    house.helper.wait_task(id, LONG).unwrap();
    // Nobody but the helper's thread runs it, and nothing but its callback wakes that.
    called.wait();
    looker.join().unwrap();
    house.close();
    assert_eq!(house.helper.get_status().waiting_callbacks, 0);
}

fn a_stop_meets_callbacks_that_cancel_and_stop() {
    let house = house(config().max_concurrent_tasks(2), echo).started();
    let victim = house.submit("victim").unwrap();
    let helper = house.helper.clone();
    let first = house.submit_then("first", move || {
        helper.cancel_task(victim);
        helper.stop();
    });
    let canceller = house.aside(move |house| house.helper.cancel_task(first));
    let stopper = house.aside(|house| {
        house.helper.stop();
        assert_eq!(house.helper.get_status().waiting_callbacks, 0, "its threads have gone");
    });
    house.helper.wait_task(victim, LONG).unwrap();
    canceller.join().unwrap();
    stopper.join().unwrap();
    house.close();
}

fn a_stop_of_a_helper_never_started_meets_a_wait() {
    let house = house(config(), echo);
    let late = house.submit(TaskRequest::new("late").deadline(SHORT)).unwrap();
    let waiter = house.aside(move |house| house.helper.wait_task(late, LONG).unwrap());
    let looker = house.aside(|house| drop(house.helper.get_status()));
    house.helper.stop();
    let called_back = house.called_back.lock().unwrap().len();
    assert_eq!(called_back, 1, "nobody else will run it");
    assert!(matches!(
        kind(&waiter.join().unwrap()),
        Some(ErrorKind::Timeout | ErrorKind::Terminated)
    ));
    looker.join().unwrap();
    house.close();
}

/// Cancels a task when another one's end is reported to it.
struct CancelsOther(Mutex<Option<(AutomationHelper, TaskId, TaskId)>>);

impl Observe for CancelsOther {
    fn on_event(&self, event: &Event<'_>) {
        let chosen = self.0.lock().unwrap().clone();
        let Some((helper, seen, other)) = chosen else { return };
        if event.kind == EventKind::TaskComplete && event.task_id == Some(seen) {
            helper.cancel_task(other);
        }
    }
}

fn an_observer_cancels_while_others_end_tasks() {
    let cancels = Arc::new(CancelsOther(Mutex::default()));
    let notes = Arc::new(Notes::default());
    let helper = AutomationHelper::builder(config())
        .backend(Backend(echo))
        .observer(cancels.clone())
        .observer(notes.clone())
        .build()
        .unwrap();
    let house = House { helper, notes, called_back: Arc::default(), accepted: Arc::default() };
    let (first, second) = (house.submit("first").unwrap(), house.submit("second").unwrap());
    *cancels.0.lock().unwrap() = Some((house.helper.clone(), first, second));
    let canceller = house.aside(move |house| house.helper.cancel_task(first));
    let waiter = house.aside(move |house| house.helper.wait_task(second, LONG).unwrap());
    house.helper.start().unwrap();
    house.helper.wait_task(first, LONG).unwrap();
    waiter.join().unwrap();
    canceller.join().unwrap();
    house.close();
    cancels.0.lock().unwrap().take();
}

fn everybody_ends_one_task() {
    let house = house(config(), echo);
    let id = house.submit(TaskRequest::new("x").deadline(SHORT)).unwrap();
    let waiter = house.aside(move |house| house.helper.wait_task(id, LONG).unwrap());
    let canceller = house.aside(move |house| house.helper.cancel_task(id));
    let stopper = house.aside(|house| house.helper.stop());
    let _ = house.helper.start();
    let seen = waiter.join().unwrap();
    let cancelled = canceller.join().unwrap();
    stopper.join().unwrap();
    let task = house.helper.get_task_result(id).unwrap();
    assert_eq!(kind(&task), kind(&seen), "an outcome never changes");
    // A stop ends what runs as cancelled, too.
    assert!(!cancelled || kind(&task) == Some(ErrorKind::Cancelled));
    house.close();
}
