//! Bad input and full houses: a clear error, and a helper that works on.

use std::time::{Duration, Instant};

use automation_assistant::{
    AutomationAssistantManager, AutomationHelper, BackendType, Error, ErrorKind, HelperConfig,
    HelperId, TaskRequest, TaskState, WhenResultsFull, create_local_helper,
};

use crate::support::{LONG, gate, one_helper};

fn echo() -> AutomationHelper {
    let helper = AutomationHelper::new(HelperConfig::local()).unwrap();
    helper.start().unwrap();
    helper
}

#[test]
fn what_cannot_work_is_refused_with_words_that_help() {
    let helper =
        AutomationHelper::new(HelperConfig::local().max_prompt_bytes(10).max_context_bytes(20))
            .unwrap();
    helper.start().unwrap();
    let long_context = TaskRequest::new("x").context("key", "a value of some length");
    let cases: [(TaskRequest, &str); 5] = [
        ("".into(), "empty"),
        (" \n\t".into(), "empty"),
        ("eleven bytes".into(), "max_prompt_bytes"),
        (long_context, "max_context_bytes"),
        (TaskRequest::new("x").timeout(Duration::ZERO), "timeout"),
    ];
    for (request, word) in cases {
        let error = helper.submit_task(request).unwrap_err();
        assert!(matches!(error, Error::InvalidRequest(_)), "{error:?}");
        assert!(error.to_string().contains(word), "{error}");
    }
    let id = helper.submit_task("fine").unwrap();
    assert!(helper.wait_task(id, LONG).unwrap().is_success());
}

#[test]
fn configurations_that_cannot_work_are_refused() {
    let local = HelperConfig::local;
    let cases = [
        (local().max_concurrent_tasks(0), "max_concurrent_tasks"),
        (local().max_concurrent_tasks(100_000), "max_concurrent_tasks"),
        (local().name(" "), "name"),
        (local().name("a\nb"), "control"),
        (local().model("m\r\nX: y"), "control"),
        (local().model(""), "model"),
        (local().api_key("k\u{7f}y"), "control"),
        (local().timeout(Duration::ZERO), "timeout"),
        (local().queue_capacity(0), "queue_capacity"),
        (local().max_results(0), "max_results"),
        (local().stack_bytes(1000), "stack_bytes"),
        (local().custom_param("latency_ms", "soon"), "latency_ms"),
        (HelperConfig::new(BackendType::Custom), "spawn_helper_with"),
    ];
    for (config, word) in cases {
        let error = AutomationHelper::new(config).unwrap_err();
        assert!(matches!(error, Error::InvalidConfig(_)), "{word}: {error:?}");
        assert!(error.to_string().contains(word), "{error}");
    }
    assert!(AutomationAssistantManager::builder().max_helpers(0).build().is_err());
}

#[test]
fn the_limit_on_helpers_is_told_as_the_prototype_told_it() {
    let manager = AutomationAssistantManager::new(2);
    let first = create_local_helper(&manager, "a").unwrap();
    create_local_helper(&manager, "b").unwrap();
    let error = create_local_helper(&manager, "c").unwrap_err();
    assert!(matches!(error, Error::MaxHelpers { max: 2 }));
    assert_eq!(error.to_string(), "Maximum number of helpers (2) reached");
    manager.terminate_helper(first).unwrap();
    assert_eq!((manager.helper_count(), manager.max_helpers()), (1, 2));
    create_local_helper(&manager, "c").unwrap();
    let none = AutomationAssistantManager::new(0);
    assert!(matches!(create_local_helper(&none, "a"), Err(Error::MaxHelpers { max: 0 })));
}

#[test]
fn a_refused_spawn_gives_its_place_back() {
    let manager = AutomationAssistantManager::new(1);
    for _ in 0..3 {
        let config = HelperConfig::local().max_concurrent_tasks(0);
        assert!(matches!(manager.spawn_helper(config), Err(Error::InvalidConfig(_))));
    }
    create_local_helper(&manager, "a").unwrap();
}

