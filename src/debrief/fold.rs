//! The fold of lines into counts: one pass, and a bound on everything that is kept.

use std::sync::Arc;

use super::histogram::{Histogram, coarse_bucket_of};
use super::history::History;
use super::lines::FoundLine;
use super::record::{LineFields, NumberField, RawText, Record, TextField};
use super::runs::{RunTotals, Runs};
use super::scan::{scan, scan_damaged};
use super::tallies::{
    Costs, Ends, Errors, KindCount, LineCounts, NAME_BYTES_MAX, OTHERS, Oddities, Tokens, Traces,
    Ways, add,
};
use crate::text::clean;

/// Backends with counts of their own; further ones are counted together.
const BACKENDS_MAX: usize = 32;

/// Kinds of error with counts of their own: more than there are.
const KINDS_MAX: usize = 32;

/// Name of a backend that a line does not name.
const NO_BACKEND: &str = "(no backend)";

/// The counts of one backend.
#[derive(Clone, Default)]
pub(super) struct Backend {
    /// The name's bytes in the file, to find it again without decoding; none for long names.
    raw: Option<Vec<u8>>,
    pub(super) name: String,
    /// By [`Counted`].
    pub(super) ends: [Ends; 3],
    pub(super) latency: Histogram,
    /// Of its calls.
    pub(super) tokens: Tokens,
    /// Of its tasks; each call's are among them.
    pub(super) task_tokens: Tokens,
    pub(super) costs: Costs,
    pub(super) oddities: Oddities,
    pub(super) spent: Spent,
}

/// Where a backend's time went, in milliseconds. (Infinite where lines hold absurd numbers.)
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(super) struct Spent {
    pub(super) queue: f64,
    pub(super) back_off: f64,
    pub(super) first_byte: f64,
    /// After the first byte.
    pub(super) rest: f64,
    /// Of calls whose lines have no first-byte time.
    pub(super) whole: f64,
}

/// The part of a line that counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum LineScope {
    All,
    /// Only its run and sequence number.
    RunAlone,
    Nothing,
}

/// Judges each line. A function behind a pointer, so that a program links filters only where it
/// makes one.
type Filter = Arc<dyn Fn(&LineFields<'_>) -> LineScope + Send + Sync>;

/// All counts of a file.
#[derive(Clone, Default)]
pub(super) struct Counts {
    filter: Option<Filter>,
    runs: Runs,
    pub(super) run_totals: RunTotals,
    pub(super) history: History,
    pub(super) backends: Vec<Backend>,
    last_backend: usize,
    pub(super) top_errors: Errors,
    pub(super) kinds: Vec<KindCount>,
    pub(super) retried: u64,
    pub(super) queue: Histogram,
    pub(super) first_byte: Histogram,
    pub(super) rest: Histogram,
    pub(super) waited: Histogram,
    /// From, to (helpers' names; ids in lines without), why.
    pub(super) fallbacks: Ways,
    /// Decision, pressure.
    pub(super) admissions: Ways,
    /// Events whose names are not the library's own.
    pub(super) others: Ways,
    /// How often, and how long in all, the device was suspended during tasks.
    pub(super) suspended: Histogram,
    pub(super) traces: Traces,
    pub(super) results_dropped: u64,
    /// Requests of batches that were submitted to no helper.
    pub(super) not_asked: u64,
    /// Tasks that the embedded engine answered: no model did.
    pub(super) echoed: u64,
    pub(super) unjoined: u64,
    pub(super) lines: LineCounts,
}

const BYTE_ORDER_MARK: &[u8] = "\u{feff}".as_bytes();

/// The three events that calls, errors and latencies run over.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Counted {
    Spawn,
    Call,
    Task,
}

impl Counts {
    pub(super) fn filtered(filter: Filter) -> Self {
        Self { filter: Some(filter), ..Self::default() }
    }

    /// Adds a line. `record` is scratch space for its fields.
    pub(super) fn add(&mut self, found: FoundLine<'_>, record: &mut Record) {
        let (line, ended) = match found {
            FoundLine::TooLong => {
                self.lines.too_long += 1;
                return;
            }
            FoundLine::Line(line) => (line, true),
            FoundLine::Unended(line) => (line, false),
        };
        match scan(line, record) {
            Some(record) => self.record(&record),
            // Some editors put one at the start of a file, and `cat` into the middle.
            None if line.starts_with(BYTE_ORDER_MARK) => {
                let mut rest = line;
                while let Some(after) = rest.strip_prefix(BYTE_ORDER_MARK) {
                    rest = after;
                }
                self.add(
                    if ended { FoundLine::Line(rest) } else { FoundLine::Unended(rest) },
                    record,
                );
            }
            None if line.trim_ascii().is_empty() => {}
            None => self.damaged(line, ended, record),
        }
    }

