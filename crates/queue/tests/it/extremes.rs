//! The longest of all times, wherever one can be given: none panics, and none keeps a job.

use std::time::Duration;

use automation_assistant::{AutomationAssistantManager, create_local_helper};
use automation_assistant_queue::{Job, JobQueue, JobState, Limits, Stop, Worker};

use crate::support::until;

const MAX: Duration = Duration::MAX;

type Set = fn(Worker<'_>) -> Worker<'_>;

fn limits() -> Limits {
    Limits::new().result_ttl(MAX)
}

fn all_of(queue: &JobQueue) {
    let manager = AutomationAssistantManager::new(1);
    let helper = create_local_helper(&manager, "echo").unwrap();
    let stop = Stop::new();
    let rows: [(&str, Job, Set); 3] = [
        ("Job::timeout", Job::new("x").timeout(MAX), |worker| worker),
        ("Worker::poll", Job::new("x"), |worker| worker.poll(MAX)),
        ("Worker::retry_pause", Job::new("x"), |worker| worker.retry_pause(MAX)),
    ];
    for (what, job, set) in rows {
        let worker = || set(Worker::new(queue, &manager).helper(helper));
        let id = queue.push(job).unwrap();
        std::thread::scope(|scope| {
            let waits = scope.spawn(|| queue.wait(id, MAX).unwrap());
            worker().until_empty().run(&stop).unwrap();
            assert_eq!(waits.join().unwrap().state, JobState::Completed, "{what}");
        });
        // One that has nothing to do, too.
        let idle = Stop::new();
        std::thread::scope(|scope| {
            let runs = scope.spawn(|| worker().run(&idle).unwrap());
            let id = queue.push("x").unwrap();
            until("it is done", || queue.result(id).unwrap().is_some());
            idle.stop();
            assert_eq!(runs.join().unwrap().completed, 1, "{what}");
        });
    }
    let refused = Worker::new(queue, &manager).helper(helper).lease(MAX).run(&stop);
    assert!(refused.is_err(), "{refused:?}");
}

#[cfg(feature = "embedded")]
#[test]
fn a_file_takes_the_longest_times() {
    let folder = crate::support::Folder::new();
    all_of(&JobQueue::open_with(folder.file("q"), limits()).unwrap());
}

#[cfg(feature = "redis")]
#[test]
fn a_server_takes_the_longest_times() {
    let Some(server) = crate::support::server::RedisServer::start(&[]) else { return };
    let config = automation_assistant_queue::RedisConfig::new(server.url(), "q");
    all_of(&config.limits(limits()).timeout(MAX).retry_for(MAX).connect().unwrap());
}
