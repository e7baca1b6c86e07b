//! Events of jobs in the audit file, and the section "Jobs" that a debrief of them is.

use std::collections::BTreeMap;
use std::fmt;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;

use automation_assistant::Telemetry;
use automation_assistant::event::Fact;
use serde_json::Value;

use crate::engine::{End, Ended, How, Lapsed};
use crate::error::{Error, io_is_passing};
use crate::outcome::JobOutcome;

/// Names of the events.
const PUSHED: &str = "queue.pushed";
const DONE: &str = "queue.done";
const REDELIVERED: &str = "queue.redelivered";
const DEAD: &str = "queue.dead";

/// Longest line that is read, in bytes; telemetry's are shorter by far.
const LINE_BYTES_MAX: u64 = 65_536;
/// Waiting times are kept in classes, each so much wider than the one before: percentiles are
/// within half of that.
const CLASS: f64 = 1.01;

/// Where events go.
#[derive(Clone, Debug, Default)]
pub(crate) struct Events(Option<Telemetry>);

impl Events {
    pub(crate) const fn none() -> Self {
        Self(None)
    }

    pub(crate) const fn to(telemetry: Telemetry) -> Self {
        Self(Some(telemetry))
    }

    fn report(&self, event: &str, facts: &[(&str, Fact<'_>)]) {
        if let Some(telemetry) = &self.0 {
            // Names are ours and good; lines that are lost are counted by the telemetry.
            let _ = telemetry.report(event, facts);
        }
    }

    pub(crate) fn pushed(&self, jobs: u64) {
        if jobs > 0 {
            self.report(PUSHED, &[("jobs", Fact::Count(jobs))]);
        }
    }

    /// Jobs of workers that were silent.
    pub(crate) fn lapsed(&self, lapsed: Lapsed) {
        let why = ("why", Fact::Text("the worker was silent for longer than its lease"));
        for (event, jobs) in [(REDELIVERED, lapsed.redelivered), (DEAD, lapsed.dead)] {
            if jobs > 0 {
                self.report(event, &[("jobs", Fact::Count(jobs)), why]);
            }
        }
    }

    /// The end of a lease.
    pub(crate) fn ended(
        &self,
        end: &End,
        outcome: Option<&JobOutcome>,
        waited_ms: u64,
        ended: Ended,
    ) {
        if self.0.is_none() {
            return;
        }
        let id = end.hold.id.to_string();
        let job = ("job_id", Fact::Text(&id));
        let attempt = ("attempt", Fact::Count(end.hold.attempt.into()));
        match (ended, &end.how, outcome) {
            (Ended::Recorded | Ended::Canceled, _, outcome) => {
                let state = outcome.map_or("canceled", |outcome| outcome.state.as_str());
                let run_ms = outcome.map_or(0.0, |outcome| outcome.latency_ms);
                let facts = [
                    job,
                    attempt,
                    ("state", Fact::Text(state)),
                    ("waited_ms", Fact::Count(waited_ms)),
                    ("run_ms", Fact::Number(run_ms)),
                ];
                self.report(DONE, &facts);
            }
            (Ended::Requeued, How::Retry { reason, .. }, _) => {
                self.report(REDELIVERED, &[job, attempt, ("why", Fact::Text(reason))]);
            }
            (Ended::Dead, How::Retry { reason, .. }, _) => {
                self.report(DEAD, &[job, attempt, ("why", Fact::Text(reason))]);
            }
            // Handed back, or another's.
            _ => {}
        }
    }
}

/// The jobs of an audit file: the section "Jobs", beside the core's
/// [`Debrief`](automation_assistant::Debrief) of the same file.
///
/// ```
/// use automation_assistant_queue::JobReport;
///
/// let line = r#"{"run_id":"r","event":"queue.done","state":"completed","waited_ms":40}"#;
/// let report = JobReport::from_reader(line.as_bytes()).unwrap();
/// assert_eq!((report.completed, report.waited_p50_ms()), (1, Some(40.0)));
/// ```
#[derive(Debug, Clone, Default, PartialEq)]
#[non_exhaustive]
pub struct JobReport {
    /// Jobs pushed.
    pub pushed: u64,
    /// Jobs with an answer.
    pub completed: u64,
    /// Jobs that failed.
    pub failed: u64,
    /// Jobs that were cancelled while a worker had them.
    pub canceled: u64,
    /// Leases that ended without an outcome.
    pub redelivered: u64,
    /// Jobs that went to the dead list.
    pub dead: u64,
    /// How often jobs waited for how long, from their push to their last delivery.
    waits: BTreeMap<u32, u64>,
}

impl JobReport {
    /// Reads an audit file.
    ///
    /// # Errors
    ///
    /// [`Error::Storage`] if it cannot be read. Lines that are none of ours are passed over.
    pub fn from_path(path: impl AsRef<Path>) -> Result<Self, Error> {
        let path = path.as_ref();
        let failed = |error: std::io::Error| Error::Storage {
            path: path.to_owned(),
            what: format!("cannot read the audit file: {error}"),
            passing: io_is_passing(&error),
        };
        let file = std::fs::File::open(path).map_err(failed)?;
        Self::from_reader(file).map_err(failed)
    }

    /// Reads audit lines from anywhere.
    ///
    /// # Errors
    ///
    /// The reader's error.
    pub fn from_reader(reader: impl Read) -> std::io::Result<Self> {
        let mut reader = BufReader::new(reader);
        let (mut report, mut line) = (Self::default(), Vec::new());
        loop {
            line.clear();
            let read = reader.by_ref().take(LINE_BYTES_MAX).read_until(b'\n', &mut line)?;
            if read == 0 {
                return Ok(report);
            }
            // Most lines are the core's.
            if line.windows(QUEUE_MARK.len()).any(|part| part == QUEUE_MARK)
                && let Ok(line) = serde_json::from_slice(&line)
            {
                report.add(&line);
            }
        }
    }

    fn add(&mut self, line: &Value) {
        if line.get("run_id").is_none() {
            return;
        }
        let number = |name: &str| line.get(name).and_then(Value::as_u64);
        let jobs = number("jobs").unwrap_or(1);
        let sum = match line.get("event").and_then(Value::as_str) {
            Some(PUSHED) => &mut self.pushed,
            Some(REDELIVERED) => &mut self.redelivered,
            Some(DEAD) => &mut self.dead,
            Some(DONE) => {
                if let Some(ms) = number("waited_ms") {
                    *self.waits.entry(class(ms)).or_insert(0) += 1;
                }
                match line.get("state").and_then(Value::as_str) {
                    Some("completed") => &mut self.completed,
                    Some("canceled") => &mut self.canceled,
                    _ => &mut self.failed,
                }
            }
            _ => return,
        };
        *sum = sum.saturating_add(jobs);
    }

    /// Jobs with an outcome.
    pub fn done(&self) -> u64 {
        self.completed.saturating_add(self.failed).saturating_add(self.canceled)
    }

    /// The time that half of the jobs waited at most, in milliseconds, from push to delivery by
    /// the wall clocks of producer and worker; within 1 %. `None` where no job was done.
    pub fn waited_p50_ms(&self) -> Option<f64> {
        self.percentile(50)
    }

    /// The same for 95 %.
    pub fn waited_p95_ms(&self) -> Option<f64> {
        self.percentile(95)
    }

    /// By nearest rank.
    fn percentile(&self, percent: u64) -> Option<f64> {
        let count: u64 = self.waits.values().sum();
        let mut left = (count * percent).div_ceil(100);
        for (class, jobs) in &self.waits {
            if left <= *jobs {
                return Some(middle(*class));
            }
            left -= jobs;
        }
        None
    }

    fn facts(&self) -> Vec<String> {
        let mut facts = vec![
            format!("Pushed: {}", self.pushed),
            format!(
                "Done: {} (completed: {}, failed: {}, canceled: {})",
                self.done(),
                self.completed,
                self.failed,
                self.canceled
            ),
            format!("Redelivered: {}", self.redelivered),
            format!("Dead: {}", self.dead),
        ];
        if let (Some(p50), Some(p95)) = (self.waited_p50_ms(), self.waited_p95_ms()) {
            facts.push(format!("Waited: p50={p50:.1}ms, p95={p95:.1}ms"));
        }
        facts
    }

    /// The section as Markdown, to stand below the core's report.
    pub fn to_markdown(&self) -> String {
        let facts: Vec<String> = self.facts().iter().map(|fact| format!("- {fact}\n")).collect();
        format!("## Jobs\n\n{}", facts.concat())
    }
}

/// In each line of ours.
const QUEUE_MARK: &[u8] = b"\"queue.";

/// Up to 100 ms each millisecond is a class of its own.
const EXACT_MS: u64 = 100;

fn class(ms: u64) -> u32 {
    if ms <= EXACT_MS {
        return ms as u32;
    }
    EXACT_MS as u32 + (ms as f64 / EXACT_MS as f64).log(CLASS).ceil() as u32
}

fn middle(class: u32) -> f64 {
    match class.checked_sub(EXACT_MS as u32 + 1) {
        None => f64::from(class),
        Some(above) => EXACT_MS as f64 * CLASS.powf(f64::from(above) + 0.5),
    }
}

/// The section for a console.
impl fmt::Display for JobReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "Jobs:")?;
        self.facts().iter().try_for_each(|fact| writeln!(f, "  {fact}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_within_one_percent_over_any_time() {
        for ms in [0, 1, 99, 100, 101, 102, 1_000, 86_400_000, u64::from(u32::MAX)] {
            let error = (middle(class(ms)) - ms as f64).abs() / (ms as f64).max(1.0);
            assert!(error <= 0.01, "{ms}: {error}");
        }
        let mut report = JobReport::default();
        assert_eq!(report.waited_p50_ms(), None);
        for ms in 1..=100 {
            *report.waits.entry(class(ms)).or_insert(0) += 1;
        }
        assert_eq!((report.waited_p50_ms(), report.waited_p95_ms()), (Some(50.0), Some(95.0)));
    }

    #[test]
    fn what_is_no_line_of_ours_is_passed_over() {
        let long = format!("\"queue.{}\n", "x".repeat(200_000));
        let text = [
            "nonsense \"queue.done\"",
            r#"{"event":"queue.done","state":"completed"}"#,
            r#"{"run_id":"r","event":"queue.other"}"#,
            r#"{"run_id":"r","event":"queue.pushed","jobs":18446744073709551615}"#,
            r#"{"run_id":"r","event":"queue.pushed","jobs":18446744073709551615}"#,
            r#"{"run_id":"r","event":"queue.done","state":"failed","waited_ms":-1}"#,
        ]
        .join("\n");
        let report = JobReport::from_reader((long + &text).as_bytes()).unwrap();
        assert_eq!((report.pushed, report.done(), report.failed), (u64::MAX, 1, 1));
    }
}
