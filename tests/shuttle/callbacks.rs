//! Callbacks: who runs them, when, and who is woken for them.

use super::*;

models! {
    callbacks_cancel_while_two_threads_end_tasks,
    a_callback_is_run_while_the_one_that_caused_it_blocks,
    a_callback_of_an_overdue_task_wakes_a_thread,
    a_stop_meets_callbacks_that_cancel_and_stop,
    a_stop_of_a_helper_never_started_meets_a_wait,
    no_callback_of_a_stop_comes_before_its_last_outcome,
    a_stop_leaves_callbacks_to_the_helper_s_threads,
}

fn callbacks_cancel_while_two_threads_end_tasks() {
    let scene = scene(config().max_concurrent_tasks(2), echo);
    // Each pair: a task, and the one that its callback cancels.
    let pairs: Vec<_> = (0..2)
        .map(|_| {
            let victim = scene.submit("victim").unwrap();
            let helper = scene.helper.clone();
            let first = scene.submit_then("first", move || {
                helper.cancel_task(victim);
            });
            (first, victim)
        })
        .collect();
    let cancellers: Vec<_> = pairs
        .iter()
        .map(|&(first, _)| scene.aside(move |scene| scene.helper.cancel_task(first)))
        .collect();
    scene.helper.start().unwrap();
    for canceller in cancellers {
        canceller.join().unwrap();
    }
    for (first, victim) in pairs {
        scene.helper.wait_task(first, LONG).unwrap();
        scene.helper.wait_task(victim, LONG).unwrap();
    }
    scene.close();
}

fn a_callback_is_run_while_the_one_that_caused_it_blocks() {
    let scene = scene(config(), stubborn).started();
    let other = Once::default();
    let happens = other.clone();
    let second = scene.submit_then("second", move || happens.happens());
    let helper = scene.helper.clone();
    // It waits for a callback that can come by the helper's thread alone.
    let first = scene.submit_then("first", move || {
        helper.cancel_task(second);
        other.wait();
    });
    assert!(scene.helper.cancel_task(first));
    scene.close();
}

fn a_callback_of_an_overdue_task_wakes_a_thread() {
    let scene = scene(config(), echo).started();
    let called = Once::default();
    let happens = called.clone();
    let id = scene.submit_then(TaskRequest::new("short").deadline(SHORT), move || {
        happens.happens();
    });
    let looker = scene.aside(|scene| scene.helper.get_status());
    scene.helper.wait_task(id, LONG).unwrap();
    // Nobody but the helper's thread runs it, and nothing but its callback wakes that.
    called.wait();
    looker.join().unwrap();
    scene.close();
    assert_eq!(scene.helper.get_status().waiting_callbacks, 0);
}

fn a_stop_meets_callbacks_that_cancel_and_stop() {
    let scene = scene(config().max_concurrent_tasks(2), echo).started();
    let victim = scene.submit("victim").unwrap();
    let helper = scene.helper.clone();
    let first = scene.submit_then("first", move || {
        helper.cancel_task(victim);
        helper.stop();
    });
    let canceller = scene.aside(move |scene| scene.helper.cancel_task(first));
    let stopper = scene.aside(|scene| {
        scene.helper.stop();
        assert_eq!(scene.helper.get_status().waiting_callbacks, 0, "its threads have gone");
    });
    scene.helper.wait_task(victim, LONG).unwrap();
    canceller.join().unwrap();
    stopper.join().unwrap();
    scene.close();
}

fn a_stop_of_a_helper_never_started_meets_a_wait() {
    let scene = scene(config(), echo);
    let late = scene.submit(TaskRequest::new("late").deadline(SHORT)).unwrap();
    let waiter = scene.aside(move |scene| scene.helper.wait_task(late, LONG).unwrap());
    let looker = scene.aside(|scene| drop(scene.helper.get_status()));
    scene.helper.stop();
    let called_back = scene.called_back.lock().unwrap().len();
    assert_eq!(called_back, 1, "nobody else will run it");
    assert!(matches!(
        kind(&waiter.join().unwrap()),
        Some(ErrorKind::Timeout | ErrorKind::Terminated)
    ));
    looker.join().unwrap();
    scene.close();
}

fn no_callback_of_a_stop_comes_before_its_last_outcome() {
    let scene = scene(config(), stubborn);
    let broken = Arc::new(AtomicBool::new(false));
    for _ in 0..3 {
        let (own, broken) = (scene.clone(), Arc::clone(&broken));
        scene.submit_then("x", move || {
            let all = own.accepted.lock().unwrap().clone();
            let ended = |&id: &TaskId| own.helper.task_state(id) == Some(TaskState::Finished);
            if !all.iter().all(ended) {
                broken.store(true, Ordering::SeqCst);
            }
        });
    }
    // It and the stop may end tasks at the same time.
    let starter = scene.aside(|scene| drop(scene.helper.start()));
    let waiter = scene.aside(|scene| {
        let last = *scene.accepted.lock().unwrap().last().unwrap();
        scene.helper.wait_task(last, LONG).unwrap();
    });
    scene.helper.stop();
    starter.join().unwrap();
    waiter.join().unwrap();
    scene.close();
    assert!(!broken.load(Ordering::SeqCst), "a callback came while the stop had tasks to end");
}

fn a_stop_leaves_callbacks_to_the_helper_s_threads() {
    let scene = scene(config().max_concurrent_tasks(2), echo).started();
    let (here, broken) = (thread::current().id(), Arc::new(AtomicBool::new(false)));
    for _ in 0..3 {
        let broken = Arc::clone(&broken);
        scene.submit_then("x", move || {
            if thread::current().id() == here {
                broken.store(true, Ordering::SeqCst);
            }
        });
    }
    scene.close();
    assert!(!broken.load(Ordering::SeqCst), "a callback ran on the thread of the stop");
}
