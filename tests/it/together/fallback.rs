//! Ordered helpers, of which the first that can answers.

use super::*;

#[test]
fn a_fallback_continues_until_one_answers_and_reports_the_switch() {
    let notes = Notes::new();
    let manager = AutomationAssistantManager::builder().observer(notes.clone()).build().unwrap();
    let helpers = [
        failing(&manager, ErrorKind::Server),
        spawn(&manager, "panicking", |_| panic!("planted")),
        echo(&manager, "local"),
    ];
    let fallback = Fallback::new(helpers);
    let report = fallback.run(&Together::new(&manager), &"x".into()).unwrap();
    assert_eq!((report.text(), report.helper()), (Some("local: x"), Some(helpers[2])));
    let why: Vec<_> = report.tried.iter().map(|tried| tried.why.as_str()).collect();
    assert_eq!(why, ["server", "panicked"]);
    assert_eq!(notes.of(EventKind::Fallback).len(), 2);
}

#[test]
fn a_share_of_the_time_is_kept_for_those_who_follow() {
    let manager = manager();
    let (backend, _begun) = patient();
    let slow = manager.spawn_helper_with(HelperConfig::local(), backend).unwrap();
    let local = echo(&manager, "local");
    let together = Together::new(&manager).deadline(Duration::from_secs(1));
    let fallback = Fallback::new([slow, local]).reserve_share(0.5);
    let report = fallback.run(&together, &"x".into()).unwrap();
    assert_eq!(report.text(), Some("local: x"));
    assert_eq!(report.tried[0].why.as_str(), "timeout");
}

#[test]
fn a_helper_that_will_fail_again_cools_down_and_comes_back_by_a_probe() {
    let manager = manager();
    let calls = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&calls);
    let cloud = spawn(&manager, "cloud", move |_| match counted.fetch_add(1, Ordering::SeqCst) {
        0 | 1 => Err(TaskError::new(ErrorKind::Network, "no network")),
        _ => Ok(Reply::new("cloud")),
    });
    let local = echo(&manager, "local");
    let together = Together::new(&manager);
    let fallback = Fallback::new([cloud, local]).cool_down(Duration::MAX, Duration::MAX);
    for _ in 0..3 {
        assert_eq!(fallback.run(&together, &"x".into()).unwrap().text(), Some("local: x"));
    }
    assert_eq!(calls.load(Ordering::SeqCst), 1, "left out while it cools down");
    let report = fallback.run(&together, &"x".into()).unwrap();
    assert!(matches!(report.tried[0].why, WhyNot::CoolingDown(left) if left > LONG));
    let fallback = Fallback::new([cloud, local]).cool_down(Duration::ZERO, Duration::ZERO);
    assert_eq!(fallback.run(&together, &"x".into()).unwrap().text(), Some("local: x"));
    assert_eq!(fallback.run(&together, &"x".into()).unwrap().text(), Some("cloud"));
}

#[test]
fn after_text_a_fallback_happens_only_if_asked_for() {
    let manager = manager();
    let breaks = spawn(&manager, "breaks", |call| {
        call.send_text("half an ans")?;
        Err(TaskError::new(ErrorKind::Truncated, "broke off").with_partial("half an ans"))
    });
    let whole = spawn(&manager, "whole", |call| {
        call.send_text("an answer")?;
        Ok(Reply::new("an answer"))
    });
    for (restart, expected) in [(false, None), (true, Some("an answer"))] {
        let (sender, receiver) = channel();
        let together = Together::new(&manager).on_text(move |_, speech| {
            let word = match speech {
                Speech::Text(text) => text,
                _ => "[again]",
            };
            sender.send(word.to_owned()).unwrap();
        });
        let fallback = Fallback::new([breaks, whole]).restart_after_text(restart);
        let report = fallback.run(&together, &"x".into()).unwrap();
        assert_eq!(report.text(), expected);
        drop((together, report));
        let received: Vec<_> = receiver.try_iter().collect();
        let all = ["half an ans", "[again]", "an answer"];
        assert_eq!(received, if restart { &all[..] } else { &all[..1] });
    }
}

/// Each switch of a fallback (from, to, why), as observers are notified of it.
#[derive(Default)]
struct TakenOver(Mutex<Vec<String>>);

