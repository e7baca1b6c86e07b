//! Locks between open files; to the kernel each is like a process of its own.
#![allow(clippy::unwrap_used)]

use std::cell::Cell;
use std::fs;

use super::*;
use crate::files::open::tests::folder;

/// Longer than any lock is held in these tests.
const LONG: Duration = Duration::from_secs(20);

thread_local! {
    static LOCKLESS: Cell<bool> = const { Cell::new(false) };
}

/// Runs the work as if the file system had no locks, for this thread.
pub(crate) fn without_locks<T>(work: impl FnOnce() -> T) -> T {
    LOCKLESS.set(true);
    let outcome = work();
    LOCKLESS.set(false);
    outcome
}

pub(super) fn there_are_locks() -> io::Result<()> {
    match LOCKLESS.get() {
        true => Err(ErrorKind::Unsupported.into()),
        false => Ok(()),
    }
}

fn begin(path: &Path) -> Result<Changing, ErrorKind> {
    Changing::begin(path, Duration::ZERO).map_err(|error| error.kind())
}

#[test]
fn shared_locks_go_together_and_an_exclusive_one_alone() {
    let folder = folder("kinds");
    let path = folder.join("a");
    let open = || open::or_new(&path, open::options().append(true), Kinds::Plain).unwrap().0;
    let (one, other) = (open(), Held(open()));
    let shared = |file: &File| shared_within(file, Duration::ZERO).unwrap();
    assert!(shared(&one) && shared(&other));
    unlock(&one);
    assert!(!try_exclusive(&one).unwrap(), "the other has it open");
    drop(other);
    assert!(try_exclusive(&one).unwrap());
    assert!(!shared(&open()));
    // A process that is being started has a copy until it executes its own program.
    let copy = one.try_clone().unwrap();
    drop(Held(one));
    assert!(shared(&open()));
    drop(copy);
    fs::remove_dir_all(folder).unwrap();
}

#[test]
fn a_shared_lock_is_waited_for_until_the_exclusive_one_is_given_back() {
    let folder = folder("wait");
    let path = folder.join("a");
    let open = || open::or_new(&path, open::options().append(true), Kinds::Plain).unwrap().0;
    let (one, other) = (open(), open());
    assert!(try_exclusive(&one).unwrap());
    std::thread::scope(|scope| {
        let waiting = scope.spawn(|| shared_within(&other, LONG).unwrap());
        unlock(&one);
        assert!(waiting.join().unwrap());
    });
    fs::remove_dir_all(folder).unwrap();
}

#[test]
fn one_at_a_time_changes_a_file_also_where_somebody_removes_the_lock_file() {
    let folder = folder("changing");
    let (path, lock) = (folder.join("a"), folder.join("a.lock"));
    let held = begin(&path).unwrap();
    assert_eq!(begin(&path).err(), Some(ErrorKind::WouldBlock));
    fs::remove_file(&lock).unwrap();
    assert_eq!(begin(&path).err(), Some(ErrorKind::WouldBlock), "the folder is locked too");
    drop(held);
    drop(begin(&path).unwrap());
    assert_eq!(fs::metadata(&lock).unwrap().len(), 0, "it stays, and stays empty");
    // Another process's lock on it, for example by flock(1), excludes us too.
    let other = File::open(&lock).unwrap();
    assert!(try_exclusive(&other).unwrap());
    assert_eq!(begin(&path).err(), Some(ErrorKind::WouldBlock));
    fs::remove_dir_all(folder).unwrap();
}

#[test]
fn where_there_are_no_locks_nobody_changes_anything() {
    let folder = folder("lockless");
    let path = folder.join("a");
    assert_eq!(without_locks(|| begin(&path)).err(), Some(ErrorKind::Unsupported));
    fs::remove_dir_all(folder).unwrap();
}

#[cfg(unix)]
#[test]
fn what_stands_in_the_lock_file_s_place_is_an_error_and_never_a_hang() {
    use crate::files::open::tests::unix::{in_time, pipe};
    let folder = folder("place");
    let lock = |name: &str| folder.join(format!("{name}.lock"));
    pipe(&lock("pipe"));
    fs::create_dir(lock("dir")).unwrap();
    std::os::unix::fs::symlink(folder.join("nothing"), lock("dangling")).unwrap();
    for name in ["pipe", "dir", "dangling"] {
        let path = folder.join(name);
        let begun = in_time(move || Changing::begin(&path, LONG).map(drop));
        let error = begun.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
        assert!(error.to_string().contains(&format!("{name}.lock")), "{error}");
    }
    // 250 bytes, of 255 that a name may have.
    let long = folder.join("x".repeat(251));
    assert_eq!(begin(&long).err(), Some(ErrorKind::InvalidFilename));
    fs::remove_dir_all(folder).unwrap();
}
