//! A comparison as a page.

use std::cmp::Ordering;

use super::write::{EscapedText, Name};
use super::{begin, end, sign};
use crate::debrief::Comparison;
use crate::debrief::compare::{ChanceVerdict, Change};

/// Characters of a group's title that name its table.
const TITLE_CHARS_MAX: usize = 72;

impl Comparison {
    /// The comparison as one HTML page, in the form of [`Debrief::to_html`](crate::Debrief::to_html).
    pub fn to_html(&self) -> String {
        let mut page = begin("Telemetry comparison");
        let class = if self.differs() { "warn" } else { "ok" };
        let result = if self.differs() { "▲ Changed" } else { "● Alike" };
        page.add(format_args!(
            "<div class=\"health {class}\"><strong>{result}</strong><p>{}</p></div>\n",
            EscapedText(&self.headline())
        ));
        let [before, after] = self.health.map(sign);
        page.paragraph(
            "",
            format_args!(
                "Health: {} {} before, {} {} after.",
                before.0, before.1, after.0, after.1
            ),
        );
        page.paragraph(
            "soft",
            "Not chance: were nothing changed, a difference at least as large would \
            come less than once in a hundred times. Can be chance: it would come five times in a \
            hundred or more often. Both hold for calls that are independent of each other; failures \
            that come in bursts are not.",
        );
        for group in &self.groups {
            page.heading(Name(&group.title));
            let rows: Vec<_> = group.changes.iter().map(row).collect();
            let heads = ["What", "Before", "After", "Change", "Chance?"];
            let title: String = group.title.chars().take(TITLE_CHARS_MAX).collect();
            page.bare_table("words", &title, &heads, &rows);
        }
        end(page)
    }
}

fn row(change: &Change) -> Vec<String> {
    let direction = match change.direction {
        Some(Ordering::Greater) => "▲ more",
        Some(Ordering::Less) => "▼ less",
        Some(Ordering::Equal) => "= same",
        None => "",
    };
    let verdict = match change.verdict {
        ChanceVerdict::Untested => "–".to_owned(),
        ChanceVerdict::NoChance(_) => {
            format!("<b class=\"warn tone\">{}</b>", EscapedText(&change.verdict.to_string()))
        }
        verdict => EscapedText(&verdict.to_string()).to_string(),
    };
    vec![
        Name(&change.what).to_string(),
        EscapedText(&change.before).to_string(),
        EscapedText(&change.after).to_string(),
        direction.to_owned(),
        verdict,
    ]
}
