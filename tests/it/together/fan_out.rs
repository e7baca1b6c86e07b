//! The same request to several helpers: fan-out and race.

use super::*;

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
