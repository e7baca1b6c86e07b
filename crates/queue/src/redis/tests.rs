//! The rules of every engine, run over Redis, and the faults that only Redis has.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use super::link::Link;
use super::scripts::Script;
use crate::conformance::{Make, conformance};
use crate::engine::{Delivery, End, Ended, Exchange, How, Purge, Recover, Renewed};
use crate::error::Error;
use crate::id::JobId;
use crate::job::Job;
use crate::limits::Limits;
use crate::outcome::JobOutcome;
use crate::queue::JobQueue;
use crate::redis::RedisConfig;
use crate::state::JobState;

#[path = "../../tests/support/server.rs"]
mod server;

use server::RedisServer;

/// Runs a test over queues of one server, each of a name of its own.
fn with_server(test: fn(Make<'_>)) {
    let Some(server) = RedisServer::start(&["--appendfsync", "no"]) else { return };
    let count = AtomicU32::new(0);
    test(&|limits: Limits| {
        let name = format!("queue-{}", count.fetch_add(1, Ordering::Relaxed));
        RedisConfig::new(server.url(), name).limits(limits).connect().unwrap()
    });
}

conformance!(with_server);

/// A server, and a way to queues on it.
struct Bench(RedisServer);

impl Bench {
    fn new() -> Option<Self> {
        RedisServer::start(&["--appendfsync", "no"]).map(Self)
    }

    fn queue(&self) -> JobQueue {
        RedisConfig::new(self.0.url(), "q").connect().unwrap()
    }

    /// Says a command in words; the queue's prefix stands for `Q`.
    fn say(&self, command: &str) -> String {
        self.0.say(&command.replace('Q', "aaq:{q}")).unwrap()
    }
}

const LONG: Duration = Duration::from_secs(60);
const LANE: &str = "Q:lane:1:";

fn ask<'a>(worker: &'a str, want: usize, lease: Duration) -> Exchange<'a> {
    Exchange {
        worker,
        lease,
        ends: &[],
        held: &[],
        reported: &[],
        want,
        again: usize::MAX,
        tools: &[],
        recover: Recover::No,
        report: false,
    }
}

fn lease(queue: &JobQueue, worker: &str, want: usize) -> Vec<Delivery> {
    queue.engine.exchange(&ask(worker, want, LONG)).unwrap().jobs
}

fn push(queue: &JobQueue, jobs: usize) -> Vec<JobId> {
    let jobs = (0..jobs).map(|n| Job::new(format!("job {n}")));
    queue.push_all(jobs).unwrap().into_iter().map(|pushed| pushed.id).collect()
}

fn until<T>(mut look: impl FnMut() -> Option<T>) -> T {
    let end = Instant::now() + LONG;
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(Instant::now() < end, "it never came");
        std::thread::sleep(Duration::from_millis(5));
    }
}

fn complete(job: &Delivery) -> End {
    let outcome = JobOutcome::without_result(job.hold.id, JobState::Canceled, None);
    let how = How::Outcome { state: JobState::Canceled, record: outcome.write() };
    End { hold: job.hold, how }
}

/// opik#8137: who begins at `0-0` each time never sees what lies behind the entries of those
/// who live.
#[test]
fn the_cursor_of_xautoclaim_is_carried_opik_8137() {
    let Some(bench) = Bench::new() else { return };
    let queue = bench.queue();
    push(&queue, 2_510);
    // More living leases than one sweep looks at, and ten of a dead worker behind them.
    assert_eq!(lease(&queue, "lives", 2_500).len(), 2_500);
    let dead = queue.engine.exchange(&ask("dies", 10, Duration::from_millis(1))).unwrap().jobs;
    let mut found = Vec::new();
    until(|| {
        found.extend(lease(&queue, "heir", 10));
        (found.len() >= dead.len()).then_some(())
    });
    let ids = |jobs: &[Delivery]| {
        let mut ids: Vec<_> = jobs.iter().map(|job| job.hold.id).collect();
        ids.sort_unstable();
        ids
    };
    assert_eq!(ids(&found), ids(&dead));
    assert!(bench.say("HGET Q:meta cursor:1:").contains('-'));
}