    /// Reads what is whole in a damaged line: between NUL bytes, beside other objects, or
    /// beside torn ones.
    #[cold]
    fn damaged(&mut self, line: &[u8], ended: bool, record: &mut Record) {
        self.lines.nul_bytes += line.iter().filter(|byte| **byte == 0).count() as u64;
        let mut broken = false;
        for part in line.split(|byte| *byte == 0) {
            match scan(part, record) {
                Some(record) => self.record(&record),
                None => broken |= !self.damaged_part(part, record),
            }
        }
        if broken {
            self.lines.broken += 1;
            self.lines.torn_end |= !ended;
        }
    }

    /// Reads the objects with a run id; returns whether there is nothing else.
    fn damaged_part(&mut self, part: &[u8], record: &mut Record) -> bool {
        let (mut rest, mut whole) = (part, true);
        loop {
            rest = rest.trim_ascii_start();
            rest = rest.strip_prefix(BYTE_ORDER_MARK).unwrap_or(rest);
            if rest.is_empty() {
                return whole;
            }
            let (ours, end) = match scan_damaged(rest, record) {
                Some((record, end))
                    if record.text(TextField::RunId).is_some_and(RawText::is_clean) =>
                {
                    self.record(&record);
                    (true, end)
                }
                Some((_, end)) => (false, end),
                // Torn: another object may begin behind.
                None => {
                    let brace = rest.iter().skip(1).position(|byte| *byte == b'{');
                    (false, brace.map_or(rest.len(), |at| at + 1))
                }
            };
            self.lines.mended += u64::from(ours);
            whole &= ours;
            rest = rest.get(end..).unwrap_or_default();
        }
    }

    /// Completes the counts that waited for further lines.
    pub(super) fn finish(&mut self) {
        self.run_totals = std::mem::take(&mut self.runs).finish();
    }

    fn record(&mut self, record: &LineFields<'_>) {
        let Some(run) = record.text(TextField::RunId) else {
            self.lines.foreign += 1;
            return;
        };
        let kept = self.filter.as_ref().map_or(LineScope::All, |filter| filter(record));
        if kept == LineScope::Nothing {
            return;
        }
        let event = record.text(TextField::Event).unwrap_or_default().raw();
        let ends = event == b"run_end";
        let same = self.runs.line(run.raw(), record.count(NumberField::Seq), ends);
        self.history.line(run, same, record.number(NumberField::Timestamp), ends);
        if kept == LineScope::RunAlone {
            return;
        }
        match event {
            b"backend_call" => self.counted(record, Counted::Call),
            b"task_complete" => self.counted(record, Counted::Task),
            b"helper_spawn" => self.counted(record, Counted::Spawn),
            b"helper_stop" => add(&mut self.unjoined, record, NumberField::Unjoined),
            b"result_dropped" => self.results_dropped += 1,
            b"not_asked" => add(&mut self.not_asked, record, NumberField::Requests),
            b"fallback" => {
                // Ids are new with every run; names are the same in all of them.
                let name = |name, id| if record.text(name).is_some() { name } else { id };
                let from = name(TextField::FromWhom, TextField::From);
                let to = name(TextField::ToWhom, TextField::To);
                self.fallbacks.add(record, &[from, to, TextField::Why]);
            }
            b"admission" => {
                self.admissions.add(record, &[TextField::Decision, TextField::Pressure])
            }
            b"suspended" => {
                self.suspended.add(record.number(NumberField::SuspendedMs).unwrap_or(0.0))
            }
            b"trace_export" => self.traces.add(record),
            b"tail_repaired" => {
                self.lines.repairs += 1;
                add(&mut self.lines.bytes_dropped, record, NumberField::BytesDropped);
            }
            b"lines_lost" => add(&mut self.lines.lost, record, NumberField::Lines),
            b"audit_reopened" => self.lines.reopened += 1,
            b"run_end" | b"" => {}
            _ => self.others.add(record, &[TextField::Event]),
        }
    }

