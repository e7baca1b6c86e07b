//! Many requests over several helpers.

use automation_assistant::{AiBackend, WhenResultsFull};

use crate::support::until;

use super::*;

#[test]
fn a_batch_goes_to_idle_helpers_and_passes_by_a_broken_one() {
    let manager = manager();
    let helpers =
        [failing(&manager, ErrorKind::Authentication), echo(&manager, "a"), echo(&manager, "b")];
    let requests: Vec<_> = (0..50).map(|n| TaskRequest::new(format!("{n}"))).collect();
    let answers = Together::new(&manager).batch(&helpers, &requests).unwrap();
    for (n, answer) in answers.iter().enumerate() {
        assert!(answer.text().unwrap().ends_with(&format!(": {n}")), "{answer:?}");
    }
    let alone = Together::new(&manager).batch(&helpers[..1], &requests[..3]).unwrap();
    let error = alone[0].outcome.as_ref().unwrap().error.as_ref().unwrap();
    assert_eq!(error.kind(), ErrorKind::Authentication);
    assert!(alone[1..].iter().all(|answer| answer.outcome.is_err()));
}

#[test]
fn a_batch_survives_panics_and_reports_unasked_requests() {
    let manager = manager();
    let helpers = [panicking(&manager), echo(&manager, "a")];
    let answers = Together::new(&manager).batch(&helpers, &requests(20)).unwrap();
    for (n, end) in ends(&answers).iter().enumerate() {
        assert!(*end == "panicked" || *end == format!("a: {n}"), "{end}");
    }
    // Cancelled midway, and out of time.
    let (slow, begun) = slow(&manager);
    let handle = CancelHandle::new();
    let together = Together::new(&manager).cancel_handle(&handle);
    let answers =
        cancelled_midway(&begun, &handle, || together.batch(&[slow], &requests(3)).unwrap());
    assert_eq!(ends(&answers), ["cancelled", "not asked: cancelled", "not asked: cancelled"]);
    let short = Together::new(&manager).deadline(Duration::from_millis(30));
    let answers = short.batch(&[slow], &requests(2)).unwrap();
    assert_eq!(ends(&answers)[1], "not asked: timeout");
    // Nobody is left.
    let broken = failing(&manager, ErrorKind::Authentication);
    let answers = Together::new(&manager).batch(&[broken], &requests(2)).unwrap();
    assert_eq!(ends(&answers), ["authentication", "not asked: authentication"]);
    let request = answers.into_iter().nth(1).unwrap().outcome.unwrap_err().into_request().unwrap();
    assert_eq!(request.prompt(), "1");
    manager.get_helper(broken).unwrap().stop();
    let answers = Together::new(&manager).batch(&[broken], &requests(1)).unwrap();
    assert!(matches!(answers[0].outcome, Err(Error::Stopped(_))));
    manager.terminate_helper(broken).unwrap();
    let answers = Together::new(&manager).batch(&[broken], &requests(1)).unwrap();
    assert!(matches!(answers[0].outcome, Err(Error::UnknownHelper(id)) if id == broken));
}

#[test]
fn a_batch_passes_by_a_helper_that_is_busy_with_other_tasks() {
    let manager = manager();
    let (busy, keeper) = gated(&manager, 10);
    manager.submit_task(busy, "from elsewhere").unwrap();
    keeper.next();
    let helpers = [busy, echo(&manager, "idle")];
    let answers = Together::new(&manager).batch(&helpers, &requests(20)).unwrap();
    assert!(answers.iter().all(|answer| answer.helper_id == helpers[1] && answer.is_success()));
    keeper.go.send(()).unwrap();
}

#[test]
fn a_batch_waits_for_capacity_behind_other_tasks() {
    let manager = manager();
    let (busy, keeper) = gated(&manager, 1);
    manager.submit_task(busy, "runs").unwrap();
    keeper.next();
    manager.submit_task(busy, "fills the queue").unwrap();
    let answers = std::thread::scope(|scope| {
        let together = Together::new(&manager);
        let batch = scope.spawn(move || together.batch(&[busy], &requests(2)).unwrap());
        for _ in 0..4 {
            keeper.go.send(()).unwrap();
        }
        batch.join().unwrap()
    });
    assert_eq!(ends(&answers), ["0", "1"]);
}

