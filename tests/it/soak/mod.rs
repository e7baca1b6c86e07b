//! Load and faults: many tasks over many helpers, a provider that misbehaves on schedule,
//! backends and callbacks that panic, callbacks that cancel, stop, submit and block, drops that
//! panic, cancels, stops and respawns, all at once, and three other processes that write to the
//! same rotating audit file.
//!
//! Afterwards every accepted task has exactly one outcome, none came later than its time
//! allows, the audit file agrees, and threads, file descriptors and memory are
//! back where they began.
//!
//! The long run, and the same schedule once more (what threads make of it differs):
//!
//! ```sh
//! SOAK_TASKS=100000 cargo test --release --test it soak:: -- --nocapture
//! SOAK_SEED=1234 cargo test --test it soak:: -- --nocapture
//! ```

mod driver;
mod moody;
#[cfg(feature = "http")]
mod rogue;
mod siblings;

use std::collections::{BTreeMap, VecDeque};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::Stdio;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use automation_assistant::{
    AutomationAssistantManager, AutomationHelper, Debrief, ErrorKind, Event, HelperId, Observe,
    Task, TaskId,
};

use crate::support::{runner, this_program};
use crate::telemetry::Folder;
use moody::BadDrop;
use siblings::Siblings;

/// Tasks in an ordinary test run.
const TASKS: usize = 2_000;
/// Most tasks of one manager's life; more are several such rounds.
const ROUND_TASKS: usize = 10_000;
/// Threads that submit, and helpers that each of them keeps alive.
const DRIVERS: usize = 4;
const HELPERS_EACH: usize = 4;
/// Every helper's time for a task, unless the request says otherwise.
const HELPER_TIMEOUT: Duration = Duration::from_millis(300);
/// How long after its deadline a task's end may be reported: the library's own quarter of a
/// second for backends that notice by themselves, the beat below, and a loaded machine.
const LATE_MAX: Duration = Duration::from_secs(2);
/// Longest stop of one helper: a second, more than the connect time-out, as promised; and what a
/// loaded machine may add to it.
const STOP_MAX: Duration = Duration::from_secs(1);
const STALL_MAX: Duration = Duration::from_secs(1);
const CONNECT_TIMEOUT: Duration = Duration::from_millis(200);
/// How often somebody asks for all helpers' status, which ends tasks that are overdue.
const BEAT: Duration = Duration::from_millis(20);
/// Memory that may stay behind: what the allocator keeps for itself. A leak of a hundred
/// bytes a task shows in the long run.
const MEMORY_MARGIN_KIB: u64 = 8 << 10;
/// How long threads that were joined may still be listed by the system.
const SETTLE: Duration = Duration::from_secs(5);

const CHILD: &str = "AA_SOAK_CHILD";
/// Set by `tests/faults.sh`.
const TRACED: &str = "AA_SOAK_TRACED";

/// The outcomes, recorded by callbacks.
pub(crate) struct Ledger {
    began: Instant,
    /// Which tasks were accepted: those of the drivers, then as many that callbacks may submit.
    accepted: Vec<AtomicBool>,
    /// How often each task's owner was called back.
    ends: Vec<AtomicU8>,
    latest_us: AtomicU64,
    longest_stop_us: AtomicU64,
    unjoined: AtomicU64,
    outcomes: Mutex<BTreeMap<&'static str, u64>>,
    /// Things that must not be.
    faults: Mutex<Vec<String>>,
}

/// The most faults that are printed: one is enough to look for.
const FAULTS_PRINTED: usize = 20;

impl Ledger {
    fn new(tasks: usize) -> Self {
        Self {
            began: Instant::now(),
            accepted: (0..2 * tasks).map(|_| AtomicBool::new(false)).collect(),
            ends: (0..2 * tasks).map(|_| AtomicU8::new(0)).collect(),
            latest_us: AtomicU64::new(0),
            longest_stop_us: AtomicU64::new(0),
            unjoined: AtomicU64::new(0),
            outcomes: Mutex::default(),
            faults: Mutex::default(),
        }
    }

