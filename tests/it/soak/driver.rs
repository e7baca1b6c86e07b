//! One thread of a soak: spawns helpers, submits, cancels, waits, stops.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use automation_assistant::{
    AutomationHelper, Error, FnTool, HelperConfig, HelperId, Priority, TaskId, TaskRequest,
    WhenResultsFull,
};
use serde_json::{Value, json};

use super::moody::{BadDrop, Moody};
use super::{
    CONNECT_TIMEOUT, DRIVERS, HELPER_TIMEOUT, HELPERS_EACH, LATE_MAX, Ledger, Recent, World,
};
use crate::support::chance::Chance;

/// How many finished tasks a helper keeps: few, so that some are dropped.
const RESULTS_KEPT: usize = 48;
/// How often a refused request is offered again, at [`QUEUE_WAIT`] each.
const OFFERS_MAX: usize = 2_000;
const QUEUE_WAIT: Duration = Duration::from_millis(20);
/// How many tasks are remembered for others to meddle with.
const RECENT_MAX: usize = 64;
/// A callback that holds its thread when a stop gives up waiting for it.
const LONGER_THAN_A_STOP: Duration = Duration::from_millis(1500);
/// The root of the provider's certificate.
const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/tls/root.pem");
/// A port of loopback that nobody serves: it is reserved, so no test gets it by chance.
const NOBODY: &str = "http://127.0.0.1:1/v1";

/// One helper from its spawning to its end.
pub(super) struct Life {
    id: HelperId,
    handle: AutomationHelper,
    refuses: bool,
    tasks: Vec<(usize, TaskId)>,
    /// Those that callbacks have submitted.
    more: Arc<Mutex<Vec<(usize, TaskId)>>>,
    /// Results were taken or cleared: not knowing them is right.
    cleared: bool,
}

/// Submits one driver's share of the tasks; gives the helpers that still live.
pub(super) fn drive(world: &World, driver: usize) -> Vec<Life> {
    let mut chance = Chance::new(world.seed, driver as u64 | 1 << 61);
    let mut lives: Vec<_> = (0..HELPERS_EACH).map(|_| spawn(world, &mut chance)).collect();
    for n in (driver..world.tasks).step_by(DRIVERS) {
        let mut chance = Chance::new(world.seed, n as u64 | 1 << 60);
        let place = chance.below(HELPERS_EACH);
        if chance.one_in(100) {
            respawn(world, &mut chance, &mut lives[place]);
        }
        submit(world, &mut chance, &mut lives[place], n);
        meddle(world, &mut chance, &mut lives[place]);
    }
    lives
}

fn spawn(world: &World, chance: &mut Chance) -> Life {
    let refuses = chance.one_in(4);
    let config = |config: HelperConfig| {
        let full = match refuses {
            true => WhenResultsFull::RefuseTasks,
            false => WhenResultsFull::DropOldest,
        };
        config
            .timeout(HELPER_TIMEOUT)
            .queue_capacity(32)
            .max_results(RESULTS_KEPT)
            .when_results_full(full)
    };
    let threads = 1 + chance.below(4);
    let kind = if world.provider.is_some() { chance.below(9) } else { chance.below(3) };
    let spawned = match kind {
        0 => {
            let latency = chance.below(4);
            let local = HelperConfig::local().custom_param("latency_ms", latency);
            world.manager.spawn_helper(config(local).max_concurrent_tasks(threads))
        }
        1 | 2 => {
            let custom = HelperConfig::local().max_reply_bytes(64 << 10);
            let custom = config(custom).max_concurrent_tasks(threads);
            world.manager.spawn_helper_with(custom, Moody(world.seed, BadDrop))
        }
        _ => {
            let base = match (kind, world.provider) {
                (8, Some(address)) if cfg!(feature = "tls") => {
                    format!("https://localhost:{}/v1", address.port())
                }
                (3..=7, Some(address)) => format!("http://{address}/v1"),
                _ => NOBODY.to_owned(),
            };
            let http = HelperConfig::chatgpt()
                .api_endpoint(base)
                .root_certificates(ROOT)
                .api_key("sk-soak")
                .max_reply_bytes(64 << 10)
                .connect_timeout(CONNECT_TIMEOUT)
                .idle_timeout(chance.millis(40, 150))
                .max_retries(chance.below(3) as u32);
            let http = match chance.one_in(2) {
                true => http.first_byte_timeout(chance.millis(40, 150)),
                false => http,
            };
            world.manager.spawn_helper(config(http).max_concurrent_tasks(1 + threads))
        }
    };
    let id = spawned.unwrap();
    let handle = world.manager.get_helper(id).unwrap();
    Life { id, handle, refuses, tasks: Vec::new(), more: Arc::default(), cleared: false }
}

