//! Foreign code that blocks wherever it is called during a stop, or when a look ends a task that
//! is due: the stop keeps its bound, the threads that are held are counted, other helpers' stops
//! are not delayed, and the look returns.

use std::sync::mpsc::channel;
use std::sync::{Arc, Condvar, Mutex, OnceLock};
use std::time::{Duration, Instant};

use automation_assistant::{
    AiBackend, AutomationAssistantManager, AutomationHelper, CallContext, ErrorKind, Event,
    EventKind, HelperConfig, Observe, Reply, TaskError, TaskId, TaskRequest,
};

use crate::support::{LONG, gate, side_by_side, until};

/// Holds each thread that passes once it is shut, until it is opened.
#[derive(Clone, Default)]
pub(crate) struct Barrier(Arc<(Mutex<bool>, Condvar)>);

impl Barrier {
    pub(crate) fn shut(&self) {
        *self.0.0.lock().unwrap() = true;
    }

    pub(crate) fn open(&self) {
        *self.0.0.lock().unwrap() = false;
        self.0.1.notify_all();
    }

    fn pass(&self) {
        let is_shut = self.0.0.lock().unwrap();
        drop(self.0.1.wait_timeout_while(is_shut, LONG, |is_shut| *is_shut).unwrap());
    }
}

/// Where foreign code blocks.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Place {
    BackendDrop,
    StopGrace,
    Hook,
    /// A backend that ignores its cancel signal.
    Backend,
    StopObserver,
    /// The observer of a task that the stop itself ends, since the only thread is held.
    EndObserver,
    OnDone,
}

pub(crate) struct Blocks {
    pub(crate) at: Place,
    pub(crate) barrier: Barrier,
}

impl Blocks {
    fn pass(&self, place: Place) {
        if self.at == place {
            self.barrier.pass();
        }
    }
}

impl AiBackend for Blocks {
    fn name(&self) -> &str {
        "Blocks"
    }

    fn process(&self, call: &CallContext<'_>) -> Result<Reply, TaskError> {
        let barrier = self.barrier.clone();
        let hook =
            (self.at == Place::Hook).then(|| call.cancel().on_cancel(move || barrier.pass()));
        call.cancel().wait(LONG);
        self.pass(Place::Backend);
        self.pass(Place::EndObserver);
        drop(hook);
        call.check()?;
        Ok(Reply::new("not stopped"))
    }

    fn stop_grace(&self) -> Duration {
        self.pass(Place::StopGrace);
        Duration::ZERO
    }
}

impl Drop for Blocks {
    fn drop(&mut self) {
        self.pass(Place::BackendDrop);
    }
}

pub(crate) struct Observer(pub(crate) Place, pub(crate) Barrier);

impl Observe for Observer {
    fn on_event(&self, event: &Event<'_>) {
        let held = match event.kind() {
            EventKind::HelperStop => Place::StopObserver,
            EventKind::TaskComplete => Place::EndObserver,
            _ => return,
        };
        if held == self.0 {
            self.1.pass();
        }
    }
}

/// The helpers that block; the serial waits of as many would exceed the bound.
const HELPERS: usize = 4;

/// One wait of 0.8 s, and 0.2 s for the observers; the rest is for a slow machine.
const BOUND: Duration = Duration::from_millis(2_400);

#[test]
fn a_stop_keeps_its_bound_wherever_foreign_code_blocks() {
    // Each with the threads that are held in the end.
    let rows = [
        (Place::BackendDrop, 1),
        (Place::StopGrace, 0),
        // The hook's, and the backend's, which waits for the hook.
        (Place::Hook, 2),
        (Place::Backend, 1),
        (Place::StopObserver, 1),
        // The backend's, and the one that ends its task.
        (Place::EndObserver, 2),
        (Place::OnDone, 1),
    ];
    side_by_side(rows, |(place, held)| {
        let barrier = Barrier::default();
        let manager = AutomationAssistantManager::builder()
            .max_helpers(HELPERS + 1)
            .observer(Arc::new(Observer(place, barrier.clone())))
            .build()
            .unwrap();
        let spawn = |at| {
            let backend = Blocks { at, barrier: barrier.clone() };
            manager.spawn_with(HelperConfig::local(), backend).unwrap()
        };
        let helpers: Vec<_> = (0..HELPERS).map(|_| spawn(place)).collect();
        let on_done = |barrier: Barrier| {
            TaskRequest::new("x").on_done(move |_| {
                if place == Place::OnDone {
                    barrier.pass();
                }
            })
        };
        let submit = |helper: &AutomationHelper| {
            let id = helper.submit_task(on_done(barrier.clone())).unwrap();
            until("it runs", || helper.get_status().active_tasks == 1);
            id
        };
        let tasks: Vec<_> = helpers.iter().map(submit).collect();
        barrier.shut();
        let began = Instant::now();
        manager.terminate_all();
        helpers[0].stop();
        drop(manager);
        assert!(began.elapsed() < BOUND, "{place:?}: {:?}", began.elapsed());
        for (helper, task) in helpers.iter().zip(tasks) {
            let status = helper.get_status();
            let counts = (status.threads, status.unjoined_threads);
            assert_eq!(counts, (held, held), "{place:?}");
            if place != Place::EndObserver {
                let task = helper.get_task_result(task).unwrap();
                assert_eq!(task.error.unwrap().kind(), ErrorKind::Cancelled, "{place:?}");
            }
        }
        barrier.open();
        until("every thread ends", || helpers.iter().all(|one| one.get_status().threads == 0));
    });
}