    pub(crate) fn accepted(&self, n: usize) {
        self.accepted[n].store(true, Ordering::SeqCst);
    }

    /// Tasks that were accepted but not called back once.
    fn wrong(&self) -> Vec<usize> {
        let wrong = |n: &usize| {
            let accepted = u8::from(self.accepted[*n].load(Ordering::SeqCst));
            self.ends[*n].load(Ordering::SeqCst) != accepted
        };
        (0..self.ends.len()).filter(wrong).take(9).collect()
    }

    pub(crate) fn fault(&self, what: String) {
        let mut faults = self.faults.lock().unwrap();
        if faults.len() < FAULTS_PRINTED {
            faults.push(what);
        }
    }

    /// A finished task as anybody may get it: whole, and only one of result and error.
    pub(crate) fn check(&self, n: Option<usize>, task: &Task) {
        let one = task.result.is_some() != task.error.is_some();
        let own = n.is_none_or(|n| task.prompt.starts_with(&format!("soak-{n}.")));
        if !one || !own || task.completed_at.is_none() {
            self.fault(format!("task {n:?} is not whole: {task:?}"));
        }
    }

    /// A task's owner was called back.
    pub(crate) fn ended(&self, n: usize, task: &Task, limits: (Option<Duration>, Duration)) {
        self.ends[n].fetch_add(1, Ordering::SeqCst);
        self.check(Some(n), task);
        let kind = task.error.as_ref().map(|error| error.kind());
        let name = kind.map_or("done", ErrorKind::as_str);
        *self.outcomes.lock().unwrap().entry(name).or_default() += 1;
        if matches!(kind, Some(ErrorKind::Cancelled | ErrorKind::Terminated)) {
            return;
        }
        let (deadline, timeout) = limits;
        let by_timeout = Duration::from_secs_f64(task.queue_ms / 1e3) + timeout;
        let allowed = deadline.map_or(by_timeout, |deadline| deadline.min(by_timeout));
        let took = Duration::from_secs_f64((task.queue_ms + task.latency_ms) / 1e3);
        let late = took.saturating_sub(allowed);
        self.latest_us.fetch_max(late.as_micros() as u64, Ordering::Relaxed);
    }

    pub(crate) fn left_threads(&self, threads: usize) {
        self.unjoined.fetch_add(threads as u64, Ordering::Relaxed);
    }

    pub(crate) fn stopped(&self, took: Duration) {
        self.longest_stop_us.fetch_max(took.as_micros() as u64, Ordering::Relaxed);
    }
}

/// Shared by the drivers.
pub(crate) struct World {
    seed: u64,
    tasks: usize,
    manager: AutomationAssistantManager,
    ledger: Arc<Ledger>,
    /// Where the provider listens.
    provider: Option<std::net::SocketAddr>,
    /// Tasks submitted lately by anybody, for anybody to cancel or wait for.
    recent: Arc<Mutex<VecDeque<Recent>>>,
    /// Helpers whose stop left threads to themselves.
    leaving: Mutex<Vec<AutomationHelper>>,
}

/// A task, and its helper.
#[derive(Clone)]
struct Recent {
    id: HelperId,
    helper: AutomationHelper,
    task: TaskId,
}

/// An observer that panics now and then, and when it is dropped.
struct Jumpy(AtomicU64, BadDrop);

impl Observe for Jumpy {
    fn on_event(&self, _: &Event<'_>) {
        assert!(self.0.fetch_add(1, Ordering::Relaxed) % 64 != 63, "on purpose");
    }
}

/// Waits for the threads that stops have left behind.
fn await_left_threads(world: &World) {
    let waiting = Instant::now();
    for helper in world.leaving.lock().unwrap().drain(..) {
        while helper.get_status().threads > 0 {
            assert!(waiting.elapsed() < SETTLE, "a thread that was left never ends");
            std::thread::yield_now();
        }
        assert_eq!(helper.get_status().waiting_callbacks, 0);
    }
}

