//! Callbacks that end tasks, stop helpers, block: who runs them, when, and on how much stack.

use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex, OnceLock};
use std::thread::ThreadId;
use std::time::{Duration, Instant};

use automation_assistant::{
    AutomationAssistantManager, AutomationHelper, CallContext, ErrorKind, Event, EventKind,
    Fallback, HelperConfig, HelperStatus, Observe, Reply, Speech, TaskError, TaskId, TaskRequest,
    TaskState, Together,
};

use crate::support::{FnBackend, GateKeeper, LONG, gate, patient, until};

/// A started helper whose first thread the gate keeps; `threads` of them.
fn gated(threads: usize) -> (AutomationHelper, GateKeeper) {
    let (backend, keeper) = gate();
    let config = HelperConfig::local().max_concurrent_tasks(threads);
    let helper = AutomationHelper::builder(config).backend(backend).build().unwrap();
    helper.start().unwrap();
    helper.submit_task("plug").unwrap();
    keeper.next();
    (helper, keeper)
}

/// A request that says on which thread it was called back.
fn asks_thread(request: TaskRequest) -> (TaskRequest, Receiver<ThreadId>) {
    let (called, calls) = channel();
    (request.on_done(move |_| called.send(std::thread::current().id()).unwrap()), calls)
}

#[test]
fn no_submit_wait_look_up_or_status_call_runs_a_callback() {
    type Call = fn(&AutomationHelper, TaskId);
    let calls: [(&str, Call); 5] = [
        ("wait_task", |helper, id| drop(helper.wait_task(id, LONG).unwrap())),
        ("get_task_result", |helper, id| drop(helper.get_task_result(id).unwrap())),
        ("task_state", |helper, id| assert!(helper.task_state(id).is_some())),
        ("get_status", |helper, _| drop(helper.get_status())),
        ("submit_task", |helper, _| assert!(helper.submit_task("next").is_ok())),
    ];
    for (name, call) in calls {
        let (backend, keeper) = gate();
        let config = HelperConfig::local().queue_capacity(1);
        let helper = AutomationHelper::builder(config).backend(backend).build().unwrap();
        helper.start().unwrap();
        helper.submit_task("plug").unwrap();
        keeper.next();
        // The program holds a lock that its callback takes.
        let lock = Arc::new(Mutex::new(()));
        let (own, (called, calls)) = (Arc::clone(&lock), channel());
        let request = TaskRequest::new("late").deadline(Duration::ZERO).on_done(move |_| {
            drop(own.lock().unwrap());
            called.send(std::thread::current().id()).unwrap();
        });
        let id = helper.submit_task(request).unwrap();
        let held = lock.lock().unwrap();
        call(&helper, id);
        assert!(calls.try_recv().is_err(), "{name}");
        drop(held);
        keeper.go.send(()).unwrap();
        keeper.go.send(()).unwrap();
        assert_ne!(calls.recv_timeout(LONG).unwrap(), std::thread::current().id(), "{name}");
        helper.stop();
    }
}

#[test]
fn an_idle_thread_is_woken_for_a_callback() {
    let (helper, keeper) = gated(2);
    for _ in 0..3 {
        let (request, calls) = asks_thread(TaskRequest::new("late").deadline(Duration::ZERO));
        let id = helper.submit_task(request).unwrap();
        helper.wait_task(id, LONG).unwrap();
        // The other thread is kept all the while.
        assert_ne!(calls.recv_timeout(LONG).unwrap(), std::thread::current().id());
    }
    keeper.go.send(()).unwrap();
    keeper.go.send(()).unwrap();
    helper.stop();
}

#[test]
fn a_cancel_runs_its_task_s_callback_and_a_stop_those_of_a_helper_never_started() {
    let here = std::thread::current().id();
    let (helper, keeper) = gated(1);
    let (request, calls) = asks_thread("x".into());
    let id = helper.submit_task(request).unwrap();
    assert!(helper.cancel_task(id));
    assert_eq!(calls.try_recv().unwrap(), here);
    keeper.go.send(()).unwrap();
    helper.stop();
    let never = AutomationHelper::new(HelperConfig::local()).unwrap();
    let (request, calls) = asks_thread("x".into());
    never.submit_task(request).unwrap();
    let (late, late_calls) = asks_thread(TaskRequest::new("late").deadline(Duration::ZERO));
    let late = never.submit_task(late).unwrap();
    never.wait_task(late, LONG).unwrap();
    assert!(late_calls.try_recv().is_err());
    never.stop();
    assert_eq!((calls.try_recv().unwrap(), late_calls.try_recv().unwrap()), (here, here));
    assert_eq!(never.get_status().waiting_callbacks, 0);
}

