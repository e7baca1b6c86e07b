//! Stopping: every task has one outcome, every thread is joined or counted.

use std::sync::mpsc::channel;
use std::time::{Duration, Instant};

use automation_assistant::{
    AutomationAssistantManager, AutomationHelper, Error, ErrorKind, EventKind, HelperConfig,
    HelperStatus, TaskRequest, create_local_helper,
};

use crate::support::{LONG, Notes, gate, one_helper, patient};

#[test]
fn a_stop_cancels_what_runs_and_terminates_what_waits() {
    let (backend, begun) = patient();
    let (manager, helper) = one_helper(HelperConfig::local(), backend);
    let handle = manager.get_helper(helper).unwrap();
    let running = handle.submit_task("running").unwrap();
    begun.recv_timeout(LONG).unwrap();
    let waiting: Vec<_> = (0..100).map(|_| handle.submit_task("waiting").unwrap()).collect();
    let began = Instant::now();
    manager.terminate_helper(helper).unwrap();
    assert!(began.elapsed() < LONG);
    let kind = |id| handle.get_task_result(id).unwrap().error.unwrap().kind();
    assert_eq!(kind(running), ErrorKind::Cancelled);
    assert!(waiting.into_iter().all(|id| kind(id) == ErrorKind::Terminated));
    let status = handle.get_status();
    assert_eq!(status.status, HelperStatus::Terminated);
    assert_eq!((status.threads, status.unjoined_threads), (0, 0));
    assert_eq!((status.completed_tasks, status.failed_tasks), (101, 101));
    let refused = handle.submit_task("more").unwrap_err();
    assert!(matches!(&refused, Error::Stopped(_)));
    assert_eq!(refused.into_request().unwrap().prompt(), "more");
    assert!(manager.get_task_result(helper, running).is_none());
    assert!(matches!(manager.submit_task(helper, "x"), Err(Error::UnknownHelper(_))));
}

/// The stop may end the task, or the thread whose backend sees its cancel signal.
#[test]
fn a_task_that_a_stop_cancels_says_so() {
    const HELPERS: usize = 50;
    for _ in 0..4 {
        let manager = AutomationAssistantManager::new(HELPERS);
        let running = [(); HELPERS].map(|()| {
            let (backend, begun) = patient();
            let helper = manager.spawn_with(HelperConfig::local(), backend).unwrap();
            let task = helper.submit_task("x").unwrap();
            begun.recv_timeout(LONG).unwrap();
            (helper, task)
        });
        manager.terminate_all();
        for (helper, task) in running {
            let error = helper.get_task_result(task).unwrap().error.unwrap();
            assert_eq!(error.kind(), ErrorKind::Cancelled);
            assert!(error.summary().contains("the helper was stopped"), "{error}");
        }
    }
}

#[test]
fn a_thread_in_foreign_code_is_left_and_counted_and_its_reply_discarded() {
    let notes = Notes::new();
    let (backend, keeper) = gate();
    let manager = AutomationAssistantManager::builder().observer(notes.clone()).build().unwrap();
    let helper = manager.spawn_helper_with(HelperConfig::local(), backend).unwrap();
    let handle = manager.get_helper(helper).unwrap();
    let id = handle.submit_task("stuck").unwrap();
    keeper.next();
    manager.terminate_all();
    let status = handle.get_status();
    assert_eq!((status.threads, status.unjoined_threads), (1, 1));
    let task = handle.get_task_result(id).unwrap();
    assert_eq!(task.error.unwrap().kind(), ErrorKind::Cancelled);
    keeper.go.send(()).unwrap();
    while handle.get_status().threads > 0 {
        std::thread::yield_now();
    }
    let task = handle.get_task_result(id).unwrap();
    assert!(task.result.is_none(), "a late reply changes nothing");
    assert_eq!(notes.of(EventKind::TaskComplete).len(), 1);
    assert_eq!(notes.of(EventKind::BackendCall), [(false, Some("cancelled"))]);
}

#[test]
fn dropping_the_manager_stops_and_dropping_a_handle_does_not() {
    let manager = AutomationAssistantManager::new(1);
    let helper = create_local_helper(&manager, "a").unwrap();
    drop(manager.get_helper(helper));
    let handle = manager.get_helper(helper).unwrap();
    let id = handle.submit_task("x").unwrap();
    handle.wait_task(id, LONG).unwrap();
    drop(manager);
    assert_eq!(handle.status(), HelperStatus::Terminated);
    assert!(handle.get_task_result(id).is_some());
}

#[test]
fn the_last_owner_stops_the_helper() {
    let helper = AutomationHelper::new(HelperConfig::local()).unwrap();
    helper.start().unwrap();
    let second = helper.clone();
    drop(helper);
    let id = second.submit_task("x").unwrap();
    assert!(second.wait_task(id, LONG).unwrap().is_success());
    let (sender, receiver) = channel();
    second.submit_task(TaskRequest::new("y").on_done(move |_| sender.send(()).unwrap())).unwrap();
    receiver.recv_timeout(LONG).unwrap();
    drop(second);
}

#[test]
fn waiters_are_woken_by_a_stop() {
    let (backend, begun) = patient();
    let (manager, helper) = one_helper(HelperConfig::local().queue_capacity(1), backend);
    let running = manager.submit_task(helper, "a").unwrap();
    begun.recv_timeout(LONG).unwrap();
    let handle = manager.get_helper(helper).unwrap();
    let waiting = handle.submit_task("b").unwrap();
    std::thread::scope(|scope| {
        let result = scope.spawn(|| handle.wait_task(waiting, LONG).unwrap());
        let any = scope.spawn(|| manager.wait_any(&[(helper, running)], LONG));
        let waiting = scope.spawn(|| handle.submit_task_wait("c", LONG));
        handle.stop();
        assert_eq!(result.join().unwrap().error.unwrap().kind(), ErrorKind::Terminated);
        assert_eq!(any.join().unwrap().unwrap().error.unwrap().kind(), ErrorKind::Cancelled);
        assert!(matches!(waiting.join().unwrap(), Err(Error::Stopped(_) | Error::QueueFull(_))));
    });
}

