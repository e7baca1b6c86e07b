//! Jobs a second, for jobs that do nothing. Prints one line for each measure; compares nothing.
//!
//! ```sh
//! cargo bench --bench speed -- embedded [FILE]
//! cargo bench --features redis --bench speed -- redis URL [JOBS]
//! cargo bench --features redis --bench speed -- floor URL [JOBS]
//! ```
//!
//! `floor` compares one push, and one job finished, with the least that a server can do durably: a
//! bare XADD of a record of the same size, by the same client on the same connection settings.
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

/// One at a time: a push and a finished job beside a bare XADD.
#[cfg(feature = "redis")]
mod floor {
    use std::io::Write;
    use std::sync::mpsc::channel;
    use std::sync::{Arc, Mutex, PoisonError};
    use std::time::{Duration, Instant};

    use automation_assistant::{
        AiBackend, AutomationAssistantManager, CallContext, ErrorKind, HelperConfig, Reply,
        TaskError,
    };
    use automation_assistant_queue::{Job, RedisConfig, Stop, Worker};

    use super::{Result, median, timed};

    /// Bytes of the record of a job that does nothing.
    const RECORD_BYTES: usize = 330;

    type Floor = Box<dyn FnMut() -> Result<()> + Send>;

    /// A job that does nothing but take the floor's time, in turns with the queue's.
    struct Times(Arc<Mutex<Taken>>);

    struct Taken {
        floor: Floor,
        floors: Vec<Duration>,
        /// From one job's end to the next one's begin.
        between: Vec<Duration>,
        ended: Option<Instant>,
    }

    impl AiBackend for Times {
        fn name(&self) -> &str {
            "Times"
        }

        fn process(&self, _call: &CallContext<'_>) -> std::result::Result<Reply, TaskError> {
            let mut taken = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(ended) = taken.ended {
                taken.between.push(ended.elapsed());
            }
            let ((), took) = timed(&mut taken.floor)
                .map_err(|error| TaskError::new(ErrorKind::InvalidRequest, error.to_string()))?;
            taken.floors.push(took);
            taken.ended = Some(Instant::now());
            Ok(Reply::new("done"))
        }
    }

    /// Takes all in turns, so that each sees the same machine; prints medians.
    pub(super) fn measure(url: &str, jobs: usize) -> Result<()> {
        let name = format!("floor-{}", std::process::id());
        let queue = RedisConfig::new(url, name.as_str()).connect()?;
        let mut bare = redis::Client::open(url)?.get_connection()?;
        let stream = format!("{name}:bare");
        let key = stream.clone();
        let record = "x".repeat(RECORD_BYTES);
        let mut xadd = move || -> Result<()> {
            let mut add = redis::cmd("XADD");
            Ok(add.arg(&key).arg("*").arg("record").arg(&record).exec(&mut bare)?)
        };
        let (mut adds, mut pushes) = (Vec::new(), Vec::new());
        for _ in 0..jobs {
            adds.push(timed(&mut xadd)?.1);
            pushes.push(timed(|| Ok(queue.push(Job::new("do nothing"))?))?.1);
        }
        // The least of a job: its task on a thread of its own, and the server once.
        let (there, inbox) = channel::<()>();
        let (back, outbox) = channel();
        std::thread::spawn(move || inbox.iter().try_for_each(|()| back.send(())));
        let floor: Floor = Box::new(move || {
            there.send(())?;
            outbox.recv()?;
            xadd()
        });
        let taken = Taken { floor, floors: Vec::new(), between: Vec::new(), ended: None };
        let taken = Arc::new(Mutex::new(taken));
        let manager = AutomationAssistantManager::new(1);
        let helper = manager.spawn_helper_with(HelperConfig::local(), Times(taken.clone()))?;
        Worker::new(&queue, &manager).helper(helper).until_empty().run(&Stop::new())?;
        redis::cmd("DEL").arg(&stream).exec(&mut redis::Client::open(url)?.get_connection()?)?;
        let mut taken = taken.lock().map_err(|_| "a task panicked")?;
        let Taken { floors, between, .. } = &mut *taken;
        let mut out = std::io::stdout().lock();
        for (what, ours, least, floor) in [
            ("one push", &mut pushes, "one bare XADD", &mut adds),
            ("one job finished", between, "a bare XADD and two hand-overs", floors),
        ] {
            let (ours, floor) = (median(ours), median(floor));
            let times = ours.as_secs_f64() / floor.as_secs_f64();
            writeln!(out, "{least} {floor:?}, {what} {ours:?}: {times:.2} times")?;
        }
        Ok(())
    }
}
