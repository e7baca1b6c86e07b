//! The report in Prometheus's text format. Names end in their unit, times are in seconds, and
//! what only grows while a file grows is a counter that ends in `_total`.

use std::fmt::Write;

use super::Debrief;
use super::facts::NANO_PER_UNIT;
use super::stats::BackendStats;

/// Upper edges of the latency buckets, in nanoseconds: from 1 ms to 500 s, the same in every
/// report, so that reports can be added up.
const EDGES_NS: [u64; 18] = [
    1_000_000,
    2_000_000,
    5_000_000,
    10_000_000,
    20_000_000,
    50_000_000,
    100_000_000,
    200_000_000,
    500_000_000,
    1_000_000_000,
    2_000_000_000,
    5_000_000_000,
    10_000_000_000,
    20_000_000_000,
    50_000_000_000,
    100_000_000_000,
    200_000_000_000,
    500_000_000_000,
];

const MS_PER_SECOND: f64 = 1e3;
const NS_PER_MS: f64 = 1e6;
const NS_PER_SECOND: f64 = 1e9;

pub(super) fn text(debrief: &Debrief) -> String {
    let mut out = Exposition(String::new());
    totals(debrief, &mut out);
    backends(debrief, &mut out);
    on_the_way(debrief, &mut out);
    audit_file(debrief, &mut out);
    out.0
}

/// The text, family by family.
struct Exposition(String);

type Labels<'a> = [(&'a str, &'a str)];

impl Exposition {
    /// Begins a family; its samples follow.
    fn family(&mut self, name: &str, kind: &str, help: &str) {
        let name = format!("automation_assistant_{name}");
        // Writing to a string cannot fail, here and below.
        let _ = writeln!(self.0, "# HELP {name} {help}\n# TYPE {name} {kind}");
    }

    fn sample(&mut self, name: &str, labels: &Labels<'_>, value: impl std::fmt::Display) {
        let _ = write!(self.0, "automation_assistant_{name}");
        for (place, (label, text)) in labels.iter().enumerate() {
            let _ = write!(self.0, "{}{label}=\"", if place == 0 { '{' } else { ',' });
            for c in text.chars() {
                match c {
                    '\\' => self.0.push_str("\\\\"),
                    '"' => self.0.push_str("\\\""),
                    '\n' => self.0.push_str("\\n"),
                    c => self.0.push(c),
                }
            }
            self.0.push('"');
        }
        let _ = writeln!(self.0, "{} {value}", if labels.is_empty() { "" } else { "}" });
    }

    /// A family with one sample, without labels.
    fn one(&mut self, name: &str, kind: &str, help: &str, value: impl std::fmt::Display) {
        self.family(name, kind, help);
        self.sample(name, &[], value);
    }

    /// A counter with one sample for each value of a label.
    fn by<'a>(
        &mut self,
        name: &str,
        help: &str,
        label: &str,
        samples: impl IntoIterator<Item = (&'a str, u64)>,
    ) {
        self.family(name, "counter", help);
        for (text, value) in samples {
            self.sample(name, &[(label, text)], value);
        }
    }
}

fn totals(debrief: &Debrief, out: &mut Exposition) {
    let counts = &debrief.counts;
    out.one("runs_total", "counter", "Distinct runs.", debrief.total_runs());
    let help = "Failed events per event, from 0 to 1.";
    out.one("failure_ratio", "gauge", help, debrief.failure_rate());
    let ends = [("completed", counts.tasks.done), ("failed", counts.tasks.failed)];
    out.by("tasks_total", "Tasks that ended, by their outcome.", "outcome", ends);
    out.one("attempts_total", "counter", "Calls of backends.", counts.attempts.total());
    let help = "Calls that repeated one before.";
    out.one("retries_total", "counter", help, counts.retried);
    let kinds = counts.kinds.iter().map(|kind| (kind.name.as_str(), kind.events));
    out.by("error_kinds_total", "Failed events, by the kind of error.", "kind", kinds);
    out.family("phase_seconds_total", "counter", "Where the time went, over all backends.");
    for part in &debrief.times {
        let phase = part.key.trim_end_matches("_ms");
        out.sample("phase_seconds_total", &[("phase", phase)], part.total_ms / MS_PER_SECOND);
    }
}

