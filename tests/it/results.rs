//! Finished tasks that are kept: how many, for how long, and what happens at the bounds.

use std::sync::mpsc::channel;

use automation_assistant::{
    AutomationHelper, CallContext, Error, HelperConfig, Reply, TaskId, TaskRequest, TaskState,
    WhenResultsFull,
};

use crate::support::{FnBackend, LONG, echo, gate, one_helper};

/// Ends a task without reading its result.
fn run_unread(helper: &AutomationHelper, prompt: impl Into<TaskRequest>) -> TaskId {
    let (sender, receiver) = channel();
    let request = prompt.into().on_done(move |_| sender.send(()).unwrap());
    let id = helper.submit_task(request).unwrap();
    receiver.recv_timeout(LONG).unwrap();
    id
}

#[test]
fn more_dropped_results_than_are_remembered_are_still_reported_so() {
    let helper = echo(HelperConfig::local().max_results(1));
    let ids: Vec<_> = (0..1100).map(|n| run_unread(&helper, format!("{n}"))).collect();
    let dropped = |id| matches!(helper.wait_task(id, LONG), Err(Error::ResultDropped(_)));
    assert!(ids[..1099].iter().all(|&id| dropped(id)));
    assert!(helper.wait_task(ids[1099], LONG).unwrap().is_success());
    assert_eq!(helper.get_status().dropped_results, 1099);
    let never = format!("{}-00000000", helper.helper_id()).parse().unwrap();
    assert!(matches!(helper.wait_task(never, LONG), Err(Error::UnknownTask(_))));
}

#[test]
fn unread_bytes_hold_tasks_back_until_they_are_read_taken_or_cleared() {
    let config = HelperConfig::local()
        .max_result_bytes(2000)
        .when_results_full(WhenResultsFull::RefuseTasks);
    let helper = echo(config);
    let refused = || matches!(helper.submit_task("more"), Err(Error::QueueFull(_)));
    let read: [&dyn Fn(TaskId); 3] = [
        &|id| assert!(helper.get_task_result(id).is_some()),
        &|id| assert!(helper.take_task_result(id).is_some()),
        &|_| assert_eq!(helper.clear_results(), 1),
    ];
    for free in read {
        helper.clear_results();
        let id = run_unread(&helper, "x".repeat(2000));
        assert!(refused());
        free(id);
        assert!(!refused(), "what was read may go");
        // Lets "more" end before the next round.
        while helper.get_status().queued_tasks + helper.get_status().active_tasks > 0 {
            std::thread::yield_now();
        }
    }
}

#[test]
fn a_result_taken_or_cleared_wakes_a_waiting_submit() {
    let config =
        HelperConfig::local().max_results(1).when_results_full(WhenResultsFull::RefuseTasks);
    let helper = echo(config);
    let take: [&dyn Fn(TaskId); 3] =
        [&|id| drop(helper.take_task_result(id)), &|id| drop(helper.get_task_result(id)), &|_| {
            assert_eq!(helper.clear_results(), 1)
        }];
    for free in take {
        let id = run_unread(&helper, "x");
        std::thread::scope(|scope| {
            let waiter = scope.spawn(|| helper.submit_task_wait("next", LONG).unwrap());
            free(id);
            let next = waiter.join().unwrap();
            assert!(helper.wait_task(next, LONG).unwrap().is_success());
            helper.clear_results();
        });
    }
}

#[test]
fn what_was_not_read_holds_the_next_task_back_by_number_alone() {
    let config =
        HelperConfig::local().max_results(2).when_results_full(WhenResultsFull::RefuseTasks);
    let helper = AutomationHelper::new(config).unwrap();
    helper.start().unwrap();
    let first = run_unread(&helper, "x");
    run_unread(&helper, "x");
    assert_eq!(helper.get_status().kept_results, 2);
    assert!(matches!(helper.submit_task("x"), Err(Error::QueueFull(_))));
    helper.get_task_result(first).unwrap();
    helper.submit_task("x").unwrap();
}

