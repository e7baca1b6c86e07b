//! A thousand workers in one process against one server.
//!
//! ```sh
//! ulimit -n 8192
//! cargo test --release --features redis --test storm fleet -- --ignored --nocapture
//! ```
//!
//! `AAQ_WORKERS` (1,000), `AAQ_SECONDS` (120) and `AAQ_RATE` (1,000 jobs a second) change it.

use std::sync::Mutex;
use std::time::{Duration, Instant};

use automation_assistant::{AutomationAssistantManager, HelperConfig, Priority};
use automation_assistant_queue::{Job, Limits, RedisConfig, Stop, Worker};

use crate::support::server::RedisServer;
use crate::{Chance, size};

const LEASE: Duration = Duration::from_secs(3);
/// Each so many-th outcome its worker is silent for longer than its lease, as a phone that
/// falls asleep.
const SLEEP_EACH: usize = 2_000;
/// How long a job may wait, pauses of sleeping workers included.
const WAIT_MAX: Duration = Duration::from_secs(20);
const PRIORITIES: [Priority; 3] = [Priority::High, Priority::Normal, Priority::Low];

#[test]
#[ignore = "long"]
fn a_thousand_workers_starve_no_job_and_the_server_stays_as_it_is() {
    let (workers, rate) = (size("AAQ_WORKERS", 1_000), size("AAQ_RATE", 1_000));
    let seconds = size("AAQ_SECONDS", 120);
    let Some(server) = RedisServer::start(&["--appendfsync", "everysec"]) else { return };
    // As on a thousand devices: a connection each.
    let connect = || {
        let limits = Limits::new().max_results(5_000);
        let config = RedisConfig::new(server.url(), "q").limits(limits);
        config.retry_for(Duration::from_secs(30)).connect().unwrap()
    };
    let queue = connect();
    let stop = Stop::new();
    let zero = Instant::now();
    // By priority: how long jobs waited and ran, in milliseconds.
    let waits = [const { Mutex::new(Vec::<u32>::new()) }; 3];
    let slept = Mutex::new(0_usize);
    let mut memory = Vec::new();
    let pushed = std::thread::scope(|scope| {
        for n in 0..workers {
            let (connect, stop, waits, slept) = (&connect, &stop, &waits, &slept);
            let run = move || {
                let manager = AutomationAssistantManager::new(1);
                let config = HelperConfig::local();
                let helper = manager.spawn_helper(config).unwrap();
                let mut chance = Chance(n as u64);
                Worker::new(&connect(), &manager)
                    .helper(helper)
                    .lease(LEASE)
                    .on_outcome(|outcome| {
                        let key = outcome.key.as_deref().unwrap();
                        let mut parts = key.split('-').map(|part| part.parse::<u64>().unwrap());
                        let (priority, at) = (parts.next().unwrap(), parts.next().unwrap());
                        let took = zero.elapsed().as_millis() as u64 - at;
                        waits[priority as usize].lock().unwrap().push(took as u32);
                        if chance.below(SLEEP_EACH) == 0 {
                            *slept.lock().unwrap() += 1;
                            std::thread::sleep(LEASE * 3 / 2);
                        }
                    })
                    .run(stop)
                    .unwrap();
            };
            std::thread::Builder::new().stack_size(256 << 10).spawn_scoped(scope, run).unwrap();
        }
        let mut chance = Chance(99);
        let (mut pushed, mut next_look) = (0_usize, Instant::now());
        while zero.elapsed() < Duration::from_secs(seconds as u64) {
            let due = (zero.elapsed().as_secs_f64() * rate as f64) as usize;
            let at = zero.elapsed().as_millis();
            let jobs: Vec<Job> = (pushed..due)
                .map(|n| {
                    let priority = chance.below(3);
                    Job::new("x")
                        .priority(PRIORITIES[priority])
                        .key(format!("{priority}-{at}-{n}"))
                        .custom_param("latency_ms", 50 + chance.below(900))
                })
                .collect();
            pushed = due;
            queue.push_all(jobs).unwrap();
            if next_look < Instant::now() {
                let stats = queue.stats().unwrap();
                memory.push(server.memory());
                println!(
                    "{:?}: {} waiting, {} leased, {} workers, {} finished, {} redelivered, {} MB",
                    zero.elapsed(),
                    stats.waiting,
                    stats.leased,
                    stats.workers.len(),
                    stats.finished,
                    stats.redelivered,
                    memory.last().unwrap() >> 20,
                );
                next_look = Instant::now() + Duration::from_secs(10);
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        let until = Instant::now() + Duration::from_secs(60);
        while queue.stats().unwrap().finished < pushed as u64 && Instant::now() < until {
            std::thread::sleep(Duration::from_millis(100));
        }
        stop.stop();
        pushed
    });
    let stats = queue.stats().unwrap();
    let slept = slept.into_inner().unwrap();
    let mut told = 0;
    for (priority, waits) in PRIORITIES.iter().zip(waits) {
        let mut waits = waits.into_inner().unwrap();
        waits.sort_unstable();
        told += waits.len();
        let at = |part: f64| waits[((waits.len() - 1) as f64 * part) as usize];
        println!(
            "{priority:?}: p50 {} ms, p95 {} ms, longest {} ms (50 to 950 ms of work)",
            at(0.5),
            at(0.95),
            at(1.0)
        );
        assert!(Duration::from_millis(u64::from(at(1.0))) < WAIT_MAX, "a job starved");
    }
    println!(
        "{pushed} jobs, {} redelivered, {} fenced, workers slept {slept} times",
        stats.redelivered, stats.fenced
    );
    assert_eq!((stats.finished, stats.dead), (pushed as u64, 0));
    assert!(told >= pushed);
    // A sleeping worker has one job at a time.
    assert!(stats.redelivered as usize <= slept, "{} for {slept}", stats.redelivered);
    // Flat from the time on when as many results are kept as may be.
    let (half, end) = (memory[memory.len() / 2], *memory.last().unwrap());
    assert!(end < half + half / 5, "{memory:?}");
}
