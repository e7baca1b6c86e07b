//! The report as Markdown.

use std::fmt::{self, Write};

use super::bars::histogram;
use super::facts::{
    TITLE, audit_file, calls, latency, millis, on_the_way, summary, tasks, times_of, top_errors,
};
use super::stats::TimePart;
use super::{Debrief, advice};

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
        writeln!(out, "\n### {}\n\n- {}\n- {}", shown(&stats.name), calls(stats), latency(stats))?;
        let rows = histogram(stats);
        if !rows.is_empty() {
            writeln!(out, "\n```text\n{}\n```", rows.join("\n"))?;
        }
    }
    if !debrief.top_errors.is_empty() {
        writeln!(out, "\n## Top Errors\n")?;
        for (count, error, kind) in top_errors(debrief) {
            writeln!(out, "- {count} × {}{}", shown(&error), shown(&kind))?;
        }
    }
    for (title, facts) in sections(debrief) {
        writeln!(out, "\n## {title}\n")?;
        for fact in facts {
            writeln!(out, "- {}", shown(&fact))?;
        }
    }
    let advice = advice::sentences(debrief);
    if !advice.is_empty() {
        writeln!(out, "\n## Recommendations\n")?;
    }
    for sentence in advice {
        writeln!(out, "- {}", shown(&sentence))?;
    }
    Ok(())
}

/// A text that others may have written, so that it is shown as it is: no tag of HTML, and no link
/// or picture.
pub(super) fn shown(text: &str) -> String {
    text.replace('<', "&lt;").replace("](", "]\\(")
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

fn times(debrief: &Debrief) -> Vec<String> {
    let row = |part: &TimePart| {
        let (p50, p95, total) = (millis(part.p50_ms), millis(part.p95_ms), millis(part.total_ms));
        format!("{}: p50={p50}, p95={p95}, total={total} ({})", part.name, times_of(part.count))
    };
    debrief.times.iter().map(row).collect()
}
