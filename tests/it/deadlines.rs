//! Deadlines and time-outs: who ends a task whose time is over, and when.

use std::sync::mpsc::channel;
use std::thread;
use std::time::{Duration, Instant};

use automation_assistant::{
    AutomationHelper, ErrorKind, HelperConfig, Priority, TaskId, TaskRequest, TaskState,
};

use crate::support::{LONG, echo, gate, one_helper, until};

#[test]
fn only_those_whose_time_is_over_leave_the_queue() {
    let (backend, keeper) = gate();
    let (manager, helper) = one_helper(HelperConfig::local(), backend);
    let handle = manager.get_helper(helper).unwrap();
    handle.submit_task("plug").unwrap();
    keeper.next();
    let submit = |deadline: Duration, priority| {
        let request = TaskRequest::new("x").deadline(deadline).priority(priority);
        handle.submit_task(request).unwrap()
    };
    let endless = handle.submit_task("endless").unwrap();
    let long = submit(LONG, Priority::High);
    let short: Vec<_> = [Priority::Low, Priority::High, Priority::Normal]
        .into_iter()
        .map(|priority| submit(Duration::ZERO, priority))
        .collect();
    let soon = submit(Duration::from_millis(40), Priority::Low);
    assert_eq!(handle.task_state(short[0]), Some(TaskState::Finished));
    let queued = handle.get_status().queued_tasks;
    assert!(queued == 3 || queued == 2, "{queued}: the three short ones have left");
    // Its own time comes too, though others were looked at before.
    let began = Instant::now();
    while handle.get_status().queued_tasks > 2 {
        assert!(began.elapsed() < LONG);
        std::thread::yield_now();
    }
    assert_eq!(handle.task_state(soon), Some(TaskState::Finished));
    for id in [endless, long] {
        assert_eq!(handle.task_state(id), Some(TaskState::Queued));
    }
    let report = handle.get_status();
    assert_eq!((report.completed_tasks, report.failed_tasks), (4, 4));
    for _ in 0..3 {
        keeper.go.send(()).unwrap();
    }
    assert!(handle.wait_task(endless, LONG).unwrap().is_success());
}

#[test]
fn a_wait_that_began_in_the_queue_ends_when_the_task_is_overdue() {
    let (backend, keeper) = gate();
    let (manager, helper) = one_helper(HelperConfig::local(), backend);
    let handle = manager.get_helper(helper).unwrap();
    handle.submit_task("plug").unwrap();
    keeper.next();
    let (ready, is_ready) = channel();
    let waiting = thread::spawn(move || {
        ready.send(()).unwrap();
        handle.ask(TaskRequest::new("late").timeout(Duration::from_millis(50)))
    });
    is_ready.recv().unwrap();
    until("the second is queued", || {
        manager.get_helper(helper).unwrap().get_status().queued_tasks == 1
    });
    keeper.go.send(()).unwrap();
    keeper.next();
    // Its backend answers only after the wait has ended.
    let task = waiting.join().unwrap().unwrap();
    assert_eq!(task.error.unwrap().kind(), ErrorKind::Timeout);
    keeper.go.send(()).unwrap();
}

#[test]
fn an_answer_far_beyond_the_time_is_no_success_though_nobody_looked() {
    let (backend, keeper) = gate();
    let (manager, helper) = one_helper(HelperConfig::local(), backend);
    let handle = manager.get_helper(helper).unwrap();
    let (done, is_done) = channel();
    let request = TaskRequest::new("late").timeout(Duration::from_millis(1));
    let request = request.on_done(move |task| done.send(task.clone()).unwrap());
    handle.submit_task(request).unwrap();
    keeper.next();
    let began = Instant::now();
    until("its time and the grace are over", || began.elapsed() > Duration::from_millis(300));
    keeper.go.send(()).unwrap();
    let task = is_done.recv_timeout(LONG).unwrap();
    assert_eq!(task.error.unwrap().kind(), ErrorKind::Timeout);
}

#[test]
fn an_overdue_task_is_ended_by_a_look_at_it_or_at_its_helper() {
    let (backend, keeper) = gate();
    let (manager, helper) = one_helper(HelperConfig::local(), backend);
    let handle = manager.get_helper(helper).unwrap();
    let looks: [&dyn Fn(TaskId) -> bool; 3] = [
        &|id| handle.get_task_result(id).is_some(),
        &|id| handle.task_state(id) == Some(TaskState::Finished),
        &|_| handle.get_status().active_tasks == 0,
    ];
    for look in looks {
        let request = TaskRequest::new("x").timeout(Duration::from_millis(1));
        let id = handle.submit_task(request).unwrap();
        keeper.next();
        assert!(!look(id), "its backend has a moment to say so itself");
        let began = Instant::now();
        while !look(id) {
            assert!(began.elapsed() < LONG);
            std::thread::yield_now();
        }
        let task = handle.get_task_result(id).unwrap();
        assert_eq!(task.error.unwrap().kind(), ErrorKind::Timeout);
        assert!(task.latency_ms >= 251.0, "{}", task.latency_ms);
        keeper.go.send(()).unwrap();
    }
}

