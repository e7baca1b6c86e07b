//! An audit file becomes a report: how many events failed, with which errors, and where the time
//! went.
//!
//! One pass, in memory that does not depend on the file's size; what is torn, foreign or no JSON
//! is counted and skipped. Knows the lines that [`Telemetry`](crate::Telemetry) writes, and those
//! of the Python prototype.

mod advice;
mod bytes;
mod digits;
mod fold;
mod health;
mod histogram;
mod json;
mod lines;
mod order;
mod record;
mod render;
mod runs;
mod scan;
mod tallies;

pub use health::{Health, compute_stability_score};

use std::fmt;
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use crate::error::Error;
use fold::Counts;
use health::failure_rate;
use histogram::{Histogram, Row};
use order::sort_short;
use record::Record;
use tallies::ErrorCount;

/// How many of the most frequent errors a report lists.
const TOP_ERRORS: usize = 10;

/// One backend's calls over all runs: its `helper_spawn`, `backend_call` and `task_complete`
/// events together.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct BackendStats {
    /// The backend's name.
    pub name: String,
    /// Events of it.
    pub calls: u64,
    /// Of those, the ones that failed.
    pub errors: u64,
    /// Average of its latencies above zero, in milliseconds; 0 where there is none.
    pub avg_latency_ms: f64,
    /// The value that half of its latencies above zero do not exceed, in milliseconds: the
    /// nearest-rank percentile, exact for up to 256 latencies and within 1 % beyond.
    pub p50_latency_ms: f64,
    /// The same for 95 %.
    pub p95_latency_ms: f64,
    /// Tokens of the prompts, as its calls reported them.
    pub prompt_tokens: u64,
    /// Tokens of the answers, as its calls reported them.
    pub completion_tokens: u64,
    /// Successful calls that reported no tokens, which is not zero tokens.
    pub usage_missing: u64,
    rows: Vec<Row>,
}

impl BackendStats {
    /// Errors per call, from 0 to 1.
    pub fn failure_rate(&self) -> f64 {
        failure_rate(self.calls.saturating_sub(self.errors), self.errors)
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
    /// The number of lines with it.
    pub count: u64,
}

/// One part of the time, over all lines that report it.
#[derive(Debug, Clone, Copy, PartialEq)]
struct TimePart {
    name: &'static str,
    key: &'static str,
    count: u64,
    total_ms: f64,
    p50_ms: f64,
    p95_ms: f64,
}

/// The report on an audit file.
///
/// `Display` prints it for a console; [`to_markdown`](Self::to_markdown) and
/// [`to_json`](Self::to_json) have the same content. What is whole in a damaged file counts, and
/// the damage is reported.
///
/// ```
/// use automation_assistant::Debrief;
///
/// let lines = r#"{"run_id":"a","event":"backend_call","backend":"B","latency_ms":5.0,"success":true}"#;
/// let debrief = Debrief::from_reader(lines.as_bytes()).unwrap();
/// assert_eq!(debrief.total_events(), 1);
/// assert_eq!(debrief.backends()[0].p50_latency_ms, 5.0);
/// assert!(debrief.to_string().contains("Overall Health: 🟢 OK"));
/// ```
#[derive(Clone)]
pub struct Debrief {
    counts: Sums,
    backends: Vec<BackendStats>,
    top_errors: Vec<TopError>,
    times: Vec<TimePart>,
}

/// The counts that reports show as they are.
#[derive(Clone)]
struct Sums {
    runs: runs::RunTotals,
    success: u64,
    errors: u64,
    other_errors: u64,
    kinds: Vec<(String, u64)>,
    tasks: tallies::Tasks,
    calls: u64,
    retried: u64,
    tokens: tallies::Tokens,
    costs: tallies::Costs,
    fallbacks: tallies::Ways<3>,
    admissions: tallies::Ways<2>,
    companions: tallies::Ways<1>,
    traces: tallies::Traces,
    results_dropped: u64,
    unjoined: u64,
    lines: tallies::LineCounts,
}

impl Debrief {
    /// Reads an audit file.
    ///
    /// # Errors
    ///
    /// [`Error::Io`] if the file cannot be opened or read. Lines that cannot be read are no
    /// error.
    pub fn from_path(path: impl AsRef<Path>) -> Result<Self, Error> {
        Self::from_path_with_progress(path, |_, _| ())
    }

    /// Reads an audit file and calls `progress` after each block of at most 64 KiB, with the
    /// bytes read so far and the bytes of the file (as of its opening).
    ///
    /// # Errors
    ///
    /// As [`from_path`](Self::from_path).
    pub fn from_path_with_progress(
        path: impl AsRef<Path>,
        mut progress: impl FnMut(u64, u64),
    ) -> Result<Self, Error> {
        let path = path.as_ref();
        let failed = |source| Error::Io {
            what: format!("cannot read the audit file {}", path.display()),
            source,
        };
        let file = File::open(path).map_err(failed)?;
        let total = file.metadata().map_err(failed)?.len();
        Self::read(file, |done| progress(done, total.max(done))).map_err(failed)
    }

    /// Reads audit lines from a reader, in blocks of 64 KiB; it needs no buffer of its own.
    ///
    /// # Errors
    ///
    /// [`Error::Io`] if the reader fails.
    pub fn from_reader(reader: impl Read) -> Result<Self, Error> {
        Self::read(reader, |_| ()).map_err(Error::io("cannot read the audit lines"))
    }

