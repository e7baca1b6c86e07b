//! Tests of helper internals that the public API does not reach.
#![allow(clippy::unwrap_used)]

use std::time::SystemTime;

use super::ends::Claim;
use super::*;
use crate::backend::{Reply, cancelled};
use crate::config::WhenResultsFull;
use crate::store::{Phase, Queued};
use crate::suspended::SuspendedTime;
use crate::sync::{Ordering, earlier, now};
use crate::task_error::{ErrorKind, TaskError};

#[test]
fn a_watch_sleeps_until_its_moment_and_is_disarmed_by_waking() {
    let watch = Watch::new();
    let soon = || now() + Duration::from_millis(2);
    let until = soon();
    watch.sleep_until(Some(until));
    assert!(now() >= until, "it waited");
    watch.fire();
    watch.sleep_until(None);
    let until = soon();
    watch.sleep_until(Some(until));
    assert!(now() >= until, "the first wake-up has used it up");
}

#[test]
fn the_earlier_of_two_moments_is_the_one_that_comes() {
    let (a, b) = (now(), now() + Duration::from_secs(1));
    assert_eq!(earlier(Some(a), Some(b)), Some(a));
    assert_eq!(earlier(Some(b), Some(a)), Some(a));
    assert_eq!(earlier(Some(a), None), Some(a));
    assert_eq!(earlier(None, Some(b)), Some(b));
    assert_eq!(earlier(None, None), None);
}

/// Answers each task when it receives a message.
struct Gate(std::sync::Mutex<std::sync::mpsc::Receiver<()>>);

impl AiBackend for Gate {
    fn name(&self) -> &str {
        "Gate"
    }

    fn process(&self, call: &crate::backend::CallContext<'_>) -> Result<Reply, TaskError> {
        let _ = lock(&self.0).recv();
        Ok(Reply::new(call.prompt()))
    }
}

#[test]
fn a_wait_that_gives_up_takes_back_its_own_request_to_be_woken_and_no_other() {
    let (go, wait) = std::sync::mpsc::channel();
    let helper = crate::AutomationHelper::builder(HelperConfig::local())
        .backend(Gate(std::sync::Mutex::new(wait)))
        .build()
        .unwrap();
    helper.start().unwrap();
    let first = helper.submit_task("first").unwrap();
    let second = helper.submit_task("second").unwrap();
    let long = Duration::from_secs(20);
    let awaited = || helper.shared().lock().awaited.clone();
    std::thread::scope(|scope| {
        scope.spawn(|| assert!(helper.wait_task(second, long).unwrap().is_success()));
        let until = now() + long;
        while awaited().is_empty() {
            assert!(now() < until, "it comes to wait");
            std::thread::yield_now();
        }
        let given_up = helper.wait_task(first, Duration::from_millis(1));
        assert!(matches!(given_up, Err(Error::WaitTimedOut { .. })));
        assert_eq!(awaited(), [second.number()]);
        go.send(()).unwrap();
        go.send(()).unwrap();
    });
    assert!(awaited().is_empty());
}

#[test]
fn only_the_watch_that_is_taken_back_goes() {
    let helper = crate::AutomationHelper::new(HelperConfig::local()).unwrap();
    let (one, other) = (Watch::new(), Watch::new());
    for watch in [&one, &other] {
        helper.shared().watch(watch);
    }
    helper.shared().unwatch(&one);
    let state = helper.shared().lock();
    assert!(state.watches.len() == 1 && Arc::ptr_eq(&state.watches[0], &other));
}

/// Submits to a full queue, frees a place once the submission waits, and checks that it is
/// accepted.
fn wakes_a_waiting_submit(helper: &crate::AutomationHelper, free_place: impl FnOnce()) {
    let long = Duration::from_secs(20);
    std::thread::scope(|scope| {
        let waiting = scope.spawn(|| helper.submit_task_wait("waits", long));
        let began = now();
        while helper.shared().lock().capacity_waiters == 0 {
            assert!(began.elapsed() < long, "it comes to wait");
            std::thread::yield_now();
        }
        free_place();
        assert!(waiting.join().unwrap().is_ok());
        assert!(began.elapsed() < long / 2, "it was woken");
    });
    assert_eq!(helper.shared().lock().capacity_waiters, 0);
}

#[test]
fn a_task_that_leaves_the_queue_gives_its_place_to_a_submit_that_sleeps() {
    let config = HelperConfig::local().queue_capacity(1);
    let helper = crate::AutomationHelper::new(config).unwrap();
    let queued = helper.submit_task("queued").unwrap();
    wakes_a_waiting_submit(&helper, || assert!(helper.cancel_task(queued)));
    wakes_a_waiting_submit(&helper, || helper.start().unwrap());
}

