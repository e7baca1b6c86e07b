//! A helper's inside: what its threads, its handles and its manager share.
//!
//! Invariants:
//! - A task's end is claimed under the lock (its phase becomes `Ending`) by exactly one
//!   party, which then, without the lock, notifies the observers, and then publishes.
//! - No foreign code (backend, observer, callback, drop of user data) runs under the lock.
//! - A thread sleeps only after it found neither a callback nor a task, and counts itself a
//!   sleeper under that same lock; whoever brings one sends a ticket if there is a sleeper,
//!   and counts it off: so nothing waits while a thread sleeps.
//!
//! # How ends and callbacks flow
//!
//! ```text
//! claim ──> observers ──> publish ──> callback queue ──> a thread of the helper
//! (lock)    (no lock)     (lock)      (lock)             (no lock)
//! ```
//!
//! - Who ends a task: its own thread with the backend's answer (`take`), `cancel_task`
//!   (`results`), whoever looks at a task that is due (`due`), a stop (`stop`). Each claims
//!   one task, publishes it, and goes on with the next, so that a slow observer holds up its
//!   own task and no other.
//! - A sweep that ends several queues their callbacks after the last of them. At a stopped
//!   helper, where several threads may sweep at once, no callback runs before the last task
//!   has ended.
//! - Callbacks run on the helper's threads, before tasks (`callbacks`). `cancel_task` runs the
//!   one of its own task itself; a stop runs those that no thread is there for. Nobody else
//!   runs any: a submit, a wait, a look-up or a status call only queues.
//! - What a callback ends in turn is claimed, reported and published at once, and its
//!   callbacks go to the end of the queue. What an observer ends is claimed at once and
//!   published when the observer has returned. So nothing nests (`foreign`).
//! - A thread of a stopped helper goes when every task has ended and every callback has been
//!   taken. The stop waits for that as long as it waits for threads, and no longer.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::backend::{AiBackend, SentText};
use crate::cancel::CancelSignal;
use crate::config::{HelperConfig, Provider};
use crate::error::Error;
use crate::event::{Event, EventKind, TraceFacts};
use crate::foreign::Foreign;
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
mod ends;
mod notify;
mod results;
mod stop;
mod submit;
mod take;

use callbacks::QueuedCallback;
pub(crate) use take::{Done, Next};

/// How long past its time a running task's backend may take to say so itself, before
/// whoever asks for the task ends it: the backend knows better what it was waiting for.
pub(crate) const RUN_GRACE: Duration = Duration::from_millis(250);

/// Who waits for a task with a deadline looks at it at least so often: timers stand still
/// while the device sleeps, and nothing wakes a waiting thread when the device wakes up.
const LOOK_AGAIN: Duration = Duration::from_secs(10);

/// How long `cancel_task` waits where the task's thread itself must end it, because it is just
/// reporting a call to the observers.
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
pub(crate) struct ThreadSlot {
    pub(crate) cancel: CancelSignal,
    /// Text that the backend has sent for the task that runs.
    pub(crate) sent: SentText,
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
    pub(crate) stop_reported: bool,
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
    /// As a task gets them in its context: only a program that sends messages links their making.
    inbox: Vec<Value>,
    /// The bytes of their texts.
    inbox_bytes: usize,
    /// What is to be called, by the order in which it came.
    callbacks: VecDeque<Box<QueuedCallback>>,
    last_callback: u64,
    /// Callbacks of published ends that are not in the queue yet: their sweep goes on.
    callbacks_held: usize,
    /// How long after it was queued the latest callback began, and the longest of these times.
    callback_delay: Duration,
    callback_delay_max: Duration,
}

impl State {
    /// Counts off this many sleeping threads at most; gives how many tickets are to be sent.
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
    /// Who made the backend; nobody where it is one of the program's own.
    pub(crate) provider: Option<&'static Provider>,
    pub(crate) backend: Foreign<Box<dyn AiBackend>>,
    pub(crate) config: HelperConfig,
    pub(crate) timeout: Duration,
    pub(crate) observers: SharedObservers,
    pub(crate) state: Mutex<State>,
    /// A task has finished.
    finished: Condvar,
    /// There may be room for a task.
    room: Condvar,
    /// A thread has ended, or a stop's last outcome is published.
    pub(crate) stop_goes_on: Condvar,
    pub(crate) tickets: Tickets,
    pub(crate) slots: Vec<ThreadSlot>,
    pub(crate) handles: Mutex<Vec<JoinHandle<()>>>,
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
            backend,
            timeout: config.effective_timeout(),
            config,
            observers,
            state: Mutex::new(State {
                store: Store::default(),
                running: vec![None; threads],
                starting: false,
                started: false,
                stopping: false,
                stop_reported: false,
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
                inbox_bytes: 0,
                callbacks: VecDeque::new(),
                last_callback: 0,
                callbacks_held: 0,
                callback_delay: Duration::ZERO,
                callback_delay_max: Duration::ZERO,
            }),
            finished: Condvar::new(),
            room: Condvar::new(),
            stop_goes_on: Condvar::new(),
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
            vendor: None,
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

    /// Wakes sleeping threads that were counted off.
    fn send_tickets(&self, tickets: usize) {
        (0..tickets).for_each(|_| self.tickets.send());
    }

    /// Whether its backend sends anything to another device. One that panics when it is asked
    /// is taken to do so.
    pub(crate) fn leaves_device(&self) -> bool {
        self.fence(|| self.backend.leaves_device()).unwrap_or(true)
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