#[test]
fn what_was_not_read_holds_the_next_task_back_to_the_byte() {
    // Three bytes of prompt and four of result.
    for (bytes_max, refused) in [(7, true), (8, false)] {
        let config = HelperConfig::local()
            .max_result_bytes(bytes_max)
            .when_results_full(WhenResultsFull::RefuseTasks);
        let backend = FnBackend(|_: &CallContext<'_>| Ok(Reply::new("four")));
        let (manager, helper) = one_helper(config, backend);
        let handle = manager.get_helper(helper).unwrap();
        run_unread(&handle, "one");
        let next = handle.submit_task("two");
        assert_eq!(matches!(next, Err(Error::QueueFull(_))), refused, "{bytes_max}");
    }
}

#[test]
fn read_results_are_dropped_first_and_dropped_ones_are_reported_so() {
    let helper = AutomationHelper::new(HelperConfig::local().max_results(2)).unwrap();
    helper.start().unwrap();
    let run = |prompt: &str| {
        let id = helper.submit_task(prompt).unwrap();
        // Waits without reading the result.
        while helper.task_state(id) != Some(TaskState::Finished) {
            std::thread::yield_now();
        }
        id
    };
    let (a, b) = (run("a"), run("b"));
    helper.get_task_result(b).unwrap();
    let c = run("c");
    assert!(helper.get_task_result(a).is_some(), "unread results stay before read ones");
    assert!(matches!(helper.wait_task(b, LONG), Err(Error::ResultDropped(id)) if id == b));
    assert_eq!(helper.get_status().dropped_results, 0, "it had been read");
    let (d, e) = (run("d"), run("e"));
    assert!(matches!(helper.wait_task(c, LONG), Err(Error::ResultDropped(_))));
    assert_eq!(helper.get_status().dropped_results, 1);
    assert!(helper.take_task_result(d).is_some() && helper.take_task_result(e).is_some());
    assert_eq!(helper.clear_results(), 0);
}

#[test]
fn results_are_bounded_in_bytes_too() {
    let helper = AutomationHelper::new(HelperConfig::local().max_result_bytes(4000)).unwrap();
    helper.start().unwrap();
    let mut last = None;
    for _ in 0..20 {
        let id = helper.submit_task("x".repeat(1000)).unwrap();
        helper.wait_task(id, LONG).unwrap();
        last = Some(id);
    }
    assert_eq!(helper.get_status().kept_results, 1);
    assert!(helper.get_task_result(last.unwrap()).is_some());
}

#[test]
fn by_choice_tasks_are_refused_rather_than_results_lost() {
    let config =
        HelperConfig::local().max_results(2).when_results_full(WhenResultsFull::RefuseTasks);
    let helper = AutomationHelper::new(config).unwrap();
    helper.start().unwrap();
    let ids = [helper.submit_task("a").unwrap(), helper.submit_task("b").unwrap()];
    let refused = helper.submit_task("c").unwrap_err();
    assert!(matches!(refused, Error::QueueFull(_)));
    for id in ids {
        helper.wait_task(id, LONG).unwrap();
    }
    assert!(helper.submit_task("c").is_ok(), "what was read may go");
}

#[test]
fn by_choice_results_longer_than_their_bound_stay_until_they_are_read() {
    let (backend, keeper) = gate();
    let config = HelperConfig::local()
        .max_concurrent_tasks(1)
        .max_result_bytes(100)
        .when_results_full(WhenResultsFull::RefuseTasks);
    let (manager, helper) = one_helper(config, backend);
    // Accepted while nothing was kept: the bound of bytes knows nothing of their results yet.
    let long = "x".repeat(80);
    let ids: Vec<_> = (0..3).map(|_| manager.submit_task(helper, long.as_str()).unwrap()).collect();
    for _ in &ids {
        keeper.next();
        keeper.go.send(()).unwrap();
    }
    let last = manager.wait_task(helper, ids[2], LONG).unwrap();
    assert_eq!(last.result.as_deref(), Some(long.as_str()));
    assert!(matches!(manager.submit_task(helper, "more"), Err(Error::QueueFull(_))));
    for id in ids {
        assert_eq!(manager.wait_task(helper, id, LONG).unwrap().result.as_deref(), Some(&*long));
    }
    let status = &manager.get_all_helpers_status()[0];
    assert_eq!(status.dropped_results, 0);
    assert!(manager.submit_task(helper, "more").is_ok(), "what was read may go");
    keeper.go.send(()).unwrap();
}