#[test]
fn unknown_ids_are_answered_at_once() {
    let manager = AutomationAssistantManager::new(1);
    let helper = create_local_helper(&manager, "a").unwrap();
    let nobody: HelperId = "00000000".parse().unwrap();
    let nothing = format!("{helper}-0000ffff").parse().unwrap();
    let elsewhere = "00000000-00000001".parse().unwrap();
    assert!(manager.get_helper(nobody).is_none());
    assert!(matches!(manager.submit_task(nobody, "x"), Err(Error::UnknownHelper(_))));
    let error = manager.terminate_helper(nobody).unwrap_err();
    assert!(error.to_string().starts_with("Helper ID not found"));
    for id in [nothing, elsewhere] {
        assert!(matches!(manager.wait_task(helper, id, LONG), Err(Error::UnknownTask(_))));
        assert!(manager.get_task_result(helper, id).is_none());
        assert!(manager.take_task_result(helper, id).is_none());
        assert!(manager.task_state(helper, id).is_none());
        assert!(!manager.cancel_task(helper, id));
    }
    assert_eq!(manager.clear_results(nobody), 0);
}

#[test]
fn a_full_queue_gives_the_request_back_and_a_cancel_makes_room() {
    let (backend, keeper) = gate();
    let (manager, helper) = one_helper(HelperConfig::local().queue_capacity(2), backend);
    manager.submit_task(helper, "running").unwrap();
    keeper.next();
    let waiting = manager.submit_task(helper, "first").unwrap();
    manager.submit_task(helper, "second").unwrap();
    let refused = manager.submit_task(helper, "third").unwrap_err();
    assert!(matches!(refused, Error::QueueFull(_)));
    let request = refused.into_request().unwrap();
    assert_eq!(request.prompt(), "third");
    let late = manager.submit_task_wait(helper, request, Duration::from_millis(5)).unwrap_err();
    let request = late.into_request().unwrap();
    assert!(manager.cancel_task(helper, waiting));
    let third = manager.submit_task(helper, request).unwrap();
    assert_eq!(manager.task_state(helper, third), Some(TaskState::Queued));
    for _ in 0..3 {
        keeper.go.send(()).unwrap();
    }
    manager.wait_task(helper, third, LONG).unwrap();
}

#[test]
fn a_waiting_submit_gets_the_place_that_comes_free() {
    let (backend, keeper) = gate();
    let (manager, helper) = one_helper(HelperConfig::local().queue_capacity(1), backend);
    manager.submit_task(helper, "a").unwrap();
    keeper.next();
    manager.submit_task(helper, "b").unwrap();
    std::thread::scope(|scope| {
        let waiter = scope.spawn(|| manager.submit_task_wait(helper, "c", LONG).unwrap());
        keeper.go.send(()).unwrap();
        let id = waiter.join().unwrap();
        keeper.go.send(()).unwrap();
        keeper.go.send(()).unwrap();
        assert!(manager.wait_task(helper, id, LONG).unwrap().is_success());
    });
}

#[test]
fn cancelling_many_queued_tasks_fills_nothing_up() {
    let (backend, keeper) = gate();
    let (manager, helper) = one_helper(HelperConfig::local().queue_capacity(1), backend);
    manager.submit_task(helper, "running").unwrap();
    keeper.next();
    for _ in 0..10_000 {
        let id = manager.submit_task(helper, "x").unwrap();
        assert!(manager.cancel_task(helper, id));
    }
    let last = manager.submit_task(helper, "last").unwrap();
    keeper.go.send(()).unwrap();
    keeper.go.send(()).unwrap();
    assert!(manager.wait_task(helper, last, LONG).unwrap().is_success());
    assert_eq!(manager.get_all_helpers_status()[0].queued_tasks, 0);
}

#[test]
fn results_read_make_room_first_and_dropped_ones_are_told_so() {
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

#[test]
fn a_queued_task_past_its_deadline_is_ended_by_whoever_touches_it() {
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
    let helper = echo();
    let request = TaskRequest::new("x").timeout(Duration::MAX).deadline(Duration::MAX);
    let id = helper.submit_task_wait(request, Duration::MAX).unwrap();
    assert!(helper.wait_task(id, Duration::MAX).unwrap().is_success());
}

#[test]
fn errors_and_requests_show_no_prompt() {
    let helper = AutomationHelper::new(HelperConfig::local().queue_capacity(1)).unwrap();
    helper.submit_task("the secret prompt").unwrap();
    let error = helper.submit_task("the secret prompt").unwrap_err();
    let shown = format!("{error} {error:?} {helper:?}");
    assert!(!shown.contains("secret"), "{shown}");
    let shareable: Box<dyn std::error::Error + Send + Sync> = Box::new(error);
    assert!(shareable.to_string().contains("queue is full"));
}