/// Everything from a new manager to its end; panics if anything was not as it must be.
fn round(seed: u64, tasks: usize) {
    let folder = Folder::new("soak");
    let path = folder.join("audit.jsonl");
    let siblings = Siblings::start(&path);
    let telemetry = siblings::rotating(&path);
    let run_id = telemetry.run_id().to_owned();
    #[cfg(feature = "http")]
    let rogue = rogue::Rogue::start(seed, tasks);
    let manager = AutomationAssistantManager::builder()
        .max_helpers(DRIVERS * HELPERS_EACH)
        .telemetry(telemetry)
        .observer(Arc::new(Jumpy(AtomicU64::new(0), BadDrop)))
        .build()
        .unwrap();
    let ledger = Arc::new(Ledger::new(tasks));
    let world = World {
        seed,
        tasks,
        manager,
        ledger: Arc::clone(&ledger),
        #[cfg(feature = "http")]
        provider: Some(rogue.address()),
        #[cfg(not(feature = "http"))]
        provider: None,
        recent: Arc::default(),
        leaving: Mutex::default(),
    };
    let over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let watcher = scope.spawn(|| {
            let mut accepted = BTreeMap::new();
            while !over.load(Ordering::SeqCst) {
                for report in world.manager.get_all_helpers_status() {
                    // Each accepted task is in one of these counts.
                    let waiting = (report.queued_tasks + report.active_tasks) as u64;
                    let now = waiting + report.completed_tasks;
                    if accepted.insert(report.helper_id, now).is_some_and(|before| now < before) {
                        ledger.fault(format!("tasks are in no count: {report:?}"));
                    }
                }
                // The pause sets the pace only.
                std::thread::sleep(BEAT);
            }
        });
        let drivers: Vec<_> = (0..DRIVERS)
            .map(|n| {
                scope.spawn({
                    let world = &world;
                    move || driver::drive(world, n)
                })
            })
            .collect();
        let left: Vec<_> = drivers.into_iter().map(|driver| driver.join()).collect();
        let stopping = Instant::now();
        world.manager.terminate_all();
        ledger.stopped(stopping.elapsed());
        over.store(true, Ordering::SeqCst);
        watcher.join().unwrap();
        for helpers in left {
            helpers.unwrap().into_iter().for_each(|helper| driver::verify(&world, helper));
        }
    });
    assert_eq!(world.manager.helper_count(), 0);
    await_left_threads(&world);
    drop(world);
    #[cfg(feature = "http")]
    let (connections, requests) = rogue.finish();
    #[cfg(not(feature = "http"))]
    let (connections, requests) = (0, 0);
    let audit = siblings.finish(&folder, &run_id);
    judge(&ledger, &Debrief::from_path(audit).unwrap());
    println!("driven {tasks}, connections {connections}, requests {requests}");
}

/// Whether all was as it must be.
fn judge(ledger: &Ledger, debrief: &Debrief) {
    let latest = Duration::from_micros(ledger.latest_us.load(Ordering::Relaxed));
    let longest_stop = Duration::from_micros(ledger.longest_stop_us.load(Ordering::Relaxed));
    println!("took {:?}, latest {latest:?}, longest stop {longest_stop:?}", ledger.began.elapsed());
    println!("threads left by a stop {}", ledger.unjoined.load(Ordering::Relaxed));
    let faults = ledger.faults.lock().unwrap();
    assert!(faults.is_empty(), "{faults:#?}");
    let wrong = ledger.wrong();
    assert!(wrong.is_empty(), "tasks not called back exactly once: {wrong:?}");
    let outcomes = ledger.outcomes.lock().unwrap();
    println!("outcomes {outcomes:?}");
    let accepted = ledger.accepted.iter().filter(|accepted| accepted.load(Ordering::SeqCst));
    let tasks = accepted.count();
    assert!(latest <= LATE_MAX, "a task ended {latest:?} after its time");
    let stop_max = STOP_MAX + CONNECT_TIMEOUT + STALL_MAX;
    assert!(longest_stop <= stop_max, "a stop took {longest_stop:?}");
    let done = outcomes.get("done").copied().unwrap_or(0);
    // The load was a mixture, as meant; a tracer that breaks more makes it poorer.
    let (done_min, kinds_min) = match std::env::var_os(TRACED) {
        Some(_) => (1, 4),
        None => (tasks as u64 / 10, if cfg!(feature = "http") { 12 } else { 6 }),
    };
    assert!(done >= done_min, "{done} of {tasks} done");
    assert!(outcomes.len() >= kinds_min, "{outcomes:?}");
    // The audit file agrees.
    let failed = tasks as u64 - done;
    assert_eq!((debrief.tasks_done(), debrief.tasks_failed()), (done, failed));
}

