//! The fold of lines into counts: one pass, and a bound on everything that is kept.

use super::histogram::Histogram;
use super::lines::Found;
use super::order::sort_short;
use super::record::{Fields, Name, Number, Record, Text};
use super::runs::{RunTotals, Runs};
use super::scan::scan;
use crate::text::clean;

/// Backends told apart; further ones are counted together.
const BACKENDS_MAX: usize = 32;

/// Texts of errors counted at one time; see [`Errors`].
const ERRORS_MAX: usize = 128;

/// Ways of falling back, and decisions of the device, told apart; further ones are counted
/// together.
const WAYS_MAX: usize = 16;

/// Kinds of error told apart: more than there are.
const KINDS_MAX: usize = 32;

/// Longest name of a backend that is kept, in bytes.
const NAME_BYTES_MAX: usize = 256;

/// Longest text of an error that is kept, in bytes.
const ERROR_BYTES_MAX: usize = 512;

/// Name of what was beyond a bound.
pub(super) const OTHERS: &str = "(others)";

/// Name of a backend that a line does not tell.
const NO_BACKEND: &str = "(no backend)";

/// Text of an error that a line does not tell.
const NO_ERROR: &str = "(no error text)";

/// What the counts know of one backend.
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

/// Texts with counts, in bounded memory: when all places are taken, the rarest text makes
/// room, and its count goes to the others. Texts that are frequent throughout stay.
#[derive(Default)]
pub(super) struct Errors {
    places: Vec<(Vec<u8>, ErrorCount)>,
    pub(super) others: u64,
}

/// One text of an error.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ErrorCount {
    pub(super) text: String,
    pub(super) kind: Option<String>,
    pub(super) count: u64,
}

/// What tasks came to.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Tasks {
    pub(super) done: u64,
    pub(super) failed: u64,
}

/// Tokens, as told by one sort of line.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Tokens {
    pub(super) prompt: u64,
    pub(super) completion: u64,
    /// Lines that told them.
    pub(super) told: u64,
    /// Lines of success that told none.
    pub(super) missing: u64,
}

/// What tasks cost, by the price lists of their helpers; what has no price is kept apart.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Costs {
    /// Billionths of the price lists' unit.
    pub(super) nano: u64,
    pub(super) priced: u64,
    /// Tasks that told tokens, but no price.
    pub(super) unpriced: u64,
    /// Tasks of success that told no tokens.
    pub(super) usage_missing: u64,
}

/// Lines that are not events of ours, and what the writers tell of themselves.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct LineCounts {
    /// No JSON objects.
    pub(super) broken: u64,
    /// Longer than the reader's bound.
    pub(super) too_long: u64,
    /// JSON without a run id.
    pub(super) foreign: u64,
    /// The last line was broken off.
    pub(super) torn_end: bool,
    pub(super) repairs: u64,
    pub(super) bytes_dropped: u64,
    pub(super) lost: u64,
    pub(super) reopened: u64,
}

/// What trace exports came to.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Traces {
    pub(super) sent: u64,
    pub(super) dropped: u64,
    pub(super) retried: u64,
}

/// What was decided, as often as it was: a few texts and a count each.
#[derive(Debug, Clone, Default)]
pub(super) struct Ways<const TEXTS: usize> {
    pub(super) list: Vec<([String; TEXTS], u64)>,
}

impl<const TEXTS: usize> Ways<TEXTS> {
    fn add(&mut self, record: &Fields<'_>, names: [Name; TEXTS]) {
        let text = |name| {
            let text = record.text(name).map(Text::decode).unwrap_or_default();
            clean(&text, NAME_BYTES_MAX)
        };
        let mut texts = names.map(text);
        if self.list.len() >= WAYS_MAX && self.list.iter().all(|way| way.0 != texts) {
            texts = names.map(|_| OTHERS.to_owned());
        }
        match self.list.iter_mut().find(|way| way.0 == texts) {
            Some(way) => way.1 += 1,
            None => self.list.push((texts, 1)),
        }
    }
}

