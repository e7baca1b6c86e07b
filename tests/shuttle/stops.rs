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
    let house = house(config().max_concurrent_tasks(2), echo);
    let starter = house.aside(|house| house.helper.start());
    let submitter = house.aside(|house| {
        let (a, b) = (house.submit("a"), house.submit("b"));
        for refused in [&a, &b].into_iter().filter_map(|result| result.as_ref().err()) {
            assert!(matches!(refused, Error::Stopped(_)));
        }
        // Whatever was taken in has an end, and whoever waits for it hears of it.
        a.map(|id| house.helper.wait_task(id, LONG).unwrap()).ok()
    });
    house.helper.stop();
    // Whatever was taken in before the stop's signal was ended by it; nothing comes after.
    assert!(matches!(house.helper.submit_task("late"), Err(Error::Stopped(_))));
    let _ = starter.join().unwrap();
    submitter.join().unwrap();
    house.close();
}

fn two_starts_at_once() {
    let house = house(config(), echo);
    let other = house.aside(|house| house.helper.start().unwrap());
    house.helper.start().unwrap();
    let ids = [house.submit("a").unwrap(), house.submit("b").unwrap()];
    other.join().unwrap();
    assert_eq!(house.helper.get_status().threads, 1);
    for id in ids {
        assert!(house.helper.wait_task(id, LONG).unwrap().is_success());
    }
    house.close();
    assert_eq!(house.notes.count(EventKind::HelperSpawn, None), 1);
}

fn two_stops_and_one_from_within() {
    let house = house(config(), echo).started();
    let own = house.clone();
    house.submit(TaskRequest::new("a").on_text(|_| {})).unwrap();
    let inner = own.helper.clone();
    // Not counted by the house: its callback is another.
    let request = TaskRequest::new("b").on_done(move |_| inner.stop());
    let last = own.helper.submit_task(request).unwrap();
    let other = house.aside(|house| house.helper.stop());
    let task = house.helper.wait_task(last, LONG).unwrap();
    assert!(matches!(kind(&task), None | Some(ErrorKind::Terminated | ErrorKind::Cancelled)));
    other.join().unwrap();
    house.helper.stop();
    let report = house.helper.get_status();
    assert_eq!((report.threads, report.unjoined_threads, report.completed_tasks), (0, 0, 2));
    assert_eq!(house.notes.count(EventKind::HelperStop, None), 1);
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
    let house = house(config(), backend).started();
    let notes = Arc::clone(&house.notes);
    let owner = house.helper.clone();
    house.helper.submit_task(TaskRequest::new("a").on_done(move |_| drop(owner))).unwrap();
    house.helper.submit_task("b").unwrap();
    drop(house);
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
