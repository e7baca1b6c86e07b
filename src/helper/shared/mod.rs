//! A helper's shared state: used by its threads, its handles and its manager.
//!
//! Invariants:
//! - A task's end is claimed under the lock (its phase becomes `Ending`) by exactly one
//!   party, which then, without the lock, notifies the observers, and then publishes.
//! - No foreign code (backend, observer, callback, drop of user data) runs under the lock.
//! - A thread sleeps only after it found neither a callback nor a task, and counts itself a
//!   sleeper under the same lock; the thread that adds one sends a ticket if there is a sleeper,
//!   and decrements the count: so no task is left waiting while a thread sleeps.
//!
//! # How ends and callbacks flow
//!
//! ```text
//! claim ──> observers ──> publish ──> callback queue ──> a thread of the helper
//! (lock)    (no lock)     (lock)      (lock)             (no lock)
//! ```
//!
//! - A task is ended by one of: its own thread with the backend's answer (`take`), `cancel_task`
//!   (`results`), a thread that looks at a task that is due (`due`), or a stop (`stop`). Each
//!   claims one task, publishes it, and goes on with the next, so that a slow observer delays
//!   only its own task. The last two leave this to a thread of its own where foreign code may
//!   block (`duty`).
//! - A sweep that ends several queues their callbacks after the last of them. At a stopped
//!   helper, where several threads may sweep at once, no callback runs before the last task
//!   has ended.
//! - Callbacks run on the helper's threads, before tasks (`callbacks`). `cancel_task` runs the
//!   callback of its own task; a stop runs those that no thread will run. No other call runs
//!   callbacks: a submit, a wait, a look-up or a status call only queues them.
//! - A task that a callback ends is claimed, reported and published at once, and its callback
//!   goes to the end of the queue. A task that an observer ends is claimed at once and published
//!   when the observer has returned. So nothing nests (`foreign`).
//! - A thread of a stopped helper exits when every task has ended and every callback has been
//!   taken. The stop waits for that no longer than it waits for threads.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::backend::{AiBackend, SentText};
use crate::cancel::CancelSignal;
use crate::config::{HelperConfig, Provider};
use crate::error::Error;
use crate::event::{Event, EventKind, TraceFacts};
use crate::foreign::{Foreign, catch_panic};
use crate::id::{HelperId, TaskId};
use crate::observers::SharedObservers;
use crate::queue::Tickets;
use crate::store::Store;
use crate::sync::{
    Arc, AtomicU64, Condvar, JoinHandle, Mutex, MutexGuard, RwLock, lock, wait_until,
};
use crate::task::TaskRequest;

mod attempts;
mod callbacks;
mod due;
mod duty;
mod ends;
mod notify;
mod results;
mod stop;
mod submit;
mod take;

use callbacks::QueuedCallback;
use duty::DUTY_THREADS_MAX;
pub(crate) use duty::Perform;
use stop::STOP_WAIT;
pub(crate) use take::{Done, Next};

/// How long after its deadline a running task's backend may take to return its own error, before
/// a thread that waits for the task ends it: the backend's error is more precise.
pub(crate) const RUN_GRACE: Duration = Duration::from_millis(250);

/// How often a thread that waits for a task with a deadline looks at the task: timers stop while
/// the device is suspended, and nothing wakes a waiting thread when it resumes.
const LOOK_AGAIN: Duration = Duration::from_secs(10);

/// How long a call waits for another thread that it asked to end a task: the task's own, when
/// that is reporting a call to the observers, or one that ends tasks that are due.
const HANDOVER: Duration = Duration::from_millis(100);

/// How many times a thread yields before it sleeps: a wait does, and a helper's thread after each
/// task. If the next task arrives at once, neither side pays for a sleep and a wake-up. Takes a
/// few microseconds.
pub(crate) const YIELDS: u32 = 2;

/// How many messages a helper's inbox holds.
pub const INBOX_MESSAGES_MAX: usize = 16;
/// How many bytes of text a helper's inbox holds.
pub const INBOX_BYTES_MAX: usize = 64 << 10;
/// The key of a task's context under which it receives its helper's inbox.
const INBOX_KEY: &str = "inbox";

/// A waiter for any of several tasks.
pub(crate) struct Watch {
    fired: Mutex<bool>,
    changed: Condvar,
}