#[test]
fn no_helper_is_held_by_the_callback_of_another_s_task() {
    let (busy, keeper) = gated(1);
    let free = AutomationHelper::new(HelperConfig::local()).unwrap();
    free.start().unwrap();
    let (request, calls) = asks_thread("ended by a callback".into());
    let id = busy.submit_task(request).unwrap();
    let (owner, (ended, ends)) = (busy.clone(), channel());
    let request = TaskRequest::new("cancels it").on_done(move |_| {
        ended.send((std::thread::current().id(), owner.cancel_task(id))).unwrap();
    });
    free.submit_task(request).unwrap();
    let (free_thread, was_cancelled) = ends.recv_timeout(LONG).unwrap();
    assert!(was_cancelled);
    assert_eq!(busy.task_state(id), Some(TaskState::Finished));
    // Anything that the callback left to its own thread comes before the next task.
    assert!(free.ask("next").unwrap().is_success());
    assert!(calls.try_recv().is_err(), "it waits for its own helper's thread");
    assert_eq!(busy.get_status().waiting_callbacks, 1);
    keeper.go.send(()).unwrap();
    assert_ne!(calls.recv_timeout(LONG).unwrap(), free_thread);
    busy.stop();
    free.stop();
}

#[test]
fn a_stop_publishes_every_outcome_before_it_calls_back_and_waits_for_no_callback() {
    const TASKS: usize = 20;
    let (helper, keeper) = gated(1);
    let (ids, (called, calls), (go, wait)) =
        (Arc::new(OnceLock::<Vec<TaskId>>::new()), channel(), channel::<()>());
    let wait = Arc::new(Mutex::new(wait));
    let submit = |_| {
        let (own, ids, called) = (helper.clone(), Arc::clone(&ids), called.clone());
        let wait = Arc::clone(&wait);
        let request = TaskRequest::new("x").on_done(move |_| {
            let ended = |&id: &TaskId| own.task_state(id) == Some(TaskState::Finished);
            called.send(ids.get().unwrap().iter().all(ended)).unwrap();
            let _ = wait.lock().unwrap().recv();
        });
        helper.submit_task(request).unwrap()
    };
    ids.set((0..TASKS).map(submit).collect()).unwrap();
    let began = Instant::now();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            // Before, the thread might begin another task.
            until("the stop has begun", || helper.status() == HelperStatus::Terminated);
            keeper.go.send(()).unwrap();
        });
        helper.stop();
    });
    assert!(began.elapsed() < Duration::from_secs(2), "{:?}", began.elapsed());
    // On a slow machine the stop may be over before the first one begins.
    assert!(calls.recv_timeout(LONG).unwrap(), "all of the stop's outcomes are there");
    let report = helper.get_status();
    assert_eq!((report.threads, report.unjoined_threads), (1, 1), "the first callback holds it");
    let ids = ids.get().unwrap();
    assert!(ids.iter().all(|&id| helper.get_task_result(id).is_some()));
    assert_eq!(report.waiting_callbacks, TASKS - 1);
    let again = Instant::now();
    helper.stop();
    assert!(again.elapsed() < Duration::from_millis(400), "it does not wait for that thread again");
    drop(go);
    for _ in 1..TASKS {
        assert!(calls.recv_timeout(LONG).unwrap(), "all of the stop's outcomes are there");
    }
    until("the thread ends", || helper.get_status().threads == 0);
    let report = helper.get_status();
    assert_eq!(report.waiting_callbacks, 0);
    // They waited as long as the stop did.
    assert!(report.callback_delay_ms > 500.0 && report.callback_delay_max_ms > 500.0, "{report:?}");
}

/// Stands still when it is notified of this task's end, until it gets a word.
struct Stands {
    id: OnceLock<TaskId>,
    stands: Mutex<std::sync::mpsc::Sender<()>>,
    go: Mutex<Receiver<()>>,
}

impl Observe for Stands {
    fn on_event(&self, event: &Event<'_>) {
        if event.kind() == EventKind::TaskComplete && event.task_id().as_ref() == self.id.get() {
            self.stands.lock().unwrap().send(()).unwrap();
            let _ = self.go.lock().unwrap().recv_timeout(LONG);
        }
    }
}