/// The resources of this process by the system's count; `None` where it has none.
#[derive(Debug)]
struct Held {
    threads: Option<usize>,
    files: Option<usize>,
    memory_kib: Option<u64>,
}

fn held() -> Held {
    let entries = |path| std::fs::read_dir(path).ok().map(Iterator::count);
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let resident = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    Held {
        threads: entries("/proc/self/task"),
        files: entries("/proc/self/fd"),
        memory_kib: resident.and_then(|text| text.trim().trim_end_matches(" kB").parse().ok()),
    }
}

/// The load itself, in a process of its own: only there can threads and files be counted.
#[test]
#[ignore = "no test by itself: the child process of the one below"]
fn child() {
    if std::env::var_os(CHILD).is_none() {
        return;
    }
    let number = |name: &str| std::env::var(name).unwrap().parse::<u64>().unwrap();
    let (seed, tasks) = (number("SOAK_SEED"), number("SOAK_TASKS") as usize);
    let print = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| {
        // Those on purpose come by the thousand.
        if info.payload_as_str() != Some("on purpose") && !info.payload().is::<moody::Bomb>() {
            print(info);
        }
    }));
    // Fills caches, arenas and tables, so that what is counted next is what stays.
    let warm_up = if tasks > ROUND_TASKS { ROUND_TASKS } else { (tasks / 5).max(300) };
    round(!seed, warm_up);
    let before = held();
    let mut left = tasks;
    for number in 0.. {
        if left == 0 {
            break;
        }
        let these = left.min(ROUND_TASKS);
        let outcome = catch_unwind(AssertUnwindSafe(|| round(seed.wrapping_add(number), these)));
        assert!(outcome.is_ok(), "SOAK_SEED={seed} SOAK_TASKS={tasks}, round {number}");
        left -= these;
    }
    let waiting = Instant::now();
    let mut after = held();
    while (after.threads, after.files) != (before.threads, before.files)
        && waiting.elapsed() < SETTLE
    {
        std::thread::yield_now();
        after = held();
    }
    println!("before {before:?}\nafter {after:?}");
    assert_eq!((after.threads, after.files), (before.threads, before.files));
    if !runner().is_empty() {
        println!("memory left out: under an emulator it is the emulator's");
    } else if let (Some(before), Some(after)) = (before.memory_kib, after.memory_kib) {
        assert!(after <= before + MEMORY_MARGIN_KIB, "{before} KiB became {after} KiB");
    }
}

#[test]
fn load_and_faults() {
    let given = |name: &str| std::env::var(name).ok();
    let seed = given("SOAK_SEED").unwrap_or_else(|| {
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
        (now.as_nanos() as u32).to_string()
    });
    let tasks = given("SOAK_TASKS").unwrap_or_else(|| TASKS.to_string());
    println!("SOAK_SEED={seed} SOAK_TASKS={tasks}");
    let output = this_program()
        .args(["--exact", "soak::child", "--nocapture", "--ignored"])
        .env(CHILD, "1")
        .env("SOAK_SEED", &seed)
        .env("SOAK_TASKS", &tasks)
        // The failure then stands in the last lines, not above a backtrace.
        .env("RUST_BACKTRACE", "0")
        // Fewer of glibc's arenas: figures that can be compared.
        .env("MALLOC_ARENA_MAX", "2")
        .stdin(Stdio::null())
        .output()
        .unwrap();
    print!("{}", String::from_utf8_lossy(&output.stdout));
    assert!(
        output.status.success(),
        "SOAK_SEED={seed} SOAK_TASKS={tasks}: {}\n{}",
        output.status,
        String::from_utf8_lossy(&output.stderr)
    );
}
