//! The fold of lines into counts: one pass, and a bound on everything that is kept.

use super::histogram::Histogram;
use super::lines::FoundLine;
use super::record::{LineFields, NumberField, RawText, Record, TextField};
use super::runs::{RunTotals, Runs};
use super::scan::{scan, scan_damaged};
use super::tallies::{
    Costs, Errors, LineCounts, NAME_BYTES_MAX, OTHERS, Tasks, Tokens, Traces, Ways, add,
};
use crate::text::clean;

/// Backends with counts of their own; further ones are counted together.
const BACKENDS_MAX: usize = 32;

/// Kinds of error with counts of their own: more than there are.
const KINDS_MAX: usize = 32;

/// Name of a backend that a line does not name.
const NO_BACKEND: &str = "(no backend)";

/// The counts of one backend.
pub(super) struct Backend {
    /// As it stands in the file, to find it again without decoding; not for long names.
    raw: Option<Vec<u8>>,
    pub(super) name: String,
    pub(super) calls: u64,
    pub(super) errors: u64,
    pub(super) latency: Histogram,
    /// Of its calls.
    pub(super) tokens: Tokens,
}

/// All counts of a file.
#[derive(Default)]
pub(super) struct Counts {
    runs: Runs,
    pub(super) run_totals: RunTotals,
    pub(super) success: u64,
    pub(super) errors: u64,
    pub(super) backends: Vec<Backend>,
    last_backend: usize,
    pub(super) top_errors: Errors,
    pub(super) kinds: Vec<(String, u64)>,
    pub(super) tasks: Tasks,
    pub(super) calls: u64,
    pub(super) retried: u64,
    pub(super) call_tokens: Tokens,
    pub(super) task_tokens: Tokens,
    pub(super) costs: Costs,
    pub(super) queue: Histogram,
    pub(super) first_byte: Histogram,
    pub(super) rest: Histogram,
    pub(super) waited: Histogram,
    /// From, to (helpers' names; ids in lines without), why.
    pub(super) fallbacks: Ways<3>,
    /// Decision, pressure.
    pub(super) admissions: Ways<2>,
    /// Events of companions, by name.
    pub(super) companions: Ways<1>,
    /// How often, and how long in all, the device slept during tasks.
    pub(super) suspended: Histogram,
    pub(super) traces: Traces,
    pub(super) results_dropped: u64,
    pub(super) unjoined: u64,
    pub(super) lines: LineCounts,
}

const BYTE_ORDER_MARK: &[u8] = "\u{feff}".as_bytes();

/// The three events that calls, errors and latencies run over.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Counted {
    Spawn,
    Call,
    Task,
}

impl Counts {
    /// Adds a line. `record` is room for what stands in it.
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
        let event = record.text(TextField::Event).unwrap_or_default().raw();
        self.runs.line(run.raw(), record.count(NumberField::Seq), event == b"run_end");
        match event {
            b"backend_call" => self.counted(record, Counted::Call),
            b"task_complete" => self.counted(record, Counted::Task),
            b"helper_spawn" => self.counted(record, Counted::Spawn),
            b"helper_stop" => add(&mut self.unjoined, record, NumberField::Unjoined),
            b"result_dropped" => self.results_dropped += 1,
            b"fallback" => {
                // Ids are new with every run; names are the same in all of them.
                let name = |name, id| if record.text(name).is_some() { name } else { id };
                let from = name(TextField::FromWhom, TextField::From);
                let to = name(TextField::ToWhom, TextField::To);
                self.fallbacks.add(record, [from, to, TextField::Why]);
            }
            b"admission" => self.admissions.add(record, [TextField::Decision, TextField::Pressure]),
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
            // Of a companion; see Telemetry::report.
            name if name.contains(&b'.') => self.companions.add(record, [TextField::Event]),
            _ => {}
        }
    }

    fn counted(&mut self, record: &LineFields<'_>, event: Counted) {
        let error = record.text(TextField::Error);
        // A line without `success` failed if it has an error.
        let success = record.success().unwrap_or(error.is_none());
        let latency = record.number(NumberField::LatencyMs).unwrap_or(0.0);
        let backend = self.backend(record.text(TextField::Backend));
        if let Some(backend) = self.backends.get_mut(backend) {
            backend.calls += 1;
            backend.errors += u64::from(!success);
            backend.latency.add(latency);
            if event == Counted::Call {
                backend.tokens.add(record, success);
            }
        }
        if success {
            self.success += 1;
        } else {
            self.errors += 1;
            let kind = record.text(TextField::ErrorKind);
            self.top_errors.add(error, kind);
            self.kind(kind);
        }
        match event {
            Counted::Spawn => {}
            Counted::Call => self.call(record, success, latency),
            Counted::Task => {
                self.tasks.done += u64::from(success);
                self.tasks.failed += u64::from(!success);
                self.task_tokens.add(record, success);
                self.costs.add(record, success);
                self.queue.add(record.number(NumberField::QueueMs).unwrap_or(0.0));
            }
        }
    }

    fn call(&mut self, record: &LineFields<'_>, success: bool, latency: f64) {
        self.calls += 1;
        self.retried += u64::from(record.count(NumberField::Attempt).is_some_and(|n| n > 1));
        self.call_tokens.add(record, success);
        self.waited.add(record.number(NumberField::WaitedMs).unwrap_or(0.0));
        if let Some(first_byte) = record.number(NumberField::FirstByteMs) {
            self.first_byte.add(first_byte);
            self.rest.add(latency - first_byte);
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
        let latency = Histogram::default();
        let tokens = Tokens::default();
        self.backends.push(Backend { raw, name, calls: 0, errors: 0, latency, tokens });
        self.backends.len() - 1
    }

    fn kind(&mut self, kind: Option<RawText<'_>>) {
        let Some(kind) = kind else { return };
        if let Some(known) = self.kinds.iter_mut().find(|known| known.0.as_bytes() == kind.raw()) {
            known.1 += 1;
        } else if self.kinds.len() < KINDS_MAX {
            self.kinds.push((clean(&kind.decode(), NAME_BYTES_MAX), 1));
        }
    }
}

#[cfg(test)]
#[path = "fold_tests.rs"]
mod tests;