#[test]
fn a_submit_whose_pictures_do_not_fit_keeps_no_other_from_a_free_place() {
    let picture = || TaskRequest::new("p").image_bytes("image/gif", b"GIF89a".to_vec());
    let config = HelperConfig::local().queue_capacity(2).max_queued_image_bytes(6);
    let helper = crate::AutomationHelper::new(config).unwrap();
    let [seen, text] =
        [picture(), "text".into()].map(|request| helper.submit_task(request).unwrap());
    let long = Duration::from_secs(20);
    std::thread::scope(|scope| {
        let submit = |request: TaskRequest, waiters: usize| {
            let waiting = scope.spawn(|| helper.submit_task_wait(request, long));
            let began = now();
            while helper.shared().lock().capacity_waiters < waiters {
                assert!(began.elapsed() < long, "it comes to wait");
                std::thread::yield_now();
            }
            waiting
        };
        let pictures = submit(picture(), 1);
        let other = submit("other".into(), 2);
        let began = now();
        assert!(helper.cancel_task(text));
        assert!(other.join().unwrap().is_ok());
        assert!(!pictures.is_finished());
        assert!(helper.cancel_task(seen));
        assert!(pictures.join().unwrap().is_ok());
        assert!(began.elapsed() < long / 2, "both were woken");
    });
}

#[test]
fn an_idle_thread_calls_back_what_a_callback_has_cancelled() {
    // Where the canceller called back, it was first nearly always.
    const ROUNDS: usize = 100;
    let (go, wait) = std::sync::mpsc::channel();
    let config = HelperConfig::local().max_concurrent_tasks(2);
    let builder = crate::AutomationHelper::builder(config);
    let owner = builder.backend(Gate(std::sync::Mutex::new(wait))).build().unwrap();
    owner.start().unwrap();
    let never = crate::AutomationHelper::new(HelperConfig::local()).unwrap();
    let one_runs_and_one_sleeps = || {
        let state = owner.shared().lock();
        state.sleepers == 1 && state.running.iter().any(Option::is_some)
    };
    for _ in 0..ROUNDS {
        let (called, calls) = std::sync::mpsc::channel();
        let request = TaskRequest::new("runs");
        let request = request.on_done(move |_| called.send(std::thread::current().id()).unwrap());
        let id = owner.submit_task(request).unwrap();
        while !one_runs_and_one_sleeps() {
            std::thread::yield_now();
        }
        let ends = owner.clone();
        let request = TaskRequest::new("x").on_done(move |_| assert!(ends.cancel_task(id)));
        assert!(never.cancel_task(never.submit_task(request).unwrap()));
        assert_ne!(calls.recv().unwrap(), std::thread::current().id());
        go.send(()).unwrap();
    }
    assert_eq!(never.get_status().callback_panics, 0);
    owner.stop();
}

#[test]
fn a_result_that_is_read_gives_its_place_to_a_submit_that_sleeps() {
    let config =
        HelperConfig::local().max_results(1).when_results_full(WhenResultsFull::RefuseTasks);
    let helper = crate::AutomationHelper::new(config).unwrap();
    let frees: [&dyn Fn(TaskId); 3] = [
        &|id| assert!(helper.get_task_result(id).is_some()),
        &|id| assert!(helper.take_task_result(id).is_some()),
        &|_| assert_eq!(helper.clear_results(), 1),
    ];
    for free in frees {
        let id = helper.submit_task("x").unwrap();
        assert!(helper.cancel_task(id));
        wakes_a_waiting_submit(&helper, || free(id));
        let (number, queued) = helper.shared().lock().store.take_next().unwrap();
        helper.shared().finish(Claim::queued(number, queued), Err(cancelled()));
        helper.clear_results();
    }
}

/// A helper on a device that was suspended ever since it was switched on, and a task that was
/// submitted an hour ago by the wall clock, just now by `Instant`.
fn suspended_helper(config: HelperConfig) -> (Arc<Shared>, Queued, std::sync::Arc<Sleeps>) {
    let backend: Box<dyn AiBackend> =
        Box::new(Gate(std::sync::Mutex::new(std::sync::mpsc::channel().1)));
    let reported = std::sync::Arc::<Sleeps>::default();
    let mut observers = crate::observers::Observers::new(vec![Foreign::new(reported.clone())]);
    Arc::get_mut(&mut observers).unwrap().suspended = SuspendedTime::as_if_always_suspended();
    let queued = Queued {
        request: TaskRequest::new("x"),
        image_bytes: 0,
        created_at: SystemTime::now() - Duration::from_secs(3600),
        submitted: now(),
        deadline: Some(now() + MINUTE),
    };
    let shared = Shared::new(config, Foreign::new(backend), "Gate".to_owned(), observers);
    (Arc::new(shared), queued, reported)
}

