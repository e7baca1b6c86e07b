//! Answers as they come, the requests' own callbacks, and what was not asked.

use std::ops::ControlFlow;

use super::*;

/// A request whose end is sent to the test, by its prompt.
fn reporting(prompt: &str, ends: &std::sync::mpsc::Sender<String>) -> TaskRequest {
    let ends = ends.clone();
    TaskRequest::new(prompt).on_done(move |task| {
        let end = task.result.clone().unwrap_or_else(|| kind_of(task).as_str().to_owned());
        ends.send(end).unwrap();
    })
}

#[test]
fn a_batch_reports_each_answer_once_and_calls_each_on_done_once() {
    let manager = manager();
    let helpers = [failing(&manager, ErrorKind::Authentication), echo(&manager, "a")];
    let (send, done) = channel();
    let requests: Vec<_> = (0..9).map(|n| reporting(&n.to_string(), &send)).collect();
    let mut seen = Vec::new();
    let together = Together::new(&manager).on_answer(|answer| {
        let text = answer.text().unwrap().to_owned();
        assert_eq!(text, format!("a: {}", answer.index));
        seen.push(text);
    });
    let answers = together.batch(&helpers, &requests).unwrap();
    drop(together);
    assert!(answers.iter().map(|answer| answer.index).eq(0..9));
    let mut expected = ends(&answers);
    expected.sort();
    seen.sort();
    // The helper that fails has left: what it was asked was answered by the other, and only
    // that is reported.
    assert_eq!(seen, expected);
    let mut done: Vec<_> = done.try_iter().collect();
    done.sort();
    assert_eq!(done, expected);
}

#[test]
fn a_panic_in_a_progress_callback_changes_no_answer_and_is_counted() {
    let manager = manager();
    let helper = echo(&manager, "a");
    let requests = [TaskRequest::new("x").on_done(|_| panic!("planted"))];
    let together = Together::new(&manager).on_answer(|_| panic!("planted"));
    let answers = together.batch(&[helper], &requests).unwrap();
    assert_eq!(ends(&answers), ["a: x"]);
    assert_eq!(manager.get_helper(helper).unwrap().get_status().callback_panics, 2);
}

#[test]
fn fan_out_race_and_pipeline_report_their_answers() {
    let manager = manager();
    let helpers = [failing(&manager, ErrorKind::Server), echo(&manager, "a")];
    let (send, done) = channel();
    let mut seen = Vec::new();
    let mut places = Vec::new();
    let together = Together::new(&manager).on_answer(|answer| {
        seen.push(answer.helper_id);
        places.push(answer.index);
    });
    together.fan_out(&helpers, &reporting("x", &send), Want::All).unwrap();
    together.race(&helpers[1..], &reporting("y", &send)).unwrap();
    together.race(&helpers[..1], &reporting("z", &send)).unwrap();
    let stages = vec![Stage::new(helpers[1], "one"), Stage::new(helpers[0], "two")];
    together.pipeline(stages).unwrap();
    drop(together);
    places[..2].sort();
    assert_eq!(places, [0, 1, 0, 0, 0, 1]);
    seen[..2].sort();
    let mut first = helpers;
    first.sort();
    assert_eq!(seen[..2], first);
    assert_eq!(seen[2..], [helpers[1], helpers[0], helpers[1], helpers[0]]);
    assert_eq!(done.try_iter().collect::<Vec<_>>(), ["a: x", "a: y", "server"]);
}

