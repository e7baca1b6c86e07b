//! A helper's inside: what its threads, its handles and its manager share.
//!
//! Invariants:
//! - A task's end is claimed under the lock (its phase becomes `Ending`) by exactly one
//!   party, which then, without the lock, tells the observers, and then publishes.
//! - No foreign code (backend, observer, callback, drop of user data) runs under the lock.
//! - A thread sleeps only after it found the store empty, and counts itself a sleeper under
//!   that same lock; whoever puts a task into the store sends a ticket if there is a sleeper,
//!   and counts it off: so no task waits while a thread sleeps.

use std::time::{Duration, Instant, SystemTime};

use serde_json::{Value, json};

use crate::backend::{AiBackend, Attempt, Reply, cancelled, timed_out};
use crate::cancel::{CancelSignal, RaisedHooks};
use crate::config::{HelperConfig, WhenResultsFull};
use crate::error::Error;
use crate::event::{Event, EventKind, Fact, TraceFacts};
use crate::id::{HelperId, TaskId};
use crate::observers::{SharedObservers, quietly};
use crate::queue::Tickets;
use crate::status::{HelperStatus, HelperStatusReport};
use crate::store::{Lookup, Phase, Queued, Running, Store};
use crate::sync::{
    Arc, AtomicU64, Condvar, JoinHandle, Mutex, MutexGuard, Ordering, RwLock, earlier, lock, now,
    wait_until, yield_now,
};
use crate::task::{Exclusive, OnDone, Task, TaskRequest, TaskState, Usage, millis};
use crate::task_error::{ErrorKind, TaskError};

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

/// A claimed end of a task: all that is needed to tell and to publish it.
pub(crate) struct Claim {
    pub(crate) number: u64,
    request: TaskRequest,
    created_at: SystemTime,
    queue_time: Duration,
    began: Option<Instant>,
    attempt_open: Option<Instant>,
    attempts: u32,
    on_done: Option<OnDone>,
    slot: Option<usize>,
    /// When the first piece of text came.
    pub(crate) first_text: Option<Instant>,
}

