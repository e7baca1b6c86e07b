//! The common parts of coordinated calls: deadline, cancellation, text.

use super::*;

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
fn the_callback_gets_the_helper_s_id() {
    let manager = manager();
    let speaker = |name: &'static str| {
        spawn(&manager, name, move |call| {
            call.send_text(name)?;
            Ok(Reply::new(name))
        })
    };
    let helpers = [speaker("a"), speaker("b")];
    let received = Arc::new(Mutex::new(Vec::new()));
    let own = Arc::clone(&received);
    let together = Together::new(&manager).on_text(move |helper, speech| {
        if let Speech::Text(text) = speech {
            own.lock().unwrap().push((helper, text.to_owned()));
        }
    });
    together.fan_out(&helpers, &"x".into(), Want::All).unwrap();
    let mut received = received.lock().unwrap().clone();
    received.sort_by(|a, b| a.1.cmp(&b.1));
    assert_eq!(received, [(helpers[0], "a".to_owned()), (helpers[1], "b".to_owned())]);
}
