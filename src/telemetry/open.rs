//! Opening an audit file: a shared lock on it, its torn end cut or closed.

use std::fs::{self, Metadata};
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::files::lock::{self, Changing, Held};
use crate::files::open::{self, Kinds, OPEN_ROUNDS_MAX, has_other_names, named};
use crate::files::tail;

/// A torn end longer than this was not left by this library (its lines have at most 1.5 KiB,
/// other writers' perhaps more): it is closed with a newline, never cut.
pub(super) const TORN_BYTES_MAX: u64 = 1 << 20;

/// Longest wait, at opening, for a writer that is cutting the file's end, which takes
/// microseconds. Then opening fails: lines must not be written behind bytes that will be cut.
pub(super) const OPEN_WAIT_MAX: Duration = Duration::from_millis(500);

/// The same, and the wait for others that rotate the file, while lines are waiting. Short
/// compared to the second between two attempts.
pub(super) const RUNNING_WAIT_MAX: Duration = Duration::from_millis(10);

/// Our shared lock on the file, which marks it as in use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Share {
    Held,
    /// Released to check for other processes, and not acquired again: nothing may be written.
    Lost,
    /// The file system has no locks: nothing is cut, renamed or removed.
    None,
}

/// An opened file.
pub(super) struct Taken {
    pub(super) file: Held,
    /// Its metadata at opening.
    pub(super) metadata: Metadata,
    pub(super) len: u64,
    pub(super) share: Share,
    /// Whether others write to it too, or may.
    pub(super) others: bool,
    /// Whether its end is torn and must be closed.
    pub(super) torn: bool,
    /// Whether its end was torn and was closed, since it could not be cut.
    pub(super) closed: bool,
    /// The number of bytes cut off its end.
    pub(super) bytes_dropped: u64,
}

/// Opens the file as [`take_up`] does, one process at a time: if several opened it at once, each
/// might release one lock before the other takes one, and assume that it is alone.
pub(super) fn take_up_first(path: &Path) -> io::Result<Taken> {
    let folder = lock::folder_within(path, RUNNING_WAIT_MAX);
    let mut taken = take_up(path, OPEN_WAIT_MAX)?;
    taken.others |= !matches!(folder, Ok(Some(_)));
    Ok(taken)
}

/// Opens the file for appending; creates it if it does not exist. A process that is alone cuts a
/// torn end; if another is cutting it, waits at most this long.
pub(super) fn take_up(path: &Path, wait: Duration) -> io::Result<Taken> {
    for _ in 0..OPEN_ROUNDS_MAX {
        let (file, metadata) =
            open::or_new(path, open::options().read(true).append(true), Kinds::PlainOrDevice)?;
        let mut taken = Taken {
            len: metadata.len(),
            file: Held(file),
            metadata,
            share: Share::None,
            others: false,
            torn: false,
            closed: false,
            bytes_dropped: 0,
        };
        if !taken.metadata.is_file() || taken.settle(path, wait)? {
            return Ok(taken);
        }
    }
    Err(open::came_and_went())
}

impl Taken {
    /// Whether the file, once locked, still has its name: not if others renamed it meanwhile.
    fn settle(&mut self, path: &Path, wait: Duration) -> io::Result<bool> {
        match lock::try_exclusive(&self.file) {
            Ok(alone) => {
                self.others = !alone;
                if alone {
                    let mended = self.mend();
                    lock::unlock(&self.file);
                    mended?;
                }
                match lock::shared_within(&self.file, wait) {
                    Ok(true) => self.share = Share::Held,
                    Ok(false) => return Err(in_other_hands()),
                    Err(_) => self.others = true,
                }
            }
            Err(_) => self.others = true,
        }
        let Some(metadata) = named(path, &self.file)? else { return Ok(false) };
        self.len = metadata.len();
        if self.others {
            self.torn = tail::stays_torn(&self.file)?;
        }
        Ok(true)
    }

    fn mend(&mut self) -> io::Result<()> {
        // Cutting fails for append-only files (chattr +a).
        let cut = match has_other_names(&self.metadata) {
            true => Ok(None),
            false => tail::cut(&self.file, TORN_BYTES_MAX),
        };
        match cut {
            Ok(Some(bytes)) => self.bytes_dropped = bytes,
            _ if tail::ends_whole(&self.file)? => {}
            _ => {
                self.closed = tail::close(&self.file);
                self.torn = !self.closed;
            }
        }
        Ok(())
    }
}

/// The error of a byte to overwrite that is not in the file under its name.
pub(super) fn not_there() -> io::Error {
    io::Error::new(ErrorKind::NotFound, "behind a torn line")
}

/// The error if another process holds an exclusive lock on the file.
pub(super) fn in_other_hands() -> io::Error {
    io::Error::new(ErrorKind::ResourceBusy, "another process holds an exclusive lock on it")
}

/// `audit.jsonl.1`, `audit.jsonl.2`: the higher the older.
pub(super) fn rotated(path: &Path, number: u32) -> PathBuf {
    open::with_suffix(path, &format!(".{number}"))
}

/// Checks that rotation is possible: the lock file can be opened, and all names are free or
/// files.
pub(super) fn check_rotation(path: &Path, files: u32) -> io::Result<()> {
    let cannot_rotate =
        |error: io::Error| io::Error::new(error.kind(), format!("it cannot be rotated: {error}"));
    Changing::lock_file(path).map_err(cannot_rotate)?;
    match fs::symlink_metadata(rotated(path, files)) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(cannot_rotate(error)),
        _ => Ok(()),
    }
}

/// The number for the youngest of the older files: the first that is free, or else that of the
/// oldest file that no process has open, which will be removed; a process that has a file open
/// may still write to it. No writer can take it up until the returned lock is released. An error
/// if a name that would be renamed or removed is no plain file's.
pub(super) fn number_for_older(path: &Path, files: u32) -> io::Result<(u32, Option<Held>)> {
    let occupied =
        || io::Error::new(ErrorKind::ResourceBusy, "its older files are in use, or no plain files");
    for number in 1..=files {
        match fs::symlink_metadata(rotated(path, number)) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok((number, None)),
            // It is somebody else's: it is not renamed.
            Ok(metadata) if !metadata.is_file() => return Err(occupied()),
            _ => {}
        }
    }
    for number in (1..=files).rev() {
        let path = rotated(path, number);
        let opened = open::existing(&path, open::options().read(true).append(true), Kinds::Plain);
        let Ok((file, _)) = opened else { continue };
        if lock::try_exclusive(&file)? && named(&path, &file)?.is_some() {
            return Ok((number, Some(Held(file))));
        }
    }
    Err(occupied())
}

/// Renames a file, if it exists.
pub(super) fn rename(from: &Path, to: &Path) -> io::Result<()> {
    match fs::rename(from, to) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

#[cfg(test)]
#[path = "open_tests.rs"]
mod tests;
