//! Files: of queues, of others, and those that were cut short.

use std::sync::{Arc, Mutex};

use redb::StorageBackend;
use redb::backends::InMemoryBackend;

use super::file::{UNFINISHED_BYTES_MAX, builder, holds_nothing};
use super::tests::Folder;
use super::*;
use crate::job::Job;
use crate::queue::JobQueue;

#[test]
fn a_second_opening_is_refused_at_once_and_names_the_file() {
    let folder = Folder::new();
    let first = JobQueue::open(folder.file()).unwrap();
    let error = JobQueue::open(folder.file()).unwrap_err();
    assert!(matches!(error, Error::InUse { .. }), "{error}");
    assert!(error.to_string().contains("jobs.redb"), "{error}");
    drop(first);
    JobQueue::open(folder.file()).unwrap();
}

#[cfg(unix)]
#[test]
fn a_new_file_can_be_read_by_its_owner_alone() {
    use std::os::unix::fs::PermissionsExt;
    let folder = Folder::new();
    JobQueue::open(folder.file()).unwrap();
    let mode = std::fs::metadata(folder.file()).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
}

#[test]
fn a_file_of_a_newer_version_is_refused_and_left_as_it_is() {
    let folder = Folder::new();
    JobQueue::open(folder.file()).unwrap().push("x").unwrap();
    let db = Database::open(folder.file()).unwrap();
    let txn = db.begin_write().unwrap();
    txn.open_table(META).unwrap().insert(M_FORMAT, FORMAT + 1).unwrap();
    txn.commit().unwrap();
    drop(db);
    let error = JobQueue::open(folder.file()).unwrap_err();
    assert!(
        matches!(error, Error::NewerFormat { found, known, .. } if found == known + 1),
        "{error}"
    );
    assert!(error.to_string().contains("jobs.redb"), "{error}");
}

#[test]
fn a_damaged_file_is_an_error_and_never_a_wrong_answer() {
    let folder = Folder::new();
    let queue = JobQueue::open(folder.file()).unwrap();
    let pushed = queue.push_all((0..50).map(|n| Job::new(format!("job {n}")))).unwrap();
    drop(queue);
    let whole = std::fs::read(folder.file()).unwrap();
    let mut refused = 0;
    for at in (0..whole.len()).step_by(997) {
        let mut bytes = whole.clone();
        bytes[at] ^= 0x55;
        std::fs::write(folder.file(), &bytes).unwrap();
        match JobQueue::open(folder.file()) {
            Err(Error::Storage { passing: false, .. }) => refused += 1,
            Err(error) => panic!("byte {at}: {error}"),
            // A byte that holds nothing.
            Ok(queue) => assert_eq!(queue.stats().unwrap().waiting, pushed.len() as u64, "{at}"),
        }
    }
    assert!(refused > 3, "{refused}");
}

#[test]
fn what_is_no_queue_is_refused_and_left_as_it_is() {
    let folder = Folder::new();
    JobQueue::open(folder.file()).unwrap().push("x").unwrap();
    let own = std::fs::read(folder.file()).unwrap();
    let zeroed = |range: std::ops::Range<usize>| {
        let mut bytes = own.clone();
        bytes[range].fill(0);
        bytes
    };
    let after_zeros = |zeros: usize, rest: &str| [&vec![0; zeros], rest.as_bytes()].concat();
    for (what, bytes) in [
        ("a text", b"my diary".to_vec()),
        ("a text after the nine bytes that redb writes last", after_zeros(9, "my diary")),
        ("a disk's image, which begins with zeros", after_zeros(1_024, "\u{53}\u{ef} volume")),
        ("zeros, set aside for something", vec![0; UNFINISHED_BYTES_MAX as usize + 1]),
        ("a queue without its header", zeroed(0..4_096)),
        ("a queue without its first bytes", zeroed(0..9)),
    ] {
        std::fs::write(folder.file(), &bytes).unwrap();
        let error = JobQueue::open(folder.file()).unwrap_err();
        assert!(matches!(error, Error::Storage { .. }) && !error.is_passing(), "{what}: {error}");
        assert!(std::fs::read(folder.file()).unwrap() == bytes, "{what} was changed");
    }
    let no_folder = folder.0.join("none").join("q");
    let below_a_file = folder.file().join("q");
    for path in [&folder.0, &no_folder, &below_a_file] {
        let error = JobQueue::open(path).unwrap_err();
        assert!(matches!(error, Error::Storage { .. }) && !error.is_passing(), "{error}");
    }
}

/// Keeps what a kill would leave after each step.
#[derive(Debug, Clone)]
struct Steps {
    under: Arc<InMemoryBackend>,
    left: Arc<Mutex<Vec<Vec<u8>>>>,
}

impl Steps {
    fn keep(&self) -> std::io::Result<()> {
        let mut bytes = vec![0; usize::try_from(self.under.len()?).unwrap()];
        self.under.read(0, &mut bytes)?;
        self.left.lock().unwrap().push(bytes);
        Ok(())
    }
}

impl StorageBackend for Steps {
    fn len(&self) -> std::io::Result<u64> {
        self.under.len()
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> std::io::Result<()> {
        self.under.read(offset, out)
    }

    fn set_len(&self, len: u64) -> std::io::Result<()> {
        self.under.set_len(len)?;
        self.keep()
    }

    fn sync_data(&self) -> std::io::Result<()> {
        self.under.sync_data()
    }

    fn write(&self, offset: u64, data: &[u8]) -> std::io::Result<()> {
        self.under.write(offset, data)?;
        self.keep()
    }
}

#[test]
fn a_file_whose_making_was_cut_short_is_made_anew() {
    let steps = Steps { under: Arc::new(InMemoryBackend::new()), left: Arc::default() };
    drop(builder().create_with_backend(steps.clone()).unwrap());
    let left = std::mem::take(&mut *steps.left.lock().unwrap());
    let folder = Folder::new();
    let mut unfinished = Vec::new();
    for bytes in left {
        // The first bytes are written last: from then on redb opens what is there.
        assert_eq!(holds_nothing(&bytes), bytes[..9] == [0; 9]);
        if holds_nothing(&bytes) {
            unfinished.push(bytes.len() as u64);
        }
        std::fs::write(folder.file(), bytes).unwrap();
        JobQueue::open(folder.file()).unwrap().push("x").unwrap();
        assert_eq!(JobQueue::open(folder.file()).unwrap().stats().unwrap().waiting, 1);
    }
    // With its length, and with its header.
    assert_eq!(unfinished, [UNFINISHED_BYTES_MAX; 2]);
    // A power cut may leave less of it.
    std::fs::write(folder.file(), [0]).unwrap();
    JobQueue::open(folder.file()).unwrap();
}