/// Redis 8.4 alone knows `XREADGROUP … CLAIM`; redis#5570: trimming by length drops pending
/// work.
#[test]
fn scripts_neither_claim_while_reading_nor_trim_by_length_redis_5570() {
    for script in Script::ALL {
        let text = script.text();
        for word in ["'CLAIM'", "XTRIM", "MAXLEN", "MINID", "XACKDEL", "XDELEX", "FUNCTION"] {
            assert!(!text.contains(word), "{script:?}: {word}");
        }
    }
    let Some(bench) = Bench::new() else { return };
    let queue = bench.queue();
    push(&queue, 20_000);
    assert_eq!(bench.say(&format!("XLEN {LANE}")), ":20000\r\n");
    assert_eq!(queue.stats().unwrap().waiting, 20_000);
}

/// redis#10198: what somebody deleted comes back nil from 6.2, and is dropped from the pending
/// list by 7.0. Either way the job is not lost.
#[test]
fn jobs_whose_entries_were_deleted_are_found_again_redis_10198() {
    let Some(bench) = Bench::new() else { return };
    let queue = bench.queue();
    let mut ids = push(&queue, 6);
    // Two leased by one who dies, two by one who lives, two not given to anybody.
    let short = Duration::from_millis(50);
    queue.engine.exchange(&ask("dies", 2, short)).unwrap();
    let held: Vec<_> = lease(&queue, "lives", 2).iter().map(|job| job.hold).collect();
    assert_eq!(bench.say(&format!("XTRIM {LANE} MAXLEN 0")), ":6\r\n");
    // The living one gets a report that its leases are gone, instead of working in vain for ever.
    let renewed = Exchange { held: &held, ..ask("lives", 0, LONG) };
    assert_eq!(queue.engine.exchange(&renewed).unwrap().held, [Renewed::Lost; 2]);
    let mut found = Vec::new();
    until(|| {
        found.extend(lease(&queue, "heir", 9).into_iter().map(|job| job.hold.id));
        (found.len() >= 6).then_some(())
    });
    found.sort_unstable();
    ids.sort_unstable();
    assert_eq!(found, ids);
    assert_eq!(queue.stats().unwrap().leased, 6);
}

/// wavefront#287: a worker that begins anew first takes what is its own by name.
#[test]
fn at_start_a_worker_reads_its_own_pending_entries_from_0_wavefront_287() {
    let Some(bench) = Bench::new() else { return };
    let queue = bench.queue();
    push(&queue, 3);
    let before = lease(&queue, "phone", 2);
    // Killed, and started again under its name, long before its lease is over.
    let start = Exchange { recover: Recover::Start, ..ask("phone", 2, LONG) };
    let jobs = queue.engine.exchange(&start).unwrap().jobs;
    let ids = |jobs: &[Delivery]| jobs.iter().map(|job| job.hold.id).collect::<Vec<_>>();
    assert_eq!(ids(&jobs), ids(&before));
    assert!(jobs.iter().all(|job| job.deliveries == 2 && job.hold.attempt == 2));
    let ends: Vec<_> = before.iter().map(complete).collect();
    let late = Exchange { ends: &ends, ..ask("phone", 0, LONG) };
    assert_eq!(queue.engine.exchange(&late).unwrap().ends, [Ended::Fenced; 2]);
}

/// The answer with two leases was lost: they were never begun, and count for nothing.
#[test]
fn leases_of_a_lost_answer_are_taken_again_uncounted() {
    let Some(bench) = Bench::new() else { return };
    let queue = bench.queue();
    push(&queue, 3);
    let known = lease(&queue, "w", 1)[0].hold;
    lease(&queue, "w", 1);
    let again = Exchange { held: &[known], recover: Recover::LostAnswer, ..ask("w", 2, LONG) };
    let out = queue.engine.exchange(&again).unwrap();
    assert_eq!(out.held, [Renewed::Held]);
    let counts: Vec<_> = out.jobs.iter().map(|job| (job.deliveries, job.hold.attempt)).collect();
    assert_eq!(counts, [(1, 2), (1, 1)]);
}

#[test]
fn a_worker_goes_on_while_the_server_works_on_its_call() {
    let Some(bench) = Bench::new() else { return };
    let queue = bench.queue();
    push(&queue, 2);
    lease(&queue, "w", 1);
    // No answer comes before this is said.
    bench.say("CLIENT PAUSE 600000 WRITE");
    let mut calls = 0;
    let out = queue.engine.exchange_while(&ask("w", 1, LONG), &mut || {
        calls += 1;
        bench.say("CLIENT UNPAUSE");
    });
    assert_eq!((out.unwrap().jobs.len(), calls), (1, 1));
}

