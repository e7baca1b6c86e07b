//! Callbacks: who runs them, when, and who is woken for them.

use super::*;

models! {
    callbacks_cancel_while_two_threads_end_tasks,
    a_callback_is_run_while_the_one_that_caused_it_blocks,
    a_callback_wakes_a_thread_whoever_found_its_task_late,
    a_stop_meets_callbacks_that_cancel_and_stop,
    a_stop_of_a_helper_never_started_meets_a_wait,
    no_callback_of_a_stop_comes_before_its_last_outcome,
    a_stop_leaves_callbacks_to_the_helper_s_threads,
}

fn callbacks_cancel_while_two_threads_end_tasks() {
    let house = house(config().max_concurrent_tasks(2), echo);
    // Each pair: a task, and the one that its callback cancels.
    let pairs: Vec<_> = (0..2)
        .map(|_| {
            let victim = house.submit("victim").unwrap();
            let helper = house.helper.clone();
            let first = house.submit_then("first", move || {
                helper.cancel_task(victim);
            });
            (first, victim)
        })
        .collect();
    let cancellers: Vec<_> = pairs
        .iter()
        .map(|&(first, _)| house.aside(move |house| house.helper.cancel_task(first)))
        .collect();
    house.helper.start().unwrap();
    for canceller in cancellers {
        canceller.join().unwrap();
    }
    for (first, victim) in pairs {
        house.helper.wait_task(first, LONG).unwrap();
        house.helper.wait_task(victim, LONG).unwrap();
    }
    house.close();
}

fn a_callback_is_run_while_the_one_that_caused_it_blocks() {
    let house = house(config(), stubborn).started();
    let other = Once::default();
    let happens = other.clone();
    let second = house.submit_then("second", move || happens.happens());
    let helper = house.helper.clone();
    // It waits for a callback that can come by the helper's thread alone.
    let first = house.submit_then("first", move || {
        helper.cancel_task(second);
        other.wait();
    });
    assert!(house.helper.cancel_task(first));
    house.close();
}

fn a_callback_wakes_a_thread_whoever_found_its_task_late() {
    let house = house(config(), echo).started();
    let called = Once::default();
    let happens = called.clone();
    let id = house.submit_then(TaskRequest::new("short").deadline(SHORT), move || {
        happens.happens();
    });
    let looker = house.aside(|house| house.helper.get_status());
    house.helper.wait_task(id, LONG).unwrap();
    // Nobody but the helper's thread runs it, and nothing but its callback wakes that.
    called.wait();
    looker.join().unwrap();
    house.close();
    assert_eq!(house.helper.get_status().waiting_callbacks, 0);
}

fn a_stop_meets_callbacks_that_cancel_and_stop() {
    let house = house(config().max_concurrent_tasks(2), echo).started();
    let victim = house.submit("victim").unwrap();
    let helper = house.helper.clone();
    let first = house.submit_then("first", move || {
        helper.cancel_task(victim);
        helper.stop();
    });
    let canceller = house.aside(move |house| house.helper.cancel_task(first));
    let stopper = house.aside(|house| {
        house.helper.stop();
        assert_eq!(house.helper.get_status().waiting_callbacks, 0, "its threads have gone");
    });
    house.helper.wait_task(victim, LONG).unwrap();
    canceller.join().unwrap();
    stopper.join().unwrap();
    house.close();
}

fn a_stop_of_a_helper_never_started_meets_a_wait() {
    let house = house(config(), echo);
    let late = house.submit(TaskRequest::new("late").deadline(SHORT)).unwrap();
    let waiter = house.aside(move |house| house.helper.wait_task(late, LONG).unwrap());
    let looker = house.aside(|house| drop(house.helper.get_status()));
    house.helper.stop();
    let called_back = house.called_back.lock().unwrap().len();
    assert_eq!(called_back, 1, "nobody else will run it");
    assert!(matches!(
        kind(&waiter.join().unwrap()),
        Some(ErrorKind::Timeout | ErrorKind::Terminated)
    ));
    looker.join().unwrap();
    house.close();
}

fn no_callback_of_a_stop_comes_before_its_last_outcome() {
    let house = house(config(), stubborn);
    let broken = Arc::new(AtomicBool::new(false));
    for _ in 0..3 {
        let (own, broken) = (house.clone(), Arc::clone(&broken));
        house.submit_then("x", move || {
            let all = own.accepted.lock().unwrap().clone();
            let ended = |&id: &TaskId| own.helper.task_state(id) == Some(TaskState::Finished);
            if !all.iter().all(ended) {
                broken.store(true, Ordering::SeqCst);
            }
        });
    }
    // It and the stop may end tasks at the same time.
    let starter = house.aside(|house| drop(house.helper.start()));
    let waiter = house.aside(|house| {
        let last = *house.accepted.lock().unwrap().last().unwrap();
        house.helper.wait_task(last, LONG).unwrap();
    });
    house.helper.stop();
    starter.join().unwrap();
    waiter.join().unwrap();
    house.close();
    assert!(!broken.load(Ordering::SeqCst), "a callback came while the stop had tasks to end");
}

fn a_stop_leaves_callbacks_to_the_helper_s_threads() {
    let house = house(config().max_concurrent_tasks(2), echo).started();
    let (here, broken) = (thread::current().id(), Arc::new(AtomicBool::new(false)));
    for _ in 0..3 {
        let broken = Arc::clone(&broken);
        house.submit_then("x", move || {
            if thread::current().id() == here {
                broken.store(true, Ordering::SeqCst);
            }
        });
    }
    house.close();
    assert!(!broken.load(Ordering::SeqCst), "a callback ran on the thread of the stop");
}