/// How many suspensions were reported to the observers.
#[derive(Default)]
struct Sleeps(AtomicU64);

impl crate::event::Observe for Sleeps {
    fn on_event(&self, event: &Event<'_>) {
        self.0.fetch_add(u64::from(event.kind == EventKind::Suspended), Ordering::Relaxed);
    }
}

const MINUTE: Duration = Duration::from_secs(60);

#[test]
fn suspended_time_counts_against_a_deadline_if_configured() {
    for (counts, deadline, counted) in
        [(true, true, true), (false, true, false), (true, false, false), (false, false, false)]
    {
        let (shared, mut queued, _) =
            suspended_helper(HelperConfig::local().count_suspended_time(counts));
        queued.deadline = queued.deadline.filter(|_| deadline);
        assert_eq!(!shared.suspended_since(&queued).is_zero(), counted, "{counts} {deadline}");
    }
}

#[test]
fn a_task_that_runs_while_the_device_is_suspended_is_charged_too() {
    for counts in [true, false] {
        let (shared, mut queued, reported) =
            suspended_helper(HelperConfig::local().count_suspended_time(counts));
        // It is not due yet when its thread takes it.
        let long_ago = std::mem::replace(&mut queued.created_at, SystemTime::now());
        let number = shared.lock().store.insert(queued);
        assert!(matches!(shared.begin_next(0, false), Next::Task { .. }));
        let mut state = shared.lock();
        let look = shared.peek(&mut state, shared.task_id(number), number);
        let soon = now() + LOOK_AGAIN;
        assert_eq!(look.unwrap().unwrap_err().is_some_and(|again| again <= soon), counts);
        let Some(Phase::Running(running)) = state.store.phase(number) else { panic!("it runs") };
        running.created_at = long_ago;
        drop(shared.touch(state, number));
        let task = shared.lock().store.read(number);
        let kind = task.and_then(|task| task.error).map(|error| error.kind());
        assert_eq!(kind, counts.then_some(ErrorKind::Timeout));
        // Reported once, whether the time was charged or not.
        shared.cancel(shared.task_id(number));
        assert_eq!(reported.0.load(Ordering::Relaxed), 1);
    }
}

#[test]
fn a_suspension_shorter_than_the_time_left_ends_nothing() {
    let (shared, mut queued, _) =
        suspended_helper(HelperConfig::local().count_suspended_time(true));
    // It is not due yet when its thread takes it.
    let long_ago = std::mem::replace(&mut queued.created_at, SystemTime::now());
    let number = shared.lock().store.insert(queued);
    assert!(matches!(shared.begin_next(0, false), Next::Task { .. }));
    let mut state = shared.lock();
    let Some(Phase::Running(running)) = state.store.phase(number) else { panic!("it runs") };
    running.created_at = long_ago;
    running.deadline = None;
    for (left, overdue) in [(MINUTE * 60 * 24 * 365, false), (Duration::ZERO, true)] {
        running.own_deadline = Some(now() + left);
        assert_eq!(shared.is_overdue(running, now()), overdue);
    }
}

#[test]
fn only_a_task_whose_suspended_time_counts_is_looked_at_again_before_its_end() {
    for (counts, has_deadline) in [(true, true), (true, false), (false, true), (false, false)] {
        let (shared, ..) = suspended_helper(HelperConfig::local().count_suspended_time(counts));
        let looks = shared.look_again(None, has_deadline).is_some();
        assert_eq!(looks, counts && has_deadline, "{counts} {has_deadline}");
    }
}

#[test]
fn a_thread_that_was_woken_sleeps_no_more() {
    let helper = crate::AutomationHelper::new(HelperConfig::local()).unwrap();
    helper.start().unwrap();
    for _ in 0..3 {
        let began = now();
        while helper.shared().lock().sleepers == 0 {
            assert!(began.elapsed() < MINUTE, "its thread goes to sleep");
            std::thread::yield_now();
        }
        assert_eq!(helper.shared().lock().sleepers, 1);
        let id = helper.submit_task("x").unwrap();
        helper.wait_task(id, MINUTE).unwrap();
    }
}

#[test]
fn one_message_may_fill_the_inbox_and_none_may_be_larger() {
    let (shared, ..) = suspended_helper(HelperConfig::local());
    let put = |bytes: usize| shared.put_message("other", "x".repeat(bytes));
    assert!(matches!(put(INBOX_BYTES_MAX + 1), Err(Error::InvalidRequest(_))));
    put(INBOX_BYTES_MAX).unwrap();
    assert!(matches!(put(1), Err(Error::InboxFull)));
}
