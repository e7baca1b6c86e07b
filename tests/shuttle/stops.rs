//! Starting, stopping, and the last owner.

use super::*;

models! {
    stop_submit_and_start_at_once,
    two_starts_at_once,
    two_stops_and_one_from_within,
    the_last_owner_goes_on_the_helper_s_thread,
    a_manager_ends_while_others_use_it,
}

fn stop_submit_and_start_at_once() {
    let scene = scene(config().max_concurrent_tasks(2), echo);
    let starter = scene.aside(|scene| scene.helper.start());
    let submitter = scene.aside(|scene| {
        let (a, b) = (scene.submit("a"), scene.submit("b"));
        for refused in [&a, &b].into_iter().filter_map(|result| result.as_ref().err()) {
            assert!(matches!(refused, Error::Stopped(_)));
        }
        // Each accepted task ends, and each wait for it returns.
        a.map(|id| scene.helper.wait_task(id, LONG).unwrap()).ok()
    });
    scene.helper.stop();
    // The stop ended each task accepted before it; no task is accepted after.
    assert!(matches!(scene.helper.submit_task("late"), Err(Error::Stopped(_))));
    let _ = starter.join().unwrap();
    submitter.join().unwrap();
    scene.close();
}

fn two_starts_at_once() {
    let scene = scene(config(), echo);
    let other = scene.aside(|scene| scene.helper.start().unwrap());
    scene.helper.start().unwrap();
    let ids = [scene.submit("a").unwrap(), scene.submit("b").unwrap()];
    other.join().unwrap();
    assert_eq!(scene.helper.get_status().threads, 1);
    for id in ids {
        assert!(scene.helper.wait_task(id, LONG).unwrap().is_success());
    }
    scene.close();
    assert_eq!(scene.notes.count(EventKind::HelperSpawn, None), 1);
}

fn two_stops_and_one_from_within() {
    let scene = scene(config(), echo).started();
    let own = scene.clone();
    scene.submit(TaskRequest::new("a").on_text(|_| {})).unwrap();
    let inner = own.helper.clone();
    // Not counted by the scene: its callback is another.
    let request = TaskRequest::new("b").on_done(move |_| inner.stop());
    let last = own.helper.submit_task(request).unwrap();
    let other = scene.aside(|scene| scene.helper.stop());
    let task = scene.helper.wait_task(last, LONG).unwrap();
    assert!(matches!(kind(&task), None | Some(ErrorKind::Terminated | ErrorKind::Cancelled)));
    other.join().unwrap();
    scene.helper.stop();
    let report = scene.helper.get_status();
    assert_eq!((report.threads, report.unjoined_threads, report.completed_tasks), (0, 0, 2));
    assert_eq!(scene.notes.count(EventKind::HelperStop, None), 1);
}

/// Happens when it is dropped, which is when the last thread has let go of its helper.
struct OnDrop(Once);

impl Drop for OnDrop {
    fn drop(&mut self) {
        self.0.happens();
    }
}

fn the_last_owner_goes_on_the_helper_s_thread() {
    let gone = Once::default();
    let on_drop = OnDrop(gone.clone());
    let backend = move |call: &CallContext<'_>| {
        let _kept = &on_drop;
        echo(call)
    };
    let scene = scene(config(), backend).started();
    let notes = Arc::clone(&scene.notes);
    let owner = scene.helper.clone();
    scene.helper.submit_task(TaskRequest::new("a").on_done(move |_| drop(owner))).unwrap();
    scene.helper.submit_task("b").unwrap();
    drop(scene);
    gone.wait();
    let all = notes.all();
    let count = |kind| all.iter().filter(|note| note.0 == kind).count();
    assert_eq!(count(EventKind::TaskComplete), 2);
    assert_eq!(count(EventKind::HelperStop), 1);
}

fn a_manager_ends_while_others_use_it() {
    let manager = Arc::new(AutomationAssistantManager::new(2));
    let helper = manager.spawn_helper_with(config(), Backend(echo)).unwrap();
    let handle = manager.get_helper(helper).unwrap();
    let other = Arc::clone(&manager);
    let user = thread::spawn(move || {
        let id = other.submit_task(helper, "x").ok()?;
        other.wait_task(helper, id, LONG).ok()
    });
    let other = Arc::clone(&manager);
    let spawner = thread::spawn(move || other.spawn_helper_with(config(), Backend(echo)));
    manager.terminate_all();
    assert!(manager.get_helper(helper).is_none());
    user.join().unwrap();
    if let Ok(late) = spawner.join().unwrap() {
        assert!(manager.helper_count() <= 1);
        let _ = manager.terminate_helper(late);
    }
    let report = handle.get_status();
    assert_eq!((report.threads, report.unjoined_threads), (0, 0));
    assert_eq!(report.queued_tasks + report.active_tasks, 0);
}
