//! Corners of the core: bounds to the byte, counters, hand-overs.

use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use automation_assistant::{
    Attempt, AutomationAssistantManager, AutomationHelper, CallContext, Error, ErrorKind, Event,
    EventKind, FnTool, HelperConfig, HelperStatus, INBOX_BYTES_MAX, INBOX_MESSAGES_MAX, Observe,
    Priority, Reply, Role, TaskError, TaskId, TaskRequest, TaskState, Usage, WhenResultsFull,
    create_local_helper,
};

use serde_json::{Value, json};

use crate::support::{FnBackend, LONG, gate, one_helper, patient};

fn echo(config: HelperConfig) -> AutomationHelper {
    let helper = AutomationHelper::new(config).unwrap();
    helper.start().unwrap();
    helper
}

/// Ends a task without reading its result.
fn run_unread(helper: &AutomationHelper, prompt: impl Into<TaskRequest>) -> TaskId {
    let (told, heard) = channel();
    let request = prompt.into().on_done(move |_| told.send(()).unwrap());
    let id = helper.submit_task(request).unwrap();
    heard.recv_timeout(LONG).unwrap();
    id
}

/// An observer that holds up whoever tells it of a task's end, until it gets a word.
struct Slow {
    told: Mutex<Sender<()>>,
    go: Mutex<Receiver<()>>,
}

impl Observe for Slow {
    fn on_event(&self, event: &Event<'_>) {
        if event.kind == EventKind::TaskComplete {
            let _ = self.told.lock().unwrap().send(());
            let _ = self.go.lock().unwrap().recv_timeout(LONG);
        }
    }
}

fn slow() -> (Arc<Slow>, Receiver<()>, Sender<()>) {
    let ((told, heard), (go, wait)) = (channel(), channel());
    (Arc::new(Slow { told: Mutex::new(told), go: Mutex::new(wait) }), heard, go)
}

#[test]
fn an_end_told_late_frees_no_slot_of_a_later_task() {
    let (observer, told, go) = slow();
    let (backend, begun) = patient();
    let helper = AutomationHelper::builder(HelperConfig::local())
        .backend(backend)
        .observer(observer)
        .build()
        .unwrap();
    helper.start().unwrap();
    let first = helper.submit_task("first").unwrap();
    begun.recv_timeout(LONG).unwrap();
    std::thread::scope(|scope| {
        let canceller = scope.spawn(|| assert!(helper.cancel_task(first)));
        told.recv_timeout(LONG).unwrap();
        // Not readable before the observers know, and nothing ends it a second time.
        assert!(helper.get_task_result(first).is_none());
        assert_eq!(helper.task_state(first), Some(TaskState::Running));
        assert!(!helper.cancel_task(first) && helper.take_task_result(first).is_none());
        let second = helper.submit_task("second").unwrap();
        begun.recv_timeout(LONG).unwrap();
        go.send(()).unwrap();
        canceller.join().unwrap();
        let status = helper.get_status();
        assert_eq!((status.active_tasks, status.completed_tasks), (1, 1));
        assert_eq!(status.status, HelperStatus::Processing);
        go.send(()).unwrap();
        assert!(helper.cancel_task(second));
    });
    let status = helper.get_status();
    assert_eq!((status.active_tasks, status.completed_tasks, status.kept_results), (0, 2, 2));
}

#[test]
fn more_dropped_results_than_are_remembered_are_still_told_so() {
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
fn a_result_taken_or_cleared_wakes_whoever_waits_for_its_place() {
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

/// What an observer is told of calls and ends.
#[derive(Default)]
struct Facts(Mutex<Vec<String>>);

impl Observe for Facts {
    fn on_event(&self, event: &Event<'_>) {
        let line = match event.kind {
            EventKind::BackendCall | EventKind::TaskComplete => format!(
                "{} {:?} {:?} {:?} {:?} {:?} {}",
                event.kind.as_str(),
                event.attempt,
                event.http_status,
                event.usage.map(|usage| usage.total_tokens),
                event.first_byte,
                event.waited,
                event.task.is_some(),
            ),
            _ => return,
        };
        self.0.lock().unwrap().push(line);
    }
}

#[test]
fn each_call_is_told_with_its_facts_and_the_end_with_the_last_number() {
    let facts = Arc::new(Facts::default());
    let backend = FnBackend(|call: &CallContext<'_>| {
        let failed = TaskError::new(ErrorKind::Server, "overloaded");
        let mut attempt = Attempt::new(Some(&failed));
        attempt.http_status = Some(503);
        attempt.first_byte = Some(Duration::from_millis(7));
        call.end_attempt(&attempt);
        // Nothing has begun: nothing ends.
        call.end_attempt(&attempt);
        call.begin_attempt();
        let usage = Usage::new(2, 3);
        let mut attempt = Attempt::new(None);
        attempt.usage = Some(&usage);
        attempt.waited = Some(Duration::from_millis(9));
        call.end_attempt(&attempt);
        Ok(Reply::new("ok"))
    });
    let helper = AutomationHelper::builder(HelperConfig::local())
        .backend(backend)
        .observer(facts.clone())
        .build()
        .unwrap();
    helper.start().unwrap();
    let id = helper.submit_task("x").unwrap();
    assert_eq!(helper.wait_task(id, LONG).unwrap().attempts, 2);
    assert_eq!(
        *facts.0.lock().unwrap(),
        [
            "backend_call Some(1) Some(503) None Some(7ms) None false",
            "backend_call Some(2) None Some(5) None Some(9ms) false",
            "task_complete Some(2) None None None None true",
        ]
    );
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

#[test]
fn a_hook_left_after_the_cancel_runs_at_once_and_several_run_all() {
    let (told, heard) = channel();
    let told = Mutex::new(told);
    let (begun, beginning) = channel();
    let begun = Mutex::new(begun);
    let backend = FnBackend(move |call: &CallContext<'_>| {
        let told = told.lock().unwrap().clone();
        let tell = |word: &'static str| {
            let told = told.clone();
            move || told.send(word).unwrap()
        };
        let first = call.cancel().on_cancel(tell("first"));
        let second = call.cancel().on_cancel(tell("second"));
        drop(call.cancel().on_cancel(tell("withdrawn")));
        begun.lock().unwrap().send(()).unwrap();
        assert!(call.cancel().wait(LONG));
        drop((first, second));
        let _late = call.cancel().on_cancel(tell("late"));
        assert!(format!("{:?}", call.cancel()).contains("true"));
        told.send("end").unwrap();
        call.check()?;
        Ok(Reply::new("in vain"))
    });
    let (manager, helper) = one_helper(HelperConfig::local(), backend);
    let id = manager.submit_task(helper, "x").unwrap();
    beginning.recv_timeout(LONG).unwrap();
    assert!(manager.cancel_task(helper, id));
    let words: Vec<_> = (0..4).map(|_| heard.recv_timeout(LONG).unwrap()).collect();
    assert_eq!(words, ["first", "second", "late", "end"]);
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
fn a_manager_waits_for_room_answers_states_and_clears() {
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

#[test]
fn a_custom_backend_sees_all_that_was_asked() {
    let backend = FnBackend(|call: &CallContext<'_>| {
        let request = call.request();
        let [tool] = request.tools_ref() else { panic!("one tool") };
        let [turn] = request.turns_ref() else { panic!("one turn") };
        let (name, schema) = request.reply_schema_ref().unwrap();
        let told = tool.call(&json!({})).unwrap();
        let seed = &request.custom_params_ref()["seed"];
        let said = turn.role.as_str();
        Ok(Reply::new(format!("{told} {said} {} {seed} {name} {schema}", turn.text)))
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
