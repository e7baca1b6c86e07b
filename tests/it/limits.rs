//! Bad input and full houses: a clear error, and a helper that works on.

use std::sync::Arc;
use std::time::{Duration, Instant};

use automation_assistant::limits::MAX_REQUEST_ITEMS;
use automation_assistant::{
    AutomationAssistantManager, AutomationHelper, BackendType, CallContext, Error, ErrorKind,
    FnTool, HelperConfig, HelperId, Reply, TaskRequest, TaskState, Tool, Turn, create_local_helper,
};
use serde_json::Value;

use crate::support::{FnBackend, LONG, gate, one_helper};

#[test]
fn what_cannot_work_is_refused_with_words_that_help() {
    let helper =
        AutomationHelper::new(HelperConfig::local().max_prompt_bytes(10).max_context_bytes(20))
            .unwrap();
    helper.start().unwrap();
    let long_context = TaskRequest::new("x").context("key", "a value of some length");
    let many = |count: usize| (0..count).map(|n| (n.to_string(), 0.into()));
    let large = Value::from("x".repeat(1 << 20));
    let cases: [(TaskRequest, &str); 10] = [
        ("".into(), "empty"),
        (" \n\t".into(), "empty"),
        ("eleven bytes".into(), "max_prompt_bytes"),
        (long_context, "max_context_bytes"),
        (TaskRequest::new("x").timeout(Duration::ZERO), "timeout"),
        (TaskRequest::new("x").custom_param("key", large.clone()), "max_request_bytes"),
        (TaskRequest::new("x").reply_schema("name", large), "max_request_bytes"),
        (TaskRequest::new("x").turns(vec![Turn::user(""); MAX_REQUEST_ITEMS + 1]), "4096 turns"),
        (TaskRequest::new("x").context_map(many(MAX_REQUEST_ITEMS + 1)), "4096 turns"),
        (
            (0..=MAX_REQUEST_ITEMS).fold(TaskRequest::new("x"), |request, n| {
                request.custom_param(n.to_string(), 0).shared_tool(tool())
            }),
            "4096 turns",
        ),
    ];
    for (request, word) in cases {
        let error = helper.submit_task(request).unwrap_err();
        assert!(matches!(error, Error::InvalidRequest(_)), "{error:?}");
        assert!(error.to_string().contains(word), "{error}");
    }
    let most = TaskRequest::new("fine").turns(vec![Turn::user(""); MAX_REQUEST_ITEMS]);
    let id = helper.submit_task(most).unwrap();
    assert!(helper.wait_task(id, LONG).unwrap().is_success());
}

fn tool() -> Arc<dyn Tool> {
    Arc::new(FnTool::new("tool", "", Value::Null, |_| Ok(String::new())))
}

#[test]
fn configurations_that_cannot_work_are_refused() {
    let local = HelperConfig::local;
    let cases = [
        (local().max_concurrent_tasks(0), "max_concurrent_tasks"),
        (local().max_concurrent_tasks(100_000), "max_concurrent_tasks"),
        (local().name(" "), "name"),
        (local().name("a\nb"), "control"),
        (local().name("a\u{202e}b"), "control"),
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
fn the_limit_on_helpers_has_the_prototype_s_text() {
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
fn a_full_queue_returns_the_request_and_a_cancel_frees_a_place() {
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
fn errors_and_requests_show_no_prompt() {
    let helper = AutomationHelper::new(HelperConfig::local().queue_capacity(1)).unwrap();
    helper.submit_task("the secret prompt").unwrap();
    let error = helper.submit_task("the secret prompt").unwrap_err();
    let shown = format!("{error} {error:?} {helper:?}");
    assert!(!shown.contains("secret"), "{shown}");
    let shareable: Box<dyn std::error::Error + Send + Sync> = Box::new(error);
    assert!(shareable.to_string().contains("queue is full"));
}

#[test]
fn a_reply_may_be_as_long_as_the_bound_and_no_longer() {
    let backend = FnBackend(|call: &CallContext<'_>| Ok(Reply::new(call.prompt())));
    let (manager, helper) = one_helper(HelperConfig::local().max_reply_bytes(5), backend);
    let run = |prompt: &str| {
        let id = manager.submit_task(helper, prompt).unwrap();
        manager.wait_task(helper, id, LONG).unwrap()
    };
    assert!(run("12345").is_success());
    let error = run("123456").error.unwrap();
    assert_eq!(error.kind(), ErrorKind::ResponseTooLarge);
    assert!(error.summary().contains("max_reply_bytes"));
}

#[test]
fn a_manager_waits_for_capacity_reports_states_and_clears() {
    let (backend, keeper) = gate();
    let (manager, helper) = one_helper(HelperConfig::local().queue_capacity(1), backend);
    let first = manager.submit_task(helper, "a").unwrap();
    keeper.next();
    assert_eq!(manager.task_state(helper, first), Some(TaskState::Running));
    manager.submit_task(helper, "b").unwrap();
    let began = Instant::now();
    let wait = Duration::from_millis(20);
    let full = manager.submit_task_wait(helper, "c", wait);
    assert!(matches!(full, Err(Error::QueueFull(_))));
    assert!(began.elapsed() >= wait);
    // A request with less time than that does not wait longer than it has.
    let short = TaskRequest::new("d").deadline(Duration::from_millis(1));
    assert!(matches!(manager.submit_task_wait(helper, short, LONG), Err(Error::QueueFull(_))));
    assert!(began.elapsed() < LONG);
    keeper.go.send(()).unwrap();
    keeper.go.send(()).unwrap();
    assert!(manager.wait_task(helper, first, LONG).unwrap().is_success());
    assert_eq!(keeper.next(), "b");
    assert!(format!("{manager:?}").contains("helper_count: 1"));
    while manager.get_all_helpers_status()[0].completed_tasks < 2 {
        std::thread::yield_now();
    }
    assert_eq!(manager.get_all_helpers_status()[0].kept_results, 2);
    assert_eq!(manager.clear_results(helper), 2);
    assert_eq!(manager.get_all_helpers_status()[0].kept_results, 0);
}
