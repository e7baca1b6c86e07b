//! Many workers on one server, and what can happen to it and to them.

use std::net::TcpListener;
use std::time::{Duration, Instant};

use automation_assistant::{AutomationAssistantManager, HelperConfig, HelperId};
use automation_assistant_queue::{
    Error, Job, JobQueue, JobState, Limits, RedisConfig, Stop, Worker, WorkerPhase,
};

use crate::support::program::{Program, tally};
use crate::support::proxy::Proxy;
use crate::support::server::RedisServer;
use crate::support::{LONG, until};

const LEASE: Duration = Duration::from_millis(400);

fn queue(url: &str) -> JobQueue {
    RedisConfig::new(url, "q").retry_for(LONG).connect().unwrap()
}

fn helper(latency_ms: u32) -> (AutomationAssistantManager, HelperId) {
    let manager = AutomationAssistantManager::new(1);
    let config = HelperConfig::local().custom_param("latency_ms", latency_ms);
    let helper = manager.spawn_helper(config).unwrap();
    (manager, helper)
}

fn jobs(n: usize) -> impl Iterator<Item = Job> {
    let job = |n| Job::new(format!("job number {n}")).key(format!("job-{n}"));
    (1..=n).map(move |n| job(n).max_deliveries(1_000))
}

fn program(name: &str, url: &str, more: &[&str]) -> Program {
    let args = [&["--redis", url, "--stream", "q"], more].concat();
    Program::start(name, &args)
}

fn worker(url: &str, lease: Duration, latency_ms: u32) -> Program {
    let (lease, latency) = (lease.as_millis().to_string(), latency_ms.to_string());
    program("fleet_worker", url, &["--lease-ms", &lease, "--latency-ms", &latency, "--until-empty"])
}

/// Each key stands there once.
fn assert_each_once(lines: &[String], word: &str, n: usize) {
    let keys = tally(lines, word);
    let twice: Vec<_> = keys.iter().filter(|(_, count)| **count > 1).collect();
    assert!(twice.is_empty(), "{twice:?}");
    assert_eq!(keys.len(), n);
}

#[test]
fn two_terminals_show_a_busy_fleet() {
    let Some(server) = RedisServer::start(&["--appendfsync", "no"]) else { return };
    let url = server.url();
    let mut pushes = program("fleet_push", &url, &["--jobs", "100"]);
    let (pushed, ended) = pushes.end();
    assert!(ended);
    assert_each_once(&pushed, "pushed ", 100);
    // Run again: nothing is pushed or printed twice, and the list goes on.
    assert_each_once(&program("fleet_push", &url, &["--jobs", "120"]).end().0, "pushed ", 20);
    let mut workers: Vec<_> = (0..3).map(|_| worker(&url, LONG, 2)).collect();
    let finished: Vec<_> = workers.iter_mut().flat_map(|worker| worker.end().0).collect();
    assert_each_once(&finished, "finished ", 120);
    let (table, ended) = program("fleet_top", &url, &["--once"]).end();
    assert!(ended);
    let row = |name: &str| {
        let line = table.iter().find(|line| line.starts_with(name)).unwrap();
        line.split_whitespace().find_map(|word| word.parse::<u64>().ok()).unwrap()
    };
    assert_eq!((row("waiting"), row("leased"), row("finished"), row("workers")), (0, 0, 120, 0));
    assert!(!table.concat().contains('\x1b'));
}

#[test]
fn workers_that_are_killed_lose_nothing_and_their_lines_are_printed_by_others() {
    let Some(server) = RedisServer::start(&["--appendfsync", "no"]) else { return };
    let url = server.url();
    queue(&url).push_all(jobs(150)).unwrap();
    let (mut lines, mut swallowed) = (Vec::new(), Vec::new());
    for _ in 0..6 {
        let victim = worker(&url, LEASE, 5);
        until("it is busy", || victim.count() >= 5);
        let mut printed = victim.kill();
        // Its last line may not have been known to be printed: it may come again.
        swallowed.extend(printed.pop());
        lines.extend(printed);
    }
    let mut workers: Vec<_> = (0..2).map(|_| worker(&url, LEASE, 5)).collect();
    workers.iter_mut().for_each(|worker| lines.extend(worker.end().0));
    let again: Vec<_> = swallowed.into_iter().filter(|line| !lines.contains(line)).collect();
    lines.extend(again);
    assert_each_once(&lines, "finished ", 150);
    let stats = queue(&url).stats().unwrap();
    assert_eq!((stats.finished, stats.dead, stats.waiting, stats.leased), (150, 0, 0, 0));
    // At most the job that each victim had.
    assert!(stats.redelivered <= 6, "{stats:?}");
}

