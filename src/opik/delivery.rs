//! Sends batches to Opik, finds the entries that it rejects, and reports the counts.

use std::time::Instant;

use crate::event::{Event, EventFacts, EventKind, Fact};
use crate::foreign;
use crate::opik::item::{Parts, TraceEntry};
use crate::opik::post::{OpikList, PostOutcome, Verdict};
use crate::opik::shared::SinkShared;
use crate::opik::target::Target;
use crate::task_error::{ErrorKind, TaskError};

/// Most further requests to find the entries of a batch that Opik rejects. One bad item among 100
/// takes 14.
const SPLITS_MAX: u32 = 20;

/// How the delivery of a batch ended.
pub(super) enum Delivered {
    /// Every entry was sent or dropped.
    All,
    /// These entries remain.
    Partly { left: Vec<TraceEntry>, why: Verdict },
}

/// A failure, to be reported to the observers.
struct ExportFault {
    status: Option<u16>,
    words: &'static str,
    kind: ErrorKind,
}

/// The delivery of batches; see the module.
pub(super) struct Delivery<'a> {
    shared: &'a SinkShared,
    target: Target,
    /// The counts that were reported to the observers: sent, dropped, retried.
    reported: [u64; 3],
    fault: Option<ExportFault>,
}

impl<'a> Delivery<'a> {
    pub(super) fn new(shared: &'a SinkShared, target: Target) -> Self {
        Self { shared, target, reported: [0; 3], fault: None }
    }

    /// Sends traces, then spans, then scores of a batch, and counts what is sent or dropped.
    pub(super) fn deliver(
        &mut self,
        mut entries: Vec<TraceEntry>,
        until: Option<Instant>,
    ) -> Delivered {
        let mut splits = SPLITS_MAX;
        // Which entries are settled: `true` if Opik accepted them, `false` if they are dropped.
        let mut ends: Vec<Option<bool>> = vec![None; entries.len()];
        for list in [OpikList::Traces, OpikList::Spans, OpikList::Scores] {
            let mut ranges = vec![(0, entries.len())];
            while let Some((from, to)) = ranges.pop() {
                let (places, items): (Vec<usize>, Vec<Parts<'_>>) = (from..to)
                    .filter(|at| ends[*at].is_none())
                    .filter_map(|at| Some((at, parts(&entries[at], list)?)))
                    .unzip();
                if items.is_empty() {
                    continue;
                }
                let outcome = self.target.send(list, &items, &self.shared.cancel, until);
                self.note(&outcome);
                match outcome.verdict {
                    Verdict::Accepted => places.iter().for_each(|at| match &mut entries[*at] {
                        TraceEntry::Generation { traced, .. } if list == OpikList::Traces => {
                            *traced = true
                        }
                        _ => ends[*at] = Some(true),
                    }),
                    Verdict::Rejected { by_item: true } if places.len() > 1 && splits > 1 => {
                        // One bad item must not lose the others: each half is sent alone.
                        splits -= 2;
                        let middle = places[places.len() / 2];
                        ranges.push((middle, to));
                        ranges.push((from, middle));
                    }
                    Verdict::Rejected { .. } => {
                        places.iter().for_each(|at| ends[*at] = Some(false));
                    }
                    why => return self.count(entries, &ends, Some(why)),
                }
            }
        }
        self.count(entries, &ends, None)
    }

    /// Counts the settled entries, and returns the others.
    fn count(
        &self,
        entries: Vec<TraceEntry>,
        ends: &[Option<bool>],
        why: Option<Verdict>,
    ) -> Delivered {
        let number = |end| ends.iter().filter(|other| **other == Some(end)).count() as u64;
        {
            let queue = &mut self.shared.lock().queue;
            queue.sent += number(true);
            queue.dropped += number(false);
        }
        let left = entries.into_iter().zip(ends).filter(|(_, end)| end.is_none());
        let left: Vec<TraceEntry> = left.map(|(entry, _)| entry).collect();
        match why {
            Some(why) if !left.is_empty() => Delivered::Partly { left, why },
            _ => Delivered::All,
        }
    }

    fn note(&mut self, outcome: &PostOutcome) {
        let mut state = self.shared.lock();
        state.queue.last_status = outcome.status.or(state.queue.last_status);
        if let Some(words) = outcome.words {
            state.queue.last_error = Some(words);
            self.fault = Some(ExportFault { status: outcome.status, words, kind: outcome.kind });
        }
        if let Verdict::Disabled(status) = outcome.verdict {
            state.queue.disabled_by = Some(status);
        }
    }

    /// Notifies the observers of what has changed since the last report.
    pub(super) fn report(&mut self) {
        let stats = self.shared.lock().queue.stats();
        let now = [stats.sent, stats.dropped, stats.retried];
        let [sent, dropped, retried] = [0, 1, 2].map(|at| now[at] - self.reported[at]);
        let fault = self.fault.take();
        if sent + dropped + retried == 0 && fault.is_none() {
            return;
        }
        self.reported = now;
        let facts = [
            ("sent", Fact::Count(sent)),
            ("dropped", Fact::Count(dropped)),
            ("retried", Fact::Count(retried)),
            ("pending", Fact::Count(stats.pending)),
        ];
        let error = fault.map(|fault| {
            let error = TaskError::new(fault.kind, fault.words);
            match fault.status {
                Some(status) => error.with_status(status),
                None => error,
            }
        });
        let mut event = Event::new(EventKind::TraceExport);
        event.success = dropped == 0 && error.is_none();
        event.error = error.as_ref();
        event.facts = EventFacts::Named(&facts);
        self.shared.lock().in_observer = true;
        for observer in &self.shared.observers {
            foreign::observe(|| observer.on_event(&event));
        }
        self.shared.lock().in_observer = false;
    }
}

/// The parts of an entry that go to this list.
fn parts(entry: &TraceEntry, list: OpikList) -> Option<Parts<'_>> {
    match list {
        OpikList::Traces => entry.trace(),
        OpikList::Spans => entry.span(),
        OpikList::Scores => entry.as_score(),
    }
}