/// All that a file comes to.
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
    pub(super) fn add(&mut self, found: Found<'_>, record: &mut Record) {
        let (line, ended) = match found {
            Found::TooLong => {
                self.lines.too_long += 1;
                return;
            }
            Found::Line(line) => (line, true),
            Found::Unended(line) => (line, false),
        };
        match scan(line, record) {
            Some(record) => self.record(&record),
            // Some editors put one at the start of a file, and `cat` into the middle.
            None if line.starts_with(BYTE_ORDER_MARK) => {
                let mut rest = line;
                while let Some(after) = rest.strip_prefix(BYTE_ORDER_MARK) {
                    rest = after;
                }
                self.add(if ended { Found::Line(rest) } else { Found::Unended(rest) }, record);
            }
            None if line.trim_ascii().is_empty() => {}
            None => {
                self.lines.broken += 1;
                self.lines.torn_end |= !ended;
            }
        }
    }

    /// Settles what was held open for further lines.
    pub(super) fn finish(&mut self) {
        self.run_totals = std::mem::take(&mut self.runs).finish();
    }

    fn record(&mut self, record: &Fields<'_>) {
        let Some(run) = record.text(Name::RunId) else {
            self.lines.foreign += 1;
            return;
        };
        let event = record.text(Name::Event).unwrap_or_default().raw();
        self.runs.line(run.raw(), record.count(Number::Seq), event == b"run_end");
        match event {
            b"backend_call" => self.counted(record, Counted::Call),
            b"task_complete" => self.counted(record, Counted::Task),
            b"helper_spawn" => self.counted(record, Counted::Spawn),
            b"helper_stop" => self.unjoined += count_of(record, Number::Unjoined),
            b"result_dropped" => self.results_dropped += 1,
            b"fallback" => {
                // Ids are new with every run; names say the same in all of them.
                let name = |name, id| if record.text(name).is_some() { name } else { id };
                let from = name(Name::FromWhom, Name::From);
                let to = name(Name::ToWhom, Name::To);
                self.fallbacks.add(record, [from, to, Name::Why]);
            }
            b"admission" => self.admissions.add(record, [Name::Decision, Name::Pressure]),
            b"suspended" => self.suspended.add(record.number(Number::SuspendedMs).unwrap_or(0.0)),
            b"trace_export" => {
                self.traces.sent += count_of(record, Number::Sent);
                self.traces.dropped += count_of(record, Number::Dropped);
                self.traces.retried += count_of(record, Number::Retried);
            }
            b"tail_repaired" => {
                self.lines.repairs += 1;
                self.lines.bytes_dropped += count_of(record, Number::BytesDropped);
            }
            b"lines_lost" => self.lines.lost += count_of(record, Number::Lines),
            b"audit_reopened" => self.lines.reopened += 1,
            _ => {}
        }
    }

    fn counted(&mut self, record: &Fields<'_>, event: Counted) {
        let error = record.text(Name::Error);
        // A line that does not tell its success failed if it tells an error.
        let success = record.success().unwrap_or(error.is_none());
        let latency = record.number(Number::LatencyMs).unwrap_or(0.0);
        let backend = self.backend(record.text(Name::Backend));
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
            let kind = record.text(Name::ErrorKind);
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
                self.queue.add(record.number(Number::QueueMs).unwrap_or(0.0));
            }
        }
    }

    fn call(&mut self, record: &Fields<'_>, success: bool, latency: f64) {
        self.calls += 1;
        self.retried += u64::from(record.count(Number::Attempt).is_some_and(|n| n > 1));
        self.call_tokens.add(record, success);
        self.waited.add(record.number(Number::WaitedMs).unwrap_or(0.0));
        if let Some(first_byte) = record.number(Number::FirstByteMs) {
            self.first_byte.add(first_byte);
            self.rest.add(latency - first_byte);
        }
    }

    /// The place of the backend in the list.
    fn backend(&mut self, name: Option<Text<'_>>) -> usize {
        let raw = name.map_or(NO_BACKEND.as_bytes(), Text::raw);
        let is = |backend: &Backend| backend.raw.as_deref() == Some(raw);
        if self.backends.get(self.last_backend).is_some_and(is) {
            return self.last_backend;
        }
        let known = self.backends.iter().position(is);
        let place = known.unwrap_or_else(|| self.new_backend(raw, name));
        self.last_backend = place;
        place
    }

    fn new_backend(&mut self, raw: &[u8], name: Option<Text<'_>>) -> usize {
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

    fn kind(&mut self, kind: Option<Text<'_>>) {
        let Some(kind) = kind else { return };
        if let Some(known) = self.kinds.iter_mut().find(|known| known.0.as_bytes() == kind.raw()) {
            known.1 += 1;
        } else if self.kinds.len() < KINDS_MAX {
            self.kinds.push((clean(&kind.decode(), NAME_BYTES_MAX), 1));
        }
    }
}

fn count_of(record: &Fields<'_>, number: Number) -> u64 {
    record.count(number).unwrap_or(0)
}

impl Tokens {
    fn add(&mut self, record: &Fields<'_>, success: bool) {
        let prompt = record.count(Number::PromptTokens);
        let completion = record.count(Number::CompletionTokens);
        if prompt.is_some() || completion.is_some() {
            self.told += 1;
            self.prompt = self.prompt.saturating_add(prompt.unwrap_or(0));
            self.completion = self.completion.saturating_add(completion.unwrap_or(0));
        } else {
            self.missing += u64::from(success);
        }
    }
}

impl Costs {
    fn add(&mut self, record: &Fields<'_>, success: bool) {
        if let Some(nano) = record.count(Number::CostNano) {
            self.priced += 1;
            self.nano = self.nano.saturating_add(nano);
        } else if record.count(Number::PromptTokens).is_some() {
            self.unpriced += 1;
        } else {
            self.usage_missing += u64::from(success);
        }
    }
}

impl Errors {
    fn add(&mut self, text: Option<Text<'_>>, kind: Option<Text<'_>>) {
        let raw = text.map_or(NO_ERROR.as_bytes(), Text::raw);
        let raw = raw.get(..ERROR_BYTES_MAX).unwrap_or(raw);
        if let Some(known) = self.places.iter_mut().find(|known| known.0 == raw) {
            known.1.count += 1;
            return;
        }
        if self.places.len() >= ERRORS_MAX {
            let counts = self.places.iter().enumerate();
            let rarest = counts.min_by_key(|(_, known)| known.1.count).map_or(0, |(at, _)| at);
            self.others += self.places.swap_remove(rarest).1.count;
        }
        let text = text.map_or(NO_ERROR.into(), Text::decode);
        let count = ErrorCount {
            text: clean(&text, ERROR_BYTES_MAX),
            kind: kind.map(|kind| clean(&kind.decode(), NAME_BYTES_MAX)),
            count: 1,
        };
        self.places.push((raw.to_vec(), count));
    }

    /// The most frequent first; of equals, by the alphabet.
    pub(super) fn sorted(self) -> Vec<ErrorCount> {
        let mut sorted: Vec<_> = self.places.into_iter().map(|(_, count)| count).collect();
        sort_short(&mut sorted, |a, b| (b.count, &a.text, &a.kind) < (a.count, &b.text, &b.kind));
        sorted
    }
}

#[cfg(test)]
#[path = "fold_tests.rs"]
mod tests;