/// What ends at once when the lock is gone: hooks to run, tasks to publish.
#[derive(Default)]
pub(crate) struct Afterwards<'a> {
    hooks: Vec<RaisedHooks<'a>>,
    ends: Vec<(Claim, TaskError)>,
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
            first_text: None,
        });
        event
    }

    /// The name that was given to the helper, or what its backend calls itself.
    pub(crate) fn shown_name(&self) -> &str {
        self.config.name.as_deref().unwrap_or(&self.backend_name)
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

    // ---- in ----------------------------------------------------------------------------

    /// Checks a request and puts it into the queue; waits for room this long.
    pub(crate) fn submit(&self, request: TaskRequest, patience: Duration) -> Result<TaskId, Error> {
        let (prompt_max, context_max) =
            (self.config.max_prompt_bytes, self.config.max_context_bytes);
        if let Some(problem) = request.problem(prompt_max, context_max) {
            return Err(Error::InvalidRequest(problem));
        }
        let submitted = now();
        let until = submitted.checked_add(patience);
        let deadline = request.deadline.and_then(|deadline| submitted.checked_add(deadline));
        let created_at = SystemTime::now();
        if self.observers.any() || (deadline.is_some() && self.config.count_suspended_time) {
            self.observers.slept.watch();
        }
        let mut state = self.lock();
        loop {
            if state.stopping {
                return Err(Error::Stopped(Box::new(request)));
            }
            if self.has_room(&state) {
                break;
            }
            let looked = now();
            let (unlocked, ended_any) = self.end_expired(state, looked);
            state = unlocked;
            if ended_any {
                continue;
            }
            if deadline.is_some_and(|deadline| deadline <= looked) || patience.is_zero() {
                return Err(Error::QueueFull(Box::new(request)));
            }
            let wake = earlier(earlier(until, deadline), state.store.next_expiry());
            state.room_waiters += 1;
            let woken = wait_until(&self.room, state, wake);
            state = woken.unwrap_or_else(|| self.lock());
            state.room_waiters -= 1;
            if until.is_some_and(|until| until <= now()) && !self.has_room(&state) {
                return Err(Error::QueueFull(Box::new(request)));
            }
        }
        let number = state.store.insert(Queued { request, created_at, submitted, deadline });
        let sleeper = state.sleepers > 0;
        state.sleepers -= usize::from(sleeper);
        drop(state);
        if sleeper {
            self.tickets.send();
        }
        Ok(self.task_id(number))
    }

    fn has_room(&self, state: &State) -> bool {
        let queued = state.store.queued();
        if queued >= self.config.queue_capacity {
            return false;
        }
        match self.config.when_results_full {
            WhenResultsFull::DropOldest => true,
            // Whatever is accepted must find a place without pushing out an unread result.
            WhenResultsFull::RefuseTasks => {
                let owed = state.store.unread() + state.store.unfinished();
                owed < self.config.max_results
                    && state.store.unread_bytes() < self.config.max_result_bytes
            }
        }
    }

    /// Ends every queued task whose deadline is over, and every running one whose backend
    /// did not notice. Gives the lock back anew, and whether there was any.
    fn end_expired<'a>(
        &'a self,
        mut state: MutexGuard<'a, State>,
        now: Instant,
    ) -> (MutexGuard<'a, State>, bool) {
        let mut after = Afterwards::default();
        for (number, queued) in state.store.claim_expired(now) {
            after.ends.push((Claim::queued(number, queued), expired_in_queue()));
        }
        // Who waits for room need not be told: it wakes up at that moment by itself.
        for slot in 0..state.running.len() {
            let Some(number) = state.running[slot] else { continue };
            let Some(Phase::Running(running)) = state.store.phase(number) else { continue };
            if self.is_overdue(running, now) {
                self.end_running(&mut state, number, timed_out(), &mut after);
            }
        }
        if after.ends.is_empty() && after.hooks.is_empty() {
            return (state, false);
        }
        drop(state);
        self.finish_all(after);
        (self.lock(), true)
    }

    // ---- ends --------------------------------------------------------------------------

    /// Claims a running task's end, or leaves the reason with its thread where that is just
    /// telling observers; raises its signal either way. Needs [`Self::finish_all`] after.
    fn end_running<'a>(
        &'a self,
        state: &mut State,
        number: u64,
        why: TaskError,
        after: &mut Afterwards<'a>,
    ) -> bool {
        let Some(Phase::Running(running)) = state.store.phase(number) else { return false };
        let slot = running.slot;
        if running.logging {
            if running.end_with.is_some() {
                return false;
            }
            running.end_with = Some(why);
            after.hooks.push(self.slots[slot].cancel.raise());
            return true;
        }
        let Some(running) = state.store.claim_running(number) else { return false };
        // The thread has the request. Its copy is made under the lock, for when the lock is
        // gone the thread may come back and take the next task. Never waits, see `Slot`.
        let request = match self.slots[slot].request.try_read() {
            Ok(held) => held.as_ref().map(TaskRequest::clone_for_record),
            Err(_) => None,
        };
        let request = request.unwrap_or_else(|| TaskRequest::new(""));
        after.hooks.push(self.slots[slot].cancel.raise());
        after.ends.push((Claim::running(number, running, request), why));
        true
    }

    /// Runs hooks and publishes ends. Call it without the lock.
    fn finish_all(&self, after: Afterwards<'_>) {
        drop(after.hooks);
        for (claim, why) in after.ends {
            self.finish(claim, Err(why));
        }
    }

    /// Tells the observers how a claimed task ended, makes that readable, and calls back.
    pub(crate) fn finish(&self, claim: Claim, outcome: Result<Reply, TaskError>) {
        let Claim { number, mut request, began, attempt_open, mut on_done, slot, .. } = claim;
        let now = now();
        let latency = began.map_or(Duration::ZERO, |began| now.duration_since(began));
        let mut attempts = claim.attempts;
        let on_done = on_done.take().or_else(|| request.on_done.take().map(Exclusive::into_inner));
        let (reply, error) = match outcome {
            Ok(reply) => (Some(reply), None),
            Err(error) => (None, Some(error)),
        };
        attempts += u32::from(attempt_open.is_some());
        let completed_at = SystemTime::now();
        if self.observers.any() {
            let submitted = began.unwrap_or(now).checked_sub(claim.queue_time).unwrap_or(now);
            // Notes it; what the task is charged was decided before.
            let _ =
                self.observers.slept.between((claim.created_at, submitted), (completed_at, now));
        }
        if let Some(slept) = self.observers.slept.to_tell() {
            let facts = [("suspended_ms", Fact::Number(millis(slept)))];
            let mut event = self.event(EventKind::Suspended);
            event.facts = &facts;
            self.observers.tell(&event);
        }
        let request_bytes = request.text_bytes();
        let provider = reply.as_ref().and_then(|reply| reply.provider.clone());
        let (result, model, usage, finish_reason) = match reply {
            Some(reply) => (Some(reply.text), reply.model, reply.usage, reply.finish_reason),
            None => (None, None, None, None),
        };
        let cost = self.cost(model.as_deref(), usage.as_ref());
        let task = Task {
            task_id: self.task_id(number),
            helper_id: self.id,
            prompt: std::mem::take(&mut request.prompt),
            context: std::mem::take(&mut request.context),
            created_at: claim.created_at,
            completed_at: Some(completed_at),
            result,
            error,
            model,
            usage,
            cost,
            finish_reason,
            attempts,
            queue_ms: millis(claim.queue_time),
            latency_ms: millis(latency),
        };
        if self.observers.any() {
            let event = |kind, took| {
                let mut event = self.event(kind).outcome(took, task.error.as_ref());
                event.task_id = Some(task.task_id);
                event.attempt = Some(attempts);
                event.usage = task.usage.as_ref();
                event
            };
            let mut end = event(EventKind::TaskComplete, latency);
            end.queue = Some(claim.queue_time);
            end.task = Some(&task);
            if let Some(trace) = &mut end.trace {
                trace.note = request.note.as_deref();
                trace.provider = provider.as_deref().or(trace.provider);
                trace.first_text = began.zip(claim.first_text).map(|(from, to)| to - from);
            }
            match attempt_open {
                // The task's last call is told as late as this where its backend told nothing.
                Some(opened) => {
                    let call = event(EventKind::BackendCall, now.duration_since(opened));
                    self.observers.tell_all(&[call, end]);
                }
                None => self.observers.tell(&end),
            }
        }
        let bytes = task.text_bytes(request_bytes);
        let for_callback = on_done.as_ref().map(|_| task.clone());
        self.publish(number, task, bytes, slot);
        if let (Some(on_done), Some(task)) = (on_done, for_callback) {
            if quietly(move || on_done(&task)).is_none() {
                self.callback_panics.fetch_add(1, Ordering::Relaxed);
            }
        }
        // Turns, tools and the like: user data, dropped where no lock is held.
        drop(request);
    }

    /// What tokens cost, where a price list knows the model that answered (or else the one
    /// that was asked for).
    fn cost(&self, model: Option<&str>, usage: Option<&Usage>) -> Option<f64> {
        let prices = self.config.prices.as_ref()?;
        let cost = prices.cost(model.or(self.config.model.as_deref())?, usage?)?;
        // A price that is no number makes no cost.
        (cost.is_finite() && cost >= 0.0).then_some(cost)
    }

    fn publish(&self, number: u64, task: Task, bytes: usize, slot: Option<usize>) {
        let (max, bytes_max) = (self.config.max_results, self.config.max_result_bytes);
        // What was accepted when there was room is kept, however long its result came out.
        let unread_too = self.config.when_results_full == WhenResultsFull::DropOldest;
        let failed = task.error.as_ref().map(TaskError::kind);
        let mut state = self.lock();
        state.completed += 1;
        state.failed += u64::from(failed.is_some());
        if let Some(slot) = slot {
            // A later task may run there already, if this end was claimed by another thread.
            if state.running[slot] == Some(number) {
                state.running[slot] = None;
            }
            match failed {
                None => state.last_failure_repeats = false,
                Some(kind) => state.last_failure_repeats |= kind.repeats_without_human(),
            }
        }
        state.store.publish(number, task, bytes);
        // In a steady state one goes for each that comes: no allocation for that one.
        let first = state.store.evict(max, bytes_max, unread_too);
        let mut more = Vec::new();
        if first.is_some() {
            more.extend(std::iter::from_fn(|| state.store.evict(max, bytes_max, unread_too)));
        }
        let evicted = || first.iter().chain(&more);
        state.dropped_unread += evicted().filter(|(_, unread)| *unread).count() as u64;
        let awaited = state.awaited.contains(&number);
        for watch in &state.watches {
            watch.fire();
        }
        drop(state);
        // Without the lock, which whoever wakes up wants at once.
        if awaited {
            self.finished.notify_all();
        }
        for (task, unread) in evicted() {
            if !unread {
                continue;
            }
            let mut event = self.event(EventKind::ResultDropped);
            event.task_id = Some(task.task_id);
            self.observers.tell(&event);
        }
    }

    /// Sleeps until the task ends or the moment has come (`None`: it has).
    fn sleep_for<'a>(
        &'a self,
        mut state: MutexGuard<'a, State>,
        number: u64,
        until: Option<Instant>,
    ) -> Option<MutexGuard<'a, State>> {
        state.awaited.push(number);
        let woken = wait_until(&self.finished, state, until);
        let in_time = woken.is_some();
        let mut state = woken.unwrap_or_else(|| self.lock());
        if let Some(at) = state.awaited.iter().position(|other| *other == number) {
            state.awaited.swap_remove(at);
        }
        in_time.then_some(state)
    }

    // ---- out ---------------------------------------------------------------------------

    /// Ends the task if its time is over and nobody noticed. The lock is given back anew.
    fn touch<'a>(&'a self, mut state: MutexGuard<'a, State>, number: u64) -> MutexGuard<'a, State> {
        // What has ended is asked for most: it costs no look at the clock.
        if !matches!(state.store.phase(number), Some(Phase::Queued(_) | Phase::Running(_))) {
            return state;
        }
        self.touch_at(state, number, now())
    }

    fn touch_at<'a>(
        &'a self,
        mut state: MutexGuard<'a, State>,
        number: u64,
        now: Instant,
    ) -> MutexGuard<'a, State> {
        let mut after = Afterwards::default();
        let ended = match state.store.phase(number) {
            Some(Phase::Queued(queued)) if self.queued_is_late(queued, now) => {
                self.end_queued(&mut state, number, expired_in_queue(), &mut after)
            }
            Some(Phase::Running(running)) if self.is_overdue(running, now) => {
                self.end_running(&mut state, number, timed_out(), &mut after)
            }
            _ => false,
        };
        if !ended {
            return state;
        }
        drop(state);
        self.finish_all(after);
        self.lock()
    }

    /// How long the device slept while the task waited, as far as that counts.
    fn slept_since(&self, queued: &Queued) -> Duration {
        if queued.deadline.is_none() || !self.config.count_suspended_time {
            return Duration::ZERO;
        }
        self.observers.slept.since(queued.created_at, queued.submitted)
    }

    /// Whether the time is over for a running task whose backend did not notice.
    fn is_overdue(&self, running: &Running, now: Instant) -> bool {
        let over = |at: Instant| at.checked_add(RUN_GRACE).is_some_and(|at| at <= now);
        if running.end_with.is_some() {
            return false;
        }
        if running.deadline.is_some_and(over) {
            return true;
        }
        let Some(sleepless) = running.sleepless else { return false };
        let submitted = running.began.checked_sub(running.queue_time).unwrap_or(running.began);
        let slept = self.observers.slept.since(running.created_at, submitted);
        !slept.is_zero() && sleepless.checked_sub(slept).is_none_or(over)
    }

    /// When to look at a task again: at its end, or soon where the device's sleep counts.
    fn look_again(&self, over: Option<Instant>, has_deadline: bool) -> Option<Instant> {
        let counts = has_deadline && self.config.count_suspended_time;
        if counts { earlier(over, now().checked_add(LOOK_AGAIN)) } else { over }
    }

    fn queued_is_late(&self, queued: &Queued, now: Instant) -> bool {
        let Some(deadline) = queued.deadline else { return false };
        deadline.saturating_duration_since(now) <= self.slept_since(queued)
    }

    fn end_queued(
        &self,
        state: &mut State,
        number: u64,
        why: TaskError,
        after: &mut Afterwards<'_>,
    ) -> bool {
        let Some(queued) = state.store.claim_queued(number) else { return false };
        if state.room_waiters > 0 {
            self.room.notify_one();
        }
        after.ends.push((Claim::queued(number, queued), why));
        true
    }

    /// A copy of the finished task; `Ok(None)` while it is not finished, together with the
    /// moment by which it should be looked at again.
    pub(crate) fn poll(&self, id: TaskId) -> Result<Result<Task, Option<Instant>>, Error> {
        let number = self.number(id)?;
        let state = self.lock();
        let mut state = self.touch(state, number);
        self.peek(&mut state, id, number)
    }

    fn peek(
        &self,
        state: &mut State,
        id: TaskId,
        number: u64,
    ) -> Result<Result<Task, Option<Instant>>, Error> {
        match state.store.look(number) {
            Lookup::Dropped => Err(Error::ResultDropped(id)),
            Lookup::Unknown => Err(Error::UnknownTask(id)),
            Lookup::Found(Phase::Queued(queued)) => {
                Ok(Err(self.look_again(queued.deadline, queued.deadline.is_some())))
            }
            Lookup::Found(Phase::Running(running)) => {
                // An end that its thread was asked for already is not asked for again.
                let asked = running.end_with.is_some();
                let over = running.deadline.and_then(|at| at.checked_add(RUN_GRACE));
                let again = self.look_again(over, running.sleepless.is_some());
                Ok(Err(if asked { None } else { again }))
            }
            Lookup::Found(Phase::Finished { .. }) => match state.store.read(number) {
                Some(task) => {
                    self.tell_room(state);
                    Ok(Ok(task))
                }
                None => Err(Error::UnknownTask(id)),
            },
            Lookup::Found(Phase::Ending | Phase::Free) => Ok(Err(None)),
        }
    }

    /// Reading a result can make room for a task; see [`WhenResultsFull::RefuseTasks`].
    fn tell_room(&self, state: &State) {
        if state.room_waiters > 0 {
            self.room.notify_all();
        }
    }

    pub(crate) fn wait(&self, id: TaskId, timeout: Duration) -> Result<Task, Error> {
        let number = self.number(id)?;
        let mut looked = now();
        let until = looked.checked_add(timeout);
        let mut yields_left = YIELDS;
        let mut state = self.lock();
        loop {
            state = self.touch_at(state, number, looked);
            let look_again = match self.peek(&mut state, id, number)? {
                Ok(task) => return Ok(task),
                Err(moment) => moment,
            };
            if until.is_some_and(|until| until <= looked) {
                return Err(Error::WaitTimedOut { waited: timeout });
            }
            if yields_left > 0 {
                yields_left -= 1;
                drop(state);
                yield_now();
                state = self.lock();
                continue;
            }
            let woken = self.sleep_for(state, number, earlier(until, look_again));
            state = woken.unwrap_or_else(|| self.lock());
            looked = now();
        }
    }

    pub(crate) fn watch(&self, watch: &Arc<Watch>) {
        self.lock().watches.push(Arc::clone(watch));
    }

    pub(crate) fn unwatch(&self, watch: &Arc<Watch>) {
        self.lock().watches.retain(|other| !Arc::ptr_eq(other, watch));
    }

    pub(crate) fn take(&self, id: TaskId) -> Option<Task> {
        let number = self.number(id).ok()?;
        let state = self.lock();
        let mut state = self.touch(state, number);
        let task = state.store.remove(number);
        self.tell_room(&state);
        task
    }

    pub(crate) fn clear(&self) -> usize {
        let mut state = self.lock();
        let tasks = state.store.clear();
        self.tell_room(&state);
        drop(state);
        tasks.len()
    }

    pub(crate) fn task_state(&self, id: TaskId) -> Option<TaskState> {
        let number = self.number(id).ok()?;
        let state = self.lock();
        let mut state = self.touch(state, number);
        match state.store.phase(number)? {
            Phase::Queued(_) => Some(TaskState::Queued),
            Phase::Running(_) | Phase::Ending => Some(TaskState::Running),
            Phase::Finished { .. } => Some(TaskState::Finished),
            Phase::Free => None,
        }
    }

    pub(crate) fn cancel(&self, id: TaskId) -> bool {
        let Ok(number) = self.number(id) else { return false };
        let state = self.lock();
        let mut state = self.touch(state, number);
        let mut after = Afterwards::default();
        let ended = self.end_queued(&mut state, number, cancelled(), &mut after)
            || self.end_running(&mut state, number, cancelled(), &mut after);
        drop(state);
        let handed_over = ended && after.ends.is_empty();
        self.finish_all(after);
        if handed_over && !super::worker::on_helper_thread() {
            self.await_end(number);
        }
        ended
    }

    /// Waits a moment for an end that the task's own thread was asked for.
    fn await_end(&self, number: u64) {
        let until = now().checked_add(CANCEL_HANDOVER);
        let mut state = self.lock();
        while matches!(state.store.phase(number), Some(Phase::Running(_) | Phase::Ending)) {
            let Some(woken) = self.sleep_for(state, number, until) else { return };
            state = woken;
        }
    }

    pub(crate) fn status(&self) -> HelperStatus {
        status_of(&self.lock())
    }

    pub(crate) fn report(&self) -> HelperStatusReport {
        let state = self.lock();
        let (state, _) = self.end_expired(state, now());
        HelperStatusReport {
            helper_id: self.id,
            name: self.name.clone(),
            backend: self.backend_name.clone(),
            status: status_of(&state),
            queued_tasks: state.store.queued(),
            active_tasks: state.running.iter().flatten().count(),
            completed_tasks: state.completed,
            failed_tasks: state.failed,
            kept_results: state.store.kept(),
            dropped_results: state.dropped_unread,
            threads: state.threads,
            unjoined_threads: state.unjoined,
            callback_panics: self.callback_panics.load(Ordering::Relaxed),
            observer_panics: self.observers.panics(),
        }
    }

    /// Puts a message where the next task begun sees it.
    pub(crate) fn put_message(&self, message: Message) -> Result<(), Error> {
        if message.text.len() > INBOX_BYTES_MAX {
            return Err(Error::InvalidRequest(format!(
                "the result has {} bytes, an inbox holds {INBOX_BYTES_MAX} (INBOX_BYTES_MAX): \
                 send a part of it, as context of a task",
                message.text.len()
            )));
        }
        let mut state = self.lock();
        let held: usize = state.inbox.iter().map(|held| held.text.len()).sum();
        if state.inbox.len() >= INBOX_MESSAGES_MAX || held + message.text.len() > INBOX_BYTES_MAX {
            return Err(Error::InboxFull);
        }
        state.inbox.push(message);
        Ok(())
    }

    // ---- work --------------------------------------------------------------------------

    /// A further call to the provider begins.
    pub(crate) fn attempt_begins(&self, number: u64) {
        if let Some(Phase::Running(running)) = self.lock().store.phase(number) {
            running.attempt_open = Some(now());
        }
    }

    /// The call that has begun was not made: nothing will be told of it.
    #[cfg_attr(not(feature = "http"), allow(dead_code))]
    pub(crate) fn attempt_withdrawn(&self, number: u64) {
        if let Some(Phase::Running(running)) = self.lock().store.phase(number) {
            running.attempt_open = None;
        }
    }

    /// A call to the provider has ended: tells the observers, unless the task was ended
    /// meanwhile (then that was told already).
    pub(crate) fn attempt_ends(&self, number: u64, attempt: &Attempt<'_>) {
        let mut state = self.lock();
        let Some(Phase::Running(running)) = state.store.phase(number) else { return };
        let Some(opened) = running.attempt_open.take() else { return };
        running.attempts += 1;
        running.logging = true;
        let ordinal = running.attempts;
        drop(state);
        let mut event =
            self.event(EventKind::BackendCall).outcome(now().duration_since(opened), attempt.error);
        event.task_id = Some(self.task_id(number));
        event.attempt = Some(ordinal);
        event.http_status = attempt.http_status;
        event.usage = attempt.usage;
        event.first_byte = attempt.first_byte;
        event.waited = attempt.waited;
        self.observers.tell(&event);
        let mut state = self.lock();
        let Some(Phase::Running(running)) = state.store.phase(number) else { return };
        running.logging = false;
        let Some(why) = running.end_with.take() else { return };
        let mut after = Afterwards::default();
        self.end_running(&mut state, number, why, &mut after);
        drop(state);
        self.finish_all(after);
    }

    /// The next task for a thread, put into its slot. A thread that will sleep if there is
    /// none must take a ticket before it asks again.
    pub(crate) fn begin_next(&self, slot: usize, will_sleep: bool) -> Next {
        let mut state = self.lock();
        if state.stopping {
            return Next::Stop;
        }
        let Some((number, mut queued)) = state.store.take_next() else {
            state.sleepers += usize::from(will_sleep);
            return Next::Nothing;
        };
        if state.room_waiters > 0 {
            self.room.notify_one();
        }
        let now = now();
        if self.queued_is_late(&queued, now) {
            drop(state);
            self.finish(Claim::queued(number, queued), Err(expired_in_queue()));
            return Next::Late;
        }
        let timeout = queued.request.timeout.unwrap_or(self.timeout);
        let slept = self.slept_since(&queued);
        let own = queued.deadline.and_then(|deadline| deadline.checked_sub(slept));
        let deadline = earlier(now.checked_add(timeout), own);
        let on_text = queued.request.on_text.take().map(Exclusive::into_inner);
        let running = Running {
            slot,
            created_at: queued.created_at,
            queue_time: now.duration_since(queued.submitted),
            began: now,
            deadline,
            sleepless: queued.deadline.filter(|_| self.config.count_suspended_time),
            on_done: queued.request.on_done.take().map(Exclusive::into_inner),
            attempt_open: Some(now),
            attempts: 0,
            logging: false,
            end_with: None,
        };
        self.slots[slot].cancel.reset();
        // A context of the caller's own under that name is left alone; the messages wait.
        if !state.inbox.is_empty() && !queued.request.context.contains_key(INBOX_KEY) {
            let inbox = std::mem::take(&mut state.inbox);
            let message = |message: Message| json!({"from": message.from, "text": message.text});
            let messages: Vec<Value> = inbox.into_iter().map(message).collect();
            queued.request.context.insert(INBOX_KEY.to_owned(), Value::Array(messages));
        }
        let mut place = self.slots[slot].request.write().unwrap_or_else(|p| p.into_inner());
        let left_over = place.replace(queued.request);
        drop(place);
        state.store.set_running(number, running);
        state.running[slot] = Some(number);
        state.began_any = true;
        drop(state);
        drop(left_over);
        Next::Task { number, deadline, on_text }
    }

    /// Claims the end of the task that a thread has worked on, with its request; nothing if
    /// somebody else ended it meanwhile. The slot is empty afterwards.
    pub(crate) fn claim_own(&self, slot: usize, number: u64) -> (Option<Claim>, Leftover) {
        let mut state = self.lock();
        let mut place = self.slots[slot].request.write().unwrap_or_else(|p| p.into_inner());
        let request = place.take();
        drop(place);
        match (state.store.claim_running(number), request) {
            (Some(running), Some(request)) => {
                (Some(Claim::running(number, running, request)), None)
            }
            (Some(running), None) => {
                (Some(Claim::running(number, running, TaskRequest::new(""))), None)
            }
            (None, request) => (None, request),
        }
    }

    /// Ends everything at once: queued tasks as terminated, running ones as cancelled.
    /// Threads see the stop at their next ticket.
    pub(crate) fn signal_stop(&self) {
        let mut state = self.lock();
        if state.stopping {
            return;
        }
        state.stopping = true;
        let mut after = Afterwards::default();
        for (number, queued) in state.store.claim_all_queued() {
            let why = TaskError::new(
                ErrorKind::Terminated,
                "the helper was stopped before it began this task",
            );
            after.ends.push((Claim::queued(number, queued), why));
        }
        for slot in 0..state.running.len() {
            let Some(number) = state.running[slot] else { continue };
            let why =
                TaskError::new(ErrorKind::Cancelled, "the helper was stopped during this task");
            self.end_running(&mut state, number, why, &mut after);
        }
        let threads = state.threads;
        self.room.notify_all();
        drop(state);
        for _ in 0..threads {
            self.tickets.send();
        }
        self.finish_all(after);
    }
}

