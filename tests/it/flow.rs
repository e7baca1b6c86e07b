//! The way of a task, from submission to result.

use std::sync::mpsc::channel;
use std::time::Duration;

use automation_assistant::{
    AutomationAssistantManager, AutomationHelper, CallContext, Error, ErrorKind, FnTool,
    HelperConfig, HelperStatus, INBOX_BYTES_MAX, INBOX_MESSAGES_MAX, Price, Prices, Priority,
    Reply, Role, TaskError, TaskRequest, TaskState, Usage, create_local_helper,
};
use serde_json::{Value, json};

use crate::support::{FnBackend, LONG, gate, one_helper};

#[test]
fn an_echo_comes_back_with_all_that_is_known() {
    let manager = AutomationAssistantManager::new(5);
    let helper = create_local_helper(&manager, "echo").unwrap();
    let id = manager.submit_task(helper, "hello").unwrap();
    let task = manager.wait_task(helper, id, LONG).unwrap();
    assert_eq!(task.result.as_deref(), Some("Local Response: Echo of 'hello'"));
    assert!(task.error.is_none() && task.is_success());
    assert_eq!((task.task_id, task.helper_id, task.attempts), (id, helper, 1));
    assert_eq!(task.prompt, "hello");
    assert!(task.completed_at.unwrap() >= task.created_at);
    assert_eq!(manager.task_state(helper, id), Some(TaskState::Finished));
    // A copy stays until it is taken.
    assert!(manager.get_task_result(helper, id).is_some());
    assert!(manager.take_task_result(helper, id).is_some());
    assert!(manager.get_task_result(helper, id).is_none());
    assert!(matches!(manager.wait_task(helper, id, LONG), Err(Error::UnknownTask(_))));
}

#[test]
fn context_is_marked_and_kept() {
    let manager = AutomationAssistantManager::new(1);
    let helper = create_local_helper(&manager, "echo").unwrap();
    let request = TaskRequest::new("hi").context("battery", 12).context("app", "notes");
    let id = manager.submit_task(helper, request).unwrap();
    let task = manager.wait_task(helper, id, LONG).unwrap();
    assert_eq!(task.result.as_deref(), Some("Local Response: Echo of 'hi' [Context provided]"));
    assert_eq!(task.context["battery"], 12);
    let json = serde_json::to_value(&task).unwrap();
    assert_eq!(json["context"]["app"], "notes");
    assert_eq!(json["task_id"], id.to_string());
}

#[test]
fn a_helper_works_without_a_manager_and_keeps_what_came_before_its_start() {
    let helper = AutomationHelper::new(HelperConfig::local().name("solo")).unwrap();
    assert_eq!(helper.status(), HelperStatus::Initializing);
    let id = helper.submit_task("early").unwrap();
    assert_eq!(helper.task_state(id), Some(TaskState::Queued));
    assert!(matches!(helper.wait_task(id, Duration::ZERO), Err(Error::WaitTimedOut { .. })));
    helper.start().unwrap();
    helper.start().unwrap();
    assert!(helper.wait_task(id, LONG).unwrap().is_success());
    assert_eq!(helper.name(), "solo");
    assert_eq!(helper.backend_name(), "Local (local-mock)");
    helper.stop();
    assert_eq!(helper.status(), HelperStatus::Terminated);
    assert!(helper.get_task_result(id).is_some(), "results outlive a stop");
    assert!(helper.start().is_err(), "a stop is for good");
}

#[test]
fn lanes_keep_their_order_and_the_ninth_take_is_for_the_lowest() {
    let (backend, keeper) = gate();
    let (manager, helper) = one_helper(HelperConfig::local(), backend);
    manager.submit_task(helper, "plug").unwrap();
    assert_eq!(keeper.next(), "plug");
    for n in 0..2 {
        let request = TaskRequest::new(format!("low {n}")).priority(Priority::Low);
        manager.submit_task(helper, request).unwrap();
    }
    manager.submit_task(helper, "normal 0").unwrap();
    for n in 0..10 {
        let request = TaskRequest::new(format!("high {n}")).priority(Priority::High);
        manager.submit_task(helper, request).unwrap();
    }
    let mut order = Vec::new();
    for _ in 0..13 {
        keeper.go.send(()).unwrap();
        order.push(keeper.next());
    }
    keeper.go.send(()).unwrap();
    let mut expected: Vec<String> = (0..8).map(|n| format!("high {n}")).collect();
    expected.push("low 0".into());
    expected.extend(["high 8", "high 9", "normal 0", "low 1"].map(String::from));
    assert_eq!(order, expected);
}

