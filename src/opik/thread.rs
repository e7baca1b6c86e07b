//! What the sink's thread does: wait, send, and keep what could not be sent.

use std::io;
use std::time::{Duration, Instant};

use crate::event::{Event, EventKind, Fact};
use crate::foreign;
use crate::id::random_u64;
use crate::opik::item::{Entry, Pieces};
use crate::opik::post::{List, Outcome, Verdict};
use crate::opik::sink::Core;
use crate::opik::spool::Spool;
use crate::opik::target::Target;
use crate::sync::wait_until;
use crate::task_error::{ErrorKind, TaskError};

/// First wait after a failure; each further one is twice as long.
const BACKOFF_FIRST: Duration = Duration::from_millis(500);
/// Longest wait of our own choice: an offline phone is woken once a minute.
const BACKOFF_MAX: Duration = Duration::from_secs(60);
/// Most that chance takes off a wait, in 1/256: a quarter.
const JITTER_OF_256: u64 = 64;
/// How often a batch that Opik fails on (500) is tried before it is dropped.
const SUSPECT_TRIES_MAX: u32 = 5;
/// Most further requests to find what Opik refuses in a batch. One bad item among 100 takes
/// 14.
const SPLITS_MAX: u32 = 20;

/// What the thread works with.
pub(super) struct Kit {
    pub(super) target: Target,
    pub(super) spool: Option<Spool>,
}

/// A batch that could not be sent yet.
struct Held {
    entries: Vec<Entry>,
    /// It stands in the spool too.
    in_spool: bool,
    /// How often Opik failed on it.
    faults: u32,
}

/// What is to be done next.
enum Todo {
    /// Take these from the queue.
    Batch(Vec<Entry>),
    /// Try again what is held or spooled.
    Retry,
    Close,
}

/// How one round of sending ended.
enum Round {
    /// All of the batch is settled.
    Settled,
    /// These are not.
    Left { entries: Vec<Entry>, why: Verdict },
}

struct Thread<'a> {
    core: &'a Core,
    target: Target,
    spool: Option<Spool>,
    held: Option<Held>,
    retry_at: Option<Instant>,
    /// The wait was asked for by the server: nobody's hurry cuts it short.
    asked: bool,
    failures: u32,
    disabled: bool,
    /// How many at the spool's head were tried before they came there.
    tried: usize,
    /// What the observers were told so far: sent, dropped, retried.
    told: [u64; 3],
    last: Option<(Option<u16>, &'static str, ErrorKind)>,
}

/// The thread's life.
pub(super) fn run(core: &Core, kit: Kit) {
    let mut thread = Thread {
        core,
        target: kit.target,
        spool: kit.spool,
        held: None,
        retry_at: None,
        asked: false,
        failures: 0,
        disabled: false,
        tried: 0,
        told: [0; 3],
        last: None,
    };
    loop {
        match thread.next() {
            Todo::Batch(entries) => thread.batch(entries),
            Todo::Retry => thread.retry(None),
            Todo::Close => break,
        }
        thread.tell();
    }
    thread.close();
    thread.tell();
}