/// A hostile peer on the same server: nothing of it is read unmeasured, run or believed.
#[test]
fn what_a_hostile_peer_writes_is_bounded_and_buried() {
    let Some(bench) = Bench::new() else { return };
    let queue = bench.queue();
    let ids = push(&queue, 4);
    let big = "x".repeat(40_000);
    // Doubled in the server to more than a record may have.
    let double = |id: JobId, field: &str| {
        let key = format!("aaq:{{q}}:job:{id}");
        let script = "local r = redis.call('HGET', KEYS[1], ARGV[1]) \
                      redis.call('HSET', KEYS[1], ARGV[1], r .. r)";
        bench.0.say_words(&["EVAL", script, "1", &key, field]).unwrap();
    };
    bench.say(&format!("HSET Q:job:{} record {big}", ids[0]));
    (0..8).for_each(|_| double(ids[0], "record"));
    bench.say(&format!("HDEL Q:job:{} record", ids[1]));
    bench.say(&format!("HSET Q:job:{} record not-json", ids[2]));
    bench.say(&format!("HSET Q:job:{} worker {big}", ids[3]));
    bench.say(&format!("XADD {LANE} 9999-0 id nonsense"));
    let jobs = lease(&queue, "w", 9);
    // Too large and missing ones are buried unread; what is no JSON is the worker's to refuse.
    assert_eq!(jobs.iter().map(|job| job.hold.id).collect::<Vec<_>>(), [ids[2], ids[3]]);
    assert!(crate::record::read_job(&jobs[0].record).is_err());
    let dead: Vec<_> = queue.dead(9).unwrap().into_iter().map(|job| job.id).collect();
    assert_eq!(dead, [ids[0], ids[1]]);
    bench.say(&format!("HSET Q:job:{} worker {big}", ids[3]));
    assert!(matches!(queue.status(ids[3]), Err(Error::BadRecord(_))));
    bench.say(&format!("HSET Q:job:{} state completed outcome {big}", ids[2]));
    (0..6).for_each(|_| double(ids[2], "outcome"));
    let error = queue.result(ids[2]).unwrap_err();
    assert!(matches!(&error, Error::BadRecord(why) if why.contains("max_result_bytes")), "{error}");
    bench.say("DEL Q:done");
    bench.say("SET Q:done 1");
    let error = queue.stats().unwrap_err();
    assert!(
        matches!(&error, Error::Refused { what, .. } if what.contains("foreign type")),
        "{error}"
    );
}

#[test]
fn a_queue_of_a_newer_version_is_refused() {
    let Some(bench) = Bench::new() else { return };
    let queue = bench.queue();
    bench.say("HSET Q:meta format 2");
    let newer = |error| matches!(error, Error::NewerFormat { found: 2, known: 1, .. });
    assert!(newer(queue.push("x").unwrap_err()));
    assert!(newer(queue.engine.exchange(&ask("w", 1, LONG)).unwrap_err()));
    assert!(newer(RedisConfig::new(bench.0.url(), "q").connect().unwrap_err()));
}

/// Random names leave nothing behind: a fleet that restarts for years must not fill the server.
#[test]
fn consumers_of_workers_that_left_or_died_are_dropped() {
    let Some(bench) = Bench::new() else { return };
    let queue = bench.queue();
    push(&queue, 1);
    let consumers = || bench.say(&format!("XINFO CONSUMERS {LANE} workers"));
    lease(&queue, "idle-one", 1);
    lease(&queue, "leaves", 1);
    queue.engine.leave("leaves").unwrap();
    // One with a lease keeps it.
    queue.engine.leave("idle-one").unwrap();
    let left = consumers();
    assert!(!left.contains("leaves") && left.contains("idle-one"), "{left}");
    // One that was killed long ago; tidied up by the next worker that looks for work.
    bench.say(&format!("XGROUP CREATECONSUMER {LANE} workers killed"));
    assert!(consumers().contains("killed"));
    bench.say("ZADD Q:workers 1 killed");
    bench.say("HDEL Q:meta tidy");
    lease(&queue, "w", 1);
    assert!(!consumers().contains("killed"));
}

