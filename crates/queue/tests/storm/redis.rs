//! Twenty workers, twenty thousand jobs, and everything that can happen to a fleet at once:
//! each job has exactly one recorded outcome.
//!
//! ```sh
//! cargo build --release --features redis --examples
//! cargo test --release --features redis --test storm redis -- --ignored --nocapture
//! ```
//!
//! `AAQ_JOBS` (20,000) and `AAQ_WORKERS` (20) make it smaller.

use std::collections::{BTreeMap, HashMap};
use std::time::{Duration, Instant};

use automation_assistant_queue::{Job, JobQueue, JobState, Limits, RedisConfig};

use crate::support::program::{Program, tally};
use crate::support::proxy::Proxy;
use crate::support::server::RedisServer;
use crate::{Chance, size};

const LEASE: Duration = Duration::from_millis(600);
const LATENCY_MS: usize = 10;
/// Time between two blows.
const BLOW_EVERY: Duration = Duration::from_millis(120);
/// For how long a server that is out of memory stays so.
const OOM_FOR: Duration = Duration::from_millis(300);

struct Storm {
    server: RedisServer,
    proxy: Proxy,
    workers: Vec<Program>,
    /// Workers that are stopped, and since when.
    stopped: Vec<(Program, Instant)>,
    lines: Vec<String>,
    blows: BTreeMap<&'static str, usize>,
    chance: Chance,
}

impl Storm {
    fn worker(&mut self) -> Program {
        // Half of them through the proxy.
        let url = match self.chance.below(2) {
            0 => self.server.url(),
            _ => self.proxy.url(),
        };
        let (lease, latency) = (LEASE.as_millis().to_string(), LATENCY_MS.to_string());
        let args =
            ["--redis", &url, "--stream", "q", "--lease-ms", &lease, "--latency-ms", &latency];
        Program::start("fleet_worker", &args)
    }

    fn blow(&mut self) {
        let which = self.chance.below(100);
        let victim = self.chance.below(self.workers.len());
        let name = match which {
            0..40 => {
                let dead = self.workers.swap_remove(victim);
                self.lines.extend(dead.kill());
                let next = self.worker();
                self.workers.push(next);
                "workers killed"
            }
            40..60 => {
                let sleeper = self.workers.swap_remove(victim);
                sleeper.signal("STOP");
                self.stopped.push((sleeper, Instant::now()));
                let next = self.worker();
                self.workers.push(next);
                "workers stopped past their lease"
            }
            60..85 => {
                self.proxy.cut();
                "connections cut"
            }
            85..92 => {
                self.proxy.swallow(true);
                std::thread::sleep(Duration::from_millis(20));
                self.proxy.swallow(false);
                "answers lost"
            }
            92..96 => {
                self.server.say("CONFIG SET maxmemory 1").unwrap();
                std::thread::sleep(OOM_FOR);
                self.server.say("CONFIG SET maxmemory 0").unwrap();
                "memory full"
            }
            _ => {
                self.server.kill();
                std::thread::sleep(Duration::from_millis(200));
                assert!(self.server.launch());
                "server killed"
            }
        };
        *self.blows.entry(name).or_insert(0) += 1;
        // A process that was suspended long enough goes on, and is a worker like the others.
        let (woken, suspended): (Vec<_>, Vec<_>) = std::mem::take(&mut self.stopped)
            .into_iter()
            .partition(|(_, since)| since.elapsed() > LEASE * 2);
        self.stopped = suspended;
        for (sleeper, _) in woken {
            sleeper.signal("CONT");
            // There are enough by now: one of the others goes.
            let at = self.chance.below(self.workers.len());
            let old = std::mem::replace(&mut self.workers[at], sleeper);
            self.lines.extend(old.kill());
            *self.blows.entry("workers killed").or_insert(0) += 1;
        }
    }
}

fn queue(url: &str) -> JobQueue {
    let limits = Limits::new().max_results(1_000_000).max_bytes(1 << 30);
    let config = RedisConfig::new(url, "q").limits(limits).retry_for(Duration::from_secs(30));
    config.connect().unwrap()
}

