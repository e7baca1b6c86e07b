//! The report for people: the prototype's lines first, then further sections. Empty sections are
//! left out.

use std::fmt::{self, Write};

use super::histogram::Row;
use super::{BackendStats, Debrief, advice};
use crate::number::fixed;

const TITLE: &str = "Automation Assistant Telemetry Debrief";

/// Characters of the longest bar of a histogram.
const BAR_WIDTH: u64 = 30;

/// Rows of a histogram; where there would be more, neighbours are put together.
const ROWS_MAX: usize = 12;

pub(super) fn console(debrief: &Debrief, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    writeln!(f, "{TITLE}\n{}\n", "=".repeat(TITLE.len()))?;
    writeln!(f, "Overall Health: {}", debrief.health())?;
    for (name, value) in summary(debrief) {
        writeln!(f, "{name}: {value}")?;
    }
    writeln!(f, "\nPer-Backend Stats:")?;
    if debrief.backends.is_empty() {
        writeln!(f, "  (no events)")?;
    }
    for stats in &debrief.backends {
        writeln!(f, "\n  {}:", stats.name)?;
        writeln!(f, "    {}", calls(stats))?;
        writeln!(f, "    {}", latency(stats))?;
    }
    if !debrief.top_errors.is_empty() {
        writeln!(f, "\nTop Errors:")?;
        for (count, error) in top_errors(debrief) {
            writeln!(f, "  {count:>6}  {error}")?;
        }
    }
    for (title, facts) in sections(debrief) {
        writeln!(f, "\n{title}:")?;
        for fact in facts {
            writeln!(f, "  {fact}")?;
        }
    }
    let mut title = "\nLatency Histograms:\n";
    for stats in &debrief.backends {
        let rows = histogram(stats);
        if !rows.is_empty() {
            writeln!(f, "{title}\n  {}:", stats.name)?;
            title = "";
        }
        for row in rows {
            writeln!(f, "    {row}")?;
        }
    }
    let advice = advice::sentences(debrief);
    if !advice.is_empty() {
        writeln!(f, "\nRecommendations:")?;
    }
    for sentence in advice {
        writeln!(f, "  - {sentence}")?;
    }
    Ok(())
}

pub(super) fn markdown(debrief: &Debrief) -> String {
    let mut out = String::new();
    // Writing to a string cannot fail.
    let _ = write_markdown(debrief, &mut out);
    out
}

fn write_markdown(debrief: &Debrief, out: &mut String) -> fmt::Result {
    writeln!(out, "# {TITLE}\n\n## Summary\n")?;
    writeln!(out, "**Overall Health:** {}\n", debrief.health())?;
    for (name, value) in summary(debrief) {
        writeln!(out, "**{name}:** {value}\n")?;
    }
    writeln!(out, "## Per-Backend Stats")?;
    if debrief.backends.is_empty() {
        writeln!(out, "\n(no events)")?;
    }
    for stats in &debrief.backends {
        writeln!(out, "\n### {}\n\n- {}\n- {}", stats.name, calls(stats), latency(stats))?;
        let rows = histogram(stats);
        if !rows.is_empty() {
            writeln!(out, "\n```text\n{}\n```", rows.join("\n"))?;
        }
    }
    if !debrief.top_errors.is_empty() {
        writeln!(out, "\n## Top Errors\n")?;
        for (count, error) in top_errors(debrief) {
            writeln!(out, "- {count} × {error}")?;
        }
    }
    for (title, facts) in sections(debrief) {
        writeln!(out, "\n## {title}\n")?;
        for fact in facts {
            writeln!(out, "- {fact}")?;
        }
    }
    let advice = advice::sentences(debrief);
    if !advice.is_empty() {
        writeln!(out, "\n## Recommendations\n")?;
    }
    for sentence in advice {
        writeln!(out, "- {sentence}")?;
    }
    Ok(())
}