#[test]
fn a_batch_lets_a_helper_rest_as_long_as_its_provider_asks() {
    let manager = manager();
    let wait = Duration::from_millis(20);
    let calls = AtomicUsize::new(0);
    let limited =
        spawn(&manager, "limited", move |call| match calls.fetch_add(1, Ordering::SeqCst) {
            1 | 2 => Err(TaskError::new(ErrorKind::RateLimited, "slowly").with_retry_after(wait)),
            _ => Ok(Reply::new(call.prompt())),
        });
    let began = Instant::now();
    let answers = Together::new(&manager).batch(&[limited], &requests(3)).unwrap();
    assert_eq!(ends(&answers), ["0", "1", "2"]);
    assert!(began.elapsed() >= wait * 2);
    // One that asks for ever more patience is left at last.
    let endless = spawn(&manager, "endless", move |_| {
        Err(TaskError::new(ErrorKind::RateLimited, "later").with_retry_after(Duration::ZERO))
    });
    let answers = Together::new(&manager).batch(&[endless], &requests(2)).unwrap();
    assert_eq!(ends(&answers), ["rate_limited", "not asked: rate_limited"]);
}

#[test]
fn no_answer_of_a_batch_is_dropped_by_a_helper_that_refuses_tasks() {
    let manager = manager();
    let config = HelperConfig::local().max_results(1).max_concurrent_tasks(8);
    let config = config.when_results_full(WhenResultsFull::RefuseTasks);
    let helper = manager.spawn(config).unwrap().helper_id();
    let answers = Together::new(&manager).batch(&[helper], &requests(400)).unwrap();
    assert!(answers.iter().all(Answer::is_success), "{:?}", ends(&answers));
}

#[test]
fn a_batch_goes_on_when_others_results_are_read() {
    // Below the longest sleep of a batch whose own tasks wake it, and far above what echoes take.
    const SOON: Duration = Duration::from_secs(6);
    let manager = manager();
    let config =
        HelperConfig::local().max_results(1).when_results_full(WhenResultsFull::RefuseTasks);
    let helper = manager.spawn(config).unwrap();
    let unread = helper.submit_task("x").unwrap();
    until("it has ended", || helper.get_status().completed_tasks == 1);
    let began = Instant::now();
    std::thread::scope(|scope| {
        let batch = scope.spawn(|| {
            let together = Together::new(&manager).deadline(LONG);
            together.batch(&[unread.helper_id()], &requests(5)).unwrap()
        });
        // It has been refused by then, and waits.
        until("a while has passed", || began.elapsed() > Duration::from_millis(300));
        helper.take_task_result(unread).unwrap();
        let answers = batch.join().unwrap();
        assert!(answers.iter().all(|answer| answer.text().is_some()), "{answers:?}");
    });
    assert!(began.elapsed() < SOON, "{:?}", began.elapsed());
}

#[test]
fn a_pause_counts_once_however_many_requests_were_in_flight_and_until_a_success() {
    const WAIT: Duration = Duration::from_millis(20);
    type Refuses = fn(usize, usize) -> bool;
    // By the number of the call, from 0, and that of the threads.
    let burst: Refuses = |call, threads| call < threads;
    let sixth: Refuses = |call, _| call % 6 == 5;
    let kinds = [ErrorKind::RateLimited, ErrorKind::Server];
    for (threads, kind) in [1, 4, 8].into_iter().flat_map(|n| kinds.map(|kind| (n, kind))) {
        for refuses in [burst, sixth] {
            let manager = manager();
            let calls = AtomicUsize::new(0);
            let backend = FnBackend(move |call: &CallContext<'_>| {
                match refuses(calls.fetch_add(1, Ordering::SeqCst), threads) {
                    true => Err(TaskError::new(kind, "later").with_retry_after(WAIT)),
                    false => Ok(Reply::new(call.prompt())),
                }
            });
            let config = HelperConfig::local().max_concurrent_tasks(threads);
            let helper = manager.spawn_helper_with(config, backend).unwrap();
            let answers = Together::new(&manager).batch(&[helper], &requests(30)).unwrap();
            let expected: Vec<_> = (0..30).map(|n| n.to_string()).collect();
            assert_eq!(ends(&answers), expected, "{threads} threads, {kind}");
        }
    }
}