impl Watch {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self { fired: Mutex::new(false), changed: Condvar::new() })
    }

    /// Wakes the thread that sleeps on it.
    pub(crate) fn fire(&self) {
        *lock(&self.fired) = true;
        self.changed.notify_all();
    }

    /// Sleeps until fired or until the given moment, and disarms.
    pub(crate) fn sleep_until(&self, until: Option<Instant>) {
        let mut fired = lock(&self.fired);
        while !*fired {
            let Some(guard) = wait_until(&self.changed, fired, until) else { return };
            fired = guard;
        }
        *fired = false;
    }
}

/// A thread's slot: its cancel signal and the request that it works on.
pub(crate) struct ThreadSlot {
    pub(crate) cancel: CancelSignal,
    /// Text that the backend has sent for the running task.
    pub(crate) sent: SentText,
    /// Written by the slot's thread, under the state's lock; read by that thread while it works,
    /// and, also under the state's lock, by another thread that ends the task in its place (to
    /// copy the prompt). So a writer never waits.
    pub(crate) request: RwLock<Option<TaskRequest>>,
}

/// The state behind the mutex.
pub(crate) struct State {
    pub(crate) store: Store,
    /// The number of the task that runs in each slot.
    pub(crate) running: Vec<Option<u64>>,
    /// Whether a start of the threads was begun; set once.
    pub(crate) starting: bool,
    /// Whether the threads exist and the observers were notified.
    pub(crate) started: bool,
    pub(crate) stopping: bool,
    /// The beginning of the first stop, which ends the tasks and reports; no later one waits
    /// longer.
    stop_began: Option<Instant>,
    pub(crate) stop_reported: bool,
    /// Threads that have not ended, including those about to be started.
    pub(crate) threads: usize,
    /// At which places there is no thread, or one that has ended: those of the slots, then those
    /// of duties.
    pub(crate) exited: Vec<bool>,
    /// Whether tasks may have become due since the threads that end such tasks last looked, which
    /// were all busy.
    due_again: bool,
    /// Tasks that such a thread is to cancel.
    called_off: Vec<u64>,
    pub(crate) unjoined: usize,
    /// Threads that found no work and have no ticket in transit.
    sleepers: usize,
    began_any: bool,
    last_failure_repeats: bool,
    completed: u64,
    failed: u64,
    dropped_unread: u64,
    /// The tasks that threads wait for, one entry for each waiting thread.
    awaited: Vec<u64>,
    capacity_waiters: usize,
    watches: Vec<Arc<Watch>>,
    /// As tasks receive them in their context: only programs that send messages link the code
    /// that makes them.
    inbox: Vec<Value>,
    /// The bytes of the messages' texts.
    inbox_bytes: usize,
    /// The callbacks to run, oldest first.
    callbacks: VecDeque<Box<QueuedCallback>>,
    last_callback: u64,
    /// Callbacks of published ends that are not queued yet, because their sweep is not finished.
    callbacks_held: usize,
    /// The delay between queueing and start of the latest callback, and the longest such delay.
    callback_delay: Duration,
    callback_delay_max: Duration,
}

impl State {
    /// Tasks that have left the queue and have no readable outcome.
    fn active(&self) -> usize {
        self.store.unfinished() - self.store.queued()
    }

    /// Removes at most this many threads from the sleepers; returns how many tickets to send.
    fn wake(&mut self, most: usize) -> usize {
        let woken = most.min(self.sleepers);
        self.sleepers -= woken;
        woken
    }
}

pub(crate) struct Shared {
    pub(crate) id: HelperId,
    pub(crate) name: String,
    pub(crate) backend_name: String,
    /// The provider that created the backend; `None` for a custom backend.
    pub(crate) provider: Option<&'static Provider>,
    /// How a duty is done. [`Shared::on_own_thread`] only where the program has added an
    /// observer or a backend: other programs do not link it.
    pub(crate) perform: Perform,
    /// `None` once a thread of the stopped helper has ended.
    pub(crate) backend: RwLock<Option<Foreign<Box<dyn AiBackend>>>>,
    /// How long a stop waits for threads: the backend's `stop_grace`, asked once, is a part of it.
    stop_wait: Duration,
    pub(crate) config: HelperConfig,
    pub(crate) timeout: Duration,
    pub(crate) observers: SharedObservers,
    pub(crate) state: Mutex<State>,
    /// A task has finished.
    finished: Condvar,
    /// Capacity may be available for a task.
    capacity: Condvar,
    /// A thread has ended, or a stop's last outcome is published.
    pub(crate) stop_goes_on: Condvar,
    pub(crate) tickets: Tickets,
    pub(crate) slots: Vec<ThreadSlot>,
    /// The threads that no stop has joined or detached, with their places.
    pub(crate) handles: Mutex<Vec<(usize, JoinHandle<()>)>>,
    callback_panics: AtomicU64,
}

