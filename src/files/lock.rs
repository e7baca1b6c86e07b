//! The kernel's advisory locks (flock): released when the file is closed, so with the process,
//! however it ends. Nothing is written for them, and nothing read.
//!
//! - Whoever writes to a file holds a **shared lock on it** as long as it is open. It says "in
//!   use", and keeps nobody from writing. Who gets an exclusive one instead is alone, and may
//!   shorten or drop the file.
//! - Whoever changes names, or ends a torn line, holds [`Changing`] for that short time.
//!
//! A lock is given back before the other kind is taken: the kernel does not change one into
//! the other in one step either. What was true under a lock must be looked at again then.

use std::fs::File;
use std::io::{self, ErrorKind};
use std::ops::Deref;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::open::{self, Kinds, named};

/// How long apart a lock that others hold is tried again.
const TRY_STEP: Duration = Duration::from_millis(1);

/// An exclusive lock: whether we got it. An error says that there are no locks here.
pub(crate) fn try_exclusive(file: &File) -> io::Result<bool> {
    #[cfg(test)]
    tests::there_are_locks()?;
    kernel::try_exclusive(file)
}

/// A shared lock: whether we got it, as far as others' exclusive ones let us until `wait` is
/// over. An error says that there are no locks here.
pub(crate) fn shared_within(file: &File, wait: Duration) -> io::Result<bool> {
    #[cfg(test)]
    tests::there_are_locks()?;
    within(wait, || kernel::try_shared(file))
}

/// An open file that gives its lock back when it is dropped. Closing alone does that only once a
/// process that is just being started, and has a copy of it, has begun its own program.
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

/// Gives a lock back.
pub(crate) fn unlock(file: &File) {
    // It goes with the file at the latest.
    let _ = kernel::unlock(file);
}

/// An exclusive lock on the file's folder, if others leave it to us until `wait` is over. An
/// error: it cannot be opened or locked here.
pub(crate) fn folder_within(path: &Path, wait: Duration) -> io::Result<Option<Held>> {
    let folder = Held(File::open(path.parent().unwrap_or(path))?);
    Ok(within(wait, || try_exclusive(&folder))?.then_some(folder))
}

/// Tries until `wait` is over, and once at least.
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

/// The right to change what stands under a file's name, its older files' names, and its end
/// where that is torn. Held through an exclusive lock on the empty file `NAME.lock`, which
/// stays; and, as anybody may remove that one, on the folder.
pub(crate) struct Changing {
    _name: Held,
    /// None where a folder cannot be opened or locked.
    _folder: Option<Held>,
}

impl Changing {
    /// `NAME.lock`, made where it is missing.
    ///
    /// # Errors
    ///
    /// What stands in its place cannot be a lock file, or there is no room for such a name.
    pub(crate) fn lock_file(path: &Path) -> io::Result<(PathBuf, File)> {
        let path = open::with_suffix(path, ".lock");
        let opened = open::or_new(&path, open::options().read(true).write(true), Kinds::Plain);
        match opened {
            Ok((file, _)) => Ok((path, file)),
            Err(error) => Err(io::Error::new(error.kind(), format!("{}: {error}", path.display()))),
        }
    }

    /// Waits for the locks until `wait` is over.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::WouldBlock`] if others held them all the time; any other if they cannot be
    /// had here.
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
        // Who removes it makes others lock another one.
        if !try_exclusive(&name)? || named(&lock_path, &name)?.is_none() {
            return Ok(None);
        }
        match folder_within(path, Duration::ZERO) {
            Ok(None) => Ok(None),
            folder => Ok(Some(Self { _name: name, _folder: folder.ok().flatten() })),
        }
    }
}

/// flock(2) by rustix, where it is there: std has it on Android from Rust 1.98 only.
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

    fn told(outcome: Result<(), TryLockError>) -> io::Result<bool> {
        match outcome {
            Ok(()) => Ok(true),
            Err(TryLockError::WouldBlock) => Ok(false),
            Err(TryLockError::Error(error)) => Err(error),
        }
    }

    pub(super) fn try_exclusive(file: &File) -> io::Result<bool> {
        told(file.try_lock())
    }

    pub(super) fn try_shared(file: &File) -> io::Result<bool> {
        // Windows lets nobody write to what has a shared lock.
        if cfg!(windows) {
            return Err(io::ErrorKind::Unsupported.into());
        }
        told(file.try_lock_shared())
    }

    pub(super) fn unlock(file: &File) -> io::Result<()> {
        file.unlock()
    }
}

#[cfg(test)]
#[path = "lock_tests.rs"]
pub(crate) mod tests;
