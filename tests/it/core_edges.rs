//! Edges of the core that a changed operator would move: who wakes whom, what is told once.

use std::sync::mpsc::channel;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use automation_assistant::{
    Attempt, AutomationHelper, CallContext, Error, ErrorKind, Event, EventKind, HelperConfig,
    Observe, Price, Prices, Reply, TaskId, TaskRequest, Usage, WhenResultsFull,
};

use crate::support::{FnBackend, LONG, Notes, gate, one_helper};

/// Ends a task without reading its result.
fn run_unread(helper: &AutomationHelper, prompt: &str) -> TaskId {
    let (told, heard) = channel();
    let request = TaskRequest::new(prompt).on_done(move |_| told.send(()).unwrap());
    let id = helper.submit_task(request).unwrap();
    heard.recv_timeout(LONG).unwrap();
    id
}

#[test]
fn a_stop_is_told_once_and_by_the_first() {
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
fn a_place_that_comes_free_by_a_deadline_goes_to_whoever_waits() {
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

/// Does something as an event of this kind is told, on the thread that tells it.
struct On<F>(EventKind, F);

impl<F: Fn(TaskId) + Send + Sync> Observe for On<F> {
    fn on_event(&self, event: &Event<'_>) {
        if event.kind == self.0 {
            (self.1)(event.task_id.unwrap());
        }
    }
}

/// A started helper whose tasks have one attempt that is told in the midst of them.
fn tells_attempts(on_attempt: impl Fn(TaskId) + Send + Sync + 'static) -> AutomationHelper {
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
fn a_cancel_while_an_attempt_is_told_waits_a_moment_for_the_thread_to_end_the_task() {
    let ((told, heard), (go, wait)) = (channel(), channel::<()>());
    let (told, wait) = (Mutex::new(told), Mutex::new(wait));
    let helper = tells_attempts(move |_| {
        told.lock().unwrap().send(()).unwrap();
        let _ = wait.lock().unwrap().recv();
    });
    let id = helper.submit_task("x").unwrap();
    heard.recv_timeout(LONG).unwrap();
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
fn a_cancel_by_the_thread_that_tells_of_the_attempt_does_not_wait_for_itself() {
    let (told, heard) = channel();
    let told = Mutex::new(told);
    let own: Own = Arc::default();
    let helper = tells_attempts({
        let own = Arc::clone(&own);
        move |id| {
            let began = Instant::now();
            let cancelled = own_helper(&own).cancel_task(id);
            told.lock().unwrap().send((cancelled, began.elapsed())).unwrap();
        }
    });
    *own.lock().unwrap() = Some(helper.clone());
    let quick = || {
        let id = helper.submit_task("x").unwrap();
        let (cancelled, took) = heard.recv_timeout(LONG).unwrap();
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
    let (told, heard) = channel();
    let told = Mutex::new(told);
    let own: Own = Arc::default();
    let ends = {
        let own = Arc::clone(&own);
        move |id| {
            let began = Instant::now();
            let cancelled = own_helper(&own).cancel_task(id);
            told.lock().unwrap().send((cancelled, began.elapsed())).unwrap();
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
        let (cancelled, took) = heard.recv_timeout(LONG).unwrap();
        assert!(!cancelled, "its end is claimed");
        took < HANDOVER
    };
    assert!((0..10).any(|_| quick()));
    own.lock().unwrap().take();
}
