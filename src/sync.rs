//! The synchronisation primitives of the core, behind one door.
//!
//! The core takes its locks, threads, thread-locals and its clock from here, so that a model
//! checker can stand in for them without a second copy of the code: see tests/README.md.

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

/// The moment that it is.
#[cfg(not(shuttle))]
pub(crate) fn now() -> std::time::Instant {
    std::time::Instant::now()
}

/// Locks, and goes on after a poisoning: no foreign code runs under our locks, so a
/// poisoned lock can only come from a panic that left the data whole.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
}

/// Starts a named thread with an explicit stack; refusal by the system is an error.
pub(crate) fn spawn_thread(
    name: String,
    stack_bytes: usize,
    work: impl FnOnce() + Send + 'static,
) -> std::io::Result<JoinHandle<()>> {
    Builder::new().name(name).stack_size(stack_bytes).spawn(work)
}
