//! A helper's inside: what its threads, its handles and its manager share.
//!
//! Invariants:
//! - A task's end is claimed under the lock (its phase becomes `Ending`) by exactly one
//!   party, which then, without the lock, tells the observers, and then publishes.
//! - No foreign code (backend, observer, callback, drop of user data) runs under the lock.
//! - A thread sleeps only after it found the store empty, and counts itself a sleeper under
//!   that same lock; whoever puts a task into the store sends a ticket if there is a sleeper,
//!   and counts it off: so no task waits while a thread sleeps.

use std::time::{Duration, Instant};

use crate::backend::AiBackend;
use crate::cancel::CancelSignal;
use crate::config::HelperConfig;
use crate::error::Error;
use crate::event::{Event, EventKind, TraceFacts};
use crate::id::{HelperId, TaskId};
use crate::observers::SharedObservers;
use crate::queue::Tickets;
use crate::store::Store;
use crate::sync::{
    Arc, AtomicU64, Condvar, JoinHandle, Mutex, MutexGuard, Ordering, RwLock, lock, wait_until,
};
use crate::task::TaskRequest;

mod ends;
mod results;
mod submit;
mod work;

pub(crate) use work::Next;

/// How long past its time a running task's backend may take to say so itself, before
/// whoever asks for the task ends it: the backend knows better what it was waiting for.
pub(crate) const RUN_GRACE: Duration = Duration::from_millis(250);

/// Who waits for a task with a deadline looks at it at least so often: timers stand still
/// while the device sleeps, and nothing wakes a waiting thread when the device wakes up.
const LOOK_AGAIN: Duration = Duration::from_secs(10);

/// How long `cancel_task` waits where the task's thread itself must end it, because it just
/// tells observers of a call.
const CANCEL_HANDOVER: Duration = Duration::from_millis(100);

/// How often a wait lets other threads go first before it sleeps, and a helper's thread after
/// a task: where the next thing comes at once, neither side pays for a sleep and a wake-up.
/// Few enough to take microseconds.
pub(crate) const YIELDS: u32 = 2;

/// How many messages a helper's inbox holds.
pub const INBOX_MESSAGES_MAX: usize = 16;
/// How many bytes of text a helper's inbox holds.
pub const INBOX_BYTES_MAX: usize = 64 << 10;
/// Under this key of the context a task finds the messages in its helper's inbox.
const INBOX_KEY: &str = "inbox";

/// What one helper's result says to another helper.
pub(crate) struct Message {
    pub(crate) from: String,
    pub(crate) text: String,
}

/// Who waits for any of several tasks.
pub(crate) struct Watch {
    fired: Mutex<bool>,
    changed: Condvar,
}

impl Watch {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self { fired: Mutex::new(false), changed: Condvar::new() })
    }

    /// Wakes whoever sleeps on it.
    pub(crate) fn fire(&self) {
        *lock(&self.fired) = true;
        self.changed.notify_all();
    }

    /// Sleeps until fired or the moment has come, and disarms.
    pub(crate) fn sleep_until(&self, until: Option<Instant>) {
        let mut fired = lock(&self.fired);
        while !*fired {
            let Some(guard) = wait_until(&self.changed, fired, until) else { return };
            fired = guard;
        }
        *fired = false;
    }
}

/// A thread's place: the signal that reaches it and the request it works on.
pub(crate) struct Slot {
    pub(crate) cancel: CancelSignal,
    /// Written by the slot's thread, under the state's lock; read by that thread while it
    /// works, and by whoever ends the task in its place (to copy the prompt), also under the
    /// state's lock. So a writer never waits.
    pub(crate) request: RwLock<Option<TaskRequest>>,
}

