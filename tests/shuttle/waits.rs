//! Waits for a task, for any of several, for a place in the queue; and the wake-ups of threads.

use super::*;

models! {
    wait_any_returns_at_the_first_end,
    a_waiting_submit_gets_the_free_place,
    an_overdue_task_in_the_queue_frees_its_place,
    no_unread_result_is_pushed_out,
    tickets_wake_for_any_number_of_tasks,
}

fn wait_any_returns_at_the_first_end() {
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

fn a_waiting_submit_gets_the_free_place() {
    let scene = scene(config().queue_capacity(1), echo);
    let first = scene.submit("first").unwrap();
    let waiters: Vec<_> = (0..2)
        .map(|_| {
            scene.aside(|scene| {
                let id = scene.submit_wait("waited").unwrap();
                scene.helper.wait_task(id, LONG).unwrap();
                assert!(scene.helper.take_task_result(id).is_some());
            })
        })
        .collect();
    let canceller = scene.aside(move |scene| scene.helper.cancel_task(first));
    scene.helper.start().unwrap();
    waiters.into_iter().for_each(|thread| thread.join().unwrap());
    canceller.join().unwrap();
    scene.close();
}

fn an_overdue_task_in_the_queue_frees_its_place() {
    // Time passes where this scene's task is waited for: three times 0.25 s, so that the hurried
    // task's wait for a place is a long one, and its time can be over all the same.
    const STEP: Duration = Duration::from_millis(250);
    const HURRIED: Duration = Duration::from_millis(600);
    let clock = scene(config(), echo);
    let never = clock.submit("never begun").unwrap();
    let scene = scene(config().queue_capacity(1), echo);
    scene.submit("first").unwrap();
    let hurried = scene.aside(|scene| {
        let _ = scene.submit_wait(TaskRequest::new("hurried").deadline(HURRIED));
    });
    let patient = scene.aside(|scene| {
        let id = scene.submit_wait("patient").unwrap();
        assert!(scene.helper.wait_task(id, LONG).unwrap().is_success());
    });
    let time = thread::spawn(move || {
        for _ in 0..3 {
            let waited = clock.helper.wait_task(never, STEP);
            assert!(matches!(waited, Err(Error::WaitTimedOut { .. })));
        }
        clock.close();
    });
    scene.helper.start().unwrap();
    for thread in [hurried, patient, time] {
        thread.join().unwrap();
    }
    scene.close();
}

fn no_unread_result_is_pushed_out() {
    let config = config().max_results(1).when_results_full(WhenResultsFull::RefuseTasks);
    let scene = scene(config, echo).started();
    let first = scene.submit("first").unwrap();
    let canceller = scene.aside(move |scene| scene.helper.cancel_task(first));
    let second = scene.submit("second");
    canceller.join().unwrap();
    scene.helper.wait_task(first, LONG).expect("nothing pushes it out");
    if let Ok(second) = second {
        assert!(scene.helper.wait_task(second, LONG).unwrap().is_success());
    }
    let third = scene.submit_wait("third").expect("what was read may go");
    scene.helper.wait_task(third, LONG).unwrap();
    scene.close();
    assert_eq!(scene.helper.get_status().dropped_results, 0);
}

fn tickets_wake_for_any_number_of_tasks() {
    let scene = scene(config().max_concurrent_tasks(2), echo).started();
    let others: Vec<_> = (0..2)
        .map(|_| {
            scene.aside(|scene| {
                for _ in 0..2 {
                    let id = scene.submit("x").unwrap();
                    scene.helper.cancel_task(id);
                }
            })
        })
        .collect();
    others.into_iter().for_each(|thread| thread.join().unwrap());
    let last = scene.submit("last").unwrap();
    assert!(scene.helper.wait_task(last, LONG).unwrap().is_success());
    // However many tasks came and went: no more than one for each thread.
    let waiting = scene.helper.tickets();
    assert!(waiting <= 2, "{waiting} waiting");
    scene.close();
}