/// The commands of Redis 6.2 that a queue uses.
const KNOWN: &str = "blpop del evalsha exists expire get hdel hget hincrby hlen hmget hscan hset \
    hstrlen info llen ping rpush sadd scard script|load set sismember smembers \
    time xack xadd xautoclaim xclaim xdel xgroup|create xgroup|delconsumer xlen \
    xpending xrange xreadgroup zadd zcard zrange zrangebyscore zrem zscore";

/// The commands and their forms stand in Redis 6.2's documentation.
#[test]
fn only_commands_of_redis_6_2_are_used() {
    let Some(bench) = Bench::new() else { return };
    let queue = bench.queue();
    let id = queue.push(Job::new("x").key("k").max_deliveries(1)).unwrap();
    queue.push("y").unwrap();
    let job = lease(&queue, "w", 1).pop().unwrap();
    let retry = How::Retry { reason: "no".into(), delay: Duration::ZERO, counts: true };
    let end = End { hold: job.hold, how: retry };
    let held = [job.hold];
    queue.engine.exchange(&Exchange { held: &held, ..ask("w", 1, LONG) }).unwrap();
    queue.engine.exchange(&Exchange { ends: &[end], report: true, ..ask("w", 1, LONG) }).unwrap();
    queue.retry_dead(id).unwrap();
    queue.cancel(id).unwrap();
    queue.set_bookmark("b", 1).unwrap();
    queue.bookmark("b").unwrap();
    queue.engine.wait_for_work("w", Duration::from_millis(2)).unwrap();
    queue.engine.wake("w").unwrap();
    queue.engine.adopt_unreported("v", LONG, true).unwrap();
    queue.engine.leave("w").unwrap();
    for what in [Purge::Results, Purge::Dead, Purge::Waiting] {
        queue.purge(what).unwrap();
    }
    queue.stats().unwrap();
    let used = bench.say("INFO commandstats");
    for line in used.lines().filter_map(|line| line.strip_prefix("cmdstat_")) {
        let name = line.split(':').next().unwrap();
        assert!(KNOWN.split(' ').any(|known| known == name), "{name}");
    }
}

/// A request may be under way for longer than the time-out; the time of the caller meanwhile counts
/// for nothing.
#[test]
fn a_long_request_over_a_slow_link_is_waited_for() {
    let timeout = Duration::from_millis(300);
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("redis://{}", listener.local_addr().unwrap());
    let (server, name) = RedisConfig::new(url, "q").server().unwrap();
    let link = Link::new(server, name, timeout);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let (mut client, _) = listener.accept().unwrap();
            assert!(client.read(&mut [0; 65_536]).unwrap() > 0);
            client.write_all(b"$6\r\ndigest\r\n").unwrap();
            let mut request = vec![0; 128 << 10];
            client.read_exact(&mut request).unwrap();
            // As long as the rest of it takes.
            client.set_read_timeout(Some(timeout * 2)).unwrap();
            while client.read(&mut request).is_ok_and(|len| len > 0) {}
            client.write_all(b"+done\r\n").unwrap();
        });
        let args = vec![vec![b'x'; 128 << 10]];
        let mut meanwhile = || std::thread::park_timeout(timeout / 2);
        let answer = link.run(Script::Push, "key", &args, &mut meanwhile).unwrap();
        assert_eq!(answer, redis::Value::SimpleString("done".into()));
    });
}

#[test]
fn a_url_that_cannot_be_used_says_why() {
    let form = "not of the form redis://";
    let tls = (!cfg!(feature = "rediss")).then_some("the cargo feature \"rediss\"");
    for (url, why) in [
        ("redis://h:1/2", None),
        ("valkey://user:s3cret@h", None),
        ("rediss://:s3cret@h", tls),
        ("REDISS://h", tls),
        ("valkeys://h", tls),
        ("http://:s3cret@h", Some(form)),
        ("redis://:s3cret@h/none", Some(form)),
        ("", Some(form)),
    ] {
        let error = RedisConfig::new(url, "q").server().err().map(|error| error.to_string());
        let error = error.unwrap_or_default();
        assert!(error.contains(why.unwrap_or_default()), "{url}: {error}");
        assert_eq!(error.is_empty(), why.is_none(), "{url}: {error}");
        assert!(!error.contains("s3cret"), "{error}");
    }
}
