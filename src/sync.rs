//! The synchronisation primitives of the core, in one module.
//!
//! The core takes its locks, threads, thread-locals and its clock from here, so that a model
//! checker can replace them without a second copy of the code: see tests/README.md.

use std::time::{Duration, Instant};

#[cfg(shuttle)]
mod model;

#[cfg(shuttle)]
pub(crate) use model::{Condvar, Mutex, MutexGuard, RwLock, Tickets, now};
#[cfg(shuttle)]
pub(crate) use shuttle::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread::{Builder, JoinHandle, yield_now},
    thread_local,
};

#[cfg(not(shuttle))]
pub(crate) use std::{
    sync::{
        Arc, Condvar, Mutex, MutexGuard, RwLock,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread::{Builder, JoinHandle, yield_now},
    thread_local,
};

/// The current moment.
#[cfg(not(shuttle))]
pub(crate) fn now() -> Instant {
    Instant::now()
}

/// Locks a mutex, and ignores poisoning: no foreign code runs under the library's locks, so a
/// poisoned lock only comes from a panic that left the data consistent.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
}

/// Starts a named thread with a stack of this size; returns the system's error.
pub(crate) fn spawn_thread(
    name: String,
    stack_bytes: usize,
    work: impl FnOnce() + Send + 'static,
) -> std::io::Result<JoinHandle<()>> {
    Builder::new().name(name).stack_size(stack_bytes).spawn(work)
}

/// One sleep on a condition variable; `None` if the moment has come.
pub(crate) fn wait_until<'a, T>(
    condition: &Condvar,
    guard: MutexGuard<'a, T>,
    until: Option<Instant>,
) -> Option<MutexGuard<'a, T>> {
    match until {
        None => Some(condition.wait(guard).unwrap_or_else(|poisoned| poisoned.into_inner())),
        Some(until) => {
            let left = until.saturating_duration_since(now());
            if left.is_zero() {
                return None;
            }
            let waited = condition.wait_timeout(guard, left);
            Some(waited.unwrap_or_else(|poisoned| poisoned.into_inner()).0)
        }
    }
}

/// Stands for longer waits, which a clock may be unable to add to a moment: a century.
const WAIT_MAX: Duration = Duration::from_secs(100 * 365 * 24 * 60 * 60);

/// The moment after a wait.
pub(crate) fn after(moment: Instant, wait: Duration) -> Instant {
    moment + wait.min(WAIT_MAX)
}

/// The earlier of two moments; `None` is never.
pub(crate) fn earlier(a: Option<Instant>, b: Option<Instant>) -> Option<Instant> {
    match (a, b) {
        (Some(a), Some(b)) => Some(a.min(b)),
        (a, None) => a,
        (None, b) => b,
    }
}
