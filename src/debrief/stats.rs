//! The content of a report: counts, and the numbers that follow from them.

use std::fmt;

use super::fold::{Backend, Counted, Counts, Spent};
use super::health::failure_rate;
use super::histogram::Histogram;
use super::history::History;
use super::order::sort_short;
use super::runs::RunTotals;
use super::tallies::{
    Costs, Ends, ErrorCount, KindCount, LineCounts, Oddities, Tokens, Traces, Ways,
};

/// How many of the most frequent errors a report lists.
const TOP_ERRORS: usize = 10;

/// One backend's calls over all runs: its `helper_spawn`, `backend_call` and `task_complete`
/// events together.
#[derive(Clone, PartialEq)]
#[non_exhaustive]
pub struct BackendStats {
    /// The backend's name.
    pub name: String,
    /// The number of its events.
    pub calls: u64,
    /// The number of its events that failed.
    pub errors: u64,
    /// Average of its latencies above zero, in milliseconds; 0 where there is none.
    pub avg_latency_ms: f64,
    /// The value that half of its latencies above zero do not exceed, in milliseconds: the
    /// nearest-rank percentile, exact for up to 256 latencies and within 1 % beyond.
    pub p50_latency_ms: f64,
    /// The same for 95 %.
    pub p95_latency_ms: f64,
    /// The same for 99 %.
    pub p99_latency_ms: f64,
    /// The greatest of its latencies, in milliseconds; 0 where there is none.
    pub max_latency_ms: f64,
    /// Tokens of the prompts, as its calls reported them.
    pub prompt_tokens: u64,
    /// Tokens of the answers, as its calls reported them.
    pub completion_tokens: u64,
    /// Successful calls that reported no tokens, which is not zero tokens.
    pub usage_missing: u64,
    /// Its `backend_call` events.
    pub(super) attempts: Ends,
    /// Its `task_complete` events.
    pub(super) tasks: Ends,
    /// Of its calls, or of its tasks where calls report none.
    pub(super) tokens: Tokens,
    pub(super) costs: Costs,
    pub(super) oddities: Oddities,
    pub(super) spent: Spent,
    pub(super) latency: Histogram,
}

impl BackendStats {
    /// Errors per call, from 0 to 1.
    pub fn failure_rate(&self) -> f64 {
        failure_rate(self.calls.saturating_sub(self.errors), self.errors)
    }

    /// How many events there are for each call or task, whichever there are more of: a call and
    /// its task are two events, and one fact.
    pub(super) fn repeats(&self) -> f64 {
        let facts = self.attempts.total().max(self.tasks.total()).max(1);
        self.calls as f64 / facts as f64
    }
}

/// The public fields. The latency histogram behind them has about 2,000 counts.
impl fmt::Debug for BackendStats {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BackendStats")
            .field("name", &self.name)
            .field("calls", &self.calls)
            .field("errors", &self.errors)
            .field("avg_latency_ms", &self.avg_latency_ms)
            .field("p50_latency_ms", &self.p50_latency_ms)
            .field("p95_latency_ms", &self.p95_latency_ms)
            .field("p99_latency_ms", &self.p99_latency_ms)
            .field("max_latency_ms", &self.max_latency_ms)
            .field("prompt_tokens", &self.prompt_tokens)
            .field("completion_tokens", &self.completion_tokens)
            .field("usage_missing", &self.usage_missing)
            .finish_non_exhaustive()
    }
}

/// An error and how often it occurred.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct TopError {
    /// Its text.
    pub error: String,
    /// Its kind, as [`ErrorKind::as_str`](crate::ErrorKind::as_str) has it, where lines name it.
    pub error_kind: Option<String>,
    /// The number of lines with it. A failed task has one line for each failed call and one for
    /// its end: a task that failed at its only call counts twice.
    pub count: u64,
}

/// One part of the time, over all lines that report it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct TimePart {
    pub(super) name: &'static str,
    pub(super) key: &'static str,
    pub(super) count: u64,
    pub(super) total_ms: f64,
    pub(super) p50_ms: f64,
    pub(super) p95_ms: f64,
}

/// The counts that reports show as they are.
#[derive(Debug, Clone)]
pub(super) struct Sums {
    pub(super) runs: RunTotals,
    pub(super) events: Ends,
    pub(super) other_errors: u64,
    /// The most frequent first.
    pub(super) kinds: Vec<KindCount>,
    pub(super) tasks: Ends,
    pub(super) attempts: Ends,
    pub(super) retried: u64,
    pub(super) tokens: Tokens,
    pub(super) costs: Costs,
    pub(super) fallbacks: Ways,
    pub(super) admissions: Ways,
    pub(super) others: Ways,
    pub(super) traces: Traces,
    pub(super) results_dropped: u64,
    pub(super) not_asked: u64,
    pub(super) echoed: u64,
    pub(super) unjoined: u64,
    pub(super) lines: LineCounts,
    pub(super) history: History,
}

