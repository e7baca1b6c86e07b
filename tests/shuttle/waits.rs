//! Who waits: for a task, for any of several, for room; and what wakes threads.

use super::*;

models! {
    wait_any_hears_the_first_end,
    whoever_waits_for_room_gets_it,
    a_task_late_in_the_queue_leaves_room,
    no_unread_result_is_pushed_out,
    tickets_wake_for_any_number_of_tasks,
}

fn wait_any_hears_the_first_end() {
    let manager = Arc::new(AutomationAssistantManager::new(2));
    let slow = manager.spawn_helper_with(config(), Backend(stubborn)).unwrap();
    let quick = manager.spawn_helper_with(config(), Backend(echo)).unwrap();
    let a = manager.submit_task(slow, "slow").unwrap();
    let b = manager.submit_task(quick, "quick").unwrap();
    let other = Arc::clone(&manager);
    let canceller = thread::spawn(move || other.cancel_task(slow, a));
    let first = manager.wait_any(&[(slow, a), (quick, b)], LONG).unwrap();
    assert!(first.task_id == a || first.is_success());
    assert!(canceller.join().unwrap(), "nothing else ends it");
    assert_eq!(kind(&manager.wait_any(&[(slow, a)], LONG).unwrap()), Some(ErrorKind::Cancelled));
    assert!(manager.wait_any(&[(quick, b)], LONG).unwrap().is_success());
    manager.terminate_all();
}

fn whoever_waits_for_room_gets_it() {
    let house = house(config().queue_capacity(1), echo);
    let first = house.submit("first").unwrap();
    let waiters: Vec<_> = (0..2)
        .map(|_| {
            house.aside(|house| {
                let id = house.submit_wait("waited").unwrap();
                house.helper.wait_task(id, LONG).unwrap();
                assert!(house.helper.take_task_result(id).is_some());
            })
        })
        .collect();
    let canceller = house.aside(move |house| house.helper.cancel_task(first));
    house.helper.start().unwrap();
    waiters.into_iter().for_each(|thread| thread.join().unwrap());
    canceller.join().unwrap();
    house.close();
}

fn a_task_late_in_the_queue_leaves_room() {
    // Time passes where this house's task is waited for: twice 0.4 s, so that the hurried
    // task's wait for room is a long one, and its time can be over all the same.
    const STEP: Duration = Duration::from_millis(400);
    const HURRIED: Duration = Duration::from_millis(600);
    let clock = house(config(), echo);
    let never = clock.submit("never begun").unwrap();
    let house = house(config().queue_capacity(1), echo);
    house.submit("first").unwrap();
    let hurried = house.aside(|house| {
        let _ = house.submit_wait(TaskRequest::new("hurried").deadline(HURRIED));
    });
    let patient = house.aside(|house| {
        let id = house.submit_wait("patient").unwrap();
        assert!(house.helper.wait_task(id, LONG).unwrap().is_success());
    });
    let time = thread::spawn(move || {
        for _ in 0..2 {
            let waited = clock.helper.wait_task(never, STEP);
            assert!(matches!(waited, Err(Error::WaitTimedOut { .. })));
        }
        clock.close();
    });
    house.helper.start().unwrap();
    for thread in [hurried, patient, time] {
        thread.join().unwrap();
    }
    house.close();
}

fn no_unread_result_is_pushed_out() {
    let config = config().max_results(1).when_results_full(WhenResultsFull::RefuseTasks);
    let house = house(config, echo).started();
    let first = house.submit("first").unwrap();
    let canceller = house.aside(move |house| house.helper.cancel_task(first));
    let second = house.submit("second");
    canceller.join().unwrap();
    house.helper.wait_task(first, LONG).expect("nothing pushes it out");
    if let Ok(second) = second {
        assert!(house.helper.wait_task(second, LONG).unwrap().is_success());
    }
    let third = house.submit_wait("third").expect("what was read may go");
    house.helper.wait_task(third, LONG).unwrap();
    house.close();
    assert_eq!(house.helper.get_status().dropped_results, 0);
}

fn tickets_wake_for_any_number_of_tasks() {
    let house = house(config().max_concurrent_tasks(2), echo).started();
    let others: Vec<_> = (0..2)
        .map(|_| {
            house.aside(|house| {
                for _ in 0..2 {
                    let id = house.submit("x").unwrap();
                    house.helper.cancel_task(id);
                }
            })
        })
        .collect();
    others.into_iter().for_each(|thread| thread.join().unwrap());
    let last = house.submit("last").unwrap();
    assert!(house.helper.wait_task(last, LONG).unwrap().is_success());
    // However many tasks came and went: no more than one for each thread.
    let waiting = house.helper.tickets();
    assert!(waiting <= 2, "{waiting} waiting");
    house.close();
}