#[test]
fn a_request_of_a_batch_has_its_time_from_its_hand_over() {
    let manager = manager();
    let pause = Duration::from_millis(30);
    let (send, until) = channel();
    let send = Mutex::new(send);
    let backend = FnBackend(move |call: &CallContext<'_>| {
        send.lock().unwrap().send(call.deadline().unwrap()).unwrap();
        call.pause(pause)?;
        Ok(Reply::new("ok"))
    });
    let config = HelperConfig::local().timeout(Duration::from_secs(3600));
    let helper = manager.spawn_with(config, backend).unwrap().helper_id();
    let answers = Together::new(&manager).batch(&[helper], &requests(2)).unwrap();
    assert_eq!(ends(&answers), ["ok", "ok"]);
    let deadlines: Vec<Instant> = until.try_iter().collect();
    assert!(deadlines[1] - deadlines[0] >= pause, "{deadlines:?}");
    // One that is set is the whole batch's.
    let whole = Together::new(&manager).deadline(LONG);
    whole.batch(&[helper], &requests(2)).unwrap();
    let deadlines: Vec<Instant> = until.try_iter().collect();
    let apart = deadlines[1].max(deadlines[0]) - deadlines[0].min(deadlines[1]);
    assert!(apart < pause, "{deadlines:?}");
}

#[test]
fn observers_are_notified_of_what_a_batch_never_asked() {
    let notes = Notes::new();
    let manager = AutomationAssistantManager::builder().observer(notes.clone()).build().unwrap();
    let (slow, _begun) = slow(&manager);
    let mut unasked = 0;
    let together =
        Together::new(&manager).deadline(Duration::from_millis(30)).on_answer(|answer| {
            unasked += usize::from(matches!(answer.outcome, Err(Error::NotAsked { .. })));
        });
    together.batch(&[slow], &requests(3)).unwrap();
    drop(together);
    assert_eq!((unasked, notes.of(EventKind::NotAsked)), (2, vec![(false, None)]));
    Together::new(&manager).batch(&[echo(&manager, "a")], &requests(3)).unwrap();
    assert_eq!(notes.of(EventKind::NotAsked).len(), 1);
}

#[test]
fn a_fallback_that_is_asked_honours_the_requests_callbacks() {
    let manager = manager();
    let broken = failing(&manager, ErrorKind::Server);
    let local = create_local_helper(&manager, "local").unwrap();
    let fallback = Fallback::new([broken, local]);
    let (send, done) = channel();
    let (text, deltas) = channel();
    let request =
        reporting("hello", &send).on_text(move |delta| text.send(delta.to_owned()).unwrap());
    let report = fallback.ask(&manager, request).unwrap();
    let answer = "Local Response: Echo of 'hello'";
    assert_eq!(
        (report.text(), report.helper(), report.echoed()),
        (Some(answer), Some(local), true)
    );
    assert_eq!(deltas.try_iter().collect::<String>(), answer);
    assert_eq!(done.try_iter().collect::<Vec<_>>(), [answer]);
    assert_eq!(report.tried[0].why.to_string(), "planted");

    let breaks = TaskRequest::new("x").on_text_control(|_| ControlFlow::Break(()));
    let report = Fallback::new([local]).ask(&manager, breaks).unwrap();
    let WhyNot::Failed(task) = &report.tried[0].why else { panic!("{report:?}") };
    assert_eq!(kind_of(task), ErrorKind::Cancelled);
    assert_eq!(task.error.as_ref().unwrap().partial(), Some("Local Response: Echo of 'x'"));

    let report = Fallback::new([broken]).ask(&manager, reporting("x", &send)).unwrap();
    assert!(report.task.is_none() && !report.echoed());
    assert_eq!(done.try_iter().collect::<Vec<_>>(), ["server"]);
}

#[test]
fn an_answer_says_whether_it_is_an_echo() {
    let manager = manager();
    let helpers = [create_local_helper(&manager, "local").unwrap(), echo(&manager, "own")];
    let request = TaskRequest::new("x");
    let answers = Together::new(&manager).fan_out(&helpers, &request, Want::All).unwrap();
    assert_eq!([answers[0].echoed(), answers[1].echoed()], [true, false]);
    let task = answers[0].outcome.as_ref().unwrap();
    assert_eq!(serde_json::to_value(task).unwrap()["echoed"], true);
}
