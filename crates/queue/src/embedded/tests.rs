//! The rules of every engine, run in a file, and the faults that only a file has.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use redb::backends::InMemoryBackend;
use redb::{ReadableTable, StorageBackend};

use super::file::builder;
use super::*;
use crate::conformance::{Make, conformance};
use crate::engine::{End, Ended, How, Recover};
use crate::job::Job;
use crate::queue::JobQueue;
use crate::state::JobState;

/// A folder of this test, removed at its end.
pub(crate) struct Folder(pub(crate) PathBuf);

impl Folder {
    pub(crate) fn new() -> Self {
        let path = std::env::temp_dir().join(format!("aaq-{}", JobId::next()));
        std::fs::create_dir(&path).unwrap();
        Self(path)
    }

    pub(crate) fn file(&self) -> PathBuf {
        self.0.join("jobs.redb")
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn ask(want: usize) -> Exchange<'static> {
    Exchange {
        worker: "w",
        lease: Duration::from_secs(60),
        ends: &[],
        held: &[],
        reported: &[],
        want,
        again: want,
        tools: &[],
        recover: Recover::No,
        report: false,
    }
}

fn in_memory(limits: Limits) -> JobQueue {
    let open = |_: &Path| builder().create_with_backend(InMemoryBackend::new());
    let engine = Embedded::open_with(Path::new("memory"), limits.clone(), Box::new(open));
    JobQueue::over(Arc::new(engine.unwrap()), limits)
}

fn with_memory(test: fn(Make<'_>)) {
    test(&in_memory);
}

conformance!(with_memory);

#[test]
fn jobs_of_a_process_that_ended_wait_again_and_their_deliveries_count() {
    let folder = Folder::new();
    let id = JobQueue::open(folder.file()).unwrap().push(Job::new("x").max_deliveries(2)).unwrap();
    let lease = |queue: &JobQueue| {
        let start = Exchange { recover: Recover::Start, ..ask(1) };
        queue.engine.exchange(&start).unwrap().jobs
    };
    for delivery in 1..=2 {
        // Dropped without an end, as by a kill.
        let queue = JobQueue::open(folder.file()).unwrap();
        assert_eq!(lease(&queue)[0].deliveries, delivery);
    }
    let queue = JobQueue::open(folder.file()).unwrap();
    assert!(lease(&queue).is_empty());
    let dead = queue.status(id).unwrap().unwrap();
    assert!(dead.dead && dead.reasons[1].contains("worker w"), "{dead:?}");
}

/// A disk that is full while the flag is up, and counts what it is asked to make durable.
#[derive(Debug, Clone, Default)]
struct Disk {
    under: Arc<InMemory>,
    full: Arc<AtomicBool>,
    /// Writes go through, and then the disk says that it failed.
    fails_late: Arc<AtomicBool>,
    syncs: Arc<AtomicU64>,
}

#[derive(Debug)]
struct InMemory(InMemoryBackend);

impl Default for InMemory {
    fn default() -> Self {
        Self(InMemoryBackend::new())
    }
}

impl Disk {
    fn queue(&self) -> Result<JobQueue, Error> {
        let disk = self.clone();
        let open = Box::new(move |_: &Path| builder().create_with_backend(disk.clone()));
        let engine = Embedded::open_with(Path::new("/disk/jobs.redb"), Limits::new(), open)?;
        Ok(JobQueue::over(Arc::new(engine), Limits::new()))
    }

    fn check(&self) -> std::io::Result<()> {
        match self.full.load(Ordering::SeqCst) {
            true => Err(std::io::ErrorKind::StorageFull.into()),
            false => Ok(()),
        }
    }
}

impl StorageBackend for Disk {
    fn len(&self) -> std::io::Result<u64> {
        self.under.0.len()
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> std::io::Result<()> {
        self.under.0.read(offset, out)
    }

    fn set_len(&self, len: u64) -> std::io::Result<()> {
        if len > self.under.0.len()? {
            self.check()?;
        }
        self.under.0.set_len(len)
    }

    fn sync_data(&self) -> std::io::Result<()> {
        self.syncs.fetch_add(1, Ordering::SeqCst);
        if self.fails_late.load(Ordering::SeqCst) {
            return Err(std::io::Error::other("who knows"));
        }
        self.check()
    }

    fn write(&self, offset: u64, data: &[u8]) -> std::io::Result<()> {
        self.check()?;
        self.under.0.write(offset, data)
    }
}

#[test]
fn a_full_disk_refuses_jobs_and_loses_none() {
    let disk = Disk::default();
    let queue = disk.queue().unwrap();
    let first = queue.push(Job::new("before").key("before")).unwrap();
    disk.full.store(true, Ordering::SeqCst);
    for _ in 0..3 {
        let error = queue.push(Job::new("during").key("during")).unwrap_err();
        assert!(matches!(error, Error::Storage { .. }) && error.is_passing(), "{error}");
        assert!(error.to_string().starts_with("/disk/jobs.redb"), "{error}");
    }
    assert!(matches!(disk.queue(), Err(Error::Storage { .. })));
    disk.full.store(false, Ordering::SeqCst);
    // The same handle goes on.
    let second = queue.push(Job::new("during").key("during")).unwrap();
    assert_eq!(queue.push(Job::new("before").key("before")).unwrap(), first);
    drop(queue);
    let queue = disk.queue().unwrap();
    assert_eq!(queue.stats().unwrap().waiting, 2);
    assert!(queue.status(second).unwrap().is_some());
}

#[test]
fn a_push_is_one_sync_and_a_look_is_none() {
    let disk = Disk::default();
    let queue = disk.queue().unwrap();
    let syncs = || disk.syncs.swap(0, Ordering::SeqCst);
    let push = || {
        queue.push("x").unwrap();
        syncs()
    };
    // One more where the file grows, by doubling.
    let all: Vec<u64> = (0..40).map(|_| push()).collect();
    assert!(all.iter().filter(|syncs| **syncs == 1).count() >= 37, "{all:?}");
    queue.push_all((0..500).map(|n| Job::new(format!("{n}")))).unwrap();
    assert!(syncs() <= 3);
    let id = queue.push("x").unwrap();
    syncs();
    queue.status(id).unwrap();
    queue.stats().unwrap();
    assert_eq!(syncs(), 0);
}

/// A commit that failed may have reached the disk. Nothing is lost or done twice by it, and no
/// lease is left that nobody has.
#[test]
fn a_step_whose_commit_fails_late_is_repeated_without_harm() {
    let disk = Disk::default();
    let queue = disk.queue().unwrap();
    let fails = |on| disk.fails_late.store(on, Ordering::SeqCst);
    let push = || queue.push(Job::new("x").key("k").max_deliveries(1));
    let ask = ask(1);
    fails(true);
    push().unwrap_err();
    fails(false);
    let id = push().unwrap();
    assert_eq!(queue.stats().unwrap().waiting, 1);
    fails(true);
    queue.engine.exchange(&ask).unwrap_err();
    fails(false);
    let job = queue.engine.exchange(&ask).unwrap().jobs.pop().unwrap();
    assert_eq!((job.hold.id, job.deliveries), (id, 1));
    let record = crate::outcome::JobOutcome::without_result(id, JobState::Canceled, None).write();
    let how = How::Outcome { state: JobState::Canceled, record };
    let ends = [End { hold: job.hold, how }];
    let ask = Exchange { ends: &ends, want: 0, ..ask };
    fails(true);
    queue.engine.exchange(&ask).unwrap_err();
    fails(false);
    for _ in 0..2 {
        assert_eq!(queue.engine.exchange(&ask).unwrap().ends, [Ended::Recorded]);
    }
    let stats = queue.stats().unwrap();
    assert_eq!((stats.finished, stats.leased, stats.waiting), (1, 0, 0));
}

/// The file is another's work, or the bound was lowered since.
#[test]
fn a_record_longer_than_the_bound_is_buried_unread_and_holds_up_no_other() {
    let folder = Folder::new();
    let queue = JobQueue::open(folder.file()).unwrap();
    let jobs = ["x".repeat(3_000), "y".repeat(3_000), "first".into(), "second".into()];
    let ids = queue.push_all(jobs.map(Job::new)).unwrap();
    drop(queue);
    let queue = JobQueue::open_with(folder.file(), Limits::new().max_job_bytes(2_000)).unwrap();
    std::thread::scope(|scope| {
        let waits = scope.spawn(|| queue.wait(ids[0].id, Duration::from_secs(60)).unwrap());
        let out = queue.engine.exchange(&ask(2)).unwrap();
        let taken: Vec<_> = out.jobs.iter().map(|job| job.hold.id).collect();
        assert_eq!(taken, [ids[2].id, ids[3].id]);
        assert_eq!(waits.join().unwrap().error.unwrap().kind, "dead");
    });
    let dead = queue.dead(9).unwrap();
    assert_eq!(dead.iter().map(|job| job.id).collect::<Vec<_>>(), [ids[0].id, ids[1].id]);
    assert!(dead[0].reasons[0].contains("max_job_bytes"), "{:?}", dead[0].reasons);
    // Under a larger bound it can be brought back.
    drop(queue);
    let queue = JobQueue::open(folder.file()).unwrap();
    assert!(queue.retry_dead(ids[0].id).unwrap());
    let jobs = queue.engine.exchange(&ask(9)).unwrap().jobs;
    assert!(jobs.iter().any(|job| job.hold.id == ids[0].id && job.record.len() > 3_000));
}

fn park(queue: &JobQueue, jobs: usize, pause: Duration) {
    queue.push_all((0..jobs).map(|n| Job::new(format!("{n}")))).unwrap();
    let ends = queue.engine.exchange(&ask(jobs)).unwrap().jobs.into_iter().map(|job| {
        let how = How::Retry { reason: "it failed".into(), delay: pause, counts: true };
        End { hold: job.hold, how }
    });
    let ends: Vec<End> = ends.collect();
    queue.engine.exchange(&Exchange { ends: &ends, ..ask(0) }).unwrap();
}

/// A clock that is set back must not make a pause of seconds one of hours.
#[test]
fn a_clock_that_is_set_back_stretches_no_pause() {
    let pause = Duration::from_secs(8);
    for (set_back_ms, are_due) in [(0, 0), (60_000, 2), (3_600_000, 2), (86_300_000, 2)] {
        let folder = Folder::new();
        let queue = JobQueue::open(folder.file()).unwrap();
        park(&queue, 3, pause);
        drop(queue);
        // As if two had been parked by a clock that was ahead, and one since.
        let db = Database::open(folder.file()).unwrap();
        let txn = db.begin_write().unwrap();
        {
            let mut parked = txn.open_table(tables::PARKED).unwrap();
            let keys: Vec<_> =
                parked.iter().unwrap().map(|entry| entry.unwrap().0.value()).collect();
            for (due, id) in keys.into_iter().skip(1) {
                parked.remove((due, id)).unwrap();
                parked.insert((due + set_back_ms, id), ()).unwrap();
            }
        }
        txn.commit().unwrap();
        drop(db);
        let queue = JobQueue::open(folder.file()).unwrap();
        let out = queue.engine.exchange(&ask(9)).unwrap();
        assert_eq!(out.jobs.len(), are_due, "{set_back_ms}");
        assert!(out.due.unwrap() <= pause, "{:?}", out.due);
    }
}