#[test]
fn a_slow_observer_delays_its_own_task_alone() {
    type Sweep = fn(&AutomationHelper);
    let sweeps: [(ErrorKind, Sweep); 2] = [
        (ErrorKind::Terminated, AutomationHelper::stop),
        (ErrorKind::Timeout, |helper| drop(helper.get_status())),
    ];
    for (kind, sweep) in sweeps {
        let ((stands, stood), (go, wait)) = (channel(), channel());
        let (stands, wait) = (Mutex::new(stands), Mutex::new(wait));
        let observer = Arc::new(Stands { id: OnceLock::new(), stands, go: wait });
        let helper = AutomationHelper::builder(HelperConfig::local())
            .observer(observer.clone())
            .build()
            .unwrap();
        let request = || match kind {
            ErrorKind::Timeout => TaskRequest::new("x").deadline(Duration::ZERO),
            _ => "x".into(),
        };
        let ids = [(); 3].map(|()| helper.submit_task(request()).unwrap());
        observer.id.set(ids[0]).unwrap();
        std::thread::scope(|scope| {
            scope.spawn(|| sweep(&helper));
            stood.recv_timeout(LONG).unwrap();
            for id in &ids[1..] {
                let task = helper.wait_task(*id, LONG).unwrap();
                assert_eq!(task.error.unwrap().kind(), kind);
            }
            assert_eq!(helper.task_state(ids[0]), Some(TaskState::Running));
            go.send(()).unwrap();
        });
        assert_eq!(helper.wait_task(ids[0], LONG).unwrap().error.unwrap().kind(), kind);
    }
}

#[test]
fn a_callback_sees_at_once_what_it_ends_and_may_submit_and_stop() {
    let (backend, begun) = patient();
    let helper = AutomationHelper::builder(HelperConfig::local()).backend(backend).build().unwrap();
    helper.start().unwrap();
    let (sender, receiver) = channel();
    let (own, done) = (helper.clone(), sender.clone());
    let first = TaskRequest::new("first").on_done(move |_| {
        let next = own.submit_task(TaskRequest::new("next").on_done(move |task| {
            done.send(task.error.as_ref().unwrap().kind()).unwrap();
        }));
        let next = next.unwrap();
        assert!(own.cancel_task(next));
        let task = own.get_task_result(next).expect("a cancel ends at once");
        sender.send(task.error.unwrap().kind()).unwrap();
        own.stop();
        assert!(own.submit_task("late").is_err());
    });
    let first = helper.submit_task(first).unwrap();
    begun.recv_timeout(LONG).unwrap();
    assert!(helper.cancel_task(first));
    for _ in 0..2 {
        assert_eq!(receiver.recv_timeout(LONG).unwrap(), ErrorKind::Cancelled);
    }
    helper.stop();
    let report = helper.get_status();
    assert_eq!((report.threads, report.callback_panics, report.waiting_callbacks), (0, 0, 0));
}

#[test]
fn a_callback_that_blocks_leaves_its_siblings_to_the_other_threads() {
    let backend = FnBackend(|call: &CallContext<'_>| Ok(Reply::new(call.prompt())));
    let config = HelperConfig::local().max_concurrent_tasks(2);
    let helper = AutomationHelper::builder(config).backend(backend).build().unwrap();
    helper.start().unwrap();
    let ((go, wait), (called, calls)) = (channel::<()>(), channel());
    let blocks = called.clone();
    let request = TaskRequest::new("blocks").on_done(move |_| {
        blocks.send(()).unwrap();
        let _ = wait.recv();
    });
    helper.submit_task(request).unwrap();
    calls.recv_timeout(LONG).unwrap();
    for _ in 0..100 {
        let called = called.clone();
        let request = TaskRequest::new("x").on_done(move |_| called.send(()).unwrap());
        helper.submit_task(request).unwrap();
        calls.recv_timeout(LONG).unwrap();
    }
    drop(go);
    helper.stop();
    assert_eq!(helper.get_status().unjoined_threads, 0);
}

#[test]
fn a_panic_in_the_callback_of_a_restart_does_not_reach_the_caller() {
    let manager = AutomationAssistantManager::new(2);
    let speaks_and_fails = FnBackend(|call: &CallContext<'_>| {
        call.send_text("half an ans")?;
        Err(TaskError::new(ErrorKind::Server, "planted"))
    });
    // Says nothing before its answer, so the notice comes on the caller's thread.
    let answers = FnBackend(|_: &CallContext<'_>| Ok(Reply::new("answer")));
    let first = manager.spawn_helper_with(HelperConfig::local(), speaks_and_fails).unwrap();
    let second = manager.spawn_helper_with(HelperConfig::local(), answers).unwrap();
    let together = Together::new(&manager)
        .on_text(|_, speech| assert!(!matches!(speech, Speech::StartsAgain), "planted"));
    let fallback = Fallback::new([first, second]).restart_after_text(true);
    let report = fallback.run(&together, &"x".into()).unwrap();
    assert_eq!(report.task.unwrap().result.as_deref(), Some("answer"));
    assert_eq!(manager.get_helper(second).unwrap().get_status().callback_panics, 1);
}
