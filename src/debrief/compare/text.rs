//! A comparison as text, for a console and as Markdown.

use std::cmp::Ordering;
use std::fmt::{self, Write};

use super::{ChanceVerdict, Change, Comparison};
use crate::debrief::console::wrapped;
use crate::debrief::markdown::shown;

const TITLE: &str = "Automation Assistant Comparison";

impl fmt::Display for Comparison {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{TITLE}\n{}\n", "=".repeat(TITLE.len()))?;
        wrapped(f, "", &self.headline())?;
        let [before, after] = self.health;
        writeln!(f, "\nOverall Health: {before} → {after}")?;
        for group in &self.groups {
            writeln!(f)?;
            wrapped(f, "", &format!("{}:", group.title))?;
            for change in &group.changes {
                let Change { what, before, after, .. } = change;
                wrapped(f, "  ", &format!("{what}: {before} → {after}{}", sign(change)))?;
                if change.verdict != ChanceVerdict::Untested {
                    writeln!(f, "    {}", change.verdict)?;
                }
            }
        }
        Ok(())
    }
}

/// Which way it went, behind the later number.
fn sign(change: &Change) -> &'static str {
    match change.direction {
        Some(Ordering::Greater) => " ▲",
        Some(Ordering::Less) => " ▼",
        _ => "",
    }
}

pub(super) fn markdown(comparison: &Comparison) -> String {
    let mut out = String::new();
    // Writing to a string cannot fail.
    let _ = write_markdown(comparison, &mut out);
    out
}

fn write_markdown(comparison: &Comparison, out: &mut String) -> fmt::Result {
    let [before, after] = comparison.health;
    writeln!(out, "# {TITLE}\n\n{}\n", comparison.headline())?;
    writeln!(out, "**Overall Health:** {before} → {after}")?;
    for group in &comparison.groups {
        writeln!(out, "\n## {}\n", shown(&group.title))?;
        writeln!(out, "| | before | after | chance? |\n|---|---|---|---|")?;
        for change in &group.changes {
            let Change { what, before, after, verdict, .. } = change;
            // A bar in the name of a kind of error would end its cell.
            let what = shown(what).replace('|', "\\|");
            writeln!(out, "| {what} | {before} | {after}{} | {verdict} |", sign(change))?;
        }
    }
    Ok(())
}
