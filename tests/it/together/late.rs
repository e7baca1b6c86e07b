//! Outcomes that observers hold beyond the end of a call.

use std::sync::mpsc::{Sender, channel};

use automation_assistant::WhenResultsFull;

use super::*;
use crate::stuck::{Barrier, Blocks, Observer, Place};
use crate::support::{side_by_side, until};

const HELPERS: usize = 4;

/// A call, and how many of its tasks have an `on_done` of their own.
type Call = (fn(&Together<'_>, &[HelperId], &dyn Fn() -> TaskRequest), usize);

const CALLS: [Call; 5] = [
    (|together, all, request| drop(together.fan_out(all, &request(), Want::All)), 1),
    (|together, all, request| drop(together.race(all, &request())), 1),
    (|together, all, request| drop(together.pipeline(vec![Stage::new(all[0], request())])), 1),
    (|together, all, request| drop(together.batch(all, &[(); 6].map(|()| request()))), HELPERS),
    (
        |together, all, request| {
            drop(Fallback::new(all.iter().copied()).run(together, &request()));
        },
        1,
    ),
];

/// Observers that hold the outcomes of tasks; of those that the backend has ended (`true`), or of
/// those that the call cancels.
fn held(barrier: &Barrier, ended: bool) -> AutomationAssistantManager {
    let manager = AutomationAssistantManager::builder()
        .observer(Arc::new(Observer(Place::EndObserver, barrier.clone())))
        .build()
        .unwrap();
    for _ in 0..HELPERS {
        let config = HelperConfig::local();
        let config = config.max_results(1).when_results_full(WhenResultsFull::RefuseTasks);
        match ended {
            true => manager.spawn_helper(config).unwrap(),
            false => {
                let backend = Blocks { at: Place::EndObserver, barrier: barrier.clone() };
                manager.spawn_helper_with(config, backend).unwrap()
            }
        };
    }
    manager
}

#[test]
fn a_call_is_held_up_by_no_observer_and_no_callback_of_it_is_lost() {
    // One second for the outcomes of all helpers together; the rest is for a slow machine.
    const CALL_MAX: Duration = Duration::from_millis(3_000);
    let rows = CALLS.into_iter().flat_map(|call| [(call, true), (call, false)]);
    side_by_side(rows, |((call, calls_back), ended)| {
        let barrier = Barrier::default();
        barrier.shut();
        let manager = held(&barrier, ended);
        let (done, tasks) = channel();
        let request = |done: &Sender<_>| {
            let done = done.clone();
            TaskRequest::new("x").on_done(move |task| done.send(task.is_success()).unwrap())
        };
        let ids: Vec<_> =
            manager.get_all_helpers_status().iter().map(|status| status.helper_id).collect();
        let began = Instant::now();
        let together = Together::new(&manager).deadline(Duration::from_millis(200));
        call(&together, &ids, &|| request(&done));
        assert!(began.elapsed() < CALL_MAX, "{:?}", began.elapsed());
        assert!(tasks.try_recv().is_err(), "a callback before the end");
        drop(done);
        barrier.open();
        for _ in 0..calls_back {
            assert_eq!(tasks.recv_timeout(LONG), Ok(ended));
        }
        assert!(tasks.recv_timeout(LONG).is_err(), "one more callback");
        // The results count as read: there is space for others.
        for id in ids {
            until("it takes a task", || manager.submit_task(id, "y").is_ok());
        }
    });
}
