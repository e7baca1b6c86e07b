//! Jobs a second, for jobs that do nothing. Prints one line for each measure; compares nothing.
//!
//! ```sh
//! cargo bench --bench speed -- embedded [FILE]
//! cargo bench --features redis --bench speed -- redis URL [JOBS]
//! cargo bench --features redis --bench speed -- floor URL [JOBS]
//! ```
//!
//! `floor` compares one push, and one job finished, with the same by hand, through the same client: a
//! bare XADD; an XREADGROUP, and a transaction of the outcome, XACK and XDEL. Without leases, fence,
//! bounds, idempotency, or a task.
//!
//! `benches/peers/run` measures RQ, Celery and BullMQ on the same server, and this.

use std::error::Error;
use std::fs::OpenOptions;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use automation_assistant::{AutomationAssistantManager, HelperConfig};
use automation_assistant_queue::{Job, JobQueue, Limits, Stop, Worker};

type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// Jobs of one batch; the peers' too.
const BATCH: usize = 50;
/// Pushes measured one at a time, and writes compared with them.
const SINGLE: usize = 1_000;

fn main() -> Result<()> {
    // Cargo adds `--bench`.
    let words: Vec<String> = std::env::args().skip(1).filter(|word| word != "--bench").collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    match words.as_slice() {
        [] => embedded(&std::env::temp_dir().join("aaq-speed.redb")),
        ["embedded"] => embedded(&std::env::temp_dir().join("aaq-speed.redb")),
        ["embedded", file] => embedded(&PathBuf::from(file)),
        #[cfg(feature = "redis")]
        ["redis", url] => redis(url, 5_000),
        #[cfg(feature = "redis")]
        ["redis", url, jobs] => redis(url, jobs.parse()?),
        #[cfg(feature = "redis")]
        ["floor", url] => floor::measure(url, SINGLE),
        #[cfg(feature = "redis")]
        ["floor", url, jobs] => floor::measure(url, jobs.parse()?),
        _ => Err("usage: speed -- embedded [FILE] | redis URL [JOBS] | floor URL [JOBS]".into()),
    }
}

fn say(what: &str, jobs: usize, took: Duration) {
    let rate = jobs as f64 / took.as_secs_f64();
    let mut out = std::io::stdout().lock();
    let _ = writeln!(out, "{what:<44}{rate:>10.0} a second");
}

fn timed<T>(work: impl FnOnce() -> Result<T>) -> Result<(T, Duration)> {
    let begun = Instant::now();
    let value = work()?;
    Ok((value, begun.elapsed()))
}

fn median(times: &mut [Duration]) -> Duration {
    times.sort_unstable();
    times[times.len() / 2]
}

fn embedded(file: &Path) -> Result<()> {
    let _ = std::fs::remove_file(file);
    let beside = file.with_extension("raw");
    let limits = Limits::new().max_jobs(1_000_000).max_results(1_000_000).max_bytes(1 << 32);
    let queue = JobQueue::open_with(file, limits.clone())?;
    let job = || Job::new("do nothing");
    // The measure of a single push: one write of a record's size, and fdatasync. In turns, so
    // that both see the same disk.
    let mut raw = OpenOptions::new().create(true).append(true).open(&beside)?;
    let (mut writes, mut pushes) = (Vec::new(), Vec::new());
    for _ in 0..SINGLE {
        let record = [b'x'; 300];
        writes.push(timed(|| Ok(raw.write_all(&record).and_then(|()| raw.sync_data())?))?.1);
        pushes.push(timed(|| Ok(queue.push(job())?))?.1);
    }
    std::fs::remove_file(&beside)?;
    let (write, push) = (median(&mut writes), median(&mut pushes));
    let mut out = std::io::stdout().lock();
    writeln!(
        out,
        "one write and fdatasync {write:?}, one push {push:?}: {:.2} times (medians of {SINGLE})",
        push.as_secs_f64() / write.as_secs_f64()
    )?;
    drop(out);
    for batch in [BATCH, 1_000] {
        let all = 20_000;
        let ((), took) = timed(|| {
            for _ in 0..all / batch {
                queue.push_all((0..batch).map(|_| job()))?;
            }
            Ok(())
        })?;
        say(&format!("embedded, pushed in batches of {batch}"), all, took);
    }
    drop(queue);
    for threads in [1, BATCH] {
        std::fs::remove_file(file)?;
        let queue = JobQueue::open_with(file, limits.clone())?;
        let all = 10_000;
        queue.push_all((0..all).map(|_| job()))?;
        let ((), took) = timed(|| work(&queue, threads))?;
        say(&format!("embedded, finished, {threads} at a time"), all, took);
    }
    std::fs::remove_file(file)?;
    Ok(())
}

fn work(queue: &JobQueue, threads: usize) -> Result<()> {
    let manager = AutomationAssistantManager::new(1);
    let config = HelperConfig::local().max_concurrent_tasks(threads);
    let helper = manager.spawn_helper(config)?;
    Worker::new(queue, &manager).helper(helper).until_empty().run(&Stop::new())?;
    Ok(())
}