impl Thread<'_> {
    fn has_backlog(&self) -> bool {
        self.held.is_some() || self.spooled() > 0
    }

    fn spooled(&self) -> u64 {
        self.spool.as_ref().map_or(0, Spool::lines)
    }

    /// Waits for something to do. While there is nothing, it sleeps without a time-out.
    fn next(&mut self) -> Todo {
        let backlog = self.has_backlog() && !self.disabled;
        // A batch in hand that stands in no file keeps the next one waiting.
        let takes = self.held.as_ref().is_none_or(|held| held.in_spool);
        let mut state = self.core.lock();
        loop {
            if state.closing.is_some() {
                return Todo::Close;
            }
            let now = Instant::now();
            let hurry = state.urgent && !self.asked;
            if backlog && (hurry || self.retry_at.is_none_or(|at| at <= now)) {
                return Todo::Retry;
            }
            let due = state.queue.due().filter(|_| takes);
            if takes && !state.queue.is_empty() {
                let ready = state.urgent || state.queue.has_batch();
                if ready || due.is_none_or(|at| at <= now) {
                    return Todo::Batch(state.queue.take_batch());
                }
            }
            if state.queue.is_empty() {
                state.urgent = false;
            }
            let retry = self.retry_at.filter(|_| backlog);
            let wake = match (due, retry) {
                (Some(due), Some(retry)) => Some(due.min(retry)),
                (due, retry) => due.or(retry),
            };
            state = match wait_until(&self.core.work, state, wake) {
                Some(woken) => woken,
                None => self.core.lock(),
            };
        }
    }

    /// Sends what came from the queue, unless older ones wait in the spool.
    fn batch(&mut self, entries: Vec<Entry>) {
        if self.disabled || self.spooled() > 0 {
            return self.put_by(entries);
        }
        self.send(Held { entries, in_spool: false, faults: 0 }, None);
    }

    /// Sends what is held, or the oldest of the spool.
    fn retry(&mut self, until: Option<Instant>) {
        let held = match self.held.take() {
            Some(held) => {
                self.core.lock().queue.retried += held.entries.len() as u64;
                held
            }
            None => match self.spooled_batch() {
                Some(entries) => {
                    let again = std::mem::take(&mut self.tried).min(entries.len());
                    self.core.lock().queue.retried += again as u64;
                    Held { entries, in_spool: true, faults: 0 }
                }
                None => return,
            },
        };
        self.send(held, until);
    }

    fn spooled_batch(&mut self) -> Option<Vec<Entry>> {
        let spool = self.spool.as_mut()?;
        match spool.take_batch() {
            Ok((entries, damaged)) if !entries.is_empty() => {
                self.core.lock().queue.dropped += damaged;
                Some(entries)
            }
            Ok((_, damaged)) => {
                self.core.lock().queue.dropped += damaged;
                self.committed();
                None
            }
            Err(_) => {
                self.spool_failed("the trace spool cannot be read: it is left as it is");
                None
            }
        }
    }

    /// Sends a batch; what is left of it is kept for later.
    fn send(&mut self, mut held: Held, until: Option<Instant>) {
        let (items, bytes) = size(&held.entries);
        let in_spool = held.in_spool;
        let round = self.deliver(std::mem::take(&mut held.entries), until);
        let (left, why) = match round {
            Round::Settled => {
                self.failures = 0;
                (self.retry_at, self.asked) = (None, false);
                self.settle(items, bytes, in_spool);
                return;
            }
            Round::Left { entries, why } => (entries, why),
        };
        let (left_items, left_bytes) = size(&left);
        if !in_spool {
            let (items, bytes) = (items - left_items, bytes - left_bytes);
            self.core.lock().queue.settle(items, bytes);
        }
        held.entries = left;
        self.core.lock().urgent = false;
        match why {
            Verdict::Later { suspect: true, .. } if held.faults + 1 >= SUSPECT_TRIES_MAX => {
                self.core.lock().queue.dropped += left_items as u64;
                self.settle(left_items, left_bytes, in_spool);
            }
            Verdict::Later { asked, suspect } => {
                held.faults += u32::from(suspect);
                self.wait_for(asked);
                self.hold(held);
            }
            _ => {
                self.disabled = true;
                self.hold(held);
                self.give_up_queue();
            }
        }
        self.core.progress.notify_all();
    }

    /// A batch has left the hand for good.
    fn settle(&mut self, items: usize, bytes: usize, in_spool: bool) {
        if in_spool {
            self.committed();
        } else {
            self.core.lock().queue.settle(items, bytes);
        }
        self.core.progress.notify_all();
    }

    /// Keeps a batch for later: in the spool, if there is one.
    fn hold(&mut self, held: Held) {
        if held.in_spool {
            self.held = Some(held).filter(|_| !self.disabled);
        } else if self.spool.is_some() || self.disabled {
            self.tried = held.entries.len();
            self.put_by(held.entries);
        } else {
            self.held = Some(held);
        }
    }

    /// Puts entries from the queue into the spool; without one they are dropped.
    fn put_by(&mut self, entries: Vec<Entry>) {
        let (items, bytes) = size(&entries);
        let outcome = match &mut self.spool {
            Some(spool) => spool.append(&entries),
            None => Err(io::ErrorKind::NotFound.into()),
        };
        let spooled = self.spooled();
        let mut state = self.core.lock();
        match outcome {
            Ok(dropped) => state.queue.dropped += dropped,
            Err(_) => {
                // Those before the fault stand in the file.
                let put = spooled.saturating_sub(state.queue.spooled).min(items as u64);
                state.queue.dropped += items as u64 - put;
                if self.spool.is_some() {
                    state.queue.last_error = Some("the trace spool cannot be written");
                }
            }
        }
        state.queue.settle(items, bytes);
        state.queue.spooled = spooled;
        drop(state);
        self.core.progress.notify_all();
    }

    fn committed(&mut self) {
        let Some(spool) = &mut self.spool else { return };
        let outcome = spool.commit();
        self.core.lock().queue.spooled = self.spooled();
        if outcome.is_err() {
            self.spool_failed("the trace spool cannot be shortened: it may be sent once more");
        }
    }

    /// A file that fails is used no more in this run; what stands in it waits for the next.
    fn spool_failed(&mut self, words: &'static str) {
        self.spool = None;
        let mut state = self.core.lock();
        state.queue.spooled = 0;
        state.queue.last_error = Some(words);
    }

    /// After a refused key: what waits is kept if there is a spool, and dropped if not.
    fn give_up_queue(&mut self) {
        if self.spool.is_none() {
            let all = self.core.lock().queue.drop_all();
            drop(all);
        }
    }

    fn wait_for(&mut self, asked: Option<Duration>) {
        let wait = asked.unwrap_or_else(|| backoff(self.failures));
        self.failures = self.failures.saturating_add(1);
        self.asked = asked.is_some();
        self.retry_at = Instant::now().checked_add(wait);
    }

    /// Sends traces, then spans, then scores of a batch.
    fn deliver(&mut self, mut entries: Vec<Entry>, until: Option<Instant>) -> Round {
        let mut splits = SPLITS_MAX;
        // Which entries are settled: `true` if Opik has them, `false` if they are lost.
        let mut ends: Vec<Option<bool>> = vec![None; entries.len()];
        for list in [List::Traces, List::Spans, List::Scores] {
            let mut parts = vec![(0, entries.len())];
            while let Some((from, to)) = parts.pop() {
                let places: Vec<usize> = (from..to)
                    .filter(|at| ends[*at].is_none() && pieces(&entries[*at], list).is_some())
                    .collect();
                let items: Vec<Pieces<'_>> =
                    places.iter().filter_map(|at| pieces(&entries[*at], list)).collect();
                if items.is_empty() {
                    continue;
                }
                let outcome = self.target.send(list, &items, &self.core.cancel, until);
                self.note(&outcome);
                match outcome.verdict {
                    Verdict::Taken => places.iter().for_each(|at| match &mut entries[*at] {
                        Entry::Generation { traced, .. } if list == List::Traces => *traced = true,
                        _ => ends[*at] = Some(true),
                    }),
                    Verdict::Refused { by_item: true } if places.len() > 1 && splits > 1 => {
                        // One bad item shall not lose the others.
                        splits -= 2;
                        let middle = places[places.len() / 2];
                        parts.push((middle, to));
                        parts.push((from, middle));
                    }
                    Verdict::Refused { .. } => places.iter().for_each(|at| ends[*at] = Some(false)),
                    why => return self.count(entries, &ends, Some(why)),
                }
            }
        }
        self.count(entries, &ends, None)
    }

    /// Counts what is settled, and gives back what is not.
    fn count(&self, entries: Vec<Entry>, ends: &[Option<bool>], why: Option<Verdict>) -> Round {
        let number = |end| ends.iter().filter(|other| **other == Some(end)).count() as u64;
        {
            let queue = &mut self.core.lock().queue;
            queue.sent += number(true);
            queue.dropped += number(false);
        }
        let left = entries.into_iter().zip(ends).filter(|(_, end)| end.is_none());
        let left: Vec<Entry> = left.map(|(entry, _)| entry).collect();
        match why {
            Some(why) if !left.is_empty() => Round::Left { entries: left, why },
            _ => Round::Settled,
        }
    }

    fn note(&mut self, outcome: &Outcome) {
        let mut state = self.core.lock();
        state.queue.last_status = outcome.status.or(state.queue.last_status);
        if let Some(words) = outcome.words {
            state.queue.last_error = Some(words);
            self.last = Some((outcome.status, words, outcome.kind));
        }
        if let Verdict::Disabled(status) = outcome.verdict {
            state.queue.disabled_by = Some(status);
        }
    }

    /// Tells the observers what has changed.
    fn tell(&mut self) {
        let stats = self.core.lock().queue.stats();
        let now = [stats.sent, stats.dropped, stats.retried];
        let [sent, dropped, retried] = [0, 1, 2].map(|at| now[at] - self.told[at]);
        let last = self.last.take();
        if sent + dropped + retried == 0 && last.is_none() {
            return;
        }
        self.told = now;
        let facts = [
            ("sent", Fact::Count(sent)),
            ("dropped", Fact::Count(dropped)),
            ("retried", Fact::Count(retried)),
            ("pending", Fact::Count(stats.pending)),
        ];
        let error = last.map(|(status, words, kind)| {
            let error = TaskError::new(kind, words);
            match status {
                Some(status) => error.with_status(status),
                None => error,
            }
        });
        let mut event = Event::new(EventKind::TraceExport);
        event.success = dropped == 0 && error.is_none();
        event.error = error.as_ref();
        event.facts = &facts;
        for observer in &self.core.observers {
            foreign::observe(|| observer.on_event(&event));
        }
    }

    /// Sends what can still be sent, and keeps or drops the rest.
    fn close(&mut self) {
        let until = self.core.lock().closing;
        let over = || until.is_none_or(|until| until <= Instant::now());
        // A wait that the server asked for, and that does not fit in, is heeded.
        let barred = self.asked && self.retry_at > until;
        if let Some(at) = self.retry_at.filter(|_| self.asked && !barred) {
            self.core.cancel.wait(at.saturating_duration_since(Instant::now()));
        }
        let mut failures = self.failures;
        while !self.disabled && !barred && !over() && !self.core.cancel.is_cancelled() {
            if self.has_backlog() {
                self.retry(until);
            } else {
                let entries = self.core.lock().queue.take_batch();
                if entries.is_empty() {
                    break;
                }
                self.send(Held { entries, in_spool: false, faults: 0 }, until);
            }
            if self.failures > failures {
                break;
            }
            failures = self.failures;
        }
        if let Some(held) = self.held.take().filter(|held| !held.in_spool) {
            self.put_by(held.entries);
        }
        loop {
            let entries = self.core.lock().queue.take_batch();
            if entries.is_empty() {
                break;
            }
            self.put_by(entries);
        }
    }
}

/// What of an entry goes to this list.
fn pieces(entry: &Entry, list: List) -> Option<Pieces<'_>> {
    match list {
        List::Traces => entry.trace(),
        List::Spans => entry.span(),
        List::Scores => entry.as_score(),
    }
}

fn size(entries: &[Entry]) -> (usize, usize) {
    (entries.len(), entries.iter().map(Entry::bytes).sum())
}

/// The wait after so many failures.
fn backoff(failures: u32) -> Duration {
    let whole = BACKOFF_FIRST.saturating_mul(1 << failures.min(16)).min(BACKOFF_MAX);
    let off = u32::try_from(random_u64() % (JITTER_OF_256 + 1)).unwrap_or_default();
    whole - whole * off / 256
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_to_a_minute_and_lose_at_most_a_quarter() {
        for (failures, millis) in [(0, 500), (1, 1000), (6, 32_000), (7, 60_000), (99, 60_000)] {
            let whole = Duration::from_millis(millis);
            let wait = backoff(failures);
            assert!(wait <= whole && wait >= whole * 3 / 4, "{wait:?} of {whole:?}");
        }
    }
}
