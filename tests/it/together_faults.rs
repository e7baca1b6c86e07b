//! Each way of working together, with helpers that are slow, fail, panic or are cancelled.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use automation_assistant::{
    Answer, AutomationAssistantManager, CallContext, CancelHandle, Error, ErrorKind, Event,
    EventKind, Fact, Fallback, HelperConfig, HelperId, Observe, Reply, Speech, Stage, Task,
    TaskError, TaskRequest, Together, Want, WhyNot,
};

use crate::support::{FnBackend, GateKeeper, LONG, gate, patient};
use crate::together::{echo, failing, manager, spawn};

fn panicking(manager: &AutomationAssistantManager) -> HelperId {
    spawn(manager, "panicking", |_| panic!("planted"))
}

/// One that waits to be cancelled.
fn slow(manager: &AutomationAssistantManager) -> (HelperId, Receiver<String>) {
    let (backend, begun) = patient();
    let config = HelperConfig::local().name("slow");
    (manager.spawn_helper_with(config, backend).unwrap(), begun)
}

/// One that waits for a word.
fn gated(manager: &AutomationAssistantManager, queue: usize) -> (HelperId, GateKeeper) {
    let (backend, keeper) = gate();
    let config = HelperConfig::local().name("gated").queue_capacity(queue);
    (manager.spawn_helper_with(config, backend).unwrap(), keeper)
}

fn kind_of(task: &Task) -> ErrorKind {
    task.error.as_ref().unwrap().kind()
}

/// How each request ended: its text, its error, or why there was no task.
fn ends(answers: &[Answer]) -> Vec<String> {
    let end = |answer: &Answer| match &answer.outcome {
        Ok(task) => task.result.clone().unwrap_or_else(|| kind_of(task).as_str().to_owned()),
        Err(Error::NotAsked { why, .. }) => format!("not asked: {why}"),
        Err(error) => format!("{error:?}"),
    };
    answers.iter().map(end).collect()
}

fn requests(count: usize) -> Vec<TaskRequest> {
    (0..count).map(|n| TaskRequest::new(n.to_string())).collect()
}

/// Runs a call, and raises its handle once its slow helper has begun.
fn cancelled_midway<T: Send>(
    begun: &Receiver<String>,
    handle: &CancelHandle,
    call: impl FnOnce() -> T + Send,
) -> T {
    std::thread::scope(|scope| {
        let call = scope.spawn(call);
        begun.recv_timeout(LONG).unwrap();
        handle.cancel();
        call.join().unwrap()
    })
}

#[test]
fn the_first_k_bear_panics_time_outs_and_cancelling() {
    let manager = manager();
    let (slow, begun) = slow(&manager);
    let helpers = [panicking(&manager), echo(&manager, "a"), slow];
    let in_time = Together::new(&manager).deadline(Duration::from_millis(300));
    let answers = in_time.fan_out(&helpers, &"x".into(), Want::First(2)).unwrap();
    assert_eq!(ends(&answers)[..2], ["panicked", "a: x"]);
    assert!(["timeout", "cancelled"].contains(&ends(&answers)[2].as_str()), "{answers:?}");
    let all = in_time.fan_out(&helpers, &"x".into(), Want::All).unwrap();
    assert!(all[1].is_success() && !all[2].is_success());
    while begun.try_recv().is_ok() {}
    let handle = CancelHandle::new();
    let together = Together::new(&manager).cancel_handle(&handle);
    let answers = cancelled_midway(&begun, &handle, || {
        together.fan_out(&helpers, &"x".into(), Want::First(2)).unwrap()
    });
    assert_eq!(ends(&answers)[2], "cancelled");
    // Nothing goes out any more.
    let answers = together.fan_out(&helpers, &"x".into(), Want::All).unwrap();
    assert!(ends(&answers).iter().all(|end| end == "not asked: cancelled"), "{answers:?}");
    assert!(begun.try_recv().is_err());
    assert_eq!(answers.into_iter().next().unwrap().outcome.unwrap_err().to_string(), {
        "not asked: the call was cancelled before"
    });
}

