//! A thousand workers in one process against one server.
//!
//! ```sh
//! ulimit -n 8192
//! cargo test --release --features redis --test storm fleet -- --ignored --nocapture
//! ```
//!
//! `AAQ_WORKERS` (1,000), `AAQ_SECONDS` (120) and `AAQ_RATE` (1,000 jobs a second) change it.

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use automation_assistant::{AutomationAssistantManager, HelperConfig, Priority};
use automation_assistant_queue::{Job, JobQueue, Limits, RedisConfig, Stop, Worker};

use crate::support::server::RedisServer;
use crate::{Chance, size};

const LEASE: Duration = Duration::from_secs(3);
/// Each so many-th outcome its worker is silent for longer than its lease, as a phone that
/// is suspended.
const SLEEP_EACH: usize = 2_000;
/// How long a job may wait, pauses of sleeping workers included.
const WAIT_MAX: Duration = Duration::from_secs(20);
const PRIORITIES: [Priority; 3] = [Priority::High, Priority::Normal, Priority::Low];

/// Shared by the workers and the test.
struct Fleet {
    server: RedisServer,
    stop: Stop,
    zero: Instant,
    /// By priority: how long jobs waited and ran, in milliseconds.
    waits: [Mutex<Vec<u32>>; 3],
    suspended: AtomicUsize,
}

impl Fleet {
    /// As on a thousand devices: a connection each.
    fn connect(&self) -> JobQueue {
        let limits = Limits::new().max_results(5_000);
        let config = RedisConfig::new(self.server.url(), "q").limits(limits);
        config.retry_for(Duration::from_secs(30)).connect().unwrap()
    }

    fn work(&self, seed: u64) {
        let manager = AutomationAssistantManager::new(1);
        let helper = manager.spawn_helper(HelperConfig::local()).unwrap();
        let mut chance = Chance(seed);
        let worker = Worker::new(&self.connect(), &manager).helper(helper).lease(LEASE);
        let worker = worker.on_outcome(|outcome| {
            let key = outcome.key.as_deref().unwrap();
            let mut parts = key.split('-').map(|part| part.parse::<u64>().unwrap());
            let (priority, at) = (parts.next().unwrap(), parts.next().unwrap());
            let took = self.zero.elapsed().as_millis() as u64 - at;
            self.waits[priority as usize].lock().unwrap().push(took as u32);
            if chance.below(SLEEP_EACH) == 0 {
                self.suspended.fetch_add(1, Ordering::Relaxed);
                std::thread::sleep(LEASE * 3 / 2);
            }
        });
        worker.run(&self.stop).unwrap();
    }

    /// Pushes at this rate for so long; gives how many, and the server's memory now and then.
    fn push(&self, queue: &JobQueue, rate: usize, time: Duration) -> (usize, Vec<u64>) {
        let (mut chance, mut memory) = (Chance(99), Vec::new());
        let (mut pushed, mut next_look) = (0_usize, Instant::now());
        while self.zero.elapsed() < time {
            let due = (self.zero.elapsed().as_secs_f64() * rate as f64) as usize;
            let at = self.zero.elapsed().as_millis();
            let job = |n| {
                let priority = chance.below(3);
                Job::new("x")
                    .priority(PRIORITIES[priority])
                    .key(format!("{priority}-{at}-{n}"))
                    .custom_param("latency_ms", 50 + chance.below(900))
            };
            let jobs: Vec<Job> = (pushed..due).map(job).collect();
            pushed = due;
            queue.push_all(jobs).unwrap();
            if next_look < Instant::now() {
                memory.push(self.server.memory());
                self.look(queue, *memory.last().unwrap());
                next_look = Instant::now() + Duration::from_secs(10);
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        (pushed, memory)
    }

    fn look(&self, queue: &JobQueue, memory: u64) {
        let stats = queue.stats().unwrap();
        println!(
            "{:?}: {} waiting, {} leased, {} workers, {} finished, {} redelivered, {} MB",
            self.zero.elapsed(),
            stats.waiting,
            stats.leased,
            stats.workers.len(),
            stats.finished,
            stats.redelivered,
            memory >> 20,
        );
    }

    /// No job starved; returns how many were reported.
    fn judge_waits(&self) -> usize {
        let mut reported = 0;
        for (priority, waits) in PRIORITIES.iter().zip(&self.waits) {
            let mut waits = waits.lock().unwrap();
            waits.sort_unstable();
            reported += waits.len();
            let at = |part: f64| waits[((waits.len() - 1) as f64 * part) as usize];
            println!(
                "{priority:?}: p50 {} ms, p95 {} ms, longest {} ms (50 to 950 ms of work)",
                at(0.5),
                at(0.95),
                at(1.0)
            );
            assert!(Duration::from_millis(u64::from(at(1.0))) < WAIT_MAX, "a job starved");
        }
        reported
    }
}

/// Stops the workers also where the test fails: else it would wait for them for ever.
struct StopAtEnd<'f>(&'f Stop);

impl Drop for StopAtEnd<'_> {
    fn drop(&mut self) {
        self.0.stop();
    }
}

#[test]
#[ignore = "long"]
fn a_thousand_workers_starve_no_job_and_the_server_stays_as_it_is() {
    let (workers, rate) = (size("AAQ_WORKERS", 1_000), size("AAQ_RATE", 1_000));
    let time = Duration::from_secs(size("AAQ_SECONDS", 120) as u64);
    let Some(server) = RedisServer::start(&["--appendfsync", "everysec"]) else { return };
    let fleet = Fleet {
        server,
        stop: Stop::new(),
        zero: Instant::now(),
        waits: [const { Mutex::new(Vec::new()) }; 3],
        suspended: AtomicUsize::new(0),
    };
    let queue = fleet.connect();
    let (pushed, memory) = std::thread::scope(|scope| {
        let _stop = StopAtEnd(&fleet.stop);
        for n in 0..workers {
            let fleet = &fleet;
            let thread = std::thread::Builder::new().stack_size(256 << 10);
            thread.spawn_scoped(scope, move || fleet.work(n as u64)).unwrap();
        }
        let pushed = fleet.push(&queue, rate, time);
        let until = Instant::now() + Duration::from_secs(60);
        while queue.stats().unwrap().finished < pushed.0 as u64 && Instant::now() < until {
            std::thread::sleep(Duration::from_millis(100));
        }
        pushed
    });
    let stats = queue.stats().unwrap();
    let reported = fleet.judge_waits();
    let suspended = fleet.suspended.load(Ordering::Relaxed);
    println!(
        "{pushed} jobs, {} redelivered, {} fenced, workers suspended {suspended} times",
        stats.redelivered, stats.fenced
    );
    assert_eq!((stats.finished, stats.dead), (pushed as u64, 0));
    assert!(reported >= pushed);
    // A sleeping worker has one job at a time.
    assert!(stats.redelivered as usize <= suspended, "{} for {suspended}", stats.redelivered);
    // Flat from the time on when as many results are kept as may be.
    let (half, end) = (memory[memory.len() / 2], *memory.last().unwrap());
    assert!(end < half + half / 5, "{memory:?}");
}
