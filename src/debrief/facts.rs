//! Sentences about the counts, shared by the reports for people. A count of zero has no
//! sentence.

use super::stats::BackendStats;
use super::{Debrief, Health};
use crate::number::fixed;

pub(super) const TITLE: &str = "Automation Assistant Telemetry Debrief";

/// The prototype's summary lines, after the health.
pub(super) fn summary(debrief: &Debrief) -> [(&'static str, String); 6] {
    let at_least = if debrief.counts.runs.at_least { "at least " } else { "" };
    [
        ("Total Runs", format!("{at_least}{}", debrief.total_runs())),
        ("Total Events", debrief.total_events().to_string()),
        ("Success", debrief.success_count().to_string()),
        ("Errors", debrief.error_count().to_string()),
        ("Failure Rate", percent(debrief.failure_rate())),
        ("Stability Score", percent(debrief.stability_score())),
    ]
}

/// The failure rates that have this health, for the text after a colon.
pub(super) fn health_rule(health: Health) -> &'static str {
    match health {
        Health::Ok => "less than 5 % is OK",
        Health::Degraded => "5 to 20 % is degraded",
        Health::Critical => "more than 20 % is critical",
    }
}

pub(super) fn calls(stats: &BackendStats) -> String {
    let failure = percent(stats.failure_rate());
    format!("Calls: {}, Errors: {}, Failure: {failure}", stats.calls, stats.errors)
}

pub(super) fn latency(stats: &BackendStats) -> String {
    let [avg, p50, p95] =
        [stats.avg_latency_ms, stats.p50_latency_ms, stats.p95_latency_ms].map(millis);
    format!("Latency: avg={avg}, p50={p50}, p95={p95}")
}

/// Counts, texts and kinds (in brackets) of the most frequent errors.
pub(super) fn top_errors(debrief: &Debrief) -> Vec<(u64, String, String)> {
    let mut rows: Vec<_> = debrief
        .top_errors
        .iter()
        .map(|error| {
            let kind = error.error_kind.as_ref().map(|kind| format!(" [{kind}]"));
            (error.count, error.error.clone(), kind.unwrap_or_default())
        })
        .collect();
    if debrief.counts.other_errors > 0 {
        rows.push((debrief.counts.other_errors, "(other errors)".to_owned(), String::new()));
    }
    rows
}

/// Costs are kept in billionths: the tokens of one short task cost some thousands of them.
pub(super) const NANO_PER_UNIT: u64 = 1_000_000_000;

pub(super) fn tasks(debrief: &Debrief) -> Vec<String> {
    let counts = &debrief.counts;
    let mut facts = Vec::new();
    if counts.tasks.total() > 0 {
        facts.push(format!("Tasks: {} done, {} failed", counts.tasks.done, counts.tasks.failed));
    }
    if counts.echoed > 0 {
        facts.push(format!("Echoes of the embedded engine, no model's answers: {}", counts.echoed));
    }
    if counts.attempts.total() > 0 {
        facts.push(format!("Attempts: {} (retried: {})", counts.attempts.total(), counts.retried));
    }
    let tokens = &counts.tokens;
    if tokens.reported > 0 {
        let (prompt, completion) = (tokens.prompt, tokens.completion);
        let missing = match tokens.missing {
            0 => String::new(),
            missing => format!(", not by {missing}"),
        };
        let reported = tokens.reported;
        facts.push(format!(
            "Tokens: {prompt} prompt, {completion} completion (reported by {reported}{missing})"
        ));
    }
    let costs = &counts.costs;
    if costs.priced > 0 {
        let (priced, unpriced, missing) = (costs.priced, costs.unpriced, costs.usage_missing);
        let (whole, nano) = (costs.nano / NANO_PER_UNIT, costs.nano % NANO_PER_UNIT);
        facts.push(format!(
            "Cost: {whole}.{nano:09} (tasks priced: {priced}, unpriced: {unpriced}, \
             usage missing: {missing})"
        ));
    }
    facts
}