/// The prototype's summary lines, after the health.
fn summary(debrief: &Debrief) -> [(&'static str, String); 6] {
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

fn calls(stats: &BackendStats) -> String {
    let failure = percent(stats.failure_rate());
    format!("Calls: {}, Errors: {}, Failure: {failure}", stats.calls, stats.errors)
}

fn latency(stats: &BackendStats) -> String {
    let [avg, p50, p95] =
        [stats.avg_latency_ms, stats.p50_latency_ms, stats.p95_latency_ms].map(millis);
    format!("Latency: avg={avg}, p50={p50}, p95={p95}")
}

fn top_errors(debrief: &Debrief) -> Vec<(u64, String)> {
    let mut rows: Vec<_> = debrief
        .top_errors
        .iter()
        .map(|error| {
            let kind = error.error_kind.as_ref().map(|kind| format!(" [{kind}]"));
            (error.count, format!("{}{}", error.error, kind.unwrap_or_default()))
        })
        .collect();
    if debrief.counts.other_errors > 0 {
        rows.push((debrief.counts.other_errors, "(other errors)".to_owned()));
    }
    rows
}

/// The second block: sections with a title and facts, without the empty ones.
fn sections(debrief: &Debrief) -> Vec<(&'static str, Vec<String>)> {
    let sections = [
        ("Tasks and Attempts", tasks(debrief)),
        ("Where the Time Went", times(debrief)),
        ("Along the Way", on_the_way(debrief)),
        ("Audit File", audit_file(debrief)),
    ];
    sections.into_iter().filter(|(_, facts)| !facts.is_empty()).collect()
}

/// Costs are kept in billionths: the tokens of one short task cost some thousands of them.
const NANO_PER_UNIT: u64 = 1_000_000_000;

fn tasks(debrief: &Debrief) -> Vec<String> {
    let counts = &debrief.counts;
    let mut facts = Vec::new();
    if counts.tasks.done + counts.tasks.failed > 0 {
        facts.push(format!("Tasks: {} done, {} failed", counts.tasks.done, counts.tasks.failed));
    }
    if counts.calls > 0 {
        facts.push(format!("Attempts: {} (retried: {})", counts.calls, counts.retried));
    }
    let tokens = &counts.tokens;
    if tokens.told > 0 {
        let (prompt, completion) = (tokens.prompt, tokens.completion);
        let missing = match tokens.missing {
            0 => String::new(),
            missing => format!(", not told by {missing}"),
        };
        let told = tokens.told;
        facts.push(format!(
            "Tokens: {prompt} prompt, {completion} completion (told by {told}{missing})"
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

fn times(debrief: &Debrief) -> Vec<String> {
    let row = |part: &super::TimePart| {
        let (p50, p95, total) = (millis(part.p50_ms), millis(part.p95_ms), millis(part.total_ms));
        format!("{}: p50={p50}, p95={p95}, total={total} ({})", part.name, times_of(part.count))
    };
    debrief.times.iter().map(row).collect()
}

fn on_the_way(debrief: &Debrief) -> Vec<String> {
    let counts = &debrief.counts;
    let mut facts = Vec::new();
    for ([from, to, why], count) in &counts.fallbacks.list {
        facts.push(format!("Fallback: {from} → {to} ({why}): {}", times_of(*count)));
    }
    for ([decision, pressure], count) in &counts.admissions.list {
        let decision = decision.replace('_', " ");
        facts.push(format!("Admission: {decision} ({pressure}): {}", times_of(*count)));
    }
    for (name, count) in debrief.companion_events() {
        facts.push(format!("{name}: {}", times_of(count)));
    }
    let traces = &counts.traces;
    let (sent, dropped, retried) = (traces.sent, traces.dropped, traces.retried);
    if (sent, dropped, retried) != (0, 0, 0) {
        facts.push(format!("Traces: {sent} sent, {dropped} dropped, {retried} retried"));
    }
    if counts.results_dropped > 0 {
        facts.push(format!("Results dropped unread: {}", counts.results_dropped));
    }
    if counts.unjoined > 0 {
        facts.push(format!("Threads left behind by a stop: {}", counts.unjoined));
    }
    facts
}

fn audit_file(debrief: &Debrief) -> Vec<String> {
    let (runs, lines) = (&debrief.counts.runs, &debrief.counts.lines);
    let mut facts = Vec::new();
    if runs.ended + runs.unended > 0 {
        facts.push(format!(
            "Runs: {} ended cleanly, {} did not (killed, or still going on)",
            runs.ended, runs.unended
        ));
    }
    if runs.missing_lines > 0 {
        facts.push(format!("Missing lines: {} (gaps in sequence numbers)", runs.missing_lines));
    }
    if lines.lost > 0 {
        facts.push(format!("Lost lines: {} (told by their writers)", lines.lost));
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

/// One row between two round numbers, or between several where there are many; three dots
/// for rows without any.
fn histogram(stats: &BackendStats) -> Vec<String> {
    let filled = |rows: &[Row]| rows.iter().filter(|row| row.count > 0).count();
    let merged: Vec<_> = stats
        .rows
        .chunks(filled(&stats.rows).div_ceil(ROWS_MAX).max(1))
        .filter_map(|chunk| {
            let (first, last) = (chunk.first()?, chunk.last()?);
            let count = chunk.iter().map(|row| row.count).sum();
            Some(Row { from: first.from, to: last.to, count })
        })
        .collect();
    // A single row shows no more than the percentiles do.
    if filled(&merged) < 2 {
        return Vec::new();
    }
    let most = merged.iter().map(|row| row.count).max().unwrap_or(1).max(1);
    let line = |row: &Row| {
        if row.count == 0 {
            return format!("{:>9}", "…");
        }
        // What is there is seen, however little it is.
        let width = (u128::from(row.count) * u128::from(BAR_WIDTH)).div_ceil(u128::from(most));
        let bar = "█".repeat(usize::try_from(width).unwrap_or(0));
        format!("{:>7} – {:<7} {bar:<30} {}", edge(row.from), edge(row.to), row.count)
    };
    let mut lines: Vec<_> = merged.iter().map(line).collect();
    lines.dedup();
    lines
}

/// An edge of a histogram's row, in a unit that fits it: edges are round numbers.
fn edge(ms: f64) -> String {
    // Steps of 2 and 2.5 leave an error in the last digits, which rounding takes away.
    let nanos = (ms * 1e6).round();
    let (value, unit) = match nanos {
        _ if nanos < 1e3 => (nanos, "ns"),
        _ if nanos < 1e6 => (nanos / 1e3, "µs"),
        _ if nanos < 1e9 => (nanos / 1e6, "ms"),
        _ => (nanos / 1e9, "s"),
    };
    fixed(value, 0) + unit
}

fn times_of(count: u64) -> String {
    if count == 1 { "once".to_owned() } else { format!("{count} times") }
}

/// Milliseconds with one decimal, below 1 ms with three.
fn millis(ms: f64) -> String {
    fixed(ms, if ms > 0.0 && ms < 1.0 { 3 } else { 1 }) + "ms"
}

fn percent(rate: f64) -> String {
    fixed(rate * 100.0, 2) + "%"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn edges_are_told_in_the_unit_that_fits_them() {
        for (ms, text) in [
            (1e-6, "1ns"),
            (5e-4, "500ns"),
            (1e-3, "1µs"),
            (0.5, "500µs"),
            (1.0, "1ms"),
            (500.0, "500ms"),
            (1000.0, "1s"),
        ] {
            assert_eq!(edge(ms), text);
        }
    }

    #[test]
    fn times_below_a_millisecond_have_three_decimals() {
        let texts = [0.0, 0.0005, 0.9994, 1.0, 520.46].map(millis);
        assert_eq!(texts, ["0.0ms", "0.001ms", "0.999ms", "1.0ms", "520.5ms"]);
    }
}