#[test]
fn a_place_freed_by_a_deadline_goes_to_a_waiting_submit() {
    let (backend, keeper) = gate();
    let (manager, helper) = one_helper(HelperConfig::local().queue_capacity(1), backend);
    manager.submit_task(helper, "plug").unwrap();
    keeper.next();
    let short = TaskRequest::new("short").deadline(Duration::from_millis(20));
    let short = manager.submit_task(helper, short).unwrap();
    // Nobody else looks: the wait itself must end with the deadline of what is queued.
    let next = TaskRequest::new("next").deadline(LONG);
    let next = manager.submit_task_wait(helper, next, LONG).unwrap();
    assert!(manager.get_task_result(helper, short).unwrap().error.is_some());
    keeper.go.send(()).unwrap();
    assert_eq!(keeper.next(), "next");
    keeper.go.send(()).unwrap();
    assert!(manager.wait_task(helper, next, LONG).unwrap().is_success());
}

#[test]
fn a_queued_task_past_its_deadline_is_ended_by_the_first_call_that_touches_it() {
    let (backend, keeper) = gate();
    let (manager, helper) = one_helper(HelperConfig::local().queue_capacity(4), backend);
    manager.submit_task(helper, "plug").unwrap();
    keeper.next();
    let short = || TaskRequest::new("late").deadline(Duration::from_millis(1));
    let by_wait = manager.submit_task(helper, short()).unwrap();
    let began = Instant::now();
    let task = manager.wait_task(helper, by_wait, LONG).unwrap();
    assert!(began.elapsed() < LONG, "the wait ends with the deadline");
    let error = task.error.unwrap();
    assert_eq!((error.kind(), task.attempts), (ErrorKind::Timeout, 0));
    // By a status call, by a submit to a full queue, by the thread that takes it.
    let now = || TaskRequest::new("late").deadline(Duration::ZERO);
    let by_status = manager.submit_task(helper, now()).unwrap();
    assert_eq!(manager.get_all_helpers_status()[0].queued_tasks, 0);
    assert_eq!(manager.task_state(helper, by_status), Some(TaskState::Finished));
    let by_submit: Vec<_> = (0..4).map(|_| manager.submit_task(helper, now()).unwrap()).collect();
    let by_thread = manager.submit_task(helper, now()).unwrap();
    assert_eq!(manager.task_state(helper, by_submit[0]), Some(TaskState::Finished));
    keeper.go.send(()).unwrap();
    let after = manager.submit_task(helper, "after").unwrap();
    assert_eq!(keeper.next(), "after");
    keeper.go.send(()).unwrap();
    manager.wait_task(helper, after, LONG).unwrap();
    let task = manager.get_task_result(helper, by_thread).unwrap();
    assert_eq!(task.error.unwrap().kind(), ErrorKind::Timeout);
}

#[test]
fn a_backend_that_ignores_its_deadline_does_not_hold_the_task() {
    let (backend, keeper) = gate();
    let (manager, helper) = one_helper(HelperConfig::local(), backend);
    let request = TaskRequest::new("x").timeout(Duration::from_millis(1));
    let id = manager.submit_task(helper, request).unwrap();
    keeper.next();
    let error = manager.wait_task(helper, id, LONG).unwrap().error.unwrap();
    assert_eq!(error.kind(), ErrorKind::Timeout);
    keeper.go.send(()).unwrap();
    let next = manager.submit_task(helper, "next").unwrap();
    assert_eq!(keeper.next(), "next");
    keeper.go.send(()).unwrap();
    assert!(manager.wait_task(helper, next, LONG).unwrap().is_success());
}

#[test]
fn a_deadline_only_shortens_and_a_timeout_overrides() {
    let config =
        HelperConfig::local().custom_param("latency_ms", 60_000).timeout(Duration::from_secs(600));
    let helper = AutomationHelper::new(config).unwrap();
    helper.start().unwrap();
    let request =
        TaskRequest::new("x").timeout(Duration::from_secs(500)).deadline(Duration::from_millis(1));
    let id = helper.submit_task(request).unwrap();
    let error = helper.wait_task(id, LONG).unwrap().error.unwrap();
    assert_eq!(error.kind(), ErrorKind::Timeout);
}

#[test]
fn endless_times_are_taken_as_endless() {
    let helper = echo(HelperConfig::local());
    let request = TaskRequest::new("x").timeout(Duration::MAX).deadline(Duration::MAX);
    let id = helper.submit_task_wait(request, Duration::MAX).unwrap();
    assert!(helper.wait_task(id, Duration::MAX).unwrap().is_success());
}