#[test]
fn statuses_follow_the_life_of_a_helper() {
    let (backend, keeper) = gate();
    let (manager, helper) = one_helper(HelperConfig::local().name("g"), backend);
    let report = || manager.get_all_helpers_status().remove(0);
    assert_eq!(report().status, HelperStatus::Ready);
    let id = manager.submit_task(helper, "a").unwrap();
    let second = manager.submit_task(helper, "b").unwrap();
    keeper.next();
    let busy = report();
    assert_eq!(busy.status, HelperStatus::Processing);
    assert_eq!((busy.queued_tasks, busy.active_tasks, busy.completed_tasks), (1, 1, 0));
    keeper.go.send(()).unwrap();
    manager.wait_task(helper, id, LONG).unwrap();
    keeper.next();
    keeper.go.send(()).unwrap();
    manager.wait_task(helper, second, LONG).unwrap();
    // When a result can be read, the counters know it already.
    let idle = report();
    assert_eq!(idle.status, HelperStatus::Idle);
    assert_eq!((idle.queued_tasks, idle.active_tasks, idle.completed_tasks), (0, 0, 2));
    assert_eq!(serde_json::to_value(&idle).unwrap()["status"], "idle");
}

#[test]
fn a_failure_that_will_repeat_shows_until_the_next_success() {
    let backend = FnBackend(|call: &CallContext<'_>| match call.prompt() {
        "bad key" => Err(TaskError::new(ErrorKind::Authentication, "the key was refused")),
        "flaky" => Err(TaskError::new(ErrorKind::Network, "no network")),
        other => Ok(Reply::new(other)),
    });
    let (manager, helper) = one_helper(HelperConfig::local(), backend);
    let handle = manager.get_helper(helper).unwrap();
    let run = |prompt| {
        let id = handle.submit_task(prompt).unwrap();
        handle.wait_task(id, LONG).unwrap();
        handle.status()
    };
    assert_eq!(run("flaky"), HelperStatus::Idle);
    assert_eq!(run("bad key"), HelperStatus::Error);
    assert_eq!(run("flaky"), HelperStatus::Error);
    assert_eq!(run("fine"), HelperStatus::Idle);
    assert_eq!(handle.get_status().failed_tasks, 3);
}

#[test]
fn wait_any_gives_the_one_that_has_ended() {
    let manager = AutomationAssistantManager::new(2);
    let (backend, keeper) = gate();
    let slow = manager.spawn_helper_with(HelperConfig::local(), backend).unwrap();
    let quick = create_local_helper(&manager, "quick").unwrap();
    let a = manager.submit_task(slow, "slow").unwrap();
    keeper.next();
    let b = manager.submit_task(quick, "quick").unwrap();
    let first = manager.wait_any(&[(slow, a), (quick, b)], LONG).unwrap();
    assert_eq!(first.task_id, b);
    let nothing = manager.wait_any(&[(slow, a)], Duration::from_millis(1));
    assert!(matches!(nothing, Err(Error::WaitTimedOut { .. })));
    assert!(matches!(manager.wait_any(&[], LONG), Err(Error::InvalidRequest(_))));
    keeper.go.send(()).unwrap();
    assert_eq!(manager.wait_any(&[(slow, a)], LONG).unwrap().task_id, a);
}

#[test]
fn callbacks_are_called_outside_every_lock() {
    let helper = AutomationHelper::new(HelperConfig::local()).unwrap();
    helper.start().unwrap();
    let (sender, receiver) = channel();
    let deltas = sender.clone();
    let own = helper.clone();
    let request = TaskRequest::new("x")
        .on_text(move |text| deltas.send(format!("text {text}")).unwrap())
        .on_done(move |task| {
            // Everything may be called from here, the own helper included.
            assert_eq!(own.status(), HelperStatus::Idle);
            let again = own.get_task_result(task.task_id).unwrap();
            sender.send(format!("done {}", again.result.unwrap())).unwrap();
        });
    helper.submit_task(request).unwrap();
    assert_eq!(receiver.recv_timeout(LONG).unwrap(), "text Local Response: Echo of 'x'");
    assert_eq!(receiver.recv_timeout(LONG).unwrap(), "done Local Response: Echo of 'x'");
}

#[test]
fn panics_end_their_task_and_nothing_else() {
    let backend = FnBackend(|call: &CallContext<'_>| {
        assert_ne!(call.prompt(), "boom", "planted");
        call.send_text("delta")?;
        Ok(Reply::new("fine"))
    });
    let (manager, helper) = one_helper(HelperConfig::local(), backend);
    let run = |request: TaskRequest| {
        let id = manager.submit_task(helper, request).unwrap();
        manager.wait_task(helper, id, LONG).unwrap()
    };
    let error = run("boom".into()).error.unwrap();
    assert_eq!(error.kind(), ErrorKind::Panicked);
    assert!(error.summary().contains("backend"));
    let error = run(TaskRequest::new("x").on_text(|_| panic!("planted"))).error.unwrap();
    assert_eq!(error.kind(), ErrorKind::Panicked);
    assert!(error.summary().contains("on_text"));
    let (sender, receiver) = channel();
    struct SignalOnDrop(std::sync::mpsc::Sender<()>);
    impl Drop for SignalOnDrop {
        fn drop(&mut self) {
            self.0.send(()).unwrap();
        }
    }
    let signal = SignalOnDrop(sender);
    let done = run(TaskRequest::new("x").on_done(move |_| {
        let _signal = &signal;
        panic!("planted");
    }));
    assert!(done.is_success(), "a panic in on_done changes no outcome");
    receiver.recv_timeout(LONG).unwrap();
    assert!(run("fine".into()).is_success());
    assert_eq!(manager.get_all_helpers_status()[0].callback_panics, 1);
}

