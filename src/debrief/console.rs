//! The report for a console: the prototype's lines first, then further sections within
//! [`WIDTH`] columns. Empty sections are left out.

use std::fmt::{self, Write};

use super::bars::{histogram, sparkline};
use super::facts::{
    TITLE, audit_file, calls, latency, on_the_way, plain, summary, tasks, top_errors,
};
use super::{Debrief, advice};

/// Columns that a report takes at most, but for the prototype's own lines.
const WIDTH: usize = 60;

/// Characters of a backend's name: the indent and the colon take the rest of a line.
const NAME_CHARS_MAX: usize = WIDTH - 3;

/// Characters of an error's text: two lines. The other reports have the whole text.
const ERROR_CHARS_MAX: usize = 90;

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
        writeln!(f, "\n  {}:", shortened(&stats.name, NAME_CHARS_MAX))?;
        writeln!(f, "    {}", calls(stats))?;
        writeln!(f, "    {}", latency(stats))?;
        if let Some(spread) = sparkline(stats) {
            writeln!(f, "    Spread: {spread}")?;
        }
    }
    if !debrief.top_errors.is_empty() {
        writeln!(f, "\nTop Errors:")?;
        for (count, error, kind) in top_errors(debrief) {
            let error = shortened(&error, ERROR_CHARS_MAX);
            wrapped(f, &format!("  {count:>6}  "), &format!("{error}{kind}"))?;
        }
    }
    section(f, "Tasks and Attempts", &tasks(debrief))?;
    times(f, debrief)?;
    section(f, "Along the Way", &on_the_way(debrief))?;
    section(f, "Audit File", &audit_file(debrief))?;
    let advice = advice::sentences(debrief);
    if !advice.is_empty() {
        writeln!(f, "\nRecommendations:")?;
    }
    advice.iter().try_for_each(|sentence| wrapped(f, "  - ", sentence))
}

/// The latencies of each backend as bars, one row between two round numbers.
pub(super) fn histograms(debrief: &Debrief) -> String {
    let mut out = String::new();
    for stats in &debrief.backends {
        let rows = histogram(stats);
        if !rows.is_empty() {
            let name = shortened(&stats.name, NAME_CHARS_MAX);
            // Writing to a string cannot fail.
            let _ = writeln!(out, "  {name}:\n    {}\n", rows.join("\n    "));
        }
    }
    if out.is_empty() { out } else { format!("Latency Histograms:\n\n{out}") }
}

fn section(f: &mut fmt::Formatter<'_>, title: &str, facts: &[String]) -> fmt::Result {
    if !facts.is_empty() {
        writeln!(f, "\n{title}:")?;
    }
    facts.iter().try_for_each(|fact| wrapped(f, "  ", fact))
}

/// One row for each part of the time, one unit for each column.
fn times(f: &mut fmt::Formatter<'_>, debrief: &Debrief) -> fmt::Result {
    if debrief.times.is_empty() {
        return Ok(());
    }
    writeln!(f, "\nWhere the Time Went:")?;
    let mut row = |name: &str, [count, p50, p95, total]: [&str; 4]| {
        writeln!(f, "  {name:<14}{count:>8} {p50:>11} {p95:>11} {total:>11}")
    };
    row("", ["times", "p50 ms", "p95 ms", "total s"])?;
    for part in &debrief.times {
        let [p50, p95, total] = [part.p50_ms, part.p95_ms, part.total_ms / 1e3].map(plain);
        row(part.name, [&part.count.to_string(), &p50, &p95, &total])?;
    }
    Ok(())
}

/// The text, with `…` in place of what is beyond so many characters.
fn shortened(text: &str, chars_max: usize) -> String {
    match text.char_indices().nth(chars_max) {
        None => text.to_owned(),
        Some(_) => text.chars().take(chars_max - 1).chain(['…']).collect(),
    }
}

/// Writes lines of at most [`WIDTH`] characters, broken between words, and within a word that is
/// longer. `first` stands before the first line; the others are indented as far.
pub(super) fn wrapped(f: &mut fmt::Formatter<'_>, first: &str, text: &str) -> fmt::Result {
    let indent = first.chars().count();
    f.write_str(first)?;
    let mut column = indent;
    for mut word in text.split(' ') {
        while !word.is_empty() {
            if column > indent && column + 1 + word.chars().count() > WIDTH {
                write!(f, "\n{:indent$}", "")?;
                column = indent;
            }
            if column > indent {
                f.write_char(' ')?;
                column += 1;
            }
            let end = word.char_indices().nth(WIDTH - column);
            let (head, rest) = word.split_at(end.map_or(word.len(), |(at, _)| at));
            f.write_str(head)?;
            column += head.chars().count();
            word = rest;
        }
    }
    writeln!(f)
}