    fn read(reader: impl Read, progress: impl FnMut(u64)) -> io::Result<Self> {
        let mut counts = Counts::default();
        let mut record = Record::default();
        lines::each_line(reader, |found| counts.add(found, &mut record), progress)?;
        counts.finish();
        Ok(Self::from_counts(counts))
    }

    fn from_counts(counts: Counts) -> Self {
        let mut backends: Vec<_> = counts.backends.into_iter().map(backend_stats).collect();
        sort_short(&mut backends, |a, b| a.name < b.name);
        let times = [
            ("queue", "queue_ms", &counts.queue),
            ("first byte", "first_byte_ms", &counts.first_byte),
            ("rest of reply", "rest_ms", &counts.rest),
            ("back-off", "waited_ms", &counts.waited),
            ("device asleep", "suspended_ms", &counts.suspended),
        ];
        let times = times.into_iter().filter_map(|(name, key, times)| time_part(name, key, times));
        let mut other_errors = counts.top_errors.others;
        let mut top_errors = counts.top_errors.sorted();
        let rest = top_errors.split_off(TOP_ERRORS.min(top_errors.len()));
        other_errors += rest.iter().map(|error| error.count).sum::<u64>();
        // Each call's own tokens, where calls report them; a task's are their sum.
        let by_call = counts.call_tokens.told > 0 || counts.task_tokens.told == 0;
        let sums = Sums {
            runs: counts.run_totals,
            success: counts.success,
            errors: counts.errors,
            other_errors,
            kinds: counts.kinds,
            tasks: counts.tasks,
            calls: counts.calls,
            retried: counts.retried,
            tokens: if by_call { counts.call_tokens } else { counts.task_tokens },
            costs: counts.costs,
            fallbacks: counts.fallbacks,
            admissions: counts.admissions,
            companions: counts.companions,
            traces: counts.traces,
            results_dropped: counts.results_dropped,
            unjoined: counts.unjoined,
            lines: counts.lines,
        };
        let top_errors = top_errors.into_iter().map(top_error).collect();
        Self { counts: sums, backends, top_errors, times: times.collect() }
    }

    /// Distinct runs. (A lower bound where more than 14,000 runs stand in no order.)
    pub fn total_runs(&self) -> u64 {
        self.counts.runs.total
    }

    /// Events counted: `helper_spawn`, `backend_call` and `task_complete`.
    pub fn total_events(&self) -> u64 {
        self.counts.success.saturating_add(self.counts.errors)
    }

    /// Events that succeeded.
    pub fn success_count(&self) -> u64 {
        self.counts.success
    }

    /// Events that failed.
    pub fn error_count(&self) -> u64 {
        self.counts.errors
    }

    /// Errors per event, from 0 to 1; 0 where there are no events.
    pub fn failure_rate(&self) -> f64 {
        failure_rate(self.counts.success, self.counts.errors)
    }

    /// See [`compute_stability_score`].
    pub fn stability_score(&self) -> f64 {
        compute_stability_score(self.counts.success, self.counts.errors)
    }

    /// The health that follows from the failure rate.
    pub fn health(&self) -> Health {
        Health::from_failure_rate(self.failure_rate())
    }

    /// Each backend's numbers, by name. After 32 names, further ones are counted as one.
    pub fn backends(&self) -> &[BackendStats] {
        &self.backends
    }

    /// The most frequent errors, at most ten, the most frequent first.
    pub fn top_errors(&self) -> &[TopError] {
        &self.top_errors
    }

    /// Tasks that ended with an answer.
    pub fn tasks_done(&self) -> u64 {
        self.counts.tasks.done
    }

    /// Tasks that ended with an error.
    pub fn tasks_failed(&self) -> u64 {
        self.counts.tasks.failed
    }

    /// Events that companion crates reported ([`Telemetry::report`](crate::Telemetry::report)),
    /// and how often, in the order of their first. After 16 names, further ones are counted as
    /// one.
    pub fn companion_events(&self) -> Vec<(&str, u64)> {
        let list = self.counts.companions.list.iter();
        list.map(|([name], count)| (name.as_str(), *count)).collect()
    }

    /// The report for a console.
    pub fn to_text(&self) -> String {
        self.to_string()
    }

    /// The report as Markdown.
    pub fn to_markdown(&self) -> String {
        render::markdown(self)
    }

    /// The report as JSON: the keys are the getters' names, rates are fractions from 0 to 1,
    /// and `backends` is an object by name.
    pub fn to_json(&self) -> serde_json::Value {
        json::report(self)
    }
}

fn backend_stats(backend: fold::Backend) -> BackendStats {
    BackendStats {
        name: backend.name,
        calls: backend.calls,
        errors: backend.errors,
        avg_latency_ms: backend.latency.average(),
        p50_latency_ms: backend.latency.percentile(50),
        p95_latency_ms: backend.latency.percentile(95),
        prompt_tokens: backend.tokens.prompt,
        completion_tokens: backend.tokens.completion,
        usage_missing: backend.tokens.missing,
        rows: backend.latency.rows(),
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

impl fmt::Display for Debrief {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        render::console(self, f)
    }
}

impl fmt::Debug for Debrief {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Debrief")
            .field("total_runs", &self.total_runs())
            .field("total_events", &self.total_events())
            .field("success_count", &self.success_count())
            .field("error_count", &self.error_count())
            .field("backends", &self.backends)
            .field("top_errors", &self.top_errors)
            .finish_non_exhaustive()
    }
}
