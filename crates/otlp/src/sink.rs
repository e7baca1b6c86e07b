//! The public handle of a sink, an observer that queues spans; and the thread that sends them.

use std::fmt;
use std::hash::{BuildHasher, RandomState};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use automation_assistant::Error;
use automation_assistant::event::{Event, Observe};

use crate::config::{OtlpConfig, of_process};
use crate::post::{CONNECT_LIMIT, Client, REQUEST_LIMIT, Verdict};
use crate::queue::{OtlpStats, Queue};
use crate::span::{self, Ids, Starts};

/// Stack of the sink's thread, in bytes: an HTTP request and a TLS handshake.
const STACK_BYTES: usize = 512 << 10;
/// First and longest wait of our own choice after a failure: an offline phone is woken once a
/// minute.
const BACKOFF: [Duration; 2] = [Duration::from_secs(1), Duration::from_secs(60)];
/// How long a close waits for the thread beyond the limits of what the thread does.
const JOIN_GRACE: Duration = Duration::from_secs(1);

/// Sends spans of helpers' tasks to an OpenTelemetry collector, as OTLP/JSON over HTTP.
///
/// It is an observer: give it to
/// [`ManagerBuilder::observer`](automation_assistant::ManagerBuilder::observer), or to the
/// builder of a single helper. Each task becomes a span of the GenAI conventions, each call to
/// its backend a child of that span.
///
/// One thread sends; it sleeps without a time-out while there is nothing to send. Spans go out
/// 2 s after the first one, or when there are 512. While the collector cannot be reached they
/// are kept, in bounded memory; spans beyond the bound are dropped and counted, and so are those
/// that the collector rejects. No task ever fails or waits for this.
///
/// Cheap to clone; all clones are one sink. Dropping the last one sends what is left, for as
/// long as [`OtlpConfig::close_timeout`] allows, and joins the thread.
#[derive(Clone)]
pub struct OtlpSink(Arc<CloseOnDrop>);

impl OtlpSink {
    /// Creates a sink, and starts its thread.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidConfig`]; [`Error::Unsupported`] for an https address without the cargo
    /// feature `tls`; [`Error::Io`] if the system refuses a thread.
    pub fn new(config: OtlpConfig) -> Result<Self, Error> {
        let target = config.target(&of_process)?;
        let content = target.content;
        let shared = Arc::new(Shared {
            state: Mutex::new(State {
                queue: Queue::new(config.queue_spans, config.queue_bytes),
                urgent: false,
                closing: None,
                exited: false,
            }),
            work: Condvar::new(),
            progress: Condvar::new(),
            client: Client::new(target),
        });
        let of_thread = Exit(Arc::clone(&shared));
        let handle = thread::Builder::new()
            .name("aa-otlp".into())
            .stack_size(STACK_BYTES)
            .spawn(move || run(&of_thread.0))
            .map_err(|source| Error::Io { what: "starting the sink's thread".into(), source })?;
        let close_timeout = config.close_timeout;
        let (handle, ids, starts) = (Some(handle), Ids::new(), Starts::default());
        Ok(Self(Arc::new(CloseOnDrop { shared, handle, close_timeout, content, ids, starts })))
    }

    /// Sends everything pending at once; returns when it is sent or dropped, or after the
    /// time-out. A wait that the collector asked for is respected.
    pub fn flush(&self, timeout: Duration) -> OtlpStats {
        let shared = &self.0.shared;
        let until = Instant::now().checked_add(timeout);
        let mut state = shared.lock();
        let settled = |state: &State| state.queue.stats.sent + state.queue.stats.dropped;
        let goal = settled(&state) + state.queue.stats.pending;
        state.urgent = state.queue.stats.pending > 0;
        shared.work.notify_one();
        while !state.exited && settled(&state) < goal && !is_over(until) {
            state = wait(&shared.progress, state, until);
        }
        state.queue.stats
    }

    /// The current counts and state.
    pub fn stats(&self) -> OtlpStats {
        self.0.shared.lock().queue.stats
    }
}

impl Observe for OtlpSink {
    fn on_event(&self, event: &Event<'_>) {
        let CloseOnDrop { ids, starts, content, .. } = &*self.0;
        let Some(span) = span::of_event(event, ids, starts, *content) else { return };
        let shared = &self.0.shared;
        let mut state = shared.lock();
        let now = Instant::now();
        let was_empty = state.queue.is_empty();
        state.queue.push(span.into(), now);
        // The thread needs to know of the first, and of a full request; of no other.
        let wake = was_empty || state.queue.due(now) == Some(now);
        drop(state);
        if wake {
            shared.work.notify_one();
        }
    }
}

impl fmt::Debug for OtlpSink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OtlpSink").field("stats", &self.stats()).finish_non_exhaustive()
    }
}

/// The state that all handles share. Its drop closes the sink.
struct CloseOnDrop {
    shared: Arc<Shared>,
    handle: Option<JoinHandle<()>>,
    close_timeout: Duration,
    content: bool,
    ids: Ids,
    starts: Starts,
}

impl Drop for CloseOnDrop {
    fn drop(&mut self) {
        let now = Instant::now();
        let until = now.checked_add(self.close_timeout);
        self.shared.lock().closing = Some(until.unwrap_or(now));
        self.shared.work.notify_one();
        if !self.shared.await_exit(until) {
            self.shared.client.shutdown();
            // Only looking up a name and connecting can keep it now.
            let last = Instant::now().checked_add(2 * CONNECT_LIMIT + JOIN_GRACE);
            if !self.shared.await_exit(last) {
                return;
            }
        }
        if let Some(handle) = self.handle.take() {
            drop(handle.join());
        }
    }
}

