//! Tokens and cost, errors and what to do, what happened on the way, the file itself.

use super::latency::times;
use super::time::plural;
use super::units::{count, percent};
use super::write::{EscapedText, Name, Page};
use crate::debrief::stats::{BackendStats, TopError};
use crate::debrief::tallies::{Costs, Oddities, Tokens};
use crate::debrief::{Debrief, advice, facts};

/// Billionths of a millionth: costs are shown to a millionth of the unit.
const NANO_PER_MICRO: u64 = 1_000;

pub(super) fn tokens_and_cost(debrief: &Debrief, page: &mut Page) {
    let counts = &debrief.counts;
    if counts.tokens.reported == 0 && counts.costs.priced == 0 {
        return;
    }
    page.heading("Tokens and cost by model");
    page.paragraph(
        "soft",
        "As replies reported them, or did not: what is not reported is not zero. Tasks whose \
         model is not on the price list are unpriced, which is not free. The unit is the price \
         list’s own.",
    );
    let row = |name: String, tokens: &Tokens, costs: &Costs| {
        let cost = if costs.priced == 0 { "–".to_owned() } else { money(costs.nano) };
        let counts = [tokens.prompt, tokens.completion, tokens.reported, tokens.missing];
        let tasks = [costs.priced, costs.unpriced, costs.usage_missing];
        let cells = counts.map(count).into_iter().chain([cost]).chain(tasks.map(count));
        std::iter::once(name).chain(cells).collect::<Vec<_>>()
    };
    let has_any = |stats: &&BackendStats| stats.attempts.total() + stats.tasks.total() > 0;
    let mut rows: Vec<_> = debrief
        .backends
        .iter()
        .filter(has_any)
        .map(|stats| row(Name(&stats.name).to_string(), &stats.tokens, &stats.costs))
        .collect();
    if rows.len() > 1 {
        rows.push(row("<b>All</b>".to_owned(), &counts.tokens, &counts.costs));
    }
    let heads = [
        "Backend (model)",
        "Prompt tokens",
        "Completion tokens",
        "Calls reported",
        "Calls unreported",
        "Cost",
        "Tasks priced",
        "Tasks unpriced",
        "Tasks unreported",
    ];
    page.table("", "Tokens and cost of each backend", &heads, &rows);
}

/// An amount of the price lists’ unit.
pub(super) fn money(nano: u64) -> String {
    let micros = nano / NANO_PER_MICRO;
    format!("{}.{:06}", count(micros / 1_000_000), micros % 1_000_000)
}

pub(super) fn errors(debrief: &Debrief, page: &mut Page) {
    let losses = advice::losses(debrief);
    if debrief.top_errors.is_empty() && losses.is_empty() {
        return;
    }
    page.heading("Errors, and what to do");
    page.add("<ul class=\"errors\">\n");
    debrief.top_errors.iter().for_each(|error| one_error(debrief, error, page));
    for sentence in losses {
        page.add(format_args!("<li><p>{}</p></li>\n", EscapedText(&sentence)));
    }
    page.add("</ul>\n");
    if debrief.counts.other_errors > 0 {
        let others = count(debrief.counts.other_errors);
        page.paragraph("soft", format_args!("Further errors, each rarer than these: {others}."));
    }
}

fn one_error(debrief: &Debrief, error: &TopError, page: &mut Page) {
    let share = percent(error.count, debrief.error_count());
    page.add(format_args!(
        "<li><b>{}</b> <bdi>{}</bdi> <span class=\"soft\">{share} of all failures</span>",
        times(error.count),
        EscapedText(&error.error)
    ));
    if let Some(kind) = &error.error_kind {
        page.add(format_args!(" <span class=\"kind\">{}</span>", Name(kind)));
        if let Some(advice) = advice::for_kind(kind) {
            page.paragraph("", EscapedText(advice));
        }
    }
    page.add("</li>\n");
}

