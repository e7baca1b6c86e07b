//! Requests one after the other.

use super::*;

#[test]
fn a_pipeline_hands_each_result_on_and_ends_at_the_first_failure() {
    let manager = manager();
    let read = |call: &CallContext<'_>| {
        let before = call.request().get_context().get("previous_result").cloned();
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
fn a_pipeline_bears_panics_and_cancelling() {
    let manager = manager();
    let (sender, receiver) = channel();
    let panics = panicking(&manager);
    let request = TaskRequest::new("one").on_done(move |task| sender.send(task.task_id).unwrap());
    let stages = vec![Stage::new(panics, request), Stage::new(panics, "two")];
    let pipeline = Together::new(&manager).pipeline(stages).unwrap();
    assert_eq!(pipeline.tasks.len(), 1);
    assert_eq!(kind_of(&pipeline.tasks[0]), ErrorKind::Panicked);
    assert_eq!(
        receiver.recv_timeout(LONG).unwrap(),
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