/// What a thread finds when it has got a ticket.
pub(crate) enum Next {
    Task {
        number: u64,
        deadline: Option<Instant>,
        on_text: Option<crate::task::OnText>,
    },
    Nothing,
    /// The next one's deadline had passed: it was ended.
    Late,
    Stop,
}

/// A request whose task was ended by somebody else: dropped where no lock is held.
pub(crate) type Leftover = Option<TaskRequest>;

impl Claim {
    fn queued(number: u64, queued: Queued) -> Self {
        Self {
            number,
            created_at: queued.created_at,
            queue_time: now().duration_since(queued.submitted),
            request: queued.request,
            began: None,
            attempt_open: None,
            attempts: 0,
            on_done: None,
            slot: None,
            first_text: None,
        }
    }

    fn running(number: u64, running: Running, request: TaskRequest) -> Self {
        Self {
            number,
            request,
            created_at: running.created_at,
            queue_time: running.queue_time,
            began: Some(running.began),
            attempt_open: running.attempt_open,
            attempts: running.attempts,
            on_done: running.on_done,
            slot: Some(running.slot),
            first_text: None,
        }
    }
}

fn expired_in_queue() -> TaskError {
    TaskError::new(
        ErrorKind::Timeout,
        "the deadline passed while the task waited in the queue: give it longer, \
         or the helper more threads",
    )
}

fn status_of(state: &State) -> HelperStatus {
    if state.stopping {
        HelperStatus::Terminated
    } else if !state.started {
        HelperStatus::Initializing
    } else if state.running.iter().any(Option::is_some) {
        HelperStatus::Processing
    } else if state.last_failure_repeats {
        HelperStatus::Error
    } else if state.began_any {
        HelperStatus::Idle
    } else {
        HelperStatus::Ready
    }
}

#[cfg(all(test, not(shuttle)))]
#[path = "shared_tests.rs"]
mod tests;
