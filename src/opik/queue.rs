//! The bounded queue of entries, and their counts.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use crate::opik::OpikStats;
use crate::opik::item::TraceEntry;

/// Most items of one batch; Opik takes 1000.
pub(super) const BATCH_ITEMS_MAX: usize = 100;
/// Most memory of one batch's items, in bytes; a single larger item is sent alone. Its request is
/// at most twice this size, since the trace contains the texts and is copied once.
pub(super) const BATCH_BYTES_MAX: usize = 512 << 10;
/// How long the first item of a batch waits for others.
pub(super) const FLUSH_AFTER: Duration = Duration::from_secs(2);

/// The queue; behind the sink's lock.
pub(super) struct Queue {
    entries: VecDeque<TraceEntry>,
    items_max: usize,
    bytes_max: usize,
    /// Memory of all entries, and of those taken by the thread.
    bytes: usize,
    bytes_peak: usize,
    in_hand: usize,
    in_hand_bytes: usize,
    /// When the oldest of the entries was added.
    first_at: Option<Instant>,
    /// Entries of the spool at its opening, and all that were added since.
    pub(super) added: u64,
    pub(super) spooled: u64,
    pub(super) sent: u64,
    pub(super) dropped: u64,
    pub(super) retried: u64,
    pub(super) last_status: Option<u16>,
    pub(super) last_error: Option<&'static str>,
    pub(super) disabled_by: Option<u16>,
}

impl Queue {
    pub(super) fn new(items_max: usize, bytes_max: usize, spooled: u64) -> Self {
        Self {
            entries: VecDeque::new(),
            items_max,
            bytes_max,
            bytes: 0,
            bytes_peak: 0,
            in_hand: 0,
            in_hand_bytes: 0,
            first_at: None,
            added: spooled,
            spooled,
            sent: 0,
            dropped: 0,
            retried: 0,
            last_status: None,
            last_error: None,
            disabled_by: None,
        }
    }

    /// Adds an entry; returns the entries dropped for it (the entry itself, if it exceeds the
    /// queue).
    pub(super) fn push(&mut self, entry: TraceEntry, now: Instant) -> Vec<TraceEntry> {
        self.added += 1;
        let mut out = Vec::new();
        let bytes = entry.bytes();
        while self.entries.len() + self.in_hand >= self.items_max
            || self.bytes + bytes > self.bytes_max
        {
            let Some(oldest) = self.entries.pop_front() else {
                self.dropped += 1;
                out.push(entry);
                return out;
            };
            self.bytes -= oldest.bytes();
            self.dropped += 1;
            out.push(oldest);
        }
        self.bytes += bytes;
        self.bytes_peak = self.bytes_peak.max(self.bytes);
        self.entries.push_back(entry);
        self.first_at.get_or_insert(now);
        out
    }

    /// Whether a batch is full.
    pub(super) fn has_batch(&self) -> bool {
        self.entries.len() >= BATCH_ITEMS_MAX || self.bytes - self.in_hand_bytes >= BATCH_BYTES_MAX
    }

    pub(super) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// When the oldest entry must be sent.
    pub(super) fn due(&self) -> Option<Instant> {
        self.first_at.and_then(|at| at.checked_add(FLUSH_AFTER))
    }

    /// Gives a batch to the thread. It counts as pending until [`Self::settle`].
    pub(super) fn take_batch(&mut self) -> Vec<TraceEntry> {
        let mut batch = Vec::new();
        let mut bytes = 0;
        while let Some(next) = self.entries.front() {
            let more = next.bytes();
            let full = batch.len() >= BATCH_ITEMS_MAX || bytes + more > BATCH_BYTES_MAX;
            if full && !batch.is_empty() {
                break;
            }
            bytes += more;
            batch.extend(self.entries.pop_front());
        }
        self.in_hand += batch.len();
        self.in_hand_bytes += bytes;
        if self.entries.is_empty() {
            self.first_at = None;
            // Capacity for thousands is not kept for the usual few entries.
            self.entries.shrink_to(BATCH_ITEMS_MAX);
        }
        batch
    }

    /// Accounts for this many entries, and bytes, that the thread has settled.
    pub(super) fn settle(&mut self, items: usize, bytes: usize) {
        self.in_hand -= items.min(self.in_hand);
        let bytes = bytes.min(self.in_hand_bytes);
        self.in_hand_bytes -= bytes;
        self.bytes -= bytes.min(self.bytes);
    }

    /// Removes all entries, to be dropped outside the lock; counted as dropped.
    pub(super) fn drop_all(&mut self) -> VecDeque<TraceEntry> {
        let all = std::mem::take(&mut self.entries);
        self.bytes -= all.iter().map(TraceEntry::bytes).sum::<usize>().min(self.bytes);
        self.dropped += all.len() as u64;
        self.first_at = None;
        all
    }

    pub(super) fn pending(&self) -> u64 {
        (self.entries.len() + self.in_hand) as u64 + self.spooled
    }

    /// How many of the added entries are no longer pending. (The sum of `sent` and `dropped` comes
    /// before: an entry is counted there while it is in hand.)
    pub(super) fn settled(&self) -> u64 {
        self.added.saturating_sub(self.pending())
    }

    pub(super) fn stats(&self) -> OpikStats {
        OpikStats {
            sent: self.sent,
            dropped: self.dropped,
            retried: self.retried,
            pending: self.pending(),
            spooled: self.spooled,
            queue_bytes: self.bytes,
            queue_bytes_max: self.bytes_peak,
            disabled_by: self.disabled_by,
            last_status: self.last_status,
            last_error: self.last_error,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn score(bytes: usize) -> TraceEntry {
        TraceEntry::Score("x".repeat(bytes).into())
    }

    #[test]
    fn the_oldest_are_dropped_by_number_and_by_bytes_and_counted() {
        let now = Instant::now();
        let one = score(100).bytes();
        let mut queue = Queue::new(3, 10 * one, 0);
        let out: usize = (0..5).map(|_| queue.push(score(100), now).len()).sum();
        assert_eq!((out, queue.pending(), queue.dropped), (2, 3, 2));
        let out = queue.push(score(9 * one), now);
        assert_eq!(out.len(), 3, "its bytes leave no space for another");
        assert_eq!(queue.push(score(11 * one), now).len(), 2, "one that never fits goes too");
        assert_eq!((queue.pending(), queue.stats().queue_bytes), (0, 0));
        assert!(queue.stats().queue_bytes_max <= 10 * one);
    }

    #[test]
    fn what_is_in_hand_still_counts() {
        let now = Instant::now();
        let one = score(100).bytes();
        let mut queue = Queue::new(300, 200 * one, 0);
        for _ in 0..200 {
            assert!(queue.push(score(100), now).is_empty());
        }
        let batch = queue.take_batch();
        assert_eq!(batch.len(), BATCH_ITEMS_MAX);
        assert_eq!((queue.pending(), queue.stats().queue_bytes), (200, 200 * one));
        assert_eq!(queue.push(score(100), now).len(), 1);
        queue.settle(batch.len(), batch.iter().map(TraceEntry::bytes).sum());
        assert_eq!((queue.pending(), queue.stats().queue_bytes), (100, 100 * one));
    }
}
