//! A producer and worker in one process, killed a thousand times: each job has exactly one
//! recorded outcome, none is lost.
//!
//! ```sh
//! cargo test --release --test storm embedded -- --ignored --nocapture
//! ```
//!
//! `AAQ_KILLS` (1,000) and `AAQ_JOBS` (10,000) make it smaller.

use std::collections::{BTreeMap, HashSet};
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use automation_assistant::{AutomationAssistantManager, HelperConfig};
use automation_assistant_queue::{Job, JobQueue, JobState, Limits, Stop, Worker, WorkerPhase};

use crate::support::Folder;
use crate::{Chance, size};

/// Jobs between two stretches of work.
const CHUNK: usize = 10;
/// More than any storm has needed: a phase that no child reports would go on for ever.
const JOBS_MAX: usize = 50_000;
/// Most outcomes of one call: of the child's one thread, and of those that it is given ahead.
const CALL_MAX: usize = 65;
/// The variable with which the child gets its file.
const FILE: &str = "AAQ_STORM_FILE";
/// Longest random delay between the begin of a phase and the kill, in microseconds.
const DELAY_MAX: usize = 400;
const PHASES: [&str; 6] = ["opening", "pushing", "leased", "running", "recording", "reporting"];

fn limits(jobs: usize) -> Limits {
    Limits::new().max_jobs(jobs as u64).max_results(jobs as u64 * 2)
}

/// One write a line: what is read before the pipe ends was written before the kill.
fn say(line: &str) {
    std::io::stdout().write_all(format!("{line}\n").as_bytes()).unwrap();
}

/// The child: pushes some, works them off, and so on.
#[test]
#[ignore = "the child of the storm"]
fn child() {
    let Some(file) = std::env::var_os(FILE) else { return };
    let jobs = size("AAQ_JOBS", 10_000);
    // On one core the test's name stands on this line already.
    say("\n@ opening");
    let queue = JobQueue::open_with(file, limits(jobs)).unwrap();
    let manager = AutomationAssistantManager::new(1);
    let config = HelperConfig::local().custom_param("latency_ms", 1);
    let helper = manager.spawn_helper(config).unwrap();
    let mut next = queue.stats().unwrap().pushed as usize;
    loop {
        if next < jobs {
            say("@ pushing");
            let last = jobs.min(next + CHUNK);
            queue
                .push_all(
                    (next..last).map(|n| Job::new("x").key(format!("{n}")).max_deliveries(1_000)),
                )
                .unwrap();
            next = last;
        }
        Worker::new(&queue, &manager)
            .helper(helper)
            .until_empty()
            .on_outcome(|outcome| say(&format!("= {}", outcome.key.as_deref().unwrap())))
            .on_phase(|phase| {
                say(match phase {
                    WorkerPhase::Leasing | WorkerPhase::Leased => "@ leased",
                    WorkerPhase::Running => "@ running",
                    WorkerPhase::Recording => "@ recording",
                    WorkerPhase::Reporting => "@ reporting",
                });
            })
            .run(&Stop::new())
            .unwrap();
        if next >= jobs {
            return;
        }
    }
}

/// Runs the child until it has begun the phase so often, and kills it a little later. Gives
/// its outcomes, the phase it was in, and whether it was killed (or ended, being through).
fn life(
    file: &Path,
    jobs: usize,
    phase: &str,
    nth: usize,
    delay: Duration,
) -> (Vec<String>, String, bool) {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["embedded::child", "--exact", "--ignored", "--nocapture"])
        .env(FILE, file)
        .env("AAQ_JOBS", jobs.to_string())
        .stdout(Stdio::piped())
        .stderr(Stdio::inherit())
        .spawn()
        .unwrap();
    let mut out = BufReader::new(child.stdout.take().unwrap());
    let (mut reported, mut last) = (Vec::new(), String::new());
    let (mut seen, mut killed) = (0, false);
    let mut line = String::new();
    loop {
        line.clear();
        // A line without its end was cut by the kill.
        if out.read_line(&mut line).unwrap() == 0 || !line.ends_with('\n') {
            break;
        }
        let text = line.trim_end();
        if let Some(now) = text.strip_prefix("@ ") {
            last = now.to_owned();
            seen += usize::from(now == phase);
            if seen == nth && !killed {
                let until = Instant::now() + delay;
                while Instant::now() < until {
                    std::hint::spin_loop();
                }
                child.kill().unwrap();
                killed = true;
            }
        } else if let Some(key) = text.strip_prefix("= ") {
            reported.push(key.to_owned());
        }
    }
    let ended = child.wait().unwrap();
    assert!(killed || ended.success(), "the child failed by itself");
    (reported, last, killed)
}

