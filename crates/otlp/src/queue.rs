//! The bounded queue of spans, and their counts.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// Most spans of one request.
const BATCH_SPANS_MAX: usize = 512;
/// Most memory of one request's spans, in bytes; a single longer one goes alone.
const BATCH_BYTES_MAX: usize = 512 << 10;
/// How long the first span of a request waits for others.
const FLUSH_AFTER: Duration = Duration::from_secs(2);

/// Counts of a sink's spans since it was created, and its state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct OtlpStats {
    /// Sent: the collector has them.
    pub sent: u64,
    /// Dropped: the queue was full, the collector rejected them, or the sink was closed.
    pub dropped: u64,
    /// How often a span was sent again.
    pub retried: u64,
    /// Pending, in the queue or in the request in flight.
    pub pending: u64,
    /// Memory of the queue, in bytes.
    pub queue_bytes: usize,
    /// The greatest value of `queue_bytes` so far.
    pub queue_bytes_max: usize,
    /// The HTTP status of the last response.
    pub last_status: Option<u16>,
    /// A description of the last failure, without any text of the server.
    pub last_error: Option<&'static str>,
}

/// Spans as JSON, the oldest first.
pub(crate) struct Queue {
    spans: VecDeque<Box<str>>,
    spans_max: usize,
    bytes_max: usize,
    /// When the oldest came.
    first_at: Option<Instant>,
    pub(crate) stats: OtlpStats,
}

impl Queue {
    pub(crate) fn new(spans_max: usize, bytes_max: usize) -> Self {
        let stats = OtlpStats::default();
        Self { spans: VecDeque::new(), spans_max, bytes_max, first_at: None, stats }
    }

    /// Adds a span; the oldest are dropped for it, and one that never fits is dropped itself.
    pub(crate) fn push(&mut self, span: Box<str>, now: Instant) {
        let bytes = memory(&span);
        self.stats.pending += 1;
        while self.spans.len() >= self.spans_max || self.stats.queue_bytes + bytes > self.bytes_max
        {
            self.stats.pending -= 1;
            self.stats.dropped += 1;
            match self.spans.pop_front() {
                Some(oldest) => self.stats.queue_bytes -= memory(&oldest),
                None => return,
            }
        }
        self.stats.queue_bytes += bytes;
        self.stats.queue_bytes_max = self.stats.queue_bytes_max.max(self.stats.queue_bytes);
        self.spans.push_back(span);
        self.first_at.get_or_insert(now);
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.spans.is_empty()
    }

    /// When the next request is due: now, if it is full.
    pub(crate) fn due(&self, now: Instant) -> Option<Instant> {
        let full = self.spans.len() >= BATCH_SPANS_MAX || self.stats.queue_bytes >= BATCH_BYTES_MAX;
        if full { Some(now) } else { self.first_at.map(|at| at + FLUSH_AFTER) }
    }

    /// Takes the oldest spans for one request. They stay pending until [`settle`](Self::settle).
    pub(crate) fn take_batch(&mut self) -> Vec<Box<str>> {
        let mut batch = Vec::new();
        let mut bytes = 0;
        while let Some(next) = self.spans.front() {
            let more = memory(next);
            let full = batch.len() >= BATCH_SPANS_MAX || bytes + more > BATCH_BYTES_MAX;
            if full && !batch.is_empty() {
                break;
            }
            bytes += more;
            batch.extend(self.spans.pop_front());
        }
        self.stats.queue_bytes -= bytes;
        if self.spans.is_empty() {
            self.first_at = None;
            // Capacity for thousands is not kept for the usual few.
            self.spans.shrink_to(BATCH_SPANS_MAX);
        }
        batch
    }

    /// Of the spans taken, so many were sent, and so many are lost.
    pub(crate) fn settle(&mut self, sent: u64, dropped: u64) {
        self.stats.pending -= sent + dropped;
        self.stats.sent += sent;
        self.stats.dropped += dropped;
    }
}

/// Memory of a span, in bytes.
fn memory(span: &str) -> usize {
    span.len() + size_of::<Box<str>>()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn span(bytes: usize) -> Box<str> {
        "x".repeat(bytes).into()
    }

    #[test]
    fn the_oldest_are_dropped_by_number_and_by_bytes_and_counted() {
        let now = Instant::now();
        let one = memory(&span(100));
        let mut queue = Queue::new(3, 10 * one);
        (0..5).for_each(|_| queue.push(span(100), now));
        assert_eq!((queue.stats.pending, queue.stats.dropped), (3, 2));
        queue.push(span(9 * one), now);
        assert_eq!((queue.stats.pending, queue.stats.dropped), (1, 5), "no space for another");
        queue.push(span(11 * one), now);
        assert_eq!((queue.stats.pending, queue.stats.dropped), (0, 7), "it never fits");
        assert_eq!(queue.stats.queue_bytes, 0);
        assert!(queue.stats.queue_bytes_max <= 10 * one);
    }

    #[test]
    fn a_request_is_bounded_and_what_is_in_it_stays_pending() {
        let now = Instant::now();
        let mut queue = Queue::new(2000, 64 << 20);
        (0..600).for_each(|_| queue.push(span(10), now));
        assert_eq!(queue.due(now), Some(now));
        assert_eq!(queue.take_batch().len(), BATCH_SPANS_MAX);
        assert_eq!(queue.stats.pending, 600);
        queue.settle(500, 12);
        assert_eq!((queue.stats.pending, queue.stats.sent, queue.stats.dropped), (88, 500, 12));
        assert_eq!(queue.due(now), Some(now + FLUSH_AFTER));
        queue.take_batch();
        assert!(queue.is_empty() && queue.due(now).is_none());

        (0..3).for_each(|_| queue.push(span(BATCH_BYTES_MAX), now));
        assert_eq!(queue.take_batch().len(), 1, "a longer one goes alone");
    }
}