#[test]
fn a_stop_from_the_helper_s_own_thread_signals_and_returns() {
    let helper = AutomationHelper::new(HelperConfig::local()).unwrap();
    helper.start().unwrap();
    let own = helper.clone();
    let (sender, receiver) = channel();
    let request = TaskRequest::new("x").on_done(move |_| {
        own.stop();
        sender.send(own.status()).unwrap();
    });
    helper.submit_task(request).unwrap();
    assert_eq!(receiver.recv_timeout(LONG).unwrap(), HelperStatus::Terminated);
    helper.stop();
    let status = helper.get_status();
    assert_eq!((status.threads, status.unjoined_threads), (0, 0));
}

#[test]
fn every_submitted_task_is_called_back_once_whatever_stops_it() {
    let (sender, receiver) = channel();
    let helper = AutomationHelper::new(HelperConfig::local().queue_capacity(1000)).unwrap();
    let mut accepted = 0;
    for n in 0..500 {
        let sender = sender.clone();
        let request = TaskRequest::new(format!("{n}"))
            .on_done(move |task| sender.send(task.task_id).unwrap());
        accepted += usize::from(helper.submit_task(request).is_ok());
        if n == 250 {
            helper.start().unwrap();
        }
    }
    helper.stop();
    drop(sender);
    let mut ids: Vec<_> = receiver.iter().collect();
    ids.sort();
    ids.dedup();
    assert_eq!((ids.len(), accepted), (500, 500));
}

#[test]
fn spawning_and_stopping_in_turn_leaves_no_thread_behind() {
    let manager = AutomationAssistantManager::new(3);
    for _ in 0..20 {
        let helpers: Vec<_> = (0..3).map(|_| create_local_helper(&manager, "a").unwrap()).collect();
        let handles: Vec<_> = helpers.iter().map(|id| manager.get_helper(*id).unwrap()).collect();
        manager.terminate_all();
        assert_eq!(manager.helper_count(), 0);
        assert!(handles.iter().all(|handle| handle.get_status().threads == 0));
    }
}

#[test]
fn stop_waits_no_longer_than_it_says() {
    let (backend, keeper) = gate();
    let (manager, helper) = one_helper(HelperConfig::local(), backend);
    manager.submit_task(helper, "stuck").unwrap();
    keeper.next();
    let began = Instant::now();
    manager.terminate_all();
    assert!(began.elapsed() < Duration::from_millis(2000), "{:?}", began.elapsed());
}

#[test]
fn a_stop_waits_for_threads_and_no_longer() {
    let quick = || {
        let helper = AutomationHelper::new(HelperConfig::local()).unwrap();
        helper.start().unwrap();
        let began = Instant::now();
        helper.stop();
        assert_eq!((helper.get_status().threads, helper.get_status().unjoined_threads), (0, 0));
        // Half the time that a stop has for threads that do not end.
        began.elapsed() < Duration::from_millis(400)
    };
    assert!((0..10).any(|_| quick()));
}

#[test]
fn a_thread_refused_by_the_system_is_an_error_and_ends_what_waits() {
    // More stack than there are addresses.
    let helper = AutomationHelper::new(HelperConfig::local().stack_bytes(1 << 60)).unwrap();
    let id = helper.submit_task("early").unwrap();
    let error = helper.start().unwrap_err();
    assert!(matches!(error, Error::Io { .. }), "{error:?}");
    assert!(error.to_string().contains("thread 0"), "{error}");
    let status = helper.get_status();
    assert_eq!((status.status, status.threads), (HelperStatus::Terminated, 0));
    assert_eq!(status.unjoined_threads, 0);
    let task = helper.get_task_result(id).unwrap();
    assert_eq!(task.error.unwrap().kind(), ErrorKind::Terminated);
}

/// Blocks the thread that ends a task, until the test is over.
struct Stuck(std::sync::Mutex<std::sync::mpsc::Receiver<()>>);

impl automation_assistant::Observe for Stuck {
    fn on_event(&self, event: &automation_assistant::Event<'_>) {
        if event.kind() == automation_assistant::EventKind::TaskComplete {
            let _ = self.0.lock().map(|over| over.recv());
        }
    }
}

#[test]
fn a_stop_of_many_helpers_takes_no_longer_than_one() {
    let (test_over, is_over) = channel::<()>();
    let observer = std::sync::Arc::new(Stuck(std::sync::Mutex::new(is_over)));
    let manager =
        AutomationAssistantManager::builder().max_helpers(8).observer(observer).build().unwrap();
    let helpers: Vec<_> = (0..8).map(|_| manager.spawn(HelperConfig::local()).unwrap()).collect();
    for helper in &helpers {
        helper.submit_task("x").unwrap();
        crate::support::until("it runs", || helper.get_status().active_tasks == 1);
    }
    let began = Instant::now();
    manager.terminate_all();
    helpers[0].stop();
    drop(manager);
    // One wait of 0.8 s, not one for each helper and each call.
    assert!(began.elapsed() < Duration::from_millis(2_400), "{:?}", began.elapsed());
    drop(test_over);
}