fn backends(debrief: &Debrief, out: &mut Exposition) {
    let all = &debrief.backends;
    let calls = all.iter().map(|stats| (stats.name.as_str(), stats.calls));
    out.by("events_total", "Starts of helpers, calls, and ends of tasks.", "backend", calls);
    let errors = all.iter().map(|stats| (stats.name.as_str(), stats.errors));
    out.by("errors_total", "Of the events, those that failed.", "backend", errors);
    let help = "Latencies above zero of the events, in seconds.";
    out.family("latency_seconds", "histogram", help);
    all.iter().for_each(|stats| latency(stats, out));
    out.family("tokens_total", "counter", "Tokens, as providers reported them.");
    for stats in all {
        for (kind, count) in [("input", stats.tokens.prompt), ("output", stats.tokens.completion)] {
            out.sample("tokens_total", &[("backend", &stats.name), ("type", kind)], count);
        }
    }
    let odd = all.iter().filter(|stats| stats.oddities.count > 0);
    let odd = odd.map(|stats| (stats.name.as_str(), stats.oddities.count));
    out.by("oddities_total", "Odd parts of replies that were read all the same.", "backend", odd);
    out.family("cost_total", "counter", "Cost of priced tasks, in the price lists' unit.");
    for stats in all.iter().filter(|stats| stats.costs.priced > 0) {
        let cost = stats.costs.nano as f64 / NANO_PER_UNIT as f64;
        out.sample("cost_total", &[("backend", &stats.name)], cost);
    }
    out.family("cost_tasks_total", "counter", "Tasks, by whether their cost is known.");
    for stats in all.iter().filter(|stats| stats.tasks.total() > 0) {
        let costs = &stats.costs;
        let known = [
            ("priced", costs.priced),
            ("unpriced", costs.unpriced),
            ("unreported", costs.usage_missing),
        ];
        for (cost, count) in known {
            out.sample("cost_tasks_total", &[("backend", &stats.name), ("cost", cost)], count);
        }
    }
}

fn latency(stats: &BackendStats, out: &mut Exposition) {
    let backend = stats.name.as_str();
    let rows = stats.latency.rows();
    let (mut rows, mut below) = (rows.iter().peekable(), 0);
    for edge in EDGES_NS {
        while let Some(row) = rows.next_if(|row| (row.to * NS_PER_MS).round() <= edge as f64) {
            below += row.count;
        }
        let le = (edge as f64 / NS_PER_SECOND).to_string();
        out.sample("latency_seconds_bucket", &[("backend", backend), ("le", &le)], below);
    }
    let count = stats.latency.count();
    out.sample("latency_seconds_bucket", &[("backend", backend), ("le", "+Inf")], count);
    let sum = stats.latency.sum() / MS_PER_SECOND;
    out.sample("latency_seconds_sum", &[("backend", backend)], sum);
    out.sample("latency_seconds_count", &[("backend", backend)], count);
}

fn on_the_way(debrief: &Debrief, out: &mut Exposition) {
    let counts = &debrief.counts;
    out.family("fallbacks_total", "counter", "Tasks that another helper took over.");
    for ([from, to, why], count) in &counts.fallbacks.list {
        out.sample("fallbacks_total", &[("from", from), ("to", to), ("reason", why)], count);
    }
    out.family("admissions_total", "counter", "Decisions by the device's state.");
    for ([decision, pressure, _], count) in &counts.admissions.list {
        let labels = [("decision", decision.as_str()), ("pressure", pressure.as_str())];
        out.sample("admissions_total", &labels, count);
    }
    let others = counts.others.list.iter().map(|([event, ..], count)| (event.as_str(), *count));
    out.by(
        "other_events_total",
        "Events that are not the library's own, by name.",
        "event",
        others,
    );
    let traces = &counts.traces;
    let traces = [("sent", traces.sent), ("dropped", traces.dropped), ("retried", traces.retried)];
    out.by("trace_exports_total", "Traces, by what became of them.", "outcome", traces);
    let help = "Results that nobody read.";
    out.one("results_dropped_total", "counter", help, counts.results_dropped);
    let help = "Requests of batches that no helper was asked.";
    out.one("not_asked_total", "counter", help, counts.not_asked);
    let help = "Threads left behind by a stop.";
    out.one("unjoined_threads_total", "counter", help, counts.unjoined);
}

fn audit_file(debrief: &Debrief, out: &mut Exposition) {
    let (runs, lines) = (&debrief.counts.runs, &debrief.counts.lines);
    let ends = [("clean", runs.ended), ("unclean", runs.unended)];
    out.by("run_ends_total", "Runs, by whether they ended cleanly.", "end", ends);
    let skipped = [("broken", lines.broken), ("foreign", lines.foreign), ("long", lines.too_long)];
    out.by("audit_lines_skipped_total", "Lines that were not read.", "reason", skipped);
    for (name, help, value) in [
        ("audit_lines_missing_total", "Gaps in sequence numbers.", runs.missing_lines),
        ("audit_lines_lost_total", "Lines lost, as their writers reported.", lines.lost),
        ("audit_lines_mended_total", "Lines read in spite of damage.", lines.mended),
        ("audit_tail_repairs_total", "Torn ends that were cut off.", lines.repairs),
        ("audit_dropped_bytes_total", "Bytes of torn ends.", lines.bytes_dropped),
        ("audit_nul_bytes_total", "NUL bytes between lines.", lines.nul_bytes),
        ("audit_reopened_total", "Files gone or replaced, and opened anew.", lines.reopened),
    ] {
        out.one(name, "counter", help, value);
    }
}