impl Shared {
    pub(crate) fn new(
        config: HelperConfig,
        backend: Foreign<Box<dyn AiBackend>>,
        backend_name: String,
        observers: SharedObservers,
    ) -> Self {
        let threads = config.max_concurrent_tasks;
        let reply_bytes_max = config.max_reply_bytes;
        let stop_grace = catch_panic(|| backend.stop_grace());
        let slot = || ThreadSlot {
            cancel: CancelSignal::new(),
            sent: SentText::new(reply_bytes_max),
            request: RwLock::new(None),
        };
        Self {
            id: HelperId::next(),
            name: config.effective_name().to_owned(),
            backend_name,
            provider: None,
            perform: Self::here,
            backend: RwLock::new(Some(backend)),
            stop_wait: STOP_WAIT.saturating_add(stop_grace.unwrap_or_default()),
            timeout: config.effective_timeout(),
            config,
            observers,
            state: Mutex::new(State {
                store: Store::default(),
                running: vec![None; threads],
                starting: false,
                started: false,
                stopping: false,
                stop_began: None,
                stop_reported: false,
                threads: 0,
                exited: vec![true; threads + DUTY_THREADS_MAX],
                due_again: false,
                called_off: Vec::new(),
                unjoined: 0,
                sleepers: 0,
                began_any: false,
                last_failure_repeats: false,
                completed: 0,
                failed: 0,
                dropped_unread: 0,
                awaited: Vec::new(),
                capacity_waiters: 0,
                watches: Vec::new(),
                inbox: Vec::new(),
                inbox_bytes: 0,
                callbacks: VecDeque::new(),
                last_callback: 0,
                callbacks_held: 0,
                callback_delay: Duration::ZERO,
                callback_delay_max: Duration::ZERO,
            }),
            finished: Condvar::new(),
            capacity: Condvar::new(),
            stop_goes_on: Condvar::new(),
            tickets: Tickets::new(threads),
            slots: (0..threads).map(|_| slot()).collect(),
            handles: Mutex::new(Vec::new()),
            callback_panics: AtomicU64::new(u64::from(stop_grace.is_none())),
        }
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }

    /// An event about this helper.
    pub(crate) fn event(&self, kind: EventKind) -> Event<'_> {
        let mut event = Event::new(kind).helper(self.id, &self.backend_name);
        event.trace = Some(TraceFacts {
            mode: self.config.effective_trace(),
            helper: &self.name,
            model: self.config.model.as_deref(),
            provider: self.provider,
            vendor: None,
            project: self.config.trace_project(),
            note: None,
            images: &[],
            first_text: None,
        });
        event
    }

    /// The helper's configured name, or else its backend's name.
    pub(crate) fn shown_name(&self) -> &str {
        self.config.name.as_deref().unwrap_or(&self.backend_name)
    }

    /// Sends tickets to threads that `wake` has removed from the sleepers.
    fn send_tickets(&self, tickets: usize) {
        (0..tickets).for_each(|_| self.tickets.send());
    }

    /// Drops the backend of a stopped helper, unless another thread still uses it.
    pub(crate) fn drop_backend(&self) {
        let backend = self.backend.try_write().map(|mut held| held.take());
        self.count_panics(|| drop(backend));
    }

    /// Whether the backend sends anything to another device. `true` if the backend panics when
    /// asked; `false` once it is dropped.
    pub(crate) fn leaves_device(&self) -> bool {
        let held = self.backend.read().unwrap_or_else(|p| p.into_inner());
        let backend = held.as_ref();
        backend.is_some_and(|backend| self.fence(|| backend.leaves_device()).unwrap_or(true))
    }

    /// How many threads have no running or queued task.
    pub(crate) fn idle_threads(&self) -> usize {
        let state = self.lock();
        let running = state.running.iter().flatten().count();
        self.slots.len().saturating_sub(running + state.store.queued())
    }

    fn task_id(&self, number: u64) -> TaskId {
        TaskId::new(self.id, number)
    }

    /// The task's number at this helper, if the task belongs to it.
    fn number(&self, id: TaskId) -> Result<u64, Error> {
        if id.helper_id() == self.id { Ok(id.number()) } else { Err(Error::UnknownTask(id)) }
    }
}

#[cfg(all(test, not(shuttle)))]
mod tests;