#[test]
fn idle_threads_of_a_helper_that_is_held_are_not_counted_as_held() {
    let barrier = Barrier::default();
    barrier.shut();
    let helper = AutomationHelper::builder(HelperConfig::local().max_concurrent_tasks(4))
        .observer(Arc::new(Observer(Place::EndObserver, barrier.clone())))
        .build()
        .unwrap();
    helper.start().unwrap();
    helper.submit_task("x").unwrap();
    until("it runs", || helper.get_status().active_tasks == 1);
    helper.stop();
    assert_eq!(helper.get_status().unjoined_threads, 1);
    barrier.open();
    until("every thread ends", || helper.get_status().threads == 0);
}

/// A look waits a tenth of a second for the thread that it asked to end a task; the rest is for a
/// slow machine.
const LOOK_BOUND: Duration = Duration::from_secs(2);

#[test]
fn no_look_at_a_task_that_is_due_is_held_up_by_foreign_code() {
    const QUEUED: usize = 20;
    // Of the six that the crate's docs name, two are a stop's.
    const ENDING_THREADS_MAX: usize = 4;
    type Look = fn(&AutomationHelper, TaskId);
    let looks: [(&str, Look); 8] = [
        ("wait", |helper, id| drop(helper.wait_task(id, Duration::ZERO))),
        ("get", |helper, id| drop(helper.get_task_result(id))),
        ("look up", |helper, id| drop(helper.look_up(id))),
        ("state", |helper, id| assert!(helper.task_state(id).is_some())),
        ("status", |helper, _| drop(helper.get_status())),
        ("submit", |helper, _| {
            let request = TaskRequest::new("y").deadline(Duration::from_millis(1));
            drop(helper.submit_task(request));
        }),
        ("submit and wait", |helper, _| {
            let request = TaskRequest::new("z").deadline(Duration::from_millis(1));
            drop(helper.submit_task_wait(request, Duration::from_millis(1)));
        }),
        ("take", |helper, id| assert!(helper.take_task_result(id).is_none())),
    ];
    side_by_side([Place::EndObserver, Place::Hook], |place| {
        let barrier = Barrier::default();
        barrier.shut();
        let manager = AutomationAssistantManager::builder()
            .observer(Arc::new(Observer(place, barrier.clone())))
            .build()
            .unwrap();
        let backend = Blocks { at: place, barrier: barrier.clone() };
        let config = HelperConfig::local().queue_capacity(QUEUED);
        let helper = manager.spawn_with(config, backend).unwrap();
        let (ended, ends) = channel();
        let request = |time| {
            let ended = ended.clone();
            TaskRequest::new("x")
                .timeout(time)
                .on_done(move |task| ended.send(task.task_id).unwrap())
        };
        let running = helper.submit_task(request(Duration::from_millis(1))).unwrap();
        until("it runs", || helper.get_status().active_tasks == 1);
        let queued: Vec<_> = (0..QUEUED)
            .map(|_| helper.submit_task(request(LONG).deadline(Duration::from_millis(1))).unwrap())
            .collect();
        let began = Instant::now();
        until("it is overdue", || began.elapsed() > Duration::from_millis(300));
        for (name, look) in looks {
            let began = Instant::now();
            look(&helper, running);
            let any = [(running.helper_id(), running)];
            assert!(manager.wait_any(&any, Duration::from_millis(1)).is_err(), "{name}");
            assert!(began.elapsed() < LOOK_BOUND, "{place:?}, {name}: {:?}", began.elapsed());
        }
        assert!(helper.get_status().threads <= 1 + ENDING_THREADS_MAX);
        barrier.open();
        let mut ended: Vec<_> = (0..=QUEUED).map(|_| ends.recv_timeout(LONG).unwrap()).collect();
        ended.sort_unstable_by_key(TaskId::to_string);
        ended.dedup();
        assert_eq!(ended.len(), QUEUED + 1);
        for id in queued.into_iter().chain([running]) {
            let task = helper.wait_task(id, LONG).unwrap();
            assert_eq!(task.error.unwrap().kind(), ErrorKind::Timeout);
        }
    });
}