#[test]
fn a_race_bears_panics_and_is_cancelled_midway() {
    let manager = manager();
    let (slow, begun) = slow(&manager);
    let helpers = [panicking(&manager), slow, echo(&manager, "quick")];
    let race = Together::new(&manager).race(&helpers, &"x".into()).unwrap();
    assert_eq!(race.winner().unwrap().text(), Some("quick: x"));
    while begun.try_recv().is_ok() {}
    let handle = CancelHandle::new();
    let together = Together::new(&manager).cancel_handle(&handle);
    let race =
        cancelled_midway(&begun, &handle, || together.race(&helpers[..2], &"x".into()).unwrap());
    assert!(race.winner().is_none());
    assert_eq!(ends(&race.answers)[1], "cancelled");
}

#[test]
fn a_batch_bears_panics_and_tells_what_it_never_asked() {
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
fn a_batch_waits_for_room_behind_other_tasks() {
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
fn a_pipeline_bears_panics_and_cancelling() {
    let manager = manager();
    let (told, heard) = channel();
    let panics = panicking(&manager);
    let request = TaskRequest::new("one").on_done(move |task| told.send(task.task_id).unwrap());
    let stages = vec![Stage::new(panics, request), Stage::new(panics, "two")];
    let pipeline = Together::new(&manager).pipeline(stages).unwrap();
    assert_eq!(pipeline.tasks.len(), 1);
    assert_eq!(kind_of(&pipeline.tasks[0]), ErrorKind::Panicked);
    assert_eq!(
        heard.recv_timeout(LONG).unwrap(),
        pipeline.tasks[0].task_id,
        "a stage's own callback"
    );
    let (slow, begun) = slow(&manager);
    let handle = CancelHandle::new();
    let together = Together::new(&manager).cancel_handle(&handle);
    let pipeline = cancelled_midway(&begun, &handle, || {
        together.pipeline(vec![Stage::new(slow, "1"), Stage::new(slow, "2")]).unwrap()
    });
    assert_eq!((pipeline.tasks.len(), kind_of(&pipeline.tasks[0])), (1, ErrorKind::Cancelled));
    let pipeline = together.pipeline(vec![Stage::new(slow, "3")]).unwrap();
    let why = pipeline.stopped_by.unwrap();
    assert!(matches!(why, Error::NotAsked { why: ErrorKind::Cancelled, .. }), "{why:?}");
    assert!(begun.try_recv().is_err());
}

/// Who took over for whom, and why, as observers are told.
#[derive(Default)]
struct TakenOver(Mutex<Vec<String>>);

impl Observe for TakenOver {
    fn on_event(&self, event: &Event<'_>) {
        if event.kind != EventKind::Fallback {
            return;
        }
        let text = |name: &str| match event.facts.iter().find(|fact| fact.0 == name) {
            Some((_, Fact::Text(text))) => (*text).to_owned(),
            other => panic!("{name}: {other:?}"),
        };
        assert_eq!((text("from").len(), text("to").len()), (8, 8), "ids");
        let line = format!("{} -> {} ({})", text("from_name"), text("to_name"), text("why"));
        self.0.lock().unwrap().push(line);
    }
}

impl TakenOver {
    fn manager() -> (AutomationAssistantManager, Arc<Self>) {
        let told = Arc::<Self>::default();
        let builder = AutomationAssistantManager::builder().observer(told.clone());
        (builder.build().unwrap(), told)
    }

    fn take(&self) -> Vec<String> {
        std::mem::take(&mut *self.0.lock().unwrap())
    }
}

/// Fails while it is told to, by a network that is gone.
fn moody(manager: &AutomationAssistantManager, name: &'static str) -> (HelperId, Arc<Mutex<bool>>) {
    let down = Arc::new(Mutex::new(false));
    let own = Arc::clone(&down);
    let helper = spawn(manager, name, move |_| match *own.lock().unwrap() {
        true => Err(TaskError::new(ErrorKind::Network, "no network")),
        false => Ok(Reply::new(name)),
    });
    (helper, down)
}

#[test]
fn a_fallback_tells_who_took_over_for_whom_and_why() {
    let (manager, told) = TakenOver::manager();
    let ((cloud, cloud_down), (other, other_down)) =
        (moody(&manager, "cloud"), moody(&manager, "other"));
    let local = echo(&manager, "local");
    let hour = Duration::from_secs(3600);
    let fallback = Fallback::new([cloud, other, local]).cool_down(hour, hour);
    let run = || fallback.run(&Together::new(&manager), &"x".into()).unwrap();
    *cloud_down.lock().unwrap() = true;
    *other_down.lock().unwrap() = true;
    assert_eq!(run().text(), Some("local: x"));
    assert_eq!(told.take(), ["cloud -> other (network)", "other -> local (network)"]);
    let report = run();
    let tried: Vec<_> = report.tried.iter().map(|tried| tried.helper_id).collect();
    assert_eq!((report.text(), tried), (Some("local: x"), vec![cloud, other]));
    let both = ["cloud -> local (cooling_down)", "other -> local (cooling_down)"];
    assert_eq!(told.take(), both);
    // A helper behind the one that answers is not spoken of, cooling down or not.
    let first = Fallback::new([local, other]).cool_down(hour, hour);
    let report = first.run(&Together::new(&manager), &"x".into()).unwrap();
    assert!(report.tried.is_empty() && report.ended_early.is_none());
    assert!(told.take().is_empty());
}

#[test]
fn helpers_on_their_cool_down_are_asked_before_nobody_answers() {
    let (manager, told) = TakenOver::manager();
    let ((cloud, cloud_down), (local, local_down)) =
        (moody(&manager, "cloud"), moody(&manager, "local"));
    let hour = Duration::from_secs(3600);
    let fallback = Fallback::new([local, cloud]).cool_down(hour, hour);
    let run = || fallback.run(&Together::new(&manager), &"x".into()).unwrap();
    *local_down.lock().unwrap() = true;
    assert_eq!(run().text(), Some("cloud"));
    *local_down.lock().unwrap() = false;
    *cloud_down.lock().unwrap() = true;
    told.take();
    let report = run();
    assert_eq!(report.text(), Some("local"));
    let why: Vec<_> = report.tried.iter().map(|t| (t.helper_id, t.why.as_str())).collect();
    assert_eq!(why, [(cloud, "network")]);
    assert_eq!(told.take(), ["local -> cloud (cooling_down)", "cloud -> local (network)"]);
    // Its success brings it back; then all are down.
    *local_down.lock().unwrap() = true;
    let report = run();
    let why: Vec<_> = report.tried.iter().map(|t| (t.helper_id, t.why.as_str())).collect();
    assert_eq!(why, [(local, "network"), (cloud, "network")]);
    assert!(report.task.is_none() && report.ended_early.is_none());
}

#[test]
fn an_outage_counts_once_however_many_requests_were_under_way() {
    let manager = manager();
    let (begun_in, begun) = channel();
    let (go, wait) = channel::<()>();
    let (begun_in, wait) = (Mutex::new(begun_in), Mutex::new(wait));
    let config = HelperConfig::local().name("cloud").max_concurrent_tasks(3);
    let cloud = manager
        .spawn_helper_with(
            config,
            FnBackend(move |_: &CallContext<'_>| {
                begun_in.lock().unwrap().send(()).unwrap();
                let _ = wait.lock().unwrap().recv_timeout(LONG);
                Err(TaskError::new(ErrorKind::Network, "no network"))
            }),
        )
        .unwrap();
    let local = echo(&manager, "local");
    let (first, longest) = (Duration::from_secs(1000), Duration::from_secs(100_000));
    let fallback = Fallback::new([cloud, local]).cool_down(first, longest);
    let run = || fallback.run(&Together::new(&manager), &"x".into()).unwrap();
    std::thread::scope(|scope| {
        let runs = [scope.spawn(run), scope.spawn(run), scope.spawn(run)];
        for _ in 0..3 {
            begun.recv_timeout(LONG).unwrap();
        }
        for _ in 0..3 {
            go.send(()).unwrap();
        }
        assert!(runs.into_iter().all(|run| run.join().unwrap().text() == Some("local: x")));
    });
    let report = run();
    assert!(matches!(report.tried[0].why, WhyNot::CoolingDown(left) if left <= first));
}

#[test]
fn pauses_grow_to_their_longest() {
    let manager = manager();
    let (cloud, down) = moody(&manager, "cloud");
    *down.lock().unwrap() = true;
    let local = echo(&manager, "local");
    let longest = Duration::from_millis(16);
    let fallback = Fallback::new([cloud, local]).cool_down(Duration::from_millis(1), longest);
    let began = Instant::now();
    let mut failures = 0;
    // Pauses of 1, 2, 4, 8 ms lie between five failures; twice 16 ms before the seventh.
    while failures < 7 {
        let report = fallback.run(&Together::new(&manager), &"x".into()).unwrap();
        assert_eq!(report.text(), Some("local: x"));
        match report.tried[0].why {
            WhyNot::Failed(_) => failures += 1,
            WhyNot::CoolingDown(left) => assert!(left <= longest, "{left:?}"),
            ref other => panic!("{other:?}"),
        }
        assert!(began.elapsed() < LONG);
    }
    assert!(began.elapsed() >= Duration::from_millis(1 + 2 + 4 + 8 + 16 + 16));
    // As long as its provider asks, where that is longer.
    let wait = Duration::from_secs(500);
    let limited = spawn(&manager, "limited", move |_| {
        Err(TaskError::new(ErrorKind::RateLimited, "later").with_retry_after(wait))
    });
    let fallback = Fallback::new([limited, local]).cool_down(Duration::ZERO, longest);
    let run = || fallback.run(&Together::new(&manager), &"x".into()).unwrap();
    run();
    assert!(matches!(run().tried[0].why, WhyNot::CoolingDown(left) if left > wait / 2));
}

#[test]
fn one_task_alone_tries_whether_a_helper_is_back() {
    let manager = manager();
    let (begun_in, begun) = channel();
    let (go, wait) = channel::<()>();
    let state = Mutex::new((0, begun_in, wait));
    let cloud = spawn(&manager, "cloud", move |_| {
        let mut state = state.lock().unwrap();
        state.0 += 1;
        if state.0 == 1 {
            return Err(TaskError::new(ErrorKind::Network, "no network"));
        }
        state.1.send(()).unwrap();
        state.2.recv_timeout(LONG).unwrap();
        Ok(Reply::new("cloud"))
    });
    let local = echo(&manager, "local");
    let fallback = Fallback::new([cloud, local]).cool_down(Duration::ZERO, Duration::ZERO);
    let run = || fallback.run(&Together::new(&manager), &"x".into()).unwrap();
    assert_eq!(run().text(), Some("local: x"));
    std::thread::scope(|scope| {
        let probe = scope.spawn(run);
        begun.recv_timeout(LONG).unwrap();
        let report = run();
        assert_eq!(report.text(), Some("local: x"));
        assert!(matches!(report.tried[0].why, WhyNot::CoolingDown(Duration::ZERO)));
        go.send(()).unwrap();
        assert_eq!(probe.join().unwrap().text(), Some("cloud"));
    });
    go.send(()).unwrap();
    assert_eq!(run().text(), Some("cloud"), "it is back");
}

#[test]
fn shares_are_of_the_whole_time_and_a_template_s_deadline_is_one_for_all() {
    let manager = manager();
    let told = Arc::new(Mutex::new(Vec::new()));
    let helper = |name| {
        let told = Arc::clone(&told);
        spawn(&manager, name, move |call| {
            told.lock().unwrap().push(call.remaining().unwrap().as_secs_f64());
            Err(TaskError::new(ErrorKind::Server, "planted"))
        })
    };
    let fallback = Fallback::new([helper("a"), helper("b"), helper("c")]);
    let (whole, longer) = (Duration::from_secs(100), Duration::from_secs(1000));
    let template = TaskRequest::new("x").deadline(whole).timeout(longer);
    let report = fallback.run(&Together::new(&manager), &template).unwrap();
    assert_eq!(report.tried.len(), 3);
    let told = std::mem::take(&mut *told.lock().unwrap());
    for (told, expected) in told.iter().zip([60.0, 80.0, 100.0]) {
        // What was spent on the way is missing.
        assert!((expected - LONG.as_secs_f64()..=expected).contains(told), "{told} {expected}");
    }
    // The deadline does not begin anew: the second helper finds what the first has left.
    let (slow, _begun) = slow(&manager);
    let fallback = Fallback::new([slow, slow, slow]);
    let template = TaskRequest::new("x").deadline(Duration::from_millis(200));
    let began = Instant::now();
    let report = fallback.run(&Together::new(&manager), &template).unwrap();
    assert!(report.task.is_none());
    assert!(began.elapsed() < LONG);
    assert_eq!(report.ended_early, Some(ErrorKind::Timeout));
}

#[test]
fn a_callback_that_panics_at_a_restart_leaves_the_answer_as_it_is() {
    let manager = manager();
    let breaks = spawn(&manager, "breaks", |call| {
        call.send_text("half an ans")?;
        Err(TaskError::new(ErrorKind::Server, "broke off"))
    });
    // It does not stream, so that the callback is called by `run` itself.
    let whole = echo(&manager, "whole");
    let together = Together::new(&manager)
        .on_text(|_, speech| assert!(speech != Speech::StartsAgain, "planted"));
    let fallback = Fallback::new([breaks, whole]).restart_after_text(true);
    let report = fallback.run(&together, &"x".into()).unwrap();
    assert_eq!(report.text(), Some("whole: x"));
    assert_eq!(manager.get_helper(whole).unwrap().get_status().callback_panics, 1);
}

#[test]
fn a_fallback_is_cancelled_midway() {
    let manager = manager();
    let (slow, begun) = slow(&manager);
    let fallback = Fallback::new([slow, echo(&manager, "local")]);
    let handle = CancelHandle::new();
    let together = Together::new(&manager).cancel_handle(&handle);
    let report =
        cancelled_midway(&begun, &handle, || fallback.run(&together, &"x".into()).unwrap());
    assert!(report.task.is_none());
    assert_eq!(report.tried.len(), 1);
    assert_eq!(report.ended_early, Some(ErrorKind::Cancelled));
    let report = fallback.run(&together, &"x".into()).unwrap();
    assert!(report.tried.is_empty());
    assert_eq!(report.ended_early, Some(ErrorKind::Cancelled));
}

#[test]
fn one_helper_s_own_bounds_end_no_fallback() {
    let manager = manager();
    let config = HelperConfig::local().name("small").max_prompt_bytes(3);
    let small = manager.spawn_helper(config).unwrap();
    let fallback = Fallback::new([small, echo(&manager, "large")]);
    let report = fallback.run(&Together::new(&manager), &"longer".into()).unwrap();
    assert_eq!(report.text(), Some("large: longer"));
    assert_eq!(report.tried[0].why.as_str(), "invalid_request");
    let fallback = Fallback::new([small, small]);
    let error = fallback.run(&Together::new(&manager), &"longer".into()).unwrap_err();
    assert!(error.to_string().contains("max_prompt_bytes"), "{error}");
}

#[test]
fn messages_come_from_results_alone_and_reach_a_task_that_takes_them() {
    let manager = manager();
    let (to, broken) = (echo(&manager, "to"), failing(&manager, ErrorKind::Server));
    let run = |helper, request: TaskRequest| {
        let id = manager.submit_task(helper, request).unwrap();
        manager.wait_task(helper, id, LONG).unwrap()
    };
    // A failure, a task that has not ended, strangers, and more than an inbox holds.
    let failed = run(broken, "x".into()).task_id;
    let refused = manager.send_result(broken, failed, to).unwrap_err();
    assert!(refused.to_string().contains("failed"), "{refused}");
    let (slow, begun) = slow(&manager);
    let running = manager.submit_task(slow, "x").unwrap();
    begun.recv_timeout(LONG).unwrap();
    let refused = manager.send_result(slow, running, to).unwrap_err();
    assert!(refused.to_string().contains("wait for it"), "{refused}");
    assert!(manager.cancel_task(slow, running));
    assert!(matches!(manager.send_result(to, failed, to), Err(Error::UnknownTask(_))));
    let good = run(to, "news".into()).task_id;
    let gone = slow;
    manager.terminate_helper(gone).unwrap();
    assert!(matches!(manager.send_result(to, good, gone), Err(Error::UnknownHelper(_))));
    assert!(matches!(manager.send_result(gone, running, to), Err(Error::UnknownHelper(_))));
    let bytes = automation_assistant::INBOX_BYTES_MAX + 1;
    let long = spawn(&manager, "long", move |_| Ok(Reply::new("x".repeat(bytes))));
    let long_result = run(long, "x".into()).task_id;
    let refused = manager.send_result(long, long_result, to).unwrap_err();
    assert!(refused.to_string().contains("INBOX_BYTES_MAX"), "{refused}");
    // A context of the caller's own under that name stays, and so does the message.
    manager.send_result(to, good, to).unwrap();
    let own = run(to, TaskRequest::new("y").context("inbox", "mine"));
    assert_eq!(own.context["inbox"], "mine");
    let taken = run(to, "z".into());
    assert_eq!(taken.context["inbox"][0]["text"], "to: news");
    // It went to a task that panicked, and to no other.
    let panics = panicking(&manager);
    manager.send_result(to, good, panics).unwrap();
    assert!(run(panics, "x".into()).context.contains_key("inbox"));
    assert!(!run(panics, "x".into()).context.contains_key("inbox"));
}
