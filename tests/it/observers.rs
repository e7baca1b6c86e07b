//! The events for observers, their order, and calls from within observers.

use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use automation_assistant::{
    Attempt, AutomationAssistantManager, AutomationHelper, CallContext, ErrorKind, Event,
    EventFacts, EventKind, HelperBuilder, HelperConfig, HelperStatus, Observe, Reply, TaskError,
    TaskId, TaskRequest, TaskState, TraceId, Usage,
};

use crate::support::{FnBackend, LONG, Notes, patient};

#[test]
fn events_report_each_call_and_each_end_before_the_result_shows() {
    let notes = Notes::new();
    let manager = AutomationAssistantManager::builder().observer(notes.clone()).build().unwrap();
    let backend = FnBackend(|call: &CallContext<'_>| {
        let failed = TaskError::new(ErrorKind::Server, "overloaded");
        call.end_attempt(&Attempt::new(Some(&failed)));
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
    impl Observe for Angry {
        fn on_event(&self, _: &Event<'_>) {
            panic!("planted");
        }
    }
    let helper =
        AutomationHelper::builder(HelperConfig::local()).observer(Arc::new(Angry)).build().unwrap();
    helper.start().unwrap();
    let id = helper.submit_task("x").unwrap();
    assert!(helper.wait_task(id, LONG).unwrap().is_success());
    assert_eq!(helper.get_status().observer_panics, 3);
}

/// The events of calls and ends that an observer gets.
#[derive(Default)]
struct Facts(Mutex<Vec<String>>);

impl Observe for Facts {
    fn on_event(&self, event: &Event<'_>) {
        let line = match event.facts() {
            EventFacts::Call(call) => format!(
                "call {} {:?} {:?} {:?} {:?}",
                call.attempt,
                call.http_status,
                call.usage.map(|usage| usage.total_tokens),
                call.first_byte,
                call.waited,
            ),
            EventFacts::Task(end) => format!("task {} {}", end.task.attempts, end.task.task_id),
            _ => return,
        };
        self.0.lock().unwrap().push(line);
    }
}

#[test]
fn each_call_is_reported_with_its_facts_and_the_end_with_the_last_number() {
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
            "call 1 Some(503) None Some(7ms) None",
            "call 2 None Some(5) None Some(9ms)",
            &format!("task 2 {id}"),
        ]
    );
}

/// An observer that blocks at a task's end until it is released.
struct Slow {
    sender: Mutex<Sender<()>>,
    go: Mutex<Receiver<()>>,
}

impl Observe for Slow {
    fn on_event(&self, event: &Event<'_>) {
        if event.kind() == EventKind::TaskComplete {
            let _ = self.sender.lock().unwrap().send(());
            let _ = self.go.lock().unwrap().recv_timeout(LONG);
        }
    }
}

fn slow() -> (Arc<Slow>, Receiver<()>, Sender<()>) {
    let ((sender, receiver), (go, wait)) = (channel(), channel());
    (Arc::new(Slow { sender: Mutex::new(sender), go: Mutex::new(wait) }), receiver, go)
}

#[test]
fn an_end_reported_late_frees_no_slot_of_a_later_task() {
    let (observer, events, go) = slow();
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
        events.recv_timeout(LONG).unwrap();
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
fn a_task_is_in_one_count_while_its_end_is_reported() {
    let (observer, events, go) = slow();
    let helper =
        AutomationHelper::builder(HelperConfig::local()).observer(observer).build().unwrap();
    // The helper has no thread yet: the task stays in the queue.
    let queued = helper.submit_task("queued").unwrap();
    let counts = || {
        let status = helper.get_status();
        (status.queued_tasks, status.active_tasks, status.completed_tasks)
    };
    assert_eq!(counts(), (1, 0, 0));
    std::thread::scope(|scope| {
        scope.spawn(|| assert!(helper.cancel_task(queued)));
        events.recv_timeout(LONG).unwrap();
        assert_eq!(counts(), (0, 1, 0));
        go.send(()).unwrap();
    });
    assert_eq!(counts(), (0, 0, 1));
}

#[test]
fn a_stop_is_reported_once_and_by_the_first() {
    let notes = Notes::new();
    let helper =
        AutomationHelper::builder(HelperConfig::local()).observer(notes.clone()).build().unwrap();
    helper.start().unwrap();
    for _ in 0..2 {
        helper.stop();
        assert_eq!(notes.of(EventKind::HelperStop), [(true, None)]);
    }
    drop(helper);
    assert_eq!(notes.of(EventKind::HelperStop).len(), 1);
}

/// Runs a closure when an event of this kind is reported, on the reporting thread.
struct On<F>(EventKind, F);

impl<F: Fn(TaskId) + Send + Sync> Observe for On<F> {
    fn on_event(&self, event: &Event<'_>) {
        if event.kind() == self.0 {
            (self.1)(event.task_id().unwrap());
        }
    }
}

/// A started helper whose tasks have one attempt, reported while they run.
fn reports_attempts(on_attempt: impl Fn(TaskId) + Send + Sync + 'static) -> AutomationHelper {
    let backend = FnBackend(|call: &CallContext<'_>| {
        call.end_attempt(&Attempt::new(None));
        Ok(Reply::new("answer"))
    });
    let helper = AutomationHelper::builder(HelperConfig::local())
        .backend(backend)
        .observer(Arc::new(On(EventKind::BackendCall, on_attempt)))
        .build()
        .unwrap();
    helper.start().unwrap();
    helper
}

/// A helper for its own observer; taken out at the end, for each holds the other.
type Own = Arc<Mutex<Option<AutomationHelper>>>;

