//! The synchronisation primitives of the core, behind one door.
//!
//! The core takes its mutex, condition variable and atomics from here, so that a
//! model checker can stand in for them without a second copy of the code.

#[cfg(shuttle)]
pub(crate) use shuttle::thread::JoinHandle;
#[cfg(not(shuttle))]
pub(crate) use std::thread::JoinHandle;

#[cfg(not(shuttle))]
pub(crate) use std::sync::{
    Arc, Condvar, Mutex, MutexGuard, RwLock,
    atomic::{AtomicBool, AtomicU64, Ordering},
};

#[cfg(shuttle)]
pub(crate) use shuttle::sync::{
    Arc, Condvar, Mutex, MutexGuard, RwLock,
    atomic::{AtomicBool, AtomicU64, Ordering},
};

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
    #[cfg(not(shuttle))]
    let builder = std::thread::Builder::new();
    #[cfg(shuttle)]
    let builder = shuttle::thread::Builder::new();
    builder.name(name).stack_size(stack_bytes).spawn(work)
}
