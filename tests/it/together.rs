//! Helpers that work together, with faulty ones among them.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::channel;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use automation_assistant::{
    AdmissionControl, AdmissionPolicy, AutomationAssistantManager, CallContext, CancelHandle,
    CloudAction, DeviceReader, DeviceWatch, Error, ErrorKind, EventKind, Fallback, HelperConfig,
    HelperId, Reply, Speech, Stage, TaskError, TaskRequest, Together, Want, WhyNot,
    create_local_helper,
};

use crate::support::{Cloud, FnBackend, LONG, Notes, gate, patient};

pub fn manager() -> AutomationAssistantManager {
    AutomationAssistantManager::new(10)
}

pub fn spawn(
    manager: &AutomationAssistantManager,
    name: &str,
    work: impl Fn(&CallContext<'_>) -> Result<Reply, TaskError> + Send + Sync + 'static,
) -> HelperId {
    manager.spawn_helper_with(HelperConfig::local().name(name), FnBackend(work)).unwrap()
}

pub fn echo(manager: &AutomationAssistantManager, name: &'static str) -> HelperId {
    spawn(manager, name, move |call| Ok(Reply::new(format!("{name}: {}", call.prompt()))))
}

pub fn failing(manager: &AutomationAssistantManager, kind: ErrorKind) -> HelperId {
    spawn(manager, "failing", move |_| Err(TaskError::new(kind, "planted")))
}

#[test]
fn a_fan_out_gathers_good_and_bad_answers_in_order() {
    let manager = manager();
    let panicking = spawn(&manager, "panicking", |_| panic!("planted"));
    let gone = create_local_helper(&manager, "gone").unwrap();
    manager.terminate_helper(gone).unwrap();
    let helpers = [echo(&manager, "a"), failing(&manager, ErrorKind::Server), panicking, gone];
    let request = TaskRequest::new("x").context("k", 1);
    let answers = Together::new(&manager).fan_out(&helpers, &request, Want::All).unwrap();
    assert_eq!(answers.iter().map(|a| a.helper_id).collect::<Vec<_>>(), helpers);
    assert_eq!(answers[0].text(), Some("a: x"));
    let kind = |at: usize| answers[at].outcome.as_ref().unwrap().error.as_ref().unwrap().kind();
    assert_eq!((kind(1), kind(2)), (ErrorKind::Server, ErrorKind::Panicked));
    assert!(matches!(answers[3].outcome, Err(Error::UnknownHelper(_))));
    let none = Together::new(&manager).fan_out(&[], &request, Want::All);
    assert!(matches!(none, Err(Error::InvalidRequest(_))));
}

#[test]
fn the_first_k_are_enough_and_the_rest_is_cancelled() {
    let manager = manager();
    let (backend, _begun) = patient();
    let slow = manager.spawn_helper_with(HelperConfig::local(), backend).unwrap();
    let helpers =
        [slow, echo(&manager, "a"), failing(&manager, ErrorKind::Server), echo(&manager, "b")];
    let answers = Together::new(&manager).fan_out(&helpers, &"x".into(), Want::First(2)).unwrap();
    assert!(answers[1].is_success() && answers[3].is_success());
    let error = answers[0].outcome.as_ref().unwrap().error.as_ref().unwrap();
    assert_eq!(error.kind(), ErrorKind::Cancelled);
}

#[test]
fn the_first_success_wins_a_race() {
    let manager = manager();
    let (backend, _begun) = patient();
    let slow = manager.spawn_helper_with(HelperConfig::local(), backend).unwrap();
    let helpers = [slow, failing(&manager, ErrorKind::Network), echo(&manager, "quick")];
    let race = Together::new(&manager).race(&helpers, &"x".into()).unwrap();
    assert_eq!(race.winner().unwrap().helper_id, helpers[2]);
    let losers = [failing(&manager, ErrorKind::Network), failing(&manager, ErrorKind::Server)];
    let race = Together::new(&manager).race(&losers, &"x".into()).unwrap();
    assert!(race.winner().is_none() && race.answers.len() == 2);
}

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
fn a_pipeline_hands_each_result_on_and_ends_at_the_first_failure() {
    let manager = manager();
    let read = |call: &CallContext<'_>| {
        let before = call.request().context_ref().get("previous_result").cloned();
        Ok(Reply::new(format!("{} after {}", call.prompt(), before.unwrap_or_default())))
    };
    let helper = spawn(&manager, "reader", read);
    let stages = vec![Stage::new(helper, "one"), Stage::new(helper, "two")];
    let pipeline = Together::new(&manager).pipeline(stages).unwrap();
    assert_eq!(pipeline.result(), Some("two after \"one after null\""));
    let broken = failing(&manager, ErrorKind::Server);
    let stages = vec![Stage::new(helper, "one"), Stage::new(broken, "2"), Stage::new(helper, "3")];
    let pipeline = Together::new(&manager).pipeline(stages).unwrap();
    assert_eq!((pipeline.tasks.len(), pipeline.result()), (2, None));
}

#[test]
fn one_deadline_holds_for_the_whole_call() {
    let manager = manager();
    let (backend, keeper) = gate();
    let stuck = manager.spawn_helper_with(HelperConfig::local(), backend).unwrap();
    let together = Together::new(&manager).deadline(Duration::from_millis(30));
    let stages = vec![Stage::new(stuck, "one"), Stage::new(stuck, "two")];
    let began = Instant::now();
    let pipeline = together.pipeline(stages).unwrap();
    assert!(began.elapsed() < LONG);
    assert_eq!(pipeline.result(), None);
    keeper.go.send(()).unwrap();
}

