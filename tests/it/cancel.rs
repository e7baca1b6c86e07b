//! Cancelling tasks that wait and tasks that run.

use std::sync::Mutex;
use std::sync::mpsc::channel;
use std::time::Duration;

use automation_assistant::{
    AutomationHelper, CallContext, ErrorKind, EventKind, HelperConfig, Reply, TaskRequest,
};

use crate::support::{FnBackend, LONG, Notes, gate, one_helper, patient};

#[test]
fn simulated_latency_is_cancellable_and_obeys_the_time() {
    let config = HelperConfig::local().custom_param("latency_ms", 60_000);
    let helper = AutomationHelper::new(config).unwrap();
    helper.start().unwrap();
    let request = TaskRequest::new("x").timeout(Duration::from_millis(5));
    let id = helper.submit_task(request).unwrap();
    let error = helper.wait_task(id, LONG).unwrap().error.unwrap();
    assert_eq!(error.kind(), ErrorKind::Timeout);
    let id = helper.submit_task("y").unwrap();
    assert!(helper.cancel_task(id));
    assert!(!helper.cancel_task(id), "it has ended already");
    let task = helper.get_task_result(id).expect("cancelling ends it at once");
    assert_eq!(task.error.unwrap().kind(), ErrorKind::Cancelled);
}

#[test]
fn a_cancelled_running_task_keeps_its_prompt_and_its_thread_works_on() {
    let notes = Notes::new();
    let (backend, begun) = patient();
    let helper = AutomationHelper::builder(HelperConfig::local())
        .backend(backend)
        .observer(notes.clone())
        .build()
        .unwrap();
    helper.start().unwrap();
    for n in 0..50 {
        let id = helper.submit_task(format!("task {n}")).unwrap();
        begun.recv_timeout(LONG).unwrap();
        assert!(helper.cancel_task(id));
        let task = helper.get_task_result(id).unwrap();
        assert_eq!(task.prompt, format!("task {n}"));
        assert_eq!(task.attempts, 1);
    }
    assert_eq!(notes.of(EventKind::BackendCall).len(), 50);
    assert_eq!(notes.of(EventKind::TaskComplete).len(), 50);
}

#[test]
fn cancelling_many_queued_tasks_fills_nothing_up() {
    let (backend, keeper) = gate();
    let (manager, helper) = one_helper(HelperConfig::local().queue_capacity(1), backend);
    manager.submit_task(helper, "running").unwrap();
    keeper.next();
    for _ in 0..10_000 {
        let id = manager.submit_task(helper, "x").unwrap();
        assert!(manager.cancel_task(helper, id));
    }
    let last = manager.submit_task(helper, "last").unwrap();
    keeper.go.send(()).unwrap();
    keeper.go.send(()).unwrap();
    assert!(manager.wait_task(helper, last, LONG).unwrap().is_success());
    assert_eq!(manager.get_all_helpers_status()[0].queued_tasks, 0);
}

#[test]
fn a_hook_left_after_the_cancel_runs_at_once_and_several_run_all() {
    let (sender, receiver) = channel();
    let sender = Mutex::new(sender);
    let (begun, beginning) = channel();
    let begun = Mutex::new(begun);
    let backend = FnBackend(move |call: &CallContext<'_>| {
        let sender = sender.lock().unwrap().clone();
        let notify = |word: &'static str| {
            let sender = sender.clone();
            move || sender.send(word).unwrap()
        };
        let first = call.cancel().on_cancel(notify("first"));
        let second = call.cancel().on_cancel(notify("second"));
        drop(call.cancel().on_cancel(notify("withdrawn")));
        begun.lock().unwrap().send(()).unwrap();
        assert!(call.cancel().wait(LONG));
        drop((first, second));
        let _late = call.cancel().on_cancel(notify("late"));
        assert!(format!("{:?}", call.cancel()).contains("true"));
        sender.send("end").unwrap();
        call.check()?;
        Ok(Reply::new("in vain"))
    });
    let (manager, helper) = one_helper(HelperConfig::local(), backend);
    let id = manager.submit_task(helper, "x").unwrap();
    beginning.recv_timeout(LONG).unwrap();
    assert!(manager.cancel_task(helper, id));
    let words: Vec<_> = (0..4).map(|_| receiver.recv_timeout(LONG).unwrap()).collect();
    assert_eq!(words, ["first", "second", "late", "end"]);
}