/// Stops a helper, looks at what it leaves, and spawns another in its place.
fn respawn(world: &World, chance: &mut Chance, life: &mut Life) {
    let began = Instant::now();
    if chance.one_in(3) {
        life.handle.stop();
    }
    world.manager.terminate_helper(life.id).unwrap();
    world.ledger.stopped(began.elapsed());
    let old = std::mem::replace(life, spawn(world, chance));
    verify(world, old);
}

fn request(world: &World, chance: &mut Chance, life: &Life, n: usize) -> TaskRequest {
    let filler = "p".repeat(chance.below(300));
    let mut request = TaskRequest::new(format!("soak-{n}. {filler}"))
        .context("n", n)
        .priority(*chance.pick(&[Priority::High, Priority::Normal, Priority::Low]));
    let timeout = match chance.below(60) {
        0..=19 => Some(chance.millis(20, 400)),
        // Long enough for retries.
        20..=22 => Some(Duration::from_millis(1500)),
        _ => None,
    };
    if let Some(timeout) = timeout {
        request = request.timeout(timeout);
    }
    let deadline = chance.one_in(3).then(|| chance.millis(1, 900));
    if let Some(deadline) = deadline {
        request = request.deadline(deadline);
    }
    let timeout = timeout.unwrap_or(HELPER_TIMEOUT);
    if chance.one_in(3) {
        let (panics, bad) = (chance.one_in(12), chance.one_in(12).then(|| BadDrop));
        request = request.on_text(move |_| {
            let _ = &bad;
            assert!(!panics, "on purpose");
        });
    }
    if chance.one_in(3) {
        let bad = chance.one_in(12).then(|| BadDrop);
        let echo = move |value: &Value| {
            let _ = &bad;
            Ok(value.to_string())
        };
        request = request.tool(FnTool::new("echo", "", json!({}), echo)).tool(FnTool::new(
            "breaks",
            "",
            json!({}),
            |_| panic!("on purpose"),
        ));
    }
    let ledger = Arc::clone(&world.ledger);
    let act = act(world, chance, life, n);
    request.on_done(move |task| {
        ledger.ended(n, task, (deadline, timeout));
        act();
    })
}

/// A callback's action when its task has ended.
fn act(world: &World, chance: &mut Chance, life: &Life, n: usize) -> Box<dyn FnOnce() + Send> {
    let helper = life.handle.clone();
    let recent = Arc::clone(&world.recent);
    match chance.below(1200) {
        0..=59 => Box::new(|| panic!("on purpose")),
        60..=119 => {
            let bad = BadDrop;
            Box::new(move || {
                let _held = &bad;
            })
        }
        120..=159 => Box::new(move || drop(helper.get_status())),
        160..=219 => {
            let at = chance.below(RECENT_MAX);
            Box::new(move || {
                let one = recent.lock().unwrap().get(at).cloned();
                one.map(|one| one.helper.cancel_task(one.task));
            })
        }
        // All or nothing.
        220..=224 => Box::new(move || {
            let all = recent.lock().unwrap().clone();
            for one in &all {
                one.helper.cancel_task(one.task);
            }
        }),
        225..=227 => Box::new(move || helper.stop()),
        228..=267 => {
            let (ledger, more, n) =
                (Arc::clone(&world.ledger), Arc::clone(&life.more), n + world.tasks);
            Box::new(move || submit_more(&ledger, &more, &helper, n))
        }
        // Stands for whatever else a program may do there.
        268..=279 => {
            let time = chance.millis(1, 100);
            Box::new(move || std::thread::sleep(time))
        }
        280 => Box::new(|| std::thread::sleep(LONGER_THAN_A_STOP)),
        _ => Box::new(|| {}),
    }
}

