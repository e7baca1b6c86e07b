//! Owners whose callback panics.

use std::collections::BTreeSet;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::channel;
use std::time::Duration;

use automation_assistant::{AutomationAssistantManager, create_local_helper};
use automation_assistant_queue::{Job, JobQueue, Stop, Worker};

use crate::support::LONG;

/// Runs workers of this name, whose owner panics at each third outcome, until one ends by itself:
/// none waits for ever, and each outcome is reported.
fn each_is_reported(queue: &JobQueue, name: &dyn Fn(u32) -> String) {
    const JOBS: u32 = 20;
    let manager = AutomationAssistantManager::new(1);
    let helper = create_local_helper(&manager, "echo").unwrap();
    let keys = || (0..JOBS).map(|n| format!("{n}-{}", name(0)));
    queue.push_all(keys().map(|key| Job::new("x").key(key))).unwrap();
    let (mut seen, mut calls) = (BTreeSet::new(), 0);
    let (ended, has_ended) = channel::<()>();
    let stop = Stop::new();
    std::thread::scope(|scope| {
        // For a run that would not end.
        let end = stop.clone();
        scope.spawn(move || has_ended.recv_timeout(LONG).is_err().then(|| end.stop()));
        let mut lives = 0..JOBS;
        let ends = |life| {
            let worker = Worker::new(queue, &manager).name(name(life)).helper(helper);
            let worker = worker.lease(Duration::from_millis(500)).until_empty();
            let worker = worker.on_outcome(|outcome| {
                calls += 1;
                assert!(calls % 3 != 2, "the owner panics");
                seen.extend(outcome.key.clone());
            });
            catch_unwind(AssertUnwindSafe(|| worker.run(&stop).unwrap())).is_ok()
        };
        assert!(lives.any(ends), "each of many runs panicked");
        ended.send(()).unwrap();
        assert!(lives.start > 2, "{lives:?}");
    });
    assert!(!stop.is_stopped(), "a run did not end");
    assert_eq!(seen, keys().collect());
}

fn of_one_name_and_of_others(queue: &JobQueue) {
    each_is_reported(queue, &|_| "same".to_owned());
    each_is_reported(queue, &|life| format!("life-{life}"));
}

#[cfg(feature = "embedded")]
#[test]
fn after_a_panic_of_its_owner_a_file_has_what_is_to_be_reported() {
    let folder = crate::support::Folder::new();
    of_one_name_and_of_others(&JobQueue::open(folder.file("q")).unwrap());
}

#[cfg(feature = "redis")]
#[test]
fn after_a_panic_of_its_owner_a_server_has_what_is_to_be_reported() {
    let Some(server) = crate::support::server::RedisServer::start(&[]) else { return };
    let queue = automation_assistant_queue::RedisConfig::new(server.url(), "q").connect().unwrap();
    of_one_name_and_of_others(&queue);
}