#[cfg(feature = "redis")]
fn redis(url: &str, jobs: usize) -> Result<()> {
    use automation_assistant_queue::{Purge, RedisConfig};
    let limits = Limits::new().max_jobs(1_000_000).max_results(1_000_000).max_bytes(1 << 32);
    let name = format!("speed-{}", std::process::id());
    let queue = RedisConfig::new(url, name).limits(limits).connect()?;
    let job = || Job::new("do nothing");
    for batch in [1, BATCH] {
        let ((), took) = timed(|| {
            for _ in 0..jobs / batch {
                queue.push_all((0..batch).map(|_| job()))?;
            }
            Ok(())
        })?;
        say(&format!("pushed {batch} at a time"), jobs, took);
        let ((), took) = timed(|| work(&queue, batch))?;
        say(&format!("finished {batch} at a time"), jobs, took);
        queue.purge(Purge::Results)?;
    }
    Ok(())
}

/// A push and a finished job beside the least that can be done by hand.
#[cfg(feature = "redis")]
mod floor {
    use std::io::Write;
    use std::time::Duration;

    use automation_assistant_queue::{Job, JobQueue, RedisConfig};
    use redis::Connection;
    use redis::streams::StreamReadReply;

    use super::{BATCH, Result, median, timed, work};

    /// Bytes of the record of a job that does nothing, and of its outcome's.
    const RECORD_BYTES: usize = 330;
    const OUTCOME_BYTES: usize = 400;
    /// How often a measure of finished jobs is taken, in turns with the others.
    const ROUNDS: usize = 5;

    /// A stream of bare records, and commands of one's own.
    struct ByHand {
        connection: Connection,
        stream: String,
    }

    impl ByHand {
        fn outcomes(&self) -> String {
            format!("{}:outcomes", self.stream)
        }

        fn drop_all(&mut self) -> Result<()> {
            let mut del = redis::cmd("DEL");
            Ok(del.arg(&self.stream).arg(self.outcomes()).exec(&mut self.connection)?)
        }

        fn push(&mut self) -> Result<()> {
            let mut add = redis::cmd("XADD");
            add.arg(&self.stream).arg("*").arg("record").arg("x".repeat(RECORD_BYTES));
            Ok(add.exec(&mut self.connection)?)
        }

        /// Takes so many records at a time, and writes their outcomes and acknowledgements in one
        /// transaction. Gives the time of one.
        fn finish(&mut self, jobs: usize, at_a_time: usize) -> Result<Duration> {
            for _ in 0..jobs {
                self.push()?;
            }
            let mut group = redis::cmd("XGROUP");
            group.arg("CREATE").arg(&self.stream).arg("workers").arg("0");
            group.exec(&mut self.connection)?;
            let ((), took) = timed(|| {
                while self.finish_some(at_a_time)? {}
                Ok(())
            })?;
            self.drop_all()?;
            Ok(took / u32::try_from(jobs)?)
        }

        fn finish_some(&mut self, at_a_time: usize) -> Result<bool> {
            let mut read = redis::cmd("XREADGROUP");
            read.arg("GROUP").arg("workers").arg("w").arg("COUNT").arg(at_a_time);
            read.arg("STREAMS").arg(&self.stream).arg(">");
            let read: Option<StreamReadReply> = read.query(&mut self.connection)?;
            let Some(entries) = read.and_then(|mut read| read.keys.pop()) else { return Ok(false) };
            let mut write = redis::pipe();
            write.atomic();
            for entry in &entries.ids {
                write.hset(self.outcomes(), &entry.id, "y".repeat(OUTCOME_BYTES));
            }
            let ids: Vec<&str> = entries.ids.iter().map(|entry| entry.id.as_str()).collect();
            write.xack(&self.stream, "workers", &ids).xdel(&self.stream, &ids);
            write.exec(&mut self.connection)?;
            Ok(true)
        }
    }

    fn finish(queue: &JobQueue, jobs: usize, threads: usize) -> Result<Duration> {
        queue.push_all((0..jobs).map(|_| Job::new("do nothing")))?;
        let ((), took) = timed(|| work(queue, threads))?;
        Ok(took / u32::try_from(jobs)?)
    }

    /// Takes all in turns, so that each sees the same machine; prints medians.
    pub(super) fn measure(url: &str, jobs: usize) -> Result<()> {
        let name = format!("floor-{}", std::process::id());
        let queue = RedisConfig::new(url, name.as_str()).connect()?;
        let connection = redis::Client::open(url)?.get_connection()?;
        let mut by_hand = ByHand { connection, stream: format!("{name}:bare") };
        let (mut adds, mut pushes) = (Vec::new(), Vec::new());
        for _ in 0..jobs {
            adds.push(timed(|| by_hand.push())?.1);
            pushes.push(timed(|| Ok(queue.push(Job::new("do nothing"))?))?.1);
        }
        work(&queue, BATCH)?;
        by_hand.drop_all()?;
        let mut lines =
            vec![("push, 1 at a time".to_owned(), median(&mut adds), median(&mut pushes))];
        for batch in [1, BATCH] {
            let (mut bare, mut ours) = (Vec::new(), Vec::new());
            for _ in 0..ROUNDS {
                bare.push(by_hand.finish(jobs, batch)?);
                ours.push(finish(&queue, jobs, batch)?);
            }
            let what = format!("finished job, {batch} at a time");
            lines.push((what, median(&mut bare), median(&mut ours)));
        }
        let mut out = std::io::stdout().lock();
        for (what, by_hand, ours) in lines {
            let times = ours.as_secs_f64() / by_hand.as_secs_f64();
            writeln!(out, "a {what}: by hand {by_hand:?}, ours {ours:?}: {times:.2} times")?;
        }
        Ok(())
    }
}