#[test]
#[ignore = "long"]
fn each_job_has_one_outcome_however_often_it_is_killed() {
    let (kills, mut jobs) = (size("AAQ_KILLS", 1_000), size("AAQ_JOBS", 10_000));
    let folder = Folder::new();
    let file = folder.file("jobs");
    let mut chance = Chance(7);
    let mut fell: BTreeMap<String, usize> = BTreeMap::new();
    // Reported outcomes, in the order of their first time.
    let mut all: Vec<String> = Vec::new();
    let mut repeated = 0;
    let mut lives = 0;
    let begun = Instant::now();
    while lives < kills {
        // The rarest so far.
        let phase = PHASES.iter().min_by_key(|phase| fell.get(**phase).unwrap_or(&0)).unwrap();
        let nth = if *phase == "opening" { 1 } else { 1 + chance.below(5) };
        let delay = Duration::from_micros(chance.below(DELAY_MAX) as u64);
        let (reported, last, killed) = life(&file, jobs, phase, nth, delay);
        if !killed {
            // All was done before enough kills: more work.
            jobs += 500;
            assert!(jobs < JOBS_MAX, "{phase} is never reached: {fell:?}");
        }
        // Only those of the last call may be reported again: first thing, and in their order.
        let known = reported.iter().take_while(|key| all.contains(*key)).count();
        let (again, new) = reported.split_at(known);
        let from = again.first().and_then(|key| all.iter().position(|other| other == key));
        let latest = from.map_or(&[][..], |from| &all[from..]);
        let is_latest = latest.len() <= CALL_MAX && latest.starts_with(again);
        assert!(is_latest, "life {lives}: {again:?} again, after {latest:?}");
        assert!(!new.iter().any(|key| all.contains(key)), "life {lives}: {new:?}");
        repeated += again.len();
        all.extend_from_slice(new);
        if !killed {
            continue;
        }
        lives += 1;
        *fell.entry(last).or_insert(0) += 1;
    }
    // The rest in peace.
    let (reported, _, killed) = life(&file, jobs, "never", 1, Duration::ZERO);
    assert!(!killed);
    all.extend(reported);
    let queue = JobQueue::open_with(&file, limits(jobs)).unwrap();
    let stats = queue.stats().unwrap();
    println!(
        "{lives} kills in {:?}; where they fell: {fell:?}; \
         {} jobs finished, {} redelivered, {repeated} outcomes reported twice; file {} bytes",
        begun.elapsed(),
        stats.finished,
        stats.redelivered,
        std::fs::metadata(&file).unwrap().len(),
    );
    assert_eq!(
        (stats.pushed, stats.finished, stats.results),
        (jobs as u64, jobs as u64, jobs as u64)
    );
    assert_eq!((stats.waiting, stats.leased, stats.dead), (0, 0, 0));
    assert_eq!(all.iter().collect::<HashSet<_>>().len(), jobs);
    // Pushing all keys again finds each of them, completed.
    let all = queue.push_all((0..jobs).map(|n| Job::new("x").key(format!("{n}")))).unwrap();
    for job in all {
        assert!(!job.is_new);
        assert_eq!(queue.status(job.id).unwrap().unwrap().state, JobState::Completed);
    }
    if kills >= 1_000 {
        for phase in PHASES {
            assert!(fell.get(phase).is_some_and(|count| *count >= 100), "{phase}: {fell:?}");
        }
    }
}

/// A disk of two megabytes that fills up: jobs are refused, none is lost, and work goes on once
/// there is space. Needs root, for the file system.
#[test]
#[ignore = "needs root"]
fn a_disk_that_is_full_refuses_and_loses_nothing() {
    let folder = Folder::new();
    let mount = folder.file("disk");
    std::fs::create_dir(&mount).unwrap();
    let run = |program: &str, args: &[&str]| {
        Command::new(program).args(args).status().is_ok_and(|status| status.success())
    };
    let path = mount.to_str().unwrap();
    assert!(run("mount", &["-t", "tmpfs", "-o", "size=2m", "tmpfs", path]), "mount needs root");
    let result = std::panic::catch_unwind(|| {
        let queue = JobQueue::open_with(mount.join("jobs"), limits(100_000)).unwrap();
        let mut pushed = Vec::new();
        let error = loop {
            match queue.push(Job::new("y".repeat(10_000)).key(format!("{}", pushed.len()))) {
                Ok(id) => pushed.push(id),
                Err(error) => break error,
            }
        };
        println!("full after {} jobs: {error}", pushed.len());
        assert!(error.is_passing() && pushed.len() > 10);
        drop(queue);
        // It cannot even be opened where there is no space to mark it as open; then space comes.
        let _ = JobQueue::open(mount.join("jobs"));
        assert!(run("mount", &["-o", "remount,size=16m", path]));
        let queue = JobQueue::open_with(mount.join("jobs"), limits(100_000)).unwrap();
        assert!(queue.stats().unwrap().waiting >= pushed.len() as u64);
        for id in &pushed {
            assert_eq!(queue.status(*id).unwrap().unwrap().state, JobState::Submitted);
        }
        let manager = AutomationAssistantManager::new(1);
        let helper = manager.spawn_helper(HelperConfig::local()).unwrap();
        let worker = Worker::new(&queue, &manager).helper(helper).until_empty();
        assert!(worker.run(&Stop::new()).unwrap().completed >= pushed.len() as u64);
    });
    assert!(run("umount", &[path]));
    result.unwrap();
}
