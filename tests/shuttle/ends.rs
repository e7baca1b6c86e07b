//! The ends of a task: by its thread, a cancel, a deadline, an observer, a stop.

use super::*;

models! {
    every_task_is_done_once,
    a_cancel_meets_the_end,
    a_cancel_meets_the_writing_down_of_a_call,
    a_hook_never_outlives_its_guard,
    a_deadline_passes_on_all_sides,
    a_backend_past_its_time_is_left,
    an_observer_cancels_while_others_end_tasks,
    everybody_ends_one_task,
}

fn every_task_is_done_once() {
    let scene = scene(config().max_concurrent_tasks(2), echo).started();
    let submitters: Vec<_> = (0..2)
        .map(|n| {
            scene.aside(move |scene| {
                let id = scene.submit(format!("{n}")).unwrap();
                let task = scene.helper.wait_task(id, LONG).unwrap();
                assert_eq!(task.result, Some(format!("{n}")));
                assert!(scene.helper.get_status().completed_tasks >= 1);
            })
        })
        .collect();
    let own = scene.submit("own").unwrap();
    assert_eq!(scene.helper.wait_task(own, LONG).unwrap().result.as_deref(), Some("own"));
    submitters.into_iter().for_each(|thread| thread.join().unwrap());
    scene.close();
    let report = scene.helper.get_status();
    assert_eq!((report.completed_tasks, report.failed_tasks), (3, 0));
}

fn a_cancel_meets_the_end() {
    // The second task sees whether the first one's signal reaches it.
    let backend = |call: &CallContext<'_>| {
        call.check()?;
        thread::yield_now();
        Ok(Reply::new(call.prompt()))
    };
    let scene = scene(config(), backend).started();
    let first = scene.submit("first").unwrap();
    let second = scene.submit("second").unwrap();
    let canceller = scene.aside(move |scene| {
        let cancelled = scene.helper.cancel_task(first);
        if cancelled {
            let task = scene.helper.get_task_result(first).expect("a cancel ends at once");
            assert_eq!(kind(&task), Some(ErrorKind::Cancelled));
        }
        cancelled
    });
    let task = scene.helper.wait_task(first, LONG).unwrap();
    let cancelled = canceller.join().unwrap();
    assert_eq!(kind(&task), cancelled.then_some(ErrorKind::Cancelled));
    assert_eq!(task.prompt, "first");
    let task = scene.helper.wait_task(second, LONG).unwrap();
    assert_eq!((kind(&task), task.prompt.as_str()), (None, "second"));
    scene.close();
}

fn a_cancel_meets_the_writing_down_of_a_call() {
    let backend = |call: &CallContext<'_>| {
        let failed = TaskError::new(ErrorKind::Server, "planted");
        call.end_attempt(&Attempt::new(Some(&failed)));
        call.begin_attempt();
        call.end_attempt(&Attempt::new(None));
        Ok(Reply::new(call.prompt()))
    };
    let scene = scene(config(), backend).started();
    let first = scene.submit("first").unwrap();
    let cancellers: Vec<_> =
        (0..2).map(|_| scene.aside(move |scene| scene.helper.cancel_task(first))).collect();
    let task = scene.helper.wait_task(first, LONG).unwrap();
    let cancels: Vec<_> = cancellers.into_iter().map(|thread| thread.join().unwrap()).collect();
    let ended = cancels.iter().filter(|&&ended| ended).count();
    assert!(ended <= 1, "one cancel ends it, the other returns that it is over");
    assert_eq!(kind(&task), (ended == 1).then_some(ErrorKind::Cancelled));
    scene.calls_are_right(&task);
    let second = scene.submit("second").unwrap();
    assert!(scene.helper.wait_task(second, LONG).unwrap().is_success());
    scene.close();
}

fn a_hook_never_outlives_its_guard() {
    let broken = Arc::new(AtomicBool::new(false));
    let runs = Arc::new(AtomicUsize::new(0));
    let (seen, counted) = (Arc::clone(&broken), Arc::clone(&runs));
    let backend = move |call: &CallContext<'_>| {
        let guarded = Arc::new(AtomicBool::new(true));
        let (inside, seen, counted) =
            (Arc::clone(&guarded), Arc::clone(&seen), Arc::clone(&counted));
        let guard = call.cancel().on_cancel(move || {
            counted.fetch_add(1, Ordering::SeqCst);
            if !inside.load(Ordering::SeqCst) {
                seen.store(true, Ordering::SeqCst);
            }
        });
        thread::yield_now();
        drop(guard);
        guarded.store(false, Ordering::SeqCst);
        Ok(Reply::new(call.prompt()))
    };
    let scene = scene(config(), backend).started();
    let first = scene.submit("first").unwrap();
    let second = scene.submit("second").unwrap();
    let canceller = scene.aside(move |scene| {
        scene.helper.cancel_task(first);
        scene.helper.cancel_task(second);
    });
    scene.helper.wait_task(first, LONG).unwrap();
    scene.helper.wait_task(second, LONG).unwrap();
    canceller.join().unwrap();
    scene.close();
    assert!(!broken.load(Ordering::SeqCst), "a hook ran after its guard was gone");
    assert!(runs.load(Ordering::SeqCst) <= 2);
}

