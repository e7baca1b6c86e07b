//! An audit file becomes a report: how many events failed, with which errors, and where the time
//! went.
//!
//! One pass, in memory that does not depend on the file's size; what is torn, foreign or no JSON
//! is counted and skipped. Knows the lines that [`Telemetry`](crate::Telemetry) writes, and those
//! of the Python prototype.

mod advice;
mod bars;
mod bytes;
mod compare;
mod console;
mod digits;
mod facts;
mod filter;
mod fold;
mod health;
mod histogram;
mod history;
mod html;
mod json;
mod lines;
mod live;
mod markdown;
mod order;
mod prometheus;
mod record;
mod runs;
mod scan;
mod stats;
mod tallies;

pub use compare::Comparison;
pub use filter::LineFilter;
pub use health::{Health, compute_stability_score};
pub use live::LiveDebrief;
pub use stats::{BackendStats, TopError};

use std::fmt;
use std::io::{self, Read};
use std::path::Path;

use crate::error::Error;
use crate::files::open::{Kinds, to_read};
use fold::Counts;
use health::failure_rate;
use record::Record;
use stats::{ReportParts, Sums, TimePart};

/// The report on an audit file.
///
/// `Display` prints it for a console; [`to_markdown`](Self::to_markdown) and
/// [`to_json`](Self::to_json) have the same content. The complete lines of a damaged file count,
/// and the damage is reported.
///
/// A task that was cancelled or stopped counts as an error, as in the prototype: its kind
/// (`cancelled`, `terminated`) is in the file, and the list of error kinds shows how many there were.
///
/// ```
/// use automation_assistant::Debrief;
///
/// let lines = r#"{"run_id": "a", "event": "backend_call", "backend": "ChatGPT (gpt-4o)", "#
///     .to_owned()
///     + r#""latency_ms": 5.0, "success": true}"#;
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

impl Debrief {
    /// Reads an audit file.
    ///
    /// # Errors
    ///
    /// [`Error::Io`] if the file cannot be opened or read, or is a pipe or a device (whose bytes
    /// [`from_reader`](Self::from_reader) reads). Lines that cannot be read are no error.
    #[doc(alias = "report")]
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
        let file = to_read(path, Kinds::Plain).map_err(failed)?;
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
        let ReportParts { counts, backends, top_errors, times } = ReportParts::new(counts);
        Self { counts, backends, top_errors, times }
    }

    /// The number of distinct runs; a lower bound if a file holds more than 14,000 runs out of
    /// order.
    pub fn total_runs(&self) -> u64 {
        self.counts.runs.total
    }

    /// Events counted: `helper_spawn`, `backend_call` and `task_complete`. A task with one call is
    /// two of them.
    pub fn total_events(&self) -> u64 {
        self.counts.events.total()
    }

    /// Events that succeeded.
    pub fn success_count(&self) -> u64 {
        self.counts.events.done
    }

    /// Events that failed.
    pub fn error_count(&self) -> u64 {
        self.counts.events.failed
    }

    /// Errors per event, from 0 to 1; 0 where there are no events.
    pub fn failure_rate(&self) -> f64 {
        failure_rate(self.success_count(), self.error_count())
    }

    /// See [`compute_stability_score`].
    pub fn stability_score(&self) -> f64 {
        compute_stability_score(self.success_count(), self.error_count())
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

    /// Events that are not the library's own, by name, and how often each occurred, in the order
    /// of their first: those that companion crates reported
    /// ([`Telemetry::report`](crate::Telemetry::report)). After 16 names, further ones are
    /// counted as one.
    pub fn companion_events(&self) -> Vec<(&str, u64)> {
        let list = self.counts.others.list.iter();
        list.map(|([name, ..], count)| (name.as_str(), *count)).collect()
    }

    /// The report for a console.
    pub fn to_text(&self) -> String {
        self.to_string()
    }

    /// The latencies of each backend as a histogram for a console, which the report itself has
    /// as one line; empty where there is nothing to compare.
    pub fn to_histograms(&self) -> String {
        console::histograms(self)
    }

    /// The report as Markdown.
    pub fn to_markdown(&self) -> String {
        markdown::markdown(self)
    }

    /// The report as one HTML page for people: no script, nothing fetched, at most 300 KB. It
    /// shows more than the other reports do: failures and latency over time and by run, and
    /// each latency distribution.
    pub fn to_html(&self) -> String {
        html::report(self)
    }

    /// The report as JSON. Rates are fractions from 0 to 1.
    ///
    /// `total_runs`, `total_events`, `success_count`, `error_count`, `failure_rate`,
    /// `stability_score`, `health` and `top_errors` are the values of these getters. `tasks` is
    /// `{"done", "failed"}`, of [`tasks_done`](Self::tasks_done) and
    /// [`tasks_failed`](Self::tasks_failed); `other_events` holds the
    /// [`companion_events`](Self::companion_events). `backends` is an object by name, with the
    /// fields of [`BackendStats`] and the `failure_rate`. The other keys are counts of what the
    /// text shows in words: `echoed_tasks` (left out at 0), `error_kinds`, `attempts`, `tokens`
    /// (`told` and `missing` are calls that did and did not report any), `cost`, `times`, `runs`,
    /// `lines`, `not_asked` (requests of batches) and others.
    ///
    /// ```
    /// use automation_assistant::Debrief;
    ///
    /// let line = r#"{"run_id": "a", "event": "task_complete", "success": true}"#;
    /// let json = Debrief::from_reader(line.as_bytes())?.to_json();
    /// assert_eq!((&json["tasks"]["done"], &json["total_events"]), (&1.into(), &1.into()));
    /// # Ok::<(), automation_assistant::Error>(())
    /// ```
    pub fn to_json(&self) -> serde_json::Value {
        json::report(self)
    }

    /// The differences from another report, of an earlier file or span say, and whether they can be
    /// chance.
    pub fn compare(&self, before: &Self) -> Comparison {
        Comparison::new(before, self)
    }

    /// The report in Prometheus's text format (version 0.0.4), for a textfile collector or an
    /// endpoint of the program's own. Names begin with `automation_assistant_`.
    pub fn to_prometheus(&self) -> String {
        prometheus::text(self)
    }
}

impl fmt::Display for Debrief {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        console::console(self, f)
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