/// What the mutex guards.
pub(crate) struct State {
    pub(crate) store: Store,
    /// The number of the task that runs in each slot.
    pub(crate) running: Vec<Option<u64>>,
    /// Somebody has begun to start the threads; set once.
    pub(crate) starting: bool,
    /// The threads are there, and the observers know.
    pub(crate) started: bool,
    pub(crate) stopping: bool,
    pub(crate) stop_told: bool,
    /// Threads that have not ended, those about to be started included.
    pub(crate) threads: usize,
    pub(crate) exited: Vec<bool>,
    pub(crate) unjoined: usize,
    /// Threads that found nothing to do and have no ticket on its way.
    sleepers: usize,
    began_any: bool,
    last_failure_repeats: bool,
    completed: u64,
    failed: u64,
    dropped_unread: u64,
    /// The tasks that somebody sleeps for, once for each sleeper.
    awaited: Vec<u64>,
    room_waiters: usize,
    watches: Vec<Arc<Watch>>,
    inbox: Vec<Message>,
}

pub(crate) struct Shared {
    pub(crate) id: HelperId,
    pub(crate) name: String,
    pub(crate) backend_name: String,
    /// Who answers, for traces, where the helper's kind tells it.
    pub(crate) provider: Option<&'static str>,
    pub(crate) backend: Box<dyn AiBackend>,
    pub(crate) config: HelperConfig,
    pub(crate) timeout: Duration,
    pub(crate) observers: SharedObservers,
    pub(crate) state: Mutex<State>,
    /// A task has finished.
    finished: Condvar,
    /// There may be room for a task.
    room: Condvar,
    /// A thread has ended.
    pub(crate) thread_ended: Condvar,
    pub(crate) tickets: Tickets,
    pub(crate) slots: Vec<Slot>,
    pub(crate) handles: Mutex<Vec<JoinHandle<()>>>,
    callback_panics: AtomicU64,
}
impl Shared {
    pub(crate) fn new(
        config: HelperConfig,
        backend: Box<dyn AiBackend>,
        observers: SharedObservers,
    ) -> Self {
        let threads = config.max_concurrent_tasks;
        let slot = || Slot { cancel: CancelSignal::new(), request: RwLock::new(None) };
        Self {
            id: HelperId::next(),
            name: config.effective_name().to_owned(),
            backend_name: backend.name().to_owned(),
            provider: None,
            backend,
            timeout: config.effective_timeout(),
            config,
            observers,
            state: Mutex::new(State {
                store: Store::new(),
                running: vec![None; threads],
                starting: false,
                started: false,
                stopping: false,
                stop_told: false,
                threads: 0,
                exited: vec![false; threads],
                unjoined: 0,
                sleepers: 0,
                began_any: false,
                last_failure_repeats: false,
                completed: 0,
                failed: 0,
                dropped_unread: 0,
                awaited: Vec::new(),
                room_waiters: 0,
                watches: Vec::new(),
                inbox: Vec::new(),
            }),
            finished: Condvar::new(),
            room: Condvar::new(),
            thread_ended: Condvar::new(),
            tickets: Tickets::new(threads),
            slots: (0..threads).map(|_| slot()).collect(),
            handles: Mutex::new(Vec::new()),
            callback_panics: AtomicU64::new(0),
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
            project: self.config.trace_project(),
            note: None,
            images: &[],
            first_text: None,
        });
        event
    }

    /// The name that was given to the helper, or what its backend calls itself.
    pub(crate) fn shown_name(&self) -> &str {
        self.config.name.as_deref().unwrap_or(&self.backend_name)
    }

    /// Counts a callback that panicked on a thread of the caller.
    pub(crate) fn count_callback_panic(&self) {
        self.callback_panics.fetch_add(1, Ordering::Relaxed);
    }

    /// How many threads have no task, running or waiting.
    pub(crate) fn idle_threads(&self) -> usize {
        let state = self.lock();
        let running = state.running.iter().flatten().count();
        self.slots.len().saturating_sub(running + state.store.queued())
    }

    fn task_id(&self, number: u64) -> TaskId {
        TaskId::new(self.id, number)
    }

    /// The task's number here, if it is of this helper.
    fn number(&self, id: TaskId) -> Result<u64, Error> {
        if id.helper_id() == self.id { Ok(id.number()) } else { Err(Error::UnknownTask(id)) }
    }
}

#[cfg(all(test, not(shuttle)))]
mod tests;
