//! Jobs that are taken ahead of idle threads, where tasks are short.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::channel;
use std::sync::{Arc, Mutex};

use automation_assistant::backend::{CallContext, Reply};
use automation_assistant::{AiBackend, HelperConfig, TaskError};
use automation_assistant_queue::{Job, Limits, Stop, Worker, WorkerPhase};

use crate::support::bench::{Bench, echo};
use crate::support::until;

const SHORT: usize = 300;

fn jobs(prompt: &str, count: usize) -> impl Iterator<Item = Job> {
    let prompt = prompt.to_owned();
    (0..count).map(move |_| Job::new(prompt.clone()))
}

#[test]
fn outcomes_of_short_tasks_are_recorded_several_at_a_time() {
    let bench = Bench::new(1, Limits::new(), echo);
    bench.queue.push_all(jobs("short", SHORT)).unwrap();
    let recordings = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&recordings);
    let worker = bench.worker().until_empty().on_phase(move |phase| {
        let recording = usize::from(phase == WorkerPhase::Recording);
        counted.fetch_add(recording, Ordering::SeqCst);
    });
    let report = worker.run(&Stop::new()).unwrap();
    assert_eq!(report.completed, SHORT as u64);
    // One thread that takes a job after each outcome needs as many as there are jobs.
    let recordings = recordings.load(Ordering::SeqCst);
    assert!(recordings < SHORT, "{recordings}");
}

/// Gives how many jobs were handed on.
fn a_long_task_behind_short_ones() -> u64 {
    let (begins, has_begun) = channel::<()>();
    let (release, released) = channel::<()>();
    let ends = Mutex::new((begins, released));
    let bench = Bench::new(1, Limits::new(), move |call| {
        if call.prompt() == "long" {
            let ends = ends.lock().unwrap();
            ends.0.send(()).unwrap();
            ends.1.recv().unwrap();
        }
        echo(call)
    });
    let behind = 80;
    bench.queue.push_all(jobs("short", SHORT)).unwrap();
    bench.queue.push("long").unwrap();
    let ids = bench.queue.push_all(jobs("short", behind)).unwrap();
    let (report, ()) = bench.beside(bench.worker(), || {
        has_begun.recv().unwrap();
        until("all others wait for somebody else", || {
            let stats = bench.queue.stats().unwrap();
            (stats.leased, stats.waiting) == (1, behind as u64)
        });
        for job in &ids {
            assert_eq!(bench.queue.status(job.id).unwrap().unwrap().deliveries, 0);
        }
        release.send(()).unwrap();
        until("all are done", || {
            bench.queue.stats().unwrap().finished == (SHORT + 1 + behind) as u64
        });
    });
    assert_eq!((report.fenced, report.retried, report.dead), (0, 0, 0));
    report.handed_back
}

#[test]
fn a_job_taken_ahead_does_not_wait_behind_a_long_one() {
    // On a busy machine the tasks just before the long one may not have been short.
    assert!((0..20).any(|_| a_long_task_behind_short_ones() > 0), "none was taken ahead");
}

/// Takes no time.
struct Echo;

impl AiBackend for Echo {
    fn name(&self) -> &str {
        "Echo"
    }

    fn process(&self, call: &CallContext<'_>) -> Result<Reply, TaskError> {
        echo(call)
    }
}

/// A helper's own queue is bounded, and others may fill it.
#[test]
fn a_helper_without_room_is_given_no_jobs_ahead() {
    let bench = Bench::new(1, Limits::new(), echo);
    bench.queue.push_all(jobs("short", SHORT)).unwrap();
    let config = HelperConfig::local().queue_capacity(1);
    let helper = bench.manager.spawn_helper_with(config, Echo).unwrap();
    let worker = Worker::new(&bench.queue, &bench.manager).helper(helper);
    let report = worker.until_empty().run(&Stop::new()).unwrap();
    assert_eq!(report.completed, SHORT as u64);
    // Those of one answer; not again and again.
    assert!(report.handed_back < 65, "{report:?}");
}