/// All that a report is made of.
pub(super) struct ReportParts {
    pub(super) counts: Sums,
    pub(super) backends: Vec<BackendStats>,
    pub(super) top_errors: Vec<TopError>,
    pub(super) times: Vec<TimePart>,
}

impl ReportParts {
    pub(super) fn new(counts: Counts) -> Self {
        // Each call's own tokens, where calls report them; a task's are their sum.
        let calls_report = counts.backends.iter().any(|backend| backend.tokens.reported > 0);
        let tasks_report = counts.backends.iter().any(|backend| backend.task_tokens.reported > 0);
        let by_call = calls_report || !tasks_report;
        let stats = |backend| backend_stats(backend, by_call);
        let mut backends: Vec<_> = counts.backends.into_iter().map(stats).collect();
        sort_short(&mut backends, |a, b| a.name < b.name);
        let times = [
            ("queue", "queue_ms", &counts.queue),
            ("first byte", "first_byte_ms", &counts.first_byte),
            ("rest of reply", "rest_ms", &counts.rest),
            ("back-off", "waited_ms", &counts.waited),
            ("device asleep", "suspended_ms", &counts.suspended),
        ];
        let times = times.into_iter().filter_map(|(name, key, times)| time_part(name, key, times));
        let times = times.collect();
        let mut other_errors = counts.top_errors.others;
        let mut top_errors = counts.top_errors.sorted();
        let rest = top_errors.split_off(TOP_ERRORS.min(top_errors.len()));
        other_errors += rest.iter().map(|error| error.count).sum::<u64>();
        let mut kinds = counts.kinds;
        sort_short(&mut kinds, |a, b| (b.events, &a.name) < (a.events, &b.name));
        let mut sums = Sums {
            runs: counts.run_totals,
            events: Ends::default(),
            other_errors,
            kinds,
            tasks: Ends::default(),
            attempts: Ends::default(),
            retried: counts.retried,
            tokens: Tokens::default(),
            costs: Costs::default(),
            fallbacks: counts.fallbacks,
            admissions: counts.admissions,
            others: counts.others,
            traces: counts.traces,
            results_dropped: counts.results_dropped,
            not_asked: counts.not_asked,
            echoed: counts.echoed,
            unjoined: counts.unjoined,
            lines: counts.lines,
            history: counts.history,
        };
        backends.iter().for_each(|backend| sums.add(backend));
        let top_errors = top_errors.into_iter().map(top_error).collect();
        Self { counts: sums, backends, top_errors, times }
    }
}

impl Sums {
    fn add(&mut self, backend: &BackendStats) {
        let done = backend.calls.saturating_sub(backend.errors);
        self.events = self.events.plus(Ends { done, failed: backend.errors });
        self.tasks = self.tasks.plus(backend.tasks);
        self.attempts = self.attempts.plus(backend.attempts);
        self.tokens = self.tokens.plus(backend.tokens);
        self.costs = self.costs.plus(backend.costs);
    }
}

fn backend_stats(backend: Backend, by_call: bool) -> BackendStats {
    let ends = |counted: Counted| backend.ends[counted as usize];
    let (attempts, tasks) = (ends(Counted::Call), ends(Counted::Task));
    let all = ends(Counted::Spawn).plus(attempts).plus(tasks);
    let [p50, p95, p99] = [50, 95, 99].map(|percent| backend.latency.percentile(percent));
    BackendStats {
        name: backend.name,
        calls: all.total(),
        errors: all.failed,
        avg_latency_ms: backend.latency.average(),
        p50_latency_ms: p50,
        p95_latency_ms: p95,
        p99_latency_ms: p99,
        max_latency_ms: backend.latency.max(),
        prompt_tokens: backend.tokens.prompt,
        completion_tokens: backend.tokens.completion,
        usage_missing: backend.tokens.missing,
        attempts,
        tasks,
        tokens: if by_call { backend.tokens } else { backend.task_tokens },
        costs: backend.costs,
        oddities: backend.oddities,
        spent: backend.spent,
        latency: backend.latency,
    }
}

fn top_error(error: ErrorCount) -> TopError {
    TopError { error: error.text, error_kind: error.kind, count: error.count }
}

fn time_part(name: &'static str, key: &'static str, times: &Histogram) -> Option<TimePart> {
    (times.count() > 0).then(|| TimePart {
        name,
        key,
        count: times.count(),
        total_ms: times.sum(),
        p50_ms: times.percentile(50),
        p95_ms: times.percentile(95),
    })
}
