//! Replacements for std's locks and clock, and for the ticket channel, under the model checker:
//! compiled only with `--cfg shuttle`.
//!
//! The checker has no time and its waits never time out, so this module simulates a clock, which
//! advances only when a wait times out. Waits are of two kinds. A long one never times out: if
//! nothing ends it, the checker reports a deadlock, which is how a lost wake-up shows. A short
//! one may return at any moment, early or because its time has passed; the checker chooses.
#![allow(clippy::expect_used)]

use std::cell::Cell;
use std::ops::{Deref, DerefMut};
use std::sync::{LockResult, OnceLock, PoisonError, TryLockError, TryLockResult};
use std::time::{Duration, Instant};

use shuttle::rand::Rng;

/// Waits of at least this length never time out. It is above the core's waits for a backend and
/// for a hand-over (0.25 s and 0.1 s), and below its wait for ending threads (0.8 s) once those
/// have passed.
const LONG_WAIT: Duration = Duration::from_millis(300);

thread_local! {
    /// The checker runs all of a model's threads on one of the system's.
    static PASSED: Cell<Duration> = const { Cell::new(Duration::ZERO) };
}

/// The current simulated time.
pub(crate) fn now() -> Instant {
    static BEGAN: OnceLock<Instant> = OnceLock::new();
    *BEGAN.get_or_init(Instant::now) + PASSED.with(Cell::get)
}

/// The checker's mutex; its guard refers to the mutex, so that a wait can release it.
#[derive(Debug, Default)]
pub(crate) struct Mutex<T>(shuttle::sync::Mutex<T>);

/// See [`Mutex`].
pub(crate) struct MutexGuard<'a, T> {
    mutex: &'a Mutex<T>,
    guard: shuttle::sync::MutexGuard<'a, T>,
}

impl<T> Mutex<T> {
    pub(crate) fn new(value: T) -> Self {
        Self(shuttle::sync::Mutex::new(value))
    }

    pub(crate) fn lock(&self) -> LockResult<MutexGuard<'_, T>> {
        match self.0.lock() {
            Ok(guard) => Ok(MutexGuard { mutex: self, guard }),
            Err(poisoned) => {
                Err(PoisonError::new(MutexGuard { mutex: self, guard: poisoned.into_inner() }))
            }
        }
    }
}

impl<T> Deref for MutexGuard<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.guard
    }
}

impl<T> DerefMut for MutexGuard<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        &mut self.guard
    }
}

/// The checker's condition variable, with waits that can time out.
pub(crate) struct Condvar(shuttle::sync::Condvar);

impl Condvar {
    pub(crate) fn new() -> Self {
        Self(shuttle::sync::Condvar::new())
    }

    pub(crate) fn notify_one(&self) {
        self.0.notify_one();
    }

    pub(crate) fn notify_all(&self) {
        self.0.notify_all();
    }

    pub(crate) fn wait<'a, T>(&self, guard: MutexGuard<'a, T>) -> LockResult<MutexGuard<'a, T>> {
        let mutex = guard.mutex;
        match self.0.wait(guard.guard) {
            Ok(guard) => Ok(MutexGuard { mutex, guard }),
            Err(poisoned) => {
                Err(PoisonError::new(MutexGuard { mutex, guard: poisoned.into_inner() }))
            }
        }
    }

    /// The second value is `true` if the time has passed.
    pub(crate) fn wait_timeout<'a, T>(
        &self,
        guard: MutexGuard<'a, T>,
        timeout: Duration,
    ) -> LockResult<(MutexGuard<'a, T>, bool)> {
        if timeout >= LONG_WAIT {
            return match self.wait(guard) {
                Ok(guard) => Ok((guard, false)),
                Err(poisoned) => Err(PoisonError::new((poisoned.into_inner(), false))),
            };
        }
        let (mutex, until) = (guard.mutex, now() + timeout);
        drop(guard);
        shuttle::thread::yield_now();
        let over = shuttle::rand::thread_rng().gen_bool(0.5);
        if over {
            let left = until.saturating_duration_since(now());
            PASSED.with(|passed| passed.set(passed.get() + left));
        }
        match mutex.lock() {
            Ok(guard) => Ok((guard, over)),
            Err(poisoned) => Err(PoisonError::new((poisoned.into_inner(), over))),
        }
    }
}

