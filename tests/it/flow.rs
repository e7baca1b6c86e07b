//! The way of a task, from submission to result.

use std::sync::mpsc::channel;
use std::time::Duration;

use automation_assistant::{
    AutomationAssistantManager, AutomationHelper, Error, ErrorKind, EventKind, HelperConfig,
    HelperStatus, Priority, Reply, TaskError, TaskRequest, TaskState, Usage, create_local_helper,
};

use crate::support::{FnBackend, LONG, Notes, gate, one_helper, patient};

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
    let backend = FnBackend(|call: &automation_assistant::CallContext<'_>| match call.prompt() {
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
    let (told, heard) = channel();
    let pieces = told.clone();
    let own = helper.clone();
    let request = TaskRequest::new("x")
        .on_text(move |text| pieces.send(format!("text {text}")).unwrap())
        .on_done(move |task| {
            // Everything may be called from here, the own helper included.
            assert_eq!(own.status(), HelperStatus::Idle);
            let again = own.get_task_result(task.task_id).unwrap();
            told.send(format!("done {}", again.result.unwrap())).unwrap();
        });
    helper.submit_task(request).unwrap();
    assert_eq!(heard.recv_timeout(LONG).unwrap(), "text Local Response: Echo of 'x'");
    assert_eq!(heard.recv_timeout(LONG).unwrap(), "done Local Response: Echo of 'x'");
}

#[test]
fn panics_end_their_task_and_nothing_else() {
    let backend = FnBackend(|call: &automation_assistant::CallContext<'_>| {
        assert_ne!(call.prompt(), "boom", "planted");
        call.send_text("piece")?;
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
    let (told, heard) = channel();
    struct Tell(std::sync::mpsc::Sender<()>);
    impl Drop for Tell {
        fn drop(&mut self) {
            self.0.send(()).unwrap();
        }
    }
    let tell = Tell(told);
    let done = run(TaskRequest::new("x").on_done(move |_| {
        let _tell = &tell;
        panic!("planted");
    }));
    assert!(done.is_success(), "a panic in on_done changes no outcome");
    heard.recv_timeout(LONG).unwrap();
    assert!(run("fine".into()).is_success());
    assert_eq!(manager.get_all_helpers_status()[0].callback_panics, 1);
}

#[test]
fn events_tell_each_call_and_each_end_before_the_result_shows() {
    let notes = Notes::new();
    let manager = AutomationAssistantManager::builder().observer(notes.clone()).build().unwrap();
    let backend = FnBackend(|call: &automation_assistant::CallContext<'_>| {
        let failed = TaskError::new(ErrorKind::Server, "overloaded");
        call.end_attempt(&automation_assistant::Attempt::new(Some(&failed)));
        call.begin_attempt();
        let usage = Usage::new(3, 4);
        Ok(Reply::new("ok").with_usage(usage).with_model("m"))
    });
    let helper = manager.spawn_helper_with(HelperConfig::local(), backend).unwrap();
    let id = manager.submit_task(helper, "x").unwrap();
    let task = manager.wait_task(helper, id, LONG).unwrap();
    assert_eq!((task.attempts, task.model.as_deref()), (2, Some("m")));
    assert_eq!(task.usage.unwrap().total_tokens, 7);
    assert_eq!(notes.of(EventKind::HelperSpawn), [(true, None)]);
    assert_eq!(notes.of(EventKind::BackendCall), [(false, Some("server")), (true, None)]);
    assert_eq!(notes.of(EventKind::TaskComplete), [(true, None)]);
    manager.terminate_all();
    assert_eq!(notes.of(EventKind::HelperStop), [(true, None)]);
}

#[test]
fn a_panicking_observer_is_counted_and_hurts_nobody() {
    struct Angry;
    impl automation_assistant::Observe for Angry {
        fn on_event(&self, _: &automation_assistant::Event<'_>) {
            panic!("planted");
        }
    }
    let helper = AutomationHelper::builder(HelperConfig::local())
        .observer(std::sync::Arc::new(Angry))
        .build()
        .unwrap();
    helper.start().unwrap();
    let id = helper.submit_task("x").unwrap();
    assert!(helper.wait_task(id, LONG).unwrap().is_success());
    assert_eq!(helper.get_status().observer_panics, 3);
}

#[test]
fn simulated_latency_is_cancellable_and_obeys_the_time() {
    let config = HelperConfig::local().custom_param("latency_ms", 60_000);
    let helper = AutomationHelper::new(config).unwrap();
    helper.start().unwrap();
    let request = TaskRequest::new("x").timeout(Duration::from_millis(5));
    let id = helper.submit_task(request).unwrap();
    let error = helper.wait_task(id, LONG).unwrap().error.unwrap();
    assert_eq!(error.kind(), ErrorKind::Timeout);
    let id = helper.submit_task("y").unwrap();
    assert!(helper.cancel_task(id));
    assert!(!helper.cancel_task(id), "it has ended already");
    let task = helper.get_task_result(id).expect("cancelling ends it at once");
    assert_eq!(task.error.unwrap().kind(), ErrorKind::Cancelled);
}

#[test]
fn a_cancelled_running_task_keeps_its_prompt_and_its_thread_works_on() {
    let notes = Notes::new();
    let (backend, begun) = patient();
    let helper = AutomationHelper::builder(HelperConfig::local())
        .backend(backend)
        .observer(notes.clone())
        .build()
        .unwrap();
    helper.start().unwrap();
    for n in 0..50 {
        let id = helper.submit_task(format!("task {n}")).unwrap();
        begun.recv_timeout(LONG).unwrap();
        assert!(helper.cancel_task(id));
        let task = helper.get_task_result(id).unwrap();
        assert_eq!(task.prompt, format!("task {n}"));
        assert_eq!(task.attempts, 1);
    }
    assert_eq!(notes.of(EventKind::BackendCall).len(), 50);
    assert_eq!(notes.of(EventKind::TaskComplete).len(), 50);
}

#[test]
fn json_in_an_answer_is_read_into_a_type() {
    let backend =
        FnBackend(|call: &automation_assistant::CallContext<'_>| Ok(Reply::new(call.prompt())));
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