#[test]
fn a_worker_stopped_past_its_lease_is_fenced() {
    let Some(server) = RedisServer::start(&["--appendfsync", "no"]) else { return };
    let url = server.url();
    let queue = queue(&url);
    let id = queue.push(Job::new("x").key("job-1")).unwrap();
    let mut first = worker(&url, LEASE, 300);
    until("it has the job", || queue.status(id).unwrap().unwrap().state == JobState::Working);
    first.signal("STOP");
    let mut second = worker(&url, LEASE, 1);
    let (lines, ended) = second.end();
    assert!(ended);
    assert_eq!(lines, ["finished job-1"]);
    let outcome = queue.result(id).unwrap().unwrap();
    first.signal("CONT");
    let (lines, ended) = first.end();
    assert!(ended && lines.is_empty(), "{lines:?}");
    // Not a byte of it was changed.
    assert_eq!(queue.result(id).unwrap().unwrap(), outcome);
    assert_eq!((outcome.attempt, queue.stats().unwrap().finished), (2, 1));
}

#[test]
fn a_server_that_is_killed_and_started_again_is_waited_for() {
    let Some(mut server) = RedisServer::start(&["--appendfsync", "always"]) else { return };
    let url = server.url();
    queue(&url).push_all(jobs(100)).unwrap();
    let mut workers: Vec<_> = (0..2).map(|_| worker(&url, LEASE, 3)).collect();
    for round in 1..=3 {
        until("they are busy", || workers.iter().map(Program::count).sum::<usize>() >= round * 15);
        server.kill();
        assert!(workers.iter_mut().all(Program::is_running));
        assert!(server.launch());
    }
    // A producer can rely on a confirmed push.
    let queue = queue(&url);
    let pushed = queue.push(Job::new("x").key("late")).unwrap();
    server.kill();
    assert!(server.launch());
    let lines: Vec<_> = workers.iter_mut().flat_map(|worker| worker.end().0).collect();
    assert_each_once(&lines, "finished ", 101);
    assert_eq!(queue.wait(pushed, LONG).unwrap().state, JobState::Completed);
}

/// Runs a worker until it is stopped after `test`; gives how long its end took.
fn stopped(worker: Worker<'_>, test: impl FnOnce()) -> Duration {
    let stop = Stop::new();
    std::thread::scope(|scope| {
        let running = scope.spawn(|| worker.run(&stop));
        test();
        let begun = Instant::now();
        stop.stop();
        let _ = running.join().unwrap();
        begun.elapsed()
    })
}

/// Of the stops below: what is measured takes a fraction of it, what it guards against a minute.
const SOON: Duration = Duration::from_secs(8);

#[test]
fn a_stop_while_the_server_is_away_ends_within_a_bound() {
    let Some(mut server) = RedisServer::start(&["--appendfsync", "no"]) else { return };
    // A producer of the same handle is patient; a stopped worker is not.
    let queue = queue(&server.url());
    let (manager, helper) = helper(60_000);
    let worker = Worker::new(&queue, &manager).helper(helper).lease(LEASE).on_outcome(|_| ());
    let direct = queue.clone();
    let took = stopped(worker, || {
        direct.push("x").unwrap();
        until("it is busy", || direct.stats().unwrap().leased == 1);
        server.kill();
        // In its place somebody who hangs up. The sixth try is later than a lease: the worker has
        // renewed by then, and looked for outcomes of others.
        let hangs_up = TcpListener::bind(("127.0.0.1", server.port)).unwrap();
        (0..6).for_each(|_| drop(hangs_up.accept().unwrap()));
    });
    // Five seconds of them for handing its job back.
    assert!(took < SOON, "{took:?}");
}

#[test]
fn a_stop_wakes_a_worker_that_waits_for_work() {
    let Some(server) = RedisServer::start(&["--appendfsync", "no"]) else { return };
    let queue = queue(&server.url());
    let (manager, helper) = helper(0);
    let worker = Worker::new(&queue, &manager).helper(helper).poll(LONG);
    let took = stopped(worker, || {
        until("it waits", || server.say("CLIENT LIST").unwrap().contains("cmd=blpop"));
    });
    assert!(took < SOON, "{took:?}");
    assert_eq!(queue.stats().unwrap().workers.len(), 0);
}