    fn counted(&mut self, record: &LineFields<'_>, event: Counted) {
        let error = record.text(TextField::Error);
        // A line without `success` failed if it has an error.
        let success = record.success().unwrap_or(error.is_none());
        let latency = record.number(NumberField::LatencyMs).unwrap_or(0.0);
        let place = self.backend(record.text(TextField::Backend));
        let call = event == Counted::Call && latency > 0.0;
        let bucket = call.then(|| coarse_bucket_of(latency));
        self.history.event(record.number(NumberField::Timestamp), success, bucket);
        if !success {
            let kind = record.text(TextField::ErrorKind);
            self.top_errors.add(error, kind);
            self.kind(kind, event == Counted::Task);
        }
        let Some(backend) = self.backends.get_mut(place) else { return };
        backend.ends[event as usize].add(success);
        backend.latency.add(latency);
        match event {
            Counted::Spawn => {}
            Counted::Call => {
                backend.tokens.add(record, success);
                backend.oddities.add(record);
                if let Some(waited) = record.number(NumberField::WaitedMs) {
                    self.waited.add(waited);
                    backend.spent.back_off += waited.max(0.0);
                }
                match record.number(NumberField::FirstByteMs) {
                    None => backend.spent.whole += latency.max(0.0),
                    Some(first_byte) => {
                        self.first_byte.add(first_byte);
                        self.rest.add(latency - first_byte);
                        backend.spent.first_byte += first_byte.max(0.0);
                        backend.spent.rest += (latency - first_byte).max(0.0);
                    }
                }
                let attempt = record.count(NumberField::Attempt);
                self.retried += u64::from(attempt.is_some_and(|n| n > 1));
            }
            Counted::Task => {
                self.echoed += u64::from(record.echoed());
                backend.task_tokens.add(record, success);
                backend.costs.add(record, success);
                if let Some(queued) = record.number(NumberField::QueueMs) {
                    self.queue.add(queued);
                    backend.spent.queue += queued.max(0.0);
                }
            }
        }
    }

    /// The place of the backend in the list.
    fn backend(&mut self, name: Option<RawText<'_>>) -> usize {
        let raw = name.map_or(NO_BACKEND.as_bytes(), RawText::raw);
        let is = |backend: &Backend| backend.raw.as_deref() == Some(raw);
        if self.backends.get(self.last_backend).is_some_and(is) {
            return self.last_backend;
        }
        let known = self.backends.iter().position(is);
        let place = known.unwrap_or_else(|| self.new_backend(raw, name));
        self.last_backend = place;
        place
    }

    fn new_backend(&mut self, raw: &[u8], name: Option<RawText<'_>>) -> usize {
        let full = self.backends.len() >= BACKENDS_MAX;
        let mut name = name.map(|name| clean(&name.decode(), NAME_BYTES_MAX)).unwrap_or_default();
        if full {
            OTHERS.clone_into(&mut name);
        } else if name.is_empty() {
            NO_BACKEND.clone_into(&mut name);
        }
        // One text can be written in several ways; a name that was cut has no way at all.
        if let Some(same) = self.backends.iter().position(|backend| backend.name == name) {
            return same;
        }
        let raw = (raw.len() <= NAME_BYTES_MAX).then(|| raw.to_vec());
        self.backends.push(Backend { raw, name, ..Backend::default() });
        self.backends.len() - 1
    }

    fn kind(&mut self, kind: Option<RawText<'_>>, of_task: bool) {
        let Some(kind) = kind else { return };
        let known = self.kinds.iter().position(|known| known.name.as_bytes() == kind.raw());
        let place = known.unwrap_or_else(|| self.new_kind(kind));
        if let Some(kind) = self.kinds.get_mut(place) {
            kind.events += 1;
            kind.tasks += u64::from(of_task);
        }
    }

    /// The place of a kind that does not stand in the list as it is written; beyond the list
    /// where that is full.
    #[cold]
    fn new_kind(&mut self, kind: RawText<'_>) -> usize {
        let name = clean(&kind.decode(), NAME_BYTES_MAX);
        let known = self.kinds.iter().position(|known| known.name == name);
        let place = known.unwrap_or(self.kinds.len());
        if known.is_none() && place < KINDS_MAX {
            self.kinds.push(KindCount { name, ..KindCount::default() });
        }
        place
    }
}

#[cfg(test)]
#[path = "fold_tests.rs"]
mod tests;
