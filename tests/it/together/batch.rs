//! Many requests over several helpers.

use automation_assistant::WhenResultsFull;

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