/// Submits a task from a callback; it may be refused.
fn submit_more(
    ledger: &Arc<Ledger>,
    more: &Mutex<Vec<(usize, TaskId)>>,
    helper: &AutomationHelper,
    n: usize,
) {
    let own = Arc::clone(ledger);
    let request = TaskRequest::new(format!("soak-{n}."))
        .on_done(move |task| own.ended(n, task, (None, HELPER_TIMEOUT)));
    // Held until it is noted: what was accepted before a stop can be looked at after it.
    let mut more = more.lock().unwrap();
    if let Ok(id) = helper.submit_task(request) {
        ledger.accepted(n);
        more.push((n, id));
    }
}

/// Submits until the task is accepted; the helper may have been stopped by a callback.
fn submit(world: &World, chance: &mut Chance, life: &mut Life, n: usize) {
    let mut request = request(world, chance, life, n);
    for offer in 0..OFFERS_MAX {
        let outcome = if offer == 0 {
            world.manager.submit_task(life.id, request)
        } else {
            world.manager.submit_task_wait(life.id, request, QUEUE_WAIT)
        };
        let error = match outcome {
            Ok(task) => {
                world.ledger.accepted(n);
                life.tasks.push((n, task));
                let mut recent = world.recent.lock().unwrap();
                recent.push_back(Recent { id: life.id, helper: life.handle.clone(), task });
                if recent.len() > RECENT_MAX {
                    recent.pop_front();
                }
                return;
            }
            Err(error) => error,
        };
        match &error {
            Error::QueueFull(_) if life.refuses => {
                world.manager.clear_results(life.id);
                life.cleared = true;
            }
            Error::QueueFull(_) => {}
            Error::Stopped(_) => respawn(world, chance, life),
            other => panic!("task {n}: {other:?}"),
        }
        request = error.into_request().unwrap();
    }
    panic!("queue full at task {n}");
}

/// Actions of owners on tasks, their own and others'.
fn meddle(world: &World, chance: &mut Chance, life: &mut Life) {
    let recent = {
        let recent = world.recent.lock().unwrap();
        let at = chance.below(recent.len());
        let some = |n: usize| &recent[(at + n) % recent.len()];
        [some(0), some(1), some(2)].map(|recent| (recent.id, recent.task))
    };
    let (helper, id) = recent[0];
    match chance.below(60) {
        0..=4 => drop(world.manager.cancel_task(helper, id)),
        5..=7 => {
            if let Ok(task) = world.manager.wait_task(helper, id, chance.millis(0, 30)) {
                world.ledger.check(None, &task);
            }
        }
        8 => {
            if let Ok(task) = world.manager.wait_any(&recent, chance.millis(0, 30)) {
                world.ledger.check(None, &task);
            }
        }
        9 => drop(world.manager.task_state(helper, id)),
        10 => {
            if let Some(task) = world.manager.get_task_result(helper, id) {
                world.ledger.check(None, &task);
            }
        }
        11 => {
            if let Some(&(n, id)) = life.tasks.last() {
                if let Some(task) = world.manager.take_task_result(life.id, id) {
                    world.ledger.check(Some(n), &task);
                    life.cleared = true;
                }
            }
        }
        _ => {}
    }
}

/// Looks at what a stopped helper leaves: every task's outcome, or word that it was dropped.
pub(super) fn verify(world: &World, life: Life) {
    let fault = |what: String| world.ledger.fault(format!("helper {}: {what}", life.id));
    let more = life.more.lock().unwrap().clone();
    let tasks: Vec<_> = life.tasks.iter().chain(&more).collect();
    for (n, id) in &tasks {
        match life.handle.wait_task(*id, LATE_MAX) {
            Ok(task) => world.ledger.check(Some(*n), &task),
            Err(Error::ResultDropped(_)) if tasks.len() > RESULTS_KEPT => {}
            Err(Error::UnknownTask(_)) if life.cleared => {}
            Err(error) => fault(format!("task {n}: {error:?}")),
        }
    }
    let report = life.handle.get_status();
    // A thread that a loaded machine kept longer than the stop waits is left and counted; that
    // it ends all the same, the system's own count of threads decides in the end.
    world.ledger.left_threads(report.unjoined_threads);
    if report.threads > 0 {
        world.leaving.lock().unwrap().push(life.handle.clone());
    }
    let all = report.completed_tasks == tasks.len() as u64;
    if report.queued_tasks + report.active_tasks > 0 || !all {
        fault(format!("{} tasks, but {report:?}", tasks.len()));
    }
    if life.refuses && report.dropped_results > 0 {
        fault(format!("unread results were dropped: {report:?}"));
    }
}