fn own_helper(own: &Own) -> AutomationHelper {
    own.lock().unwrap().clone().unwrap()
}

/// How long a cancel waits for an end that is the thread's to make.
const HANDOVER: Duration = Duration::from_millis(100);

#[test]
fn a_cancel_while_an_attempt_is_reported_waits_a_moment_for_the_thread_to_end_the_task() {
    let ((sender, receiver), (go, wait)) = (channel(), channel::<()>());
    let (sender, wait) = (Mutex::new(sender), Mutex::new(wait));
    let helper = reports_attempts(move |_| {
        sender.lock().unwrap().send(()).unwrap();
        let _ = wait.lock().unwrap().recv();
    });
    let id = helper.submit_task("x").unwrap();
    receiver.recv_timeout(LONG).unwrap();
    let began = Instant::now();
    assert!(helper.cancel_task(id));
    assert!(began.elapsed() >= HANDOVER, "the thread has not come back meanwhile");
    assert!(!helper.cancel_task(id), "its end was asked for already");
    assert!(helper.get_task_result(id).is_none());
    drop(go);
    let task = helper.wait_task(id, LONG).unwrap();
    assert_eq!(task.error.unwrap().kind(), ErrorKind::Cancelled);
    assert_eq!(task.attempts, 1);
}

#[test]
fn a_cancel_by_the_thread_that_reports_the_attempt_does_not_wait_for_itself() {
    let (sender, receiver) = channel();
    let sender = Mutex::new(sender);
    let own: Own = Arc::default();
    let helper = reports_attempts({
        let own = Arc::clone(&own);
        move |id| {
            let began = Instant::now();
            let cancelled = own_helper(&own).cancel_task(id);
            sender.lock().unwrap().send((cancelled, began.elapsed())).unwrap();
        }
    });
    *own.lock().unwrap() = Some(helper.clone());
    let quick = || {
        let id = helper.submit_task("x").unwrap();
        let (cancelled, took) = receiver.recv_timeout(LONG).unwrap();
        assert!(cancelled);
        let error = helper.wait_task(id, LONG).unwrap().error.unwrap();
        assert_eq!(error.kind(), ErrorKind::Cancelled);
        took < HANDOVER
    };
    assert!((0..10).any(|_| quick()));
    own.lock().unwrap().take();
}

#[test]
fn a_cancel_of_what_somebody_else_just_ends_says_so_at_once() {
    let (sender, receiver) = channel();
    let sender = Mutex::new(sender);
    let own: Own = Arc::default();
    let ends = {
        let own = Arc::clone(&own);
        move |id| {
            let began = Instant::now();
            let cancelled = own_helper(&own).cancel_task(id);
            sender.lock().unwrap().send((cancelled, began.elapsed())).unwrap();
        }
    };
    let helper = AutomationHelper::builder(HelperConfig::local())
        .observer(Arc::new(On(EventKind::TaskComplete, ends)))
        .build()
        .unwrap();
    *own.lock().unwrap() = Some(helper.clone());
    let quick = || {
        let id = helper.submit_task("x").unwrap();
        assert!(helper.cancel_task(id));
        let (cancelled, took) = receiver.recv_timeout(LONG).unwrap();
        assert!(!cancelled, "its end is claimed");
        took < HANDOVER
    };
    assert!((0..10).any(|_| quick()));
    own.lock().unwrap().take();
}

/// Kind, trace, conversation and model of an event.
type Name = (EventKind, Option<TraceId>, Option<String>, Option<String>);

/// The facts for a trace of each event of a task, in the order of the events.
#[derive(Default)]
struct Named(Mutex<Vec<Name>>);

impl Observe for Named {
    fn on_event(&self, event: &Event<'_>) {
        if event.task_id().is_some() {
            self.0.lock().unwrap().push((
                event.kind(),
                event.trace_id(),
                event.conversation().map(str::to_owned),
                event.model_requested().map(str::to_owned),
            ));
        }
    }
}

#[test]
fn each_call_of_a_task_names_its_trace_conversation_and_model_as_the_end_does() {
    let trace = TraceId::new();
    let request = TaskRequest::new("x").trace_id(trace).conversation("c1");
    let expect = |kind, model: Option<&str>| {
        (kind, Some(trace), Some("c1".to_owned()), model.map(str::to_owned))
    };
    let ask = |builder: HelperBuilder| {
        let named = Arc::new(Named::default());
        let helper = builder.observer(named.clone()).build().unwrap();
        helper.start().unwrap();
        helper.ask(request.clone()).unwrap();
        std::mem::take(&mut *named.0.lock().unwrap())
    };
    let retries = |call: &CallContext<'_>| {
        let failed = TaskError::new(ErrorKind::Server, "overloaded");
        call.end_attempt(&Attempt::new(Some(&failed)));
        call.begin_attempt();
        Ok(Reply::new("ok"))
    };
    // The kind of the configuration says nothing of a backend of one's own.
    let own = AutomationHelper::builder(HelperConfig::local()).backend(FnBackend(retries));
    let [first, last, end] = &ask(own)[..] else { panic!() };
    assert_eq!(*first, expect(EventKind::BackendCall, None));
    assert_eq!(*last, expect(EventKind::BackendCall, None));
    assert_eq!(*end, expect(EventKind::TaskComplete, None));
    let embedded = AutomationHelper::builder(HelperConfig::local());
    let [call, end] = &ask(embedded)[..] else { panic!() };
    assert_eq!(*call, expect(EventKind::BackendCall, Some("local-mock")));
    assert_eq!(*end, expect(EventKind::TaskComplete, Some("local-mock")));
}
