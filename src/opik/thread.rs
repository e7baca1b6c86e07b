//! The sink's thread: it waits for entries, sends them in batches, and retries entries that could
//! not be sent.

use std::time::{Duration, Instant};

use crate::backoff::Backoff;
use crate::id::random_u64;
use crate::opik::backlog::{Backlog, TraceBatch, size};
use crate::opik::delivery::{Delivered, Delivery};
use crate::opik::item::TraceEntry;
use crate::opik::post::Verdict;
use crate::opik::shared::{Kit, SinkShared};
use crate::sync::{earlier, wait_until};

/// Longest wait that the sink chooses itself: an offline phone is woken once a minute.
const BACKOFF_MAX: Duration = Duration::from_secs(60);
/// How often a batch that Opik answers with a server error (500) is tried before it is dropped.
const SUSPECT_TRIES_MAX: u32 = 5;

/// The next action.
enum Todo {
    /// Send these entries of the queue.
    Send(Vec<TraceEntry>),
    /// Send the backlog again.
    Retry,
    Close,
}

struct Thread<'a> {
    shared: &'a SinkShared,
    delivery: Delivery<'a>,
    backlog: Backlog<'a>,
    retry_at: Option<Instant>,
    /// Whether the server asked for the wait: a flush does not shorten it.
    asked: bool,
    backoff: Backoff,
    /// Whether Opik accepts nothing more from this sink.
    disabled: bool,
}

/// The main function of the thread.
pub(super) fn run(shared: &SinkShared, kit: Kit) {
    let mut thread = Thread {
        shared,
        delivery: Delivery::new(shared, kit.target),
        backlog: Backlog::new(shared, kit.spool),
        retry_at: None,
        asked: false,
        backoff: Backoff::new(BACKOFF_MAX, random_u64()),
        disabled: false,
    };
    loop {
        match thread.next() {
            Todo::Send(entries) => thread.send_or_spool(entries),
            Todo::Retry => drop(thread.retry(None)),
            Todo::Close => break,
        }
        thread.delivery.report();
    }
    thread.close();
    thread.delivery.report();
}

impl Thread<'_> {
    /// Waits for the next action. While there is none, it sleeps without a time-out.
    fn next(&mut self) -> Todo {
        let backlog = !self.backlog.is_empty() && !self.disabled;
        let has_capacity = self.backlog.has_capacity();
        let mut state = self.shared.lock();
        loop {
            if state.closing.is_some() {
                return Todo::Close;
            }
            let now = Instant::now();
            let hurry = state.urgent && !self.asked;
            if backlog && (hurry || self.retry_at.is_none_or(|at| at <= now)) {
                return Todo::Retry;
            }
            let due = state.queue.due().filter(|_| has_capacity);
            if has_capacity && !state.queue.is_empty() {
                let ready = state.urgent || state.queue.has_batch();
                if ready || due.is_none_or(|at| at <= now) {
                    return Todo::Send(state.queue.take_batch());
                }
            }
            if state.queue.is_empty() {
                state.urgent = false;
            }
            let retry = self.retry_at.filter(|_| backlog);
            state = match wait_until(&self.shared.work, state, earlier(due, retry)) {
                Some(woken) => woken,
                None => self.shared.lock(),
            };
        }
    }

    /// Sends entries of the queue, unless older entries are in the spool.
    fn send_or_spool(&mut self, entries: Vec<TraceEntry>) {
        if self.disabled || self.backlog.spooled() > 0 {
            self.backlog.put_by(entries);
        } else {
            self.send(TraceBatch::new(entries), None);
        }
    }

    /// Sends the oldest batch of the backlog; returns as [`send`](Self::send).
    fn retry(&mut self, until: Option<Instant>) -> bool {
        match self.backlog.take() {
            Some(batch) => self.send(batch, until),
            None => true,
        }
    }

    /// Sends a batch and keeps its unsent entries; `false` if the thread must wait.
    fn send(&mut self, mut batch: TraceBatch, until: Option<Instant>) -> bool {
        let (items, bytes) = batch.size();
        let in_spool = batch.in_spool;
        let (left, why) = match self.delivery.deliver(std::mem::take(&mut batch.entries), until) {
            Delivered::All => {
                self.backoff.reset();
                (self.retry_at, self.asked) = (None, false);
                self.backlog.settle(items, bytes, in_spool);
                return true;
            }
            Delivered::Partly { left, why } => (left, why),
        };
        let (left_items, left_bytes) = size(&left);
        if !in_spool {
            let (items, bytes) = (items - left_items, bytes - left_bytes);
            self.shared.lock().queue.settle(items, bytes);
        }
        batch.entries = left;
        self.shared.lock().urgent = false;
        let waits = match why {
            Verdict::Later { suspect: true, .. } if batch.faults + 1 >= SUSPECT_TRIES_MAX => {
                self.shared.lock().queue.dropped += left_items as u64;
                self.backlog.settle(left_items, left_bytes, in_spool);
                false
            }
            Verdict::Later { asked, suspect } => {
                batch.faults += u32::from(suspect);
                self.wait_for(asked);
                self.backlog.hold(batch);
                true
            }
            _ => {
                self.disabled = true;
                self.backlog.keep_for_next_run(batch);
                self.give_up_queue();
                true
            }
        };
        self.shared.progress.notify_all();
        !waits
    }

    /// After a rejected key: pending entries are kept if there is a spool, and dropped otherwise.
    fn give_up_queue(&mut self) {
        if !self.backlog.has_spool() {
            let all = self.shared.lock().queue.drop_all();
            drop(all);
        }
    }

    fn wait_for(&mut self, asked: Option<Duration>) {
        let wait = asked.or_else(|| self.backoff.next());
        self.asked = asked.is_some();
        self.retry_at = wait.and_then(|wait| Instant::now().checked_add(wait));
    }

    /// Sends the remaining entries as far as possible, and keeps or drops the others.
    fn close(&mut self) {
        let until = self.shared.lock().closing;
        let over = || until.is_none_or(|until| until <= Instant::now());
        // A wait that the server asked for, and that ends after the close, is respected.
        let barred = self.asked && self.retry_at > until;
        if let Some(at) = self.retry_at.filter(|_| self.asked && !barred) {
            self.shared.cancel.wait(at.saturating_duration_since(Instant::now()));
        }
        let mut goes_on = !barred;
        while goes_on && !self.disabled && !over() && !self.shared.cancel.is_cancelled() {
            goes_on = if self.backlog.is_empty() {
                let entries = self.shared.lock().queue.take_batch();
                !entries.is_empty() && self.send(TraceBatch::new(entries), until)
            } else {
                self.retry(until)
            };
        }
        self.backlog.keep_held_for_next_run();
        loop {
            let entries = self.shared.lock().queue.take_batch();
            if entries.is_empty() {
                break;
            }
            self.backlog.put_by(entries);
        }
    }
}