/// A readers-writer lock in which a reading thread may read again without waiting, as std's
/// allows when no writer waits; the checker's own lock miscounts there.
pub(crate) struct RwLock<T> {
    value: std::sync::RwLock<T>,
    turn: Mutex<()>,
    freed: Condvar,
}

/// A read or write guard; wakes waiting threads when it is dropped.
pub(crate) struct RwLockGuard<'a, T, G> {
    lock: &'a RwLock<T>,
    guard: Option<G>,
}

type ReadGuard<'a, T> = RwLockGuard<'a, T, std::sync::RwLockReadGuard<'a, T>>;
type WriteGuard<'a, T> = RwLockGuard<'a, T, std::sync::RwLockWriteGuard<'a, T>>;

impl<T> RwLock<T> {
    pub(crate) fn new(value: T) -> Self {
        Self { value: std::sync::RwLock::new(value), turn: Mutex::new(()), freed: Condvar::new() }
    }

    pub(crate) fn try_read(&self) -> TryLockResult<ReadGuard<'_, T>> {
        let _turn = super::lock(&self.turn);
        let guard = free(self.value.try_read()).ok_or(TryLockError::WouldBlock)?;
        Ok(RwLockGuard { lock: self, guard: Some(guard) })
    }

    pub(crate) fn try_write(&self) -> TryLockResult<WriteGuard<'_, T>> {
        let _turn = super::lock(&self.turn);
        let guard = free(self.value.try_write()).ok_or(TryLockError::WouldBlock)?;
        Ok(RwLockGuard { lock: self, guard: Some(guard) })
    }

    pub(crate) fn read(&self) -> LockResult<ReadGuard<'_, T>> {
        self.wait(|| free(self.value.try_read()))
    }

    pub(crate) fn write(&self) -> LockResult<WriteGuard<'_, T>> {
        self.wait(|| free(self.value.try_write()))
    }

    fn wait<G>(&self, attempt: impl Fn() -> Option<G>) -> LockResult<RwLockGuard<'_, T, G>> {
        let mut turn = super::lock(&self.turn);
        loop {
            let guard = attempt();
            if guard.is_some() {
                return Ok(RwLockGuard { lock: self, guard });
            }
            turn = self.freed.wait(turn).unwrap_or_else(|poisoned| poisoned.into_inner());
        }
    }
}

/// The guard of a lock that was free, even if it was poisoned.
fn free<G>(attempt: TryLockResult<G>) -> Option<G> {
    match attempt {
        Ok(guard) => Some(guard),
        Err(TryLockError::Poisoned(poisoned)) => Some(poisoned.into_inner()),
        Err(TryLockError::WouldBlock) => None,
    }
}

impl<T, G: Deref<Target = T>> Deref for RwLockGuard<'_, T, G> {
    type Target = T;

    fn deref(&self) -> &T {
        self.guard.as_ref().expect("dropped together")
    }
}

impl<T, G: DerefMut<Target = T>> DerefMut for RwLockGuard<'_, T, G> {
    fn deref_mut(&mut self) -> &mut T {
        self.guard.as_mut().expect("dropped together")
    }
}

impl<T, G> Drop for RwLockGuard<'_, T, G> {
    fn drop(&mut self) {
        self.guard = None;
        let _turn = super::lock(&self.lock.turn);
        self.lock.freed.notify_all();
    }
}

/// The ticket channel: a count, bounded by the channel's capacity.
pub(crate) struct Tickets {
    places: usize,
    waiting: Mutex<usize>,
    sent: Condvar,
}

impl Tickets {
    pub(crate) fn new(places: usize) -> Self {
        Self { places, waiting: Mutex::new(0), sent: Condvar::new() }
    }

    pub(crate) fn send(&self) {
        let mut waiting = super::lock(&self.waiting);
        if *waiting < self.places {
            *waiting += 1;
            self.sent.notify_one();
        }
    }

    pub(crate) fn receive(&self) {
        let mut waiting = super::lock(&self.waiting);
        while *waiting == 0 {
            waiting = self.sent.wait(waiting).unwrap_or_else(|poisoned| poisoned.into_inner());
        }
        *waiting -= 1;
    }

    /// How many tickets were not received yet.
    pub(crate) fn waiting(&self) -> usize {
        *super::lock(&self.waiting)
    }
}
