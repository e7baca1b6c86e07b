//! The kernel's advisory locks (flock): released when the file is closed, and so when the process
//! ends in any way. They write and read nothing.
//!
//! - A process that writes to a file holds a **shared lock on it** as long as it is open. The
//!   lock marks the file as in use and does not prevent writes. A process that gets an exclusive
//!   lock instead is alone, and may shorten or remove the file.
//! - A process that renames files, or ends a torn line, holds [`Changing`] for that short time.
//!
//! A lock is released before the other kind is taken: the kernel does not convert one into the
//! other in one step either. Conditions checked under the first lock must be checked again.

use std::fs::File;
use std::io::{self, ErrorKind};
use std::ops::Deref;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::open::{self, Kinds, named};

/// The interval between attempts to take a lock that others hold.
const TRY_STEP: Duration = Duration::from_millis(1);

/// Takes an exclusive lock; `false` if others hold one. An error means that there are no locks.
pub(crate) fn try_exclusive(file: &File) -> io::Result<bool> {
    #[cfg(test)]
    tests::there_are_locks()?;
    kernel::try_exclusive(file)
}

/// Takes a shared lock, waiting for others' exclusive ones at most this long; `false` after that.
/// An error means that there are no locks.
pub(crate) fn shared_within(file: &File, wait: Duration) -> io::Result<bool> {
    #[cfg(test)]
    tests::there_are_locks()?;
    within(wait, || kernel::try_shared(file))
}

/// An open file that releases its lock when it is dropped. Closing alone does that only after
/// every child process that is being started, and has a copy of it, has executed its program.
pub(crate) struct Held(pub(crate) File);

impl Deref for Held {
    type Target = File;

    fn deref(&self) -> &File {
        &self.0
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        unlock(&self.0);
    }
}

/// Releases a lock.
pub(crate) fn unlock(file: &File) {
    // On failure it is released with the file at the latest.
    let _ = kernel::unlock(file);
}

/// Takes an exclusive lock on the file's folder, waiting at most this long; `None` after that. An
/// error means that the folder cannot be opened or locked.
pub(crate) fn folder_within(path: &Path, wait: Duration) -> io::Result<Option<Held>> {
    let folder = Held(File::open(path.parent().unwrap_or(path))?);
    Ok(within(wait, || try_exclusive(&folder))?.then_some(folder))
}

/// Repeats the attempt until the wait is over, and makes it at least once.
fn within(wait: Duration, mut attempt: impl FnMut() -> io::Result<bool>) -> io::Result<bool> {
    let since = Instant::now();
    loop {
        if attempt()? {
            return Ok(true);
        }
        if since.elapsed() >= wait {
            return Ok(false);
        }
        std::thread::sleep(TRY_STEP);
    }
}

/// The right to rename a file and its older files, and to change a torn end. Held by an exclusive
/// lock on the empty file `NAME.lock`, which is kept; and, since any process may remove that
/// file, on the folder.
pub(crate) struct Changing {
    _name: Held,
    /// `None` if the folder cannot be opened or locked.
    _folder: Option<Held>,
}

impl Changing {
    /// Opens `NAME.lock`; creates it if it does not exist.
    ///
    /// # Errors
    ///
    /// The existing file is not a lock file, or the name is too long.
    pub(crate) fn lock_file(path: &Path) -> io::Result<(PathBuf, File)> {
        let path = open::with_suffix(path, ".lock");
        let opened = open::or_new(&path, open::options().read(true).write(true), Kinds::Plain);
        match opened {
            Ok((file, _)) => Ok((path, file)),
            Err(error) => Err(io::Error::new(error.kind(), format!("{}: {error}", path.display()))),
        }
    }

    /// Waits for the locks, at most this long.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::WouldBlock`] if others held them all the time; any other if they cannot be
    /// taken.
    pub(crate) fn begin(path: &Path, wait: Duration) -> io::Result<Self> {
        let mut held = None;
        within(wait, || {
            held = Self::attempt(path)?;
            Ok(held.is_some())
        })?;
        held.ok_or_else(|| io::Error::new(ErrorKind::WouldBlock, "others hold its lock"))
    }

    fn attempt(path: &Path) -> io::Result<Option<Self>> {
        let (lock_path, name) = Self::lock_file(path)?;
        let name = Held(name);
        // If it was removed meanwhile, others lock a new one.
        if !try_exclusive(&name)? || named(&lock_path, &name)?.is_none() {
            return Ok(None);
        }
        match folder_within(path, Duration::ZERO) {
            Ok(None) => Ok(None),
            folder => Ok(Some(Self { _name: name, _folder: folder.ok().flatten() })),
        }
    }
}

/// flock(2) by rustix, if enabled: std has it on Android from Rust 1.98 only.
#[cfg(all(feature = "rustix", any(target_os = "linux", target_os = "android")))]
mod kernel {
    use std::fs::File;
    use std::io;

    use rustix::fs::{FlockOperation, flock};
    use rustix::io::Errno;

    fn attempt(file: &File, operation: FlockOperation) -> io::Result<bool> {
        match flock(file, operation) {
            Ok(()) => Ok(true),
            Err(Errno::WOULDBLOCK) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    pub(super) fn try_exclusive(file: &File) -> io::Result<bool> {
        attempt(file, FlockOperation::NonBlockingLockExclusive)
    }

    pub(super) fn try_shared(file: &File) -> io::Result<bool> {
        attempt(file, FlockOperation::NonBlockingLockShared)
    }

    pub(super) fn unlock(file: &File) -> io::Result<()> {
        Ok(flock(file, FlockOperation::NonBlockingUnlock)?)
    }
}

#[cfg(not(all(feature = "rustix", any(target_os = "linux", target_os = "android"))))]
mod kernel {
    use std::fs::{File, TryLockError};
    use std::io;

    fn as_bool(outcome: Result<(), TryLockError>) -> io::Result<bool> {
        match outcome {
            Ok(()) => Ok(true),
            Err(TryLockError::WouldBlock) => Ok(false),
            Err(TryLockError::Error(error)) => Err(error),
        }
    }

    pub(super) fn try_exclusive(file: &File) -> io::Result<bool> {
        as_bool(file.try_lock())
    }

    pub(super) fn try_shared(file: &File) -> io::Result<bool> {
        // On Windows a shared lock prevents all writes.
        if cfg!(windows) {
            return Err(io::ErrorKind::Unsupported.into());
        }
        as_bool(file.try_lock_shared())
    }

    pub(super) fn unlock(file: &File) -> io::Result<()> {
        file.unlock()
    }
}

#[cfg(test)]
#[path = "lock_tests.rs"]
pub(crate) mod tests;