pub(super) fn on_the_way(debrief: &Debrief, page: &mut Page) {
    let counts = &debrief.counts;
    let (fallbacks, admissions) = (&counts.fallbacks.list, &counts.admissions.list);
    let traces = &counts.traces;
    let traced = [traces.sent, traces.dropped, traces.retried] != [0; 3];
    let left = [counts.results_dropped, counts.not_asked, counts.unjoined] != [0; 3];
    let odd = debrief.backends.iter().any(|stats| stats.oddities.count > 0);
    if fallbacks.is_empty() && admissions.is_empty() && !traced && !left && !odd {
        return;
    }
    page.heading("Along the way");
    if !fallbacks.is_empty() {
        let row = |([from, to, why], number): &([String; 3], u64)| {
            let cells = [from, to, why].map(|text| Name(text).to_string());
            cells.into_iter().chain([count(*number)]).collect()
        };
        let rows: Vec<Vec<String>> = fallbacks.iter().map(row).collect();
        let heads = ["From", "To", "Because of", "Times"];
        page.table("words", "Fallbacks: tasks that another helper took over", &heads, &rows);
    }
    if !admissions.is_empty() {
        let row = |([decision, pressure, _], number): &([String; 3], u64)| {
            let decision = decision.replace('_', " ");
            vec![Name(&decision).to_string(), Name(pressure).to_string(), count(*number)]
        };
        let rows: Vec<Vec<String>> = admissions.iter().map(row).collect();
        let heads = ["Decision", "Because of", "Times"];
        page.table("words", "Admission: what the device’s state decided over tasks", &heads, &rows);
    }
    if odd {
        odd_replies(debrief, page);
    }
    if traced {
        page.paragraph(
            "",
            format_args!(
                "Traces: {} sent, {} dropped, {} sent again.",
                count(traces.sent),
                count(traces.dropped),
                count(traces.retried)
            ),
        );
    }
    if counts.results_dropped > 0 {
        let results = plural(counts.results_dropped, "result");
        page.paragraph("", format_args!("{results} dropped for newer ones before being read."));
    }
    if counts.not_asked > 0 {
        let requests = plural(counts.not_asked, "request");
        page.paragraph("", format_args!("{requests} of batches that no helper was asked."));
    }
    if counts.unjoined > 0 {
        let threads = plural(counts.unjoined, "thread");
        page.paragraph("", format_args!("{threads} left behind by a stop."));
    }
}

fn odd_replies(debrief: &Debrief, page: &mut Page) {
    let found = debrief.backends.iter().filter(|stats| stats.oddities.count > 0);
    let row = |stats: &BackendStats| {
        let Oddities { count: oddities, calls } = stats.oddities;
        let numbers = [calls, stats.attempts.total(), oddities].map(count);
        [Name(&stats.name).to_string()].into_iter().chain(numbers).collect()
    };
    let rows: Vec<Vec<String>> = found.map(row).collect();
    let heads = ["Backend", "Odd replies", "Of calls", "Oddities"];
    page.table("", "Odd replies: off the protocol, and read all the same", &heads, &rows);
}

pub(super) fn audit_file(debrief: &Debrief, page: &mut Page) {
    page.heading("The audit file itself");
    let (runs, lines) = (&debrief.counts.runs, &debrief.counts.lines);
    let skipped = lines.broken + lines.too_long;
    let damage = [
        (runs.unended, "run", "without an end: killed, or still running"),
        (runs.missing_lines, "line", "missing: gaps in sequence numbers"),
        (lines.lost, "line", "lost, as their writers reported"),
        (lines.repairs, "torn end", "cut off when the file was opened again"),
        (u64::from(lines.torn_end), "line", "torn at the file’s end"),
        (skipped, "line", "unreadable, and skipped"),
        (lines.mended, "line", "read in spite of damage"),
        (lines.nul_bytes, "NUL byte", "between lines, as a power loss leaves them"),
        (lines.reopened, "time", "the file was gone or replaced, and was opened anew"),
    ];
    page.add("<ul class=\"facts\">\n");
    let faults = [runs.missing_lines, lines.lost, skipped, lines.repairs, lines.mended];
    if faults == [0; 5] && !lines.torn_end {
        page.add("<li class=\"ok\"><b>✓</b>No line is missing, torn or unreadable.</li>\n");
    }
    if runs.ended > 0 {
        let ended = plural(runs.ended, "run");
        page.add(format_args!("<li class=\"ok\"><b>✓</b>{ended} ended cleanly.</li>\n"));
    }
    for (number, noun, what) in damage {
        if number > 0 {
            let number = plural(number, noun);
            page.add(format_args!("<li class=\"warn\"><b>!</b>{number} {what}.</li>\n"));
        }
    }
    if lines.foreign > 0 {
        let foreign = plural(lines.foreign, "line");
        page.add(format_args!("<li><b>·</b>{foreign} of other programs (without run_id).</li>\n"));
    }
    page.add("</ul>\n");
}

pub(super) fn other_events(debrief: &Debrief, page: &mut Page) {
    let others = &debrief.counts.others.list;
    if others.is_empty() {
        return;
    }
    page.heading("Events of companions");
    let row =
        |([event, ..], number): &([String; 3], u64)| vec![Name(event).to_string(), count(*number)];
    let rows: Vec<Vec<String>> = others.iter().map(row).collect();
    page.table("", "Events that are not the library’s own, by name", &["Event", "Times"], &rows);
}

/// Why the health is what it is.
pub(super) fn why(debrief: &Debrief) -> String {
    let (events, errors) = (debrief.total_events(), debrief.error_count());
    if events == 0 {
        return "There are no events to judge by.".to_owned();
    }
    let rule = facts::health_rule(debrief.health());
    let mut text =
        format!("{} of {} failed: {rule}.", percent(errors, events), plural(events, "event"));
    if let Some(kind) = debrief.counts.kinds.first() {
        text.push_str(&format!(
            " The most frequent kind of error is {} ({} of {}).",
            Name(&kind.name),
            count(kind.events),
            plural(errors, "failure")
        ));
    }
    text
}