pub(super) fn on_the_way(debrief: &Debrief) -> Vec<String> {
    let counts = &debrief.counts;
    let mut facts = Vec::new();
    for ([from, to, why], count) in &counts.fallbacks.list {
        facts.push(format!("Fallback: {from} → {to} ({why}): {}", times_of(*count)));
    }
    for ([decision, pressure, _], count) in &counts.admissions.list {
        let decision = decision.replace('_', " ");
        facts.push(format!("Admission: {decision} ({pressure}): {}", times_of(*count)));
    }
    for ([event, ..], count) in &counts.others.list {
        facts.push(format!("Event: {event}: {}", times_of(*count)));
    }
    for stats in debrief.backends.iter().filter(|stats| stats.oddities.count > 0) {
        let (found, calls) = (stats.oddities, stats.attempts.total());
        facts.push(format!(
            "Oddities: {}: {} in {} of {calls} calls (its server's replies are off the protocol, \
             and were read)",
            stats.name, found.count, found.calls
        ));
    }
    let traces = &counts.traces;
    let (sent, dropped, retried) = (traces.sent, traces.dropped, traces.retried);
    if (sent, dropped, retried) != (0, 0, 0) {
        facts.push(format!("Traces: {sent} sent, {dropped} dropped, {retried} retried"));
    }
    if counts.results_dropped > 0 {
        facts.push(format!("Results dropped unread: {}", counts.results_dropped));
    }
    if counts.not_asked > 0 {
        facts.push(format!("Requests of batches that no helper was asked: {}", counts.not_asked));
    }
    if counts.unjoined > 0 {
        facts.push(format!("Threads left behind by a stop: {}", counts.unjoined));
    }
    facts
}

pub(super) fn audit_file(debrief: &Debrief) -> Vec<String> {
    let (runs, lines) = (&debrief.counts.runs, &debrief.counts.lines);
    let mut facts = Vec::new();
    if runs.ended + runs.unended > 0 {
        facts.push(format!(
            "Runs: {} ended cleanly, {} did not (killed, or still running)",
            runs.ended, runs.unended
        ));
    }
    if runs.missing_lines > 0 {
        facts.push(format!("Missing lines: {} (gaps in sequence numbers)", runs.missing_lines));
    }
    if lines.lost > 0 {
        facts.push(format!("Lost lines: {} (reported by their writers)", lines.lost));
    }
    if lines.repairs > 0 {
        let bytes = lines.bytes_dropped;
        facts.push(format!("Tail repairs: {}, {bytes} bytes dropped", lines.repairs));
    }
    if lines.reopened > 0 {
        facts.push(format!("File found gone or replaced, and opened anew: {}", lines.reopened));
    }
    if lines.torn_end {
        facts.push("The last line is torn".to_owned());
    }
    if lines.mended > 0 {
        facts.push(format!("Lines read in spite of damage: {}", lines.mended));
    }
    if lines.nul_bytes > 0 {
        facts.push(format!("NUL bytes: {} (a power loss leaves them)", lines.nul_bytes));
    }
    let skipped = lines.broken + lines.too_long + lines.foreign;
    if skipped > 0 {
        facts.push(format!(
            "Lines skipped: {skipped} ({} no JSON, {} too long, {} without run_id)",
            lines.broken, lines.too_long, lines.foreign
        ));
    }
    facts
}

pub(super) fn times_of(count: u64) -> String {
    if count == 1 { "once".to_owned() } else { format!("{count} times") }
}

/// Milliseconds with one decimal, below 1 ms with three.
pub(super) fn millis(ms: f64) -> String {
    plain(ms) + "ms"
}

/// A number with one decimal, below 1 with three.
pub(super) fn plain(ms: f64) -> String {
    fixed(ms, if ms > 0.0 && ms < 1.0 { 3 } else { 1 })
}

pub(super) fn percent(rate: f64) -> String {
    fixed(rate * 100.0, 2) + "%"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_below_a_millisecond_have_three_decimals() {
        let texts = [0.0, 0.0005, 0.9994, 1.0, 520.46].map(millis);
        assert_eq!(texts, ["0.0ms", "0.001ms", "0.999ms", "1.0ms", "520.5ms"]);
    }
}