#[test]
fn a_handle_cancels_from_another_thread() {
    let manager = manager();
    let (backend, begun) = patient();
    let slow = manager.spawn_helper_with(HelperConfig::local(), backend).unwrap();
    let handle = CancelHandle::new();
    let together = Together::new(&manager).cancel_handle(&handle);
    let answers = std::thread::scope(|scope| {
        let call = scope.spawn(|| together.fan_out(&[slow], &"x".into(), Want::All).unwrap());
        begun.recv_timeout(LONG).unwrap();
        handle.cancel();
        call.join().unwrap()
    });
    let error = answers[0].outcome.as_ref().unwrap().error.as_ref().unwrap();
    assert_eq!(error.kind(), ErrorKind::Cancelled);
    // A handle once raised ends later calls at once.
    let race = together.race(&[slow], &"y".into()).unwrap();
    assert!(race.winner().is_none());
}

#[test]
fn the_callback_is_told_who_speaks() {
    let manager = manager();
    let speaker = |name: &'static str| {
        spawn(&manager, name, move |call| {
            call.send_text(name)?;
            Ok(Reply::new(name))
        })
    };
    let helpers = [speaker("a"), speaker("b")];
    let heard = Arc::new(Mutex::new(Vec::new()));
    let own = Arc::clone(&heard);
    let together = Together::new(&manager).on_text(move |helper, speech| {
        if let Speech::Text(text) = speech {
            own.lock().unwrap().push((helper, text.to_owned()));
        }
    });
    together.fan_out(&helpers, &"x".into(), Want::All).unwrap();
    let mut heard = heard.lock().unwrap().clone();
    heard.sort_by(|a, b| a.1.cmp(&b.1));
    assert_eq!(heard, [(helpers[0], "a".to_owned()), (helpers[1], "b".to_owned())]);
}

#[test]
fn a_fallback_goes_on_until_one_answers_and_tells_who_took_over() {
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
    let fallback =
        Fallback::new([cloud, local]).cool_down(Duration::from_secs(3600), Duration::MAX);
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
        let (told, heard) = channel();
        let together = Together::new(&manager).on_text(move |_, speech| {
            let word = match speech {
                Speech::Text(text) => text,
                _ => "[again]",
            };
            told.send(word.to_owned()).unwrap();
        });
        let fallback = Fallback::new([breaks, whole]).restart_after_text(restart);
        let report = fallback.run(&together, &"x".into()).unwrap();
        assert_eq!(report.text(), expected);
        drop((together, report));
        let heard: Vec<_> = heard.try_iter().collect();
        let all = ["half an ans", "[again]", "an answer"];
        assert_eq!(heard, if restart { &all[..] } else { &all[..1] });
    }
}

#[test]
fn a_result_travels_to_another_helper_s_inbox() {
    let manager = manager();
    let sender = echo(&manager, "sender");
    let receiver = spawn(&manager, "receiver", |call| {
        let inbox = call.request().context_ref().get("inbox").cloned();
        Ok(Reply::new(inbox.unwrap_or_default().to_string()))
    });
    let run = |helper, prompt: &str| {
        let id = manager.submit_task(helper, prompt).unwrap();
        manager.wait_task(helper, id, LONG).unwrap();
        id
    };
    let task = run(sender, "news");
    manager.send_result(sender, task, receiver).unwrap();
    let read = run(receiver, "read");
    let text = manager.get_task_result(receiver, read).unwrap().result.unwrap();
    assert_eq!(text, r#"[{"from":"sender","text":"sender: news"}]"#);
    let empty = run(receiver, "read");
    assert_eq!(manager.get_task_result(receiver, empty).unwrap().result.unwrap(), "null");
    let mut sent = 0;
    let full = loop {
        match manager.send_result(sender, task, receiver) {
            Ok(()) => sent += 1,
            Err(error) => break error,
        }
    };
    assert!(matches!(full, Error::InboxFull));
    assert_eq!(sent, automation_assistant::INBOX_MESSAGES_MAX);
}

#[test]
fn under_pressure_cloud_tasks_wait_are_refused_or_stay_here() {
    let notes = Notes::new();
    let manager = AutomationAssistantManager::builder().observer(notes.clone()).build().unwrap();
    let cloud = manager.spawn_helper_with(HelperConfig::local(), Cloud).unwrap();
    let local = create_local_helper(&manager, "local").unwrap();
    // A strict policy over an empty device tree: nothing is known, so nothing goes out.
    let nowhere = || DeviceWatch::new(DeviceReader::new().root("/nonexistent"));
    let policy =
        |action| AdmissionPolicy::new().min_battery_percent(20).strict(true).when_beyond(action);
    let control = |action| AdmissionControl::new(policy(action)).device(nowhere());
    let refused = control(CloudAction::Refuse).submit(&manager, cloud, "x").unwrap_err();
    assert!(matches!(&refused, Error::NotAdmitted { .. }), "{refused:?}");
    assert_eq!(refused.into_request().unwrap().prompt(), "x");
    let (helper, _) =
        control(CloudAction::UseLocal).local_helper(local).submit(&manager, cloud, "x").unwrap();
    assert_eq!(helper, local);
    let late =
        control(CloudAction::Wait).max_wait(Duration::from_millis(5)).submit(&manager, cloud, "x");
    assert!(matches!(late, Err(Error::NotAdmitted { .. })));
    // The wait has two: its begin and its end.
    assert_eq!(notes.of(EventKind::Admission).len(), 4);
    // What stays on the device is never held back; what is not limited goes out.
    control(CloudAction::Refuse).submit(&manager, local, "x").unwrap();
    let open = AdmissionControl::new(AdmissionPolicy::new()).device(nowhere());
    assert_eq!(open.submit(&manager, cloud, "x").unwrap().0, cloud);
}