#[test]
fn json_in_an_answer_is_read_into_a_type() {
    let backend = FnBackend(|call: &CallContext<'_>| Ok(Reply::new(call.prompt())));
    let (manager, helper) = one_helper(HelperConfig::local(), backend);
    let run = |prompt: &str| {
        let id = manager.submit_task(helper, prompt).unwrap();
        manager.wait_task(helper, id, LONG).unwrap()
    };
    let numbers: Vec<u8> = run("```json\n[1, 2]\n```").parse_result().unwrap();
    assert_eq!(numbers, [1, 2]);
    let error = run("[1, \"secret\"]").parse_result::<Vec<u8>>().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Protocol);
    assert!(!error.to_string().contains("secret"));
    assert_eq!(error.partial(), Some("[1, \"secret\"]"));
}

#[test]
fn an_inbox_holds_what_it_says_to_the_byte() {
    let manager = AutomationAssistantManager::new(2);
    let backend = FnBackend(|call: &CallContext<'_>| {
        let bytes: usize = call.prompt().parse().unwrap_or_default();
        Ok(Reply::new("x".repeat(bytes)))
    });
    let from = manager.spawn_helper_with(HelperConfig::local().name("from"), backend).unwrap();
    let send = |bytes: usize, to| {
        let id = manager.submit_task(from, bytes.to_string()).unwrap();
        manager.wait_task(from, id, LONG).unwrap();
        manager.send_result(from, id, to)
    };
    let to = create_local_helper(&manager, "to").unwrap();
    send(INBOX_BYTES_MAX - 1, to).unwrap();
    send(1, to).unwrap();
    assert!(matches!(send(1, to), Err(Error::InboxFull)));
    let id = manager.submit_task(to, "read").unwrap();
    let task = manager.wait_task(to, id, LONG).unwrap();
    let inbox = task.context["inbox"].as_array().unwrap();
    assert_eq!(
        (inbox.len(), &inbox[1]["from"], &inbox[1]["text"]),
        (2, &"from".into(), &"x".into())
    );
    for _ in 0..INBOX_MESSAGES_MAX {
        send(1, to).unwrap();
    }
    assert!(matches!(send(1, to), Err(Error::InboxFull)));
}

#[test]
fn a_custom_backend_sees_all_that_was_asked() {
    let backend = FnBackend(|call: &CallContext<'_>| {
        let request = call.request();
        let [tool] = request.get_tools() else { panic!("one tool") };
        let [turn] = request.get_turns() else { panic!("one turn") };
        let (name, schema) = request.get_reply_schema().unwrap();
        let output = tool.call(&json!({})).unwrap();
        let seed = &request.get_custom_params()["seed"];
        let said = turn.role.as_str();
        Ok(Reply::new(format!("{output} {said} {} {seed} {name} {schema}", turn.text)))
    });
    let (manager, helper) = one_helper(HelperConfig::local(), backend);
    let request = TaskRequest::new("now")
        .turn(Role::User, "before")
        .custom_param("seed", 7)
        .reply_schema("shape", json!({"type": "object"}))
        .tool(FnTool::new("clock", "the time", json!({}), |_: &Value| Ok("noon".to_owned())));
    let id = manager.submit_task(helper, request).unwrap();
    let task = manager.wait_task(helper, id, LONG).unwrap();
    assert_eq!(task.result.as_deref(), Some(r#"noon user before 7 shape {"type":"object"}"#));
}

#[test]
fn a_price_that_is_no_amount_makes_no_cost() {
    for (price, cost) in [(f64::INFINITY, None), (-1.0, None), (f64::NAN, None), (0.0, Some(0.0))] {
        let prices = Prices::new().model("m", Price::per_million(price, price));
        let backend = FnBackend(|_: &CallContext<'_>| {
            Ok(Reply::new("x").with_model("m").with_usage(Usage::new(1, 1)))
        });
        let (manager, helper) = one_helper(HelperConfig::local().prices(prices), backend);
        let id = manager.submit_task(helper, "x").unwrap();
        assert_eq!(manager.wait_task(helper, id, LONG).unwrap().cost, cost, "{price}");
    }
}

#[test]
fn helpers_show_who_they_are() {
    let builder = AutomationHelper::builder(HelperConfig::local().name("solo"));
    let shown = format!("{builder:?}");
    assert!(shown.starts_with("HelperBuilder") && shown.contains("solo"), "{shown}");
    let helper = builder.build().unwrap();
    let shown = format!("{helper:?}");
    for part in ["solo", "Local (local-mock)", "Initializing", &helper.helper_id().to_string()] {
        assert!(shown.contains(part), "{part} in {shown}");
    }
}