/// Pushes through the weather, each step again and again until it is certain; gives how often
/// again.
fn push(queue: &JobQueue, jobs: usize) -> usize {
    let job = |n| Job::new("x").key(format!("job-{n}")).max_deliveries(1_000);
    let all: Vec<Job> = (1..=jobs).map(job).collect();
    let mut again = 0;
    for step in all.chunks(50) {
        while queue.push_all(step.to_vec()).is_err() {
            again += 1;
            std::thread::sleep(Duration::from_millis(20));
        }
    }
    again
}

impl Storm {
    /// Until all is pushed and done.
    fn rage(&mut self, is_pushed: impl Fn() -> bool) {
        let (begun, mut next_word) = (Instant::now(), Instant::now());
        let direct = queue(&self.server.url());
        loop {
            std::thread::sleep(BLOW_EVERY);
            self.blow();
            let Ok(stats) = direct.stats() else { continue };
            if next_word < Instant::now() {
                let (done, waiting) = (stats.finished, stats.waiting);
                println!("{:?}: {done} finished, {waiting} waiting", begun.elapsed());
                next_word = Instant::now() + Duration::from_secs(10);
            }
            if is_pushed() && stats.waiting + stats.leased == 0 {
                return;
            }
            assert!(begun.elapsed() < Duration::from_secs(1_200), "{stats:?}");
        }
    }

    /// How often each outcome was printed, once all were. Outcomes that killed workers recorded
    /// and did not print, one that lives prints some seconds later.
    fn printed(&self, jobs: usize) -> HashMap<String, usize> {
        for (sleeper, _) in &self.stopped {
            sleeper.signal("CONT");
        }
        let until = Instant::now() + Duration::from_secs(60);
        loop {
            std::thread::sleep(LEASE);
            let living = self.workers.iter().chain(self.stopped.iter().map(|(worker, _)| worker));
            let lines: Vec<String> =
                living.flat_map(Program::lines).chain(self.lines.iter().cloned()).collect();
            let printed = tally(&lines, "finished ");
            if printed.len() >= jobs || Instant::now() > until {
                return printed;
            }
        }
    }
}

#[test]
#[ignore = "long"]
fn each_job_has_one_outcome_in_any_weather() {
    let (jobs, workers) = (size("AAQ_JOBS", 20_000), size("AAQ_WORKERS", 20));
    let Some(server) = RedisServer::start(&["--appendfsync", "always"]) else { return };
    let proxy = Proxy::to(server.port);
    let through = queue(&proxy.url());
    let mut storm = Storm {
        server,
        proxy,
        workers: Vec::new(),
        stopped: Vec::new(),
        lines: Vec::new(),
        blows: BTreeMap::new(),
        chance: Chance(3),
    };
    for _ in 0..workers {
        let worker = storm.worker();
        storm.workers.push(worker);
    }
    let begun = Instant::now();
    let pushing = std::thread::spawn(move || push(&through, jobs));
    storm.rage(|| pushing.is_finished());
    let (took, again) = (begun.elapsed(), pushing.join().unwrap());
    let printed = storm.printed(jobs);
    let queue = queue(&storm.server.url());
    let stats = queue.stats().unwrap();
    let repeated = printed.values().filter(|count| **count > 1).count();
    println!(
        "{jobs} jobs, {workers} workers, {took:?}; {:?}; pushes repeated {again}; {} redelivered, \
         {} outcomes refused by the fence, {repeated} printed twice",
        storm.blows, stats.redelivered, stats.fenced
    );
    assert_eq!((stats.pushed, stats.finished, stats.dead), (jobs as u64, jobs as u64, 0));
    assert_eq!((stats.waiting, stats.leased, stats.results), (0, 0, jobs as u64));
    assert_eq!(printed.len(), jobs, "each was printed at least once");
    // A line is printed twice only where a kill may have swallowed it.
    assert!(repeated <= storm.blows["workers killed"], "{repeated}");
    for n in 1..=jobs {
        let known = queue.push_all([Job::new("x").key(format!("job-{n}"))]).unwrap();
        assert!(!known[0].is_new);
        if n % 100 == 0 {
            let outcome = queue.result(known[0].id).unwrap().unwrap();
            assert_eq!(outcome.state, JobState::Completed);
        }
    }
}