/// The state that handles and the thread share.
struct Shared {
    state: Mutex<State>,
    /// There is something for the thread to do.
    work: Condvar,
    /// Something was settled, or the thread has ended.
    progress: Condvar,
    client: Client,
}

struct State {
    queue: Queue,
    /// A caller waits in `flush`: send now.
    urgent: bool,
    /// The sink closes; the thread stops sending at this moment.
    closing: Option<Instant>,
    exited: bool,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for the thread's end; `false` if the moment has come before.
    fn await_exit(&self, until: Option<Instant>) -> bool {
        let mut state = self.lock();
        while !state.exited && !is_over(until) {
            state = wait(&self.progress, state, until);
        }
        state.exited
    }
}

/// Marks the thread as ended, however it ends.
struct Exit(Arc<Shared>);

impl Drop for Exit {
    fn drop(&mut self) {
        self.0.lock().exited = true;
        self.0.progress.notify_all();
    }
}

fn is_over(until: Option<Instant>) -> bool {
    until.is_some_and(|until| until <= Instant::now())
}

/// Waits until it is notified, at most until this moment.
fn wait<'a>(
    condvar: &Condvar,
    state: MutexGuard<'a, State>,
    until: Option<Instant>,
) -> MutexGuard<'a, State> {
    match until.map(|until| until.saturating_duration_since(Instant::now())) {
        None => condvar.wait(state).unwrap_or_else(PoisonError::into_inner),
        Some(left) => condvar.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0,
    }
}

/// The whole work of the thread.
fn run(shared: &Shared) {
    let mut failures = 0;
    while let Some(batch) = next_batch(shared) {
        deliver(shared, &batch, &mut failures);
    }
}

/// Waits until a request is due; nothing once the sink is closed and the queue is empty.
fn next_batch(shared: &Shared) -> Option<Vec<Box<str>>> {
    let mut state = shared.lock();
    loop {
        if state.queue.is_empty() {
            state.urgent = false;
            if state.closing.is_some() {
                return None;
            }
        }
        let now = Instant::now();
        let due = state.queue.due(now);
        let hurry = state.urgent || state.closing.is_some();
        if due.is_some_and(|due| hurry || due <= now) {
            return Some(state.queue.take_batch());
        }
        state = wait(&shared.work, state, due);
    }
}

/// Sends a batch, again and again where that may help, and settles it.
fn deliver(shared: &Shared, batch: &[Box<str>], failures: &mut u32) {
    let spans = batch.len() as u64;
    loop {
        let closing = shared.lock().closing;
        let left = closing.map(|until| until.saturating_duration_since(Instant::now()));
        let limit = left.unwrap_or(REQUEST_LIMIT).min(REQUEST_LIMIT);
        let outcome = if limit.is_zero() { None } else { Some(shared.client.send(batch, limit)) };
        let mut state = shared.lock();
        let Some(outcome) = outcome else {
            state.queue.settle(0, spans);
            break;
        };
        let stats = &mut state.queue.stats;
        stats.last_status = outcome.status.or(stats.last_status);
        stats.last_error = outcome.error.or(stats.last_error);
        match outcome.verdict {
            Verdict::Accepted { rejected } => {
                let rejected = rejected.min(spans);
                state.queue.settle(spans - rejected, rejected);
            }
            Verdict::Rejected => state.queue.settle(0, spans),
            Verdict::Later { asked } => {
                *failures = failures.saturating_add(1);
                let wait = asked.unwrap_or_else(|| backoff(*failures));
                if pause(shared, state, wait, asked.is_some()) {
                    shared.lock().queue.stats.retried += spans;
                    continue;
                }
                shared.lock().queue.settle(0, spans);
                break;
            }
        }
        *failures = 0;
        break;
    }
    let mut state = shared.lock();
    // A flush that is over hurries nothing that comes after it.
    state.urgent &= !state.queue.is_empty();
    drop(state);
    shared.progress.notify_all();
}

/// Waits before the next try. Unless the server asked for the wait, a flush cuts it short, and so
/// does the close of the sink, once. `false` if the sink closes before the wait is over.
fn pause(shared: &Shared, mut state: MutexGuard<'_, State>, time: Duration, asked: bool) -> bool {
    let until = Instant::now() + time;
    // This try was the one that a flush waited for.
    state.urgent = false;
    let was_closing = state.closing.is_some();
    loop {
        let hurry = state.urgent || (state.closing.is_some() && !was_closing);
        if until <= Instant::now() || (hurry && !asked) {
            return true;
        }
        if state.closing.is_some_and(|closing| closing < until) {
            return false;
        }
        state = wait(&shared.work, state, Some(until));
    }
}

/// The wait after so many failures in a row: doubled each time, the later half of it by chance.
fn backoff(failures: u32) -> Duration {
    let [first, most] = BACKOFF;
    let full = first.saturating_mul(1 << (failures - 1).min(16)).min(most);
    let chance = RandomState::new().hash_one(failures) as f64 / u64::MAX as f64;
    full.mul_f64(0.5 + chance / 2.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_thread_is_gone_when_the_last_handle_is() {
        let sink = OtlpSink::new(OtlpConfig::new().endpoint("http://127.0.0.1:9")).unwrap();
        let shared = Arc::downgrade(&sink.0.shared);
        let other = sink.clone();
        drop(sink);
        assert!(shared.upgrade().is_some_and(|shared| !shared.lock().exited));
        drop(other);
        assert!(shared.upgrade().is_none(), "its thread would hold it");
    }

    #[test]
    fn waits_double_within_bounds() {
        for (failures, most) in [(1, 1), (2, 2), (3, 4), (6, 32), (7, 60), (u32::MAX, 60)] {
            let most = Duration::from_secs(most);
            let wait = backoff(failures);
            assert!(most / 2 <= wait && wait <= most, "{failures}: {wait:?}");
        }
    }
}