impl Observe for TakenOver {
    fn on_event(&self, event: &Event<'_>) {
        if event.kind() != EventKind::Fallback {
            return;
        }
        let text = |name: &str| match event.fact(name) {
            Some(Fact::Text(text)) => text.to_owned(),
            other => panic!("{name}: {other:?}"),
        };
        assert_eq!((text("from").len(), text("to").len()), (8, 8), "ids");
        let line = format!("{} -> {} ({})", text("from_name"), text("to_name"), text("why"));
        self.0.lock().unwrap().push(line);
    }
}

impl TakenOver {
    fn manager() -> (AutomationAssistantManager, Arc<Self>) {
        let switches = Arc::<Self>::default();
        let builder = AutomationAssistantManager::builder().observer(switches.clone());
        (builder.build().unwrap(), switches)
    }

    fn take(&self) -> Vec<String> {
        std::mem::take(&mut *self.0.lock().unwrap())
    }
}

/// Fails with a network error while its flag is set.
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
fn a_fallback_reports_from_whom_to_whom_and_why_it_switched() {
    let (manager, switches) = TakenOver::manager();
    let ((cloud, cloud_down), (other, other_down)) =
        (moody(&manager, "cloud"), moody(&manager, "other"));
    let local = echo(&manager, "local");
    let hour = Duration::from_secs(3600);
    let fallback = Fallback::new([cloud, other, local]).cool_down(hour, hour);
    let run = || fallback.run(&Together::new(&manager), &"x".into()).unwrap();
    *cloud_down.lock().unwrap() = true;
    *other_down.lock().unwrap() = true;
    assert_eq!(run().text(), Some("local: x"));
    assert_eq!(switches.take(), ["cloud -> other (network)", "other -> local (network)"]);
    let report = run();
    let tried: Vec<_> = report.tried.iter().map(|tried| tried.helper_id).collect();
    assert_eq!((report.text(), tried), (Some("local: x"), vec![cloud, other]));
    let both = ["cloud -> local (cooling_down)", "other -> local (cooling_down)"];
    assert_eq!(switches.take(), both);
    // A helper behind the one that answers is not spoken of, cooling down or not.
    let first = Fallback::new([local, other]).cool_down(hour, hour);
    let report = first.run(&Together::new(&manager), &"x".into()).unwrap();
    assert!(report.tried.is_empty() && report.ended_early.is_none());
    assert!(switches.take().is_empty());
}

#[test]
fn helpers_on_their_cool_down_are_asked_before_nobody_answers() {
    let (manager, switches) = TakenOver::manager();
    let ((cloud, cloud_down), (local, local_down)) =
        (moody(&manager, "cloud"), moody(&manager, "local"));
    let hour = Duration::from_secs(3600);
    let fallback = Fallback::new([local, cloud]).cool_down(hour, hour);
    let run = || fallback.run(&Together::new(&manager), &"x".into()).unwrap();
    *local_down.lock().unwrap() = true;
    assert_eq!(run().text(), Some("cloud"));
    *local_down.lock().unwrap() = false;
    *cloud_down.lock().unwrap() = true;
    switches.take();
    let report = run();
    assert_eq!(report.text(), Some("local"));
    let why: Vec<_> = report.tried.iter().map(|t| (t.helper_id, t.why.as_str())).collect();
    assert_eq!(why, [(cloud, "network")]);
    assert_eq!(switches.take(), ["local -> cloud (cooling_down)", "cloud -> local (network)"]);
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
    let times = Arc::new(Mutex::new(Vec::new()));
    let helper = |name| {
        let times = Arc::clone(&times);
        spawn(&manager, name, move |call| {
            times.lock().unwrap().push(call.remaining().unwrap().as_secs_f64());
            Err(TaskError::new(ErrorKind::Server, "planted"))
        })
    };
    let fallback = Fallback::new([helper("a"), helper("b"), helper("c")]);
    let (whole, longer) = (Duration::from_secs(100), Duration::from_secs(1000));
    let template = TaskRequest::new("x").deadline(whole).timeout(longer);
    let report = fallback.run(&Together::new(&manager), &template).unwrap();
    assert_eq!(report.tried.len(), 3);
    let times = std::mem::take(&mut *times.lock().unwrap());
    for (remaining, expected) in times.iter().zip([60.0, 80.0, 100.0]) {
        // Less the time spent on the way.
        assert!(
            (expected - LONG.as_secs_f64()..=expected).contains(remaining),
            "{remaining} {expected}"
        );
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