#[test]
fn jobs_that_have_come_when_a_worker_is_stopped_go_back_at_once_and_uncounted() {
    let Some(server) = RedisServer::start(&["--appendfsync", "no"]) else { return };
    let queue = queue(&server.url());
    let id = queue.push("x").unwrap();
    let (manager, helper) = helper(0);
    let stop = Stop::new();
    let at_once = stop.clone();
    let worker = Worker::new(&queue, &manager).helper(helper).on_phase(move |phase| {
        if phase == WorkerPhase::Leased {
            at_once.stop();
        }
    });
    assert_eq!(worker.run(&stop).unwrap().handed_back, 1);
    let status = queue.status(id).unwrap().unwrap();
    assert_eq!((status.state, status.deliveries), (JobState::Submitted, 0));
    assert_eq!(manager.get_all_helpers_status()[0].completed_tasks, 0);
}

#[test]
fn connections_that_are_cut_and_answers_that_are_lost_cost_no_job() {
    let Some(server) = RedisServer::start(&["--appendfsync", "no"]) else { return };
    let proxy = Proxy::to(server.port);
    let through = queue(&proxy.url());
    let (manager, helper) = helper(1);
    let stop = Stop::new();
    let mut reported = Vec::new();
    let report = std::thread::scope(|scope| {
        let running = scope.spawn(|| {
            let worker = Worker::new(&through, &manager).helper(helper).lease(LEASE);
            let worker = worker.on_outcome(|outcome| reported.push(outcome.key.clone().unwrap()));
            worker.run(&stop).unwrap()
        });
        let mut rounds = 0;
        for chunk in jobs(300).collect::<Vec<_>>().chunks(10) {
            // Pushed through the same line, with the same keys, until it is certain.
            let mut tries = 0;
            while through.push_all(chunk.to_vec()).is_err() {
                tries += 1;
                assert!(tries < 100);
            }
            rounds += 1;
            match rounds % 3 {
                0 => proxy.cut(),
                1 => {
                    proxy.swallow(true);
                    std::thread::sleep(Duration::from_millis(5));
                    proxy.swallow(false);
                }
                _ => {}
            }
        }
        let direct = queue(&server.url());
        until("all is done", || direct.stats().unwrap().finished >= 300);
        stop.stop();
        running.join().unwrap()
    });
    reported.sort_unstable();
    let all = reported.len();
    reported.dedup();
    assert_eq!((reported.len(), all), (300, 300), "{report:?}");
    let stats = queue(&server.url()).stats().unwrap();
    assert_eq!((stats.pushed, stats.finished, stats.dead), (300, 300, 0));
}

#[test]
fn a_server_out_of_memory_takes_no_jobs_and_takes_outcomes() {
    let Some(server) = RedisServer::start(&["--appendfsync", "no"]) else { return };
    let url = server.url();
    let queue = queue(&url);
    let ids = queue.push_all(jobs(20)).unwrap();
    server.say("CONFIG SET maxmemory 1").unwrap();
    let error = queue.push("one more").unwrap_err();
    assert!(matches!(&error, Error::Full(why) if why.contains("out of memory")), "{error}");
    assert!(error.is_passing());
    assert_eq!(queue.stats().unwrap().waiting, 20);
    // Work goes on: an outcome takes the place of its job's record.
    let (manager, helper) = helper(0);
    let worker = Worker::new(&queue, &manager).helper(helper).until_empty();
    assert_eq!(worker.run(&Stop::new()).unwrap().completed, 20);
    assert_eq!(queue.result(ids[0].id).unwrap().unwrap().state, JobState::Completed);
    server.say("CONFIG SET maxmemory 0").unwrap();
    queue.push("one more").unwrap();
}

#[test]
fn a_server_that_would_evict_jobs_is_refused() {
    let options = ["--maxmemory", "100mb", "--maxmemory-policy", "allkeys-lru"];
    let Some(server) = RedisServer::start(&options) else { return };
    let error = RedisConfig::new(server.url(), "q").connect().unwrap_err();
    assert!(matches!(&error, Error::InvalidConfig(why) if why.contains("noeviction")), "{error}");
}