#[test]
fn callbacks_that_wait_for_a_busy_thread_are_bounded_as_the_queue_is() {
    const CAPACITY: usize = 3;
    let (backend, keeper) = gate();
    let config = HelperConfig::local().queue_capacity(CAPACITY);
    let helper = AutomationHelper::builder(config).backend(backend).build().unwrap();
    helper.start().unwrap();
    helper.submit_task("plug").unwrap();
    keeper.next();
    let (called, calls) = channel();
    let request = || {
        let called = called.clone();
        TaskRequest::new("late").deadline(Duration::ZERO).on_done(move |_| called.send(()).unwrap())
    };
    // Those of a full queue that expired, and as many queued again.
    let accepted = (0..100).take_while(|_| helper.submit_task(request()).is_ok()).count();
    assert!(accepted <= 2 * CAPACITY + 1, "{accepted}");
    let waiting = helper.get_status().waiting_callbacks;
    assert!((CAPACITY..=accepted).contains(&waiting), "{waiting} of {accepted}");
    // A submit that waits goes on when they have run.
    keeper.go.send(()).unwrap();
    helper.submit_task_wait("next", LONG).unwrap();
    (0..accepted).for_each(|_| calls.recv_timeout(LONG).unwrap());
    keeper.go.send(()).unwrap();
    helper.stop();
}

/// Looks at all helpers at each end.
struct Looks(OnceLock<AutomationHelper>);

impl Observe for Looks {
    fn on_event(&self, event: &Event<'_>) {
        if let (EventKind::TaskComplete, Some(helper)) = (event.kind(), self.0.get()) {
            drop(helper.get_status());
        }
    }
}

#[test]
fn observers_that_look_do_not_wait_for_each_other() {
    const TASKS: usize = 100;
    let (backend, keeper) = gate();
    let looks = Arc::new(Looks(OnceLock::new()));
    let builder = AutomationHelper::builder(HelperConfig::local()).backend(backend);
    let helper = builder.observer(looks.clone()).build().unwrap();
    helper.start().unwrap();
    let plug = helper.submit_task("plug").unwrap();
    keeper.next();
    let request = || TaskRequest::new("late").deadline(Duration::from_millis(1));
    let ids = [(); TASKS].map(|()| helper.submit_task(request()).unwrap());
    looks.0.set(helper.clone()).unwrap();
    let began = Instant::now();
    for id in ids {
        assert!(helper.wait_task(id, LONG).unwrap().error.is_some());
    }
    // A tenth of a second each would be ten; four threads share them.
    assert!(began.elapsed() < Duration::from_secs(2), "{:?}", began.elapsed());
    keeper.go.send(()).unwrap();
    helper.wait_task(plug, LONG).unwrap();
}

#[test]
fn a_stop_from_a_callback_or_an_observer_waits_for_no_hook() {
    side_by_side([Place::OnDone, Place::EndObserver], |place| {
        let barrier = Barrier::default();
        barrier.shut();
        let backend = Blocks { at: Place::Hook, barrier: barrier.clone() };
        let stopped = AutomationHelper::builder(HelperConfig::local()).backend(backend);
        let stopped = stopped.build().unwrap();
        stopped.start().unwrap();
        stopped.submit_task("x").unwrap();
        until("it runs", || stopped.get_status().active_tasks == 1);
        let (own, (sender, took)) = (stopped.clone(), channel());
        let stop = move || {
            let began = Instant::now();
            own.stop();
            sender.send(began.elapsed()).unwrap();
        };
        let other = AutomationHelper::builder(HelperConfig::local());
        let (other, request) = match place {
            Place::OnDone => (other, TaskRequest::new("y").on_done(move |_| stop())),
            _ => (other.observer(Arc::new(AtEnd(Mutex::new(stop)))), "y".into()),
        };
        let other = other.build().unwrap();
        other.start().unwrap();
        other.submit_task(request).unwrap();
        assert!(took.recv_timeout(LONG).unwrap() < LOOK_BOUND, "{place:?}");
        barrier.open();
        until("every thread ends", || stopped.get_status().threads == 0);
    });
}

/// Runs this at each task's end.
struct AtEnd<F>(Mutex<F>);

impl<F: FnMut() + Send> Observe for AtEnd<F> {
    fn on_event(&self, event: &Event<'_>) {
        if event.kind() == EventKind::TaskComplete {
            self.0.lock().unwrap()();
        }
    }
}
