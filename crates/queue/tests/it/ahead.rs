//! Jobs that are taken ahead of idle threads, where tasks are short.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use automation_assistant::backend::{CallContext, Reply};
use automation_assistant::{AiBackend, HelperConfig, TaskError};
use automation_assistant_queue::{Error, Job, JobId, JobState, Limits, Stop, Worker, WorkerPhase};

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

/// A worker of one thread whose task is long, behind short ones and before some more.
struct Stuck {
    bench: Bench,
    has_begun: Receiver<()>,
    release: Sender<()>,
    /// The jobs behind the long one.
    behind: Vec<JobId>,
}

impl Stuck {
    fn new() -> Self {
        let (begins, has_begun) = channel::<()>();
        let (release, released) = channel::<()>();
        let ends = Mutex::new((begins, released));
        let bench = Bench::new(1, Limits::new(), move |call| {
            if call.prompt() == "long" {
                let ends = ends.lock().unwrap();
                ends.0.send(()).unwrap();
                while ends.1.try_recv().is_err() {
                    call.pause(Duration::from_millis(1))?;
                }
            }
            echo(call)
        });
        bench.queue.push_all(jobs("short", SHORT)).unwrap();
        bench.queue.push("long").unwrap();
        let behind = bench.queue.push_all(jobs("short", 80)).unwrap();
        let behind = behind.into_iter().map(|pushed| pushed.id).collect();
        Self { bench, has_begun, release, behind }
    }

    /// None of the jobs behind counts as delivered.
    fn look(&self) {
        for id in &self.behind {
            let status = self.bench.queue.status(*id).unwrap().unwrap();
            assert_eq!((status.state, status.deliveries), (JobState::Submitted, 0));
        }
    }
}

#[test]
fn a_job_taken_ahead_does_not_wait_behind_a_long_one() {
    let once = || {
        let stuck = Stuck::new();
        let queue = &stuck.bench.queue;
        let (report, ()) = stuck.bench.beside(stuck.bench.worker(), || {
            stuck.has_begun.recv().unwrap();
            until("only the long one is leased", || queue.stats().unwrap().leased == 1);
            stuck.look();
            stuck.release.send(()).unwrap();
            until("all are done", || queue.stats().unwrap().waiting == 0);
        });
        assert_eq!((report.fenced, report.retried, report.dead), (0, 0, 0));
        report.handed_back
    };
    // On a busy machine the tasks just before the long one may not have been short.
    assert!((0..20).any(|_| once() > 0), "none was taken ahead");
}

#[test]
fn a_job_that_waits_in_a_helper_which_is_stopped_is_handed_back_uncounted() {
    let once = || {
        let stuck = Stuck::new();
        let Bench { queue, manager, helper, .. } = &stuck.bench;
        let ahead = std::thread::scope(|scope| {
            let running = scope.spawn(|| stuck.bench.worker().run(&Stop::new()));
            stuck.has_begun.recv().unwrap();
            let leased = queue.stats().unwrap().leased;
            manager.terminate_helper(*helper).unwrap();
            assert!(matches!(running.join().unwrap(), Err(Error::Worker(_))));
            leased - 1
        });
        stuck.look();
        ahead
    };
    assert!((0..20).any(|_| once() > 0), "none was taken ahead");
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
fn a_helper_without_capacity_is_given_no_jobs_ahead() {
    let bench = Bench::new(1, Limits::new(), echo);
    bench.queue.push_all(jobs("short", SHORT)).unwrap();
    let config = HelperConfig::local().queue_capacity(1);
    let helper = bench.manager.spawn_helper_with(config, Echo).unwrap();
    let worker = Worker::new(&bench.queue, &bench.manager).helper(helper);
    let report = worker.until_empty().run(&Stop::new()).unwrap();
    assert_eq!(report.completed, SHORT as u64);
    // Those of one answer; not again and again.
    assert!(report.handed_back < 129, "{report:?}");
}