#[test]
fn a_wrong_password_is_reported_and_not_shown() {
    let Some(server) = RedisServer::start(&["--requirepass", "s3cret-right"]) else { return };
    let at = |user: &str| format!("redis://{user}127.0.0.1:{}", server.port);
    for user in ["", ":s3cret-wrong@", "nobody:s3cret-wrong@"] {
        let config = RedisConfig::new(at(user), "q").retry_for(Duration::ZERO);
        assert!(!format!("{config:?}").contains("s3cret"));
        let begun = Instant::now();
        let error = config.connect().unwrap_err();
        assert!(matches!(&error, Error::Refused { what, .. } if what.contains("password")));
        let shown = format!("{error} {error:?}");
        assert!(shown.contains("127.0.0.1") && !shown.contains("s3cret"), "{shown}");
        assert!(begun.elapsed() < Duration::from_secs(4));
    }
    let queue = RedisConfig::new(at(":s3cret-right@"), "q").connect().unwrap();
    queue.push("x").unwrap();
    assert!(!format!("{queue:?}").contains("s3cret"));
    // Changed while a worker runs: it goes on once it is right again.
    for bad in ["redis://:p@", "http://127.0.0.1", "redis://:s3cret@host:port", ""] {
        let error = RedisConfig::new(bad, "q").connect().unwrap_err();
        assert!(!error.to_string().contains("s3cret"), "{error}");
    }
    let out = std::process::Command::new(crate::support::example("fleet_top"))
        .args(["--redis", &at(":s3cret-wrong@"), "--stream", "q", "--once"])
        .output()
        .unwrap();
    assert!(!out.status.success());
    assert!(!String::from_utf8_lossy(&out.stderr).contains("s3cret"));
}

#[test]
fn a_read_only_replica_is_recognized() {
    let Some(primary) = RedisServer::start(&[]) else { return };
    let of = format!("127.0.0.1 {}", primary.port);
    let Some(replica) = RedisServer::start(&["--replicaof", &of]) else { return };
    queue(&primary.url()).push("x").unwrap();
    let queue = RedisConfig::new(replica.url(), "q").retry_for(Duration::ZERO).connect().unwrap();
    until("it has caught up", || queue.stats().is_ok_and(|stats| stats.waiting == 1));
    let error = queue.push("y").unwrap_err();
    assert!(matches!(&error, Error::Refused { what, .. } if what.contains("replica")), "{error}");
    let (manager, helper) = helper(0);
    let error = Worker::new(&queue, &manager).helper(helper).run(&Stop::new()).unwrap_err();
    assert!(matches!(&error, Error::Refused { what, .. } if what.contains("replica")), "{error}");
}

#[test]
fn a_server_that_is_not_there_is_named_by_its_address() {
    let Some(mut server) = RedisServer::start(&[]) else { return };
    let config = RedisConfig::new(server.url(), "q").retry_for(Duration::ZERO);
    let queue = config.clone().connect().unwrap();
    server.kill();
    for error in [config.connect().unwrap_err(), queue.push("x").unwrap_err()] {
        assert!(matches!(error, Error::Unreachable { .. }) && error.is_passing(), "{error}");
        assert!(error.to_string().contains(&server.port.to_string()), "{error}");
    }
}

#[test]
fn a_job_is_cancelled_while_it_runs_elsewhere() {
    let Some(server) = RedisServer::start(&["--appendfsync", "no"]) else { return };
    let url = server.url();
    let queue = queue(&url);
    let id = queue.push("x").unwrap();
    let mut elsewhere = worker(&url, LEASE, 60_000);
    until("it runs", || queue.status(id).unwrap().unwrap().state == JobState::Working);
    let begun = Instant::now();
    assert!(queue.cancel(id).unwrap());
    assert_eq!(queue.wait(id, LONG).unwrap().state, JobState::Canceled);
    // With the next renewal, a third of the lease.
    assert!(begun.elapsed() < LEASE, "{:?}", begun.elapsed());
    assert!(elsewhere.end().1);
}

#[test]
fn an_unreadable_job_fails_and_stops_nobody() {
    let Some(server) = RedisServer::start(&[]) else { return };
    let queue = queue(&server.url());
    let ids = queue.push_all(jobs(3)).unwrap();
    server.say(&format!("HSET aaq:{{q}}:job:{} record nonsense", ids[1].id)).unwrap();
    let (manager, helper) = helper(0);
    let report = Worker::new(&queue, &manager).helper(helper).until_empty().run(&Stop::new());
    let report = report.unwrap();
    assert_eq!((report.completed, report.failed), (2, 1));
    let error = queue.result(ids[1].id).unwrap().unwrap().error.unwrap();
    assert_eq!(error.kind, "invalid_request");
}

#[test]
fn limits_hold_over_all_handles() {
    let Some(server) = RedisServer::start(&[]) else { return };
    let small = || {
        let limits = Limits::new().max_jobs(10);
        RedisConfig::new(server.url(), "q").limits(limits).connect().unwrap()
    };
    let pushed: usize = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..4)
            .map(|_| scope.spawn(|| (0..10).filter(|_| small().push("x").is_ok()).count()))
            .collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).sum()
    });
    assert_eq!((pushed, small().stats().unwrap().waiting), (10, 10));
}