fn a_deadline_passes_on_all_sides() {
    let scene = scene(config(), echo);
    let id = scene.submit(TaskRequest::new("short").deadline(SHORT)).unwrap();
    let looker = scene.aside(move |scene| {
        scene.helper.get_status();
        scene.helper.task_state(id)
    });
    let waiter = scene.aside(move |scene| scene.helper.wait_task(id, LONG).unwrap());
    scene.helper.start().unwrap();
    let task = waiter.join().unwrap();
    match kind(&task) {
        None => assert_eq!(task.result.as_deref(), Some("short")),
        Some(kind) => assert_eq!(kind, ErrorKind::Timeout),
    }
    assert!(looker.join().unwrap().is_some());
    assert_eq!(scene.helper.task_state(id), Some(TaskState::Finished));
    let next = scene.submit("next").unwrap();
    assert!(scene.helper.wait_task(next, LONG).unwrap().is_success());
    scene.close();
}

fn a_backend_past_its_time_is_left() {
    let backend = |call: &CallContext<'_>| {
        if call.prompt() == "long" {
            // Not looked at: it goes on whatever the time.
            let _ = call.pause(SHORT);
            call.end_attempt(&Attempt::new(None));
        }
        Ok(Reply::new(call.prompt()))
    };
    let scene = scene(config(), backend).started();
    let long = scene.submit(TaskRequest::new("long").timeout(SHORT)).unwrap();
    let looker = scene.aside(move |scene| scene.helper.get_task_result(long));
    let next = scene.submit("next").unwrap();
    let task = scene.helper.wait_task(long, LONG).unwrap();
    assert!(matches!(kind(&task), None | Some(ErrorKind::Timeout)));
    assert!(scene.helper.wait_task(next, LONG).unwrap().is_success());
    if let Some(seen) = looker.join().unwrap() {
        assert_eq!(kind(&seen), kind(&task), "an outcome never changes");
    }
    scene.close();
}

/// Cancels a task when another one's end is reported to it.
struct CancelsOther(Mutex<Option<(AutomationHelper, TaskId, TaskId)>>);

impl Observe for CancelsOther {
    fn on_event(&self, event: &Event<'_>) {
        let chosen = self.0.lock().unwrap().clone();
        let Some((helper, seen, other)) = chosen else { return };
        if event.kind() == EventKind::TaskComplete && event.task_id() == Some(seen) {
            helper.cancel_task(other);
        }
    }
}

fn an_observer_cancels_while_others_end_tasks() {
    let cancels = Arc::new(CancelsOther(Mutex::default()));
    let notes = Arc::new(Notes::default());
    let helper = AutomationHelper::builder(config())
        .backend(Backend(echo))
        .observer(cancels.clone())
        .observer(notes.clone())
        .build()
        .unwrap();
    let scene = Scene { helper, notes, called_back: Arc::default(), accepted: Arc::default() };
    let (first, second) = (scene.submit("first").unwrap(), scene.submit("second").unwrap());
    *cancels.0.lock().unwrap() = Some((scene.helper.clone(), first, second));
    let canceller = scene.aside(move |scene| scene.helper.cancel_task(first));
    let waiter = scene.aside(move |scene| scene.helper.wait_task(second, LONG).unwrap());
    scene.helper.start().unwrap();
    scene.helper.wait_task(first, LONG).unwrap();
    waiter.join().unwrap();
    canceller.join().unwrap();
    scene.close();
    cancels.0.lock().unwrap().take();
}

fn everybody_ends_one_task() {
    let scene = scene(config(), echo);
    let id = scene.submit(TaskRequest::new("x").deadline(SHORT)).unwrap();
    let waiter = scene.aside(move |scene| scene.helper.wait_task(id, LONG).unwrap());
    let canceller = scene.aside(move |scene| scene.helper.cancel_task(id));
    let stopper = scene.aside(|scene| scene.helper.stop());
    let _ = scene.helper.start();
    let seen = waiter.join().unwrap();
    let cancelled = canceller.join().unwrap();
    stopper.join().unwrap();
    let task = scene.helper.get_task_result(id).unwrap();
    assert_eq!(kind(&task), kind(&seen), "an outcome never changes");
    // A stop ends what runs as cancelled, too.
    assert!(!cancelled || kind(&task) == Some(ErrorKind::Cancelled));
    scene.close();
}