/// Answers what has a picture, or fails so.
struct Sees(Option<ErrorKind>);

impl AiBackend for Sees {
    fn name(&self) -> &str {
        "Sees"
    }

    fn process(&self, call: &CallContext<'_>) -> Result<Reply, TaskError> {
        match self.0 {
            Some(kind) => Err(TaskError::new(kind, "planted")),
            None => Ok(Reply::new(format!("seen: {}", call.prompt()))),
        }
    }

    fn accepts_images(&self) -> bool {
        true
    }
}

#[test]
fn a_request_that_a_helper_cannot_take_goes_to_another_and_the_helper_stays() {
    let manager = manager();
    let picture = [0x89, b'P', b'N', b'G', b'\r', b'\n', 0x1a, b'\n'];
    let request = |n: usize| match n {
        2 => TaskRequest::new("2").image_bytes("image/png", picture.to_vec()),
        4 => TaskRequest::new("4".repeat(100)),
        _ => TaskRequest::new(n.to_string()),
    };
    let all: Vec<_> = (0..9).map(request).collect();
    let config = || HelperConfig::local().max_prompt_bytes(50);
    let short = FnBackend(|call: &CallContext<'_>| Ok(Reply::new(call.prompt())));
    let short = manager.spawn_helper_with(config(), short).unwrap();
    let answers = Together::new(&manager).batch(&[short], &all).unwrap();
    let ends = ends(&answers);
    assert!(ends[2] == "unsupported" && ends[4].contains("InvalidRequest"), "{ends:?}");
    assert_eq!(answers.iter().filter(|answer| answer.is_success()).count(), 7);
    let sees = manager.spawn_helper_with(HelperConfig::local(), Sees(None)).unwrap();
    for helpers in [[short, sees], [sees, short]] {
        let answers = Together::new(&manager).batch(&helpers, &all).unwrap();
        assert!(answers.iter().all(Answer::is_success), "{answers:?}");
    }
    // The reason of the one that could take it is the answer, in whatever order they are asked.
    let refused = Sees(Some(ErrorKind::Authentication));
    let refused = manager.spawn_helper_with(HelperConfig::local(), refused).unwrap();
    for helpers in [[short, refused], [refused, short]] {
        let answers = Together::new(&manager).batch(&helpers, &all[2..3]).unwrap();
        assert_eq!(super::ends(&answers), ["authentication"]);
    }
    // Alone, one that sees no picture does not cool down for it.
    let fallback = Fallback::new([short, sees]);
    assert_eq!(fallback.ask(&manager, request(2)).unwrap().helper(), Some(sees));
    assert_eq!(fallback.ask(&manager, request(3)).unwrap().helper(), Some(short));
}

#[test]
fn a_request_whose_text_was_delivered_is_not_asked_again() {
    let manager = manager();
    let breaks = spawn(&manager, "breaks", |call| {
        call.send_text("The answer ")?;
        Err(TaskError::new(ErrorKind::QuotaExceeded, "spent"))
    });
    let helpers = [breaks, echo(&manager, "a")];
    let texts = Arc::new(Mutex::new(Vec::new()));
    let kept = Arc::clone(&texts);
    let answers = Together::new(&manager)
        .on_text(move |_, speech| kept.lock().unwrap().push(format!("{speech:?}")))
        .batch(&helpers, &requests(1))
        .unwrap();
    assert_eq!(ends(&answers), ["quota_exceeded"]);
    assert_eq!(*texts.lock().unwrap(), ["Text(11 bytes)"]);
    // Without a receiver of text, another helper answers.
    let answers = Together::new(&manager).batch(&helpers, &requests(1)).unwrap();
    assert_eq!(ends(&answers), ["a: 0"]);
}
