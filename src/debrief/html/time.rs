//! Failures and latency over time and by run.

use std::fmt::Write;

use super::span::TimeSpan;
use super::units::{Unit, UtcMoment, count, percent, percent_cell, time};
use super::write::{Name, Page};
use crate::debrief::Debrief;
use crate::debrief::history::{RunRow, Tally};

/// Fewer events, or fewer columns with events, make no chart.
const CHART_EVENTS_MIN: u64 = 12;
const CHART_COLUMNS_MIN: usize = 4;

/// Runs that are shown at once; earlier ones unfold.
const RUNS_SHOWN: usize = 10;

/// The height of a chart, in its own units.
const HEIGHT: f64 = 100.0;

pub(super) fn over_time(debrief: &Debrief, span: Option<&TimeSpan>, page: &mut Page) {
    page.heading("Over time");
    let undated = debrief.counts.history.timeline.undated;
    let Some(span) = span else {
        page.paragraph("soft", "No event has a time.");
        return;
    };
    let filled = span.filled().count();
    let events = span.filled().map(|(_, tally)| tally.events.total()).sum::<u64>();
    if events < CHART_EVENTS_MIN || filled < CHART_COLUMNS_MIN {
        let text = format!(
            "{} in {} by the {}: too few for a curve.",
            plural(events, "event"),
            plural(filled as u64, "column"),
            span.name()
        );
        page.paragraph("", text);
    } else {
        events_chart(span, page);
        failures_chart(span, page);
        latency_chart(span, page);
    }
    if span.outliers > 0 {
        let outliers = count(span.outliers);
        let text = "Events far from all others in time, and not shown";
        page.paragraph("soft", format_args!("{text}: {outliers}. (Was a clock not set?)"));
    }
    if undated > 0 {
        page.paragraph("soft", format_args!("Events without a time: {}.", count(undated)));
    }
    table(span, page);
}

/// `1 event`, `2 events`.
pub(super) fn plural(number: u64, noun: &str) -> String {
    format!("{} {noun}{}", count(number), if number == 1 { "" } else { "s" })
}

/// A bar for each column: `size` is a part of the height, from 0 to 1.
fn bars(class: &str, sizes: impl Iterator<Item = (usize, f64)>) -> String {
    let mut path = String::new();
    for (column, size) in sizes.filter(|(_, size)| *size > 0.0) {
        // A count above zero stays visible.
        let top = (HEIGHT * (1.0 - size)).round().min(HEIGHT - 1.0);
        let _ = write!(path, "M{column}.1 100V{top}h.8V100z");
    }
    format!("<path class=\"{class}\" d=\"{path}\"/>")
}

/// A chart with its caption and axes. `marks` are labels on the left, by height from 0 to 1.
fn chart(page: &mut Page, span: &TimeSpan, caption: &str, body: &str, marks: &[(f64, String)]) {
    let columns = span.columns.len();
    let mut grid = String::new();
    for (height, _) in marks {
        let _ = write!(grid, "M0 {:.1}H{columns}", HEIGHT * (1.0 - height));
    }
    for column in span.midnights() {
        let _ = write!(grid, "M{column} 0V100");
    }
    page.add(format_args!(
        "<figure><figcaption>{caption}</figcaption><div class=\"plot\">\
         <svg viewBox=\"0 0 {columns} 100\" preserveAspectRatio=\"none\" aria-hidden=\"true\">\
         <path class=\"grid\" vector-effect=\"non-scaling-stroke\" d=\"{grid}\"/>{body}</svg>"
    ));
    for (height, label) in marks {
        page.add(format_args!("<span style=\"bottom:{:.1}%\">{label}</span>", height * 100.0));
    }
    page.add("</div><div class=\"x\" aria-hidden=\"true\">");
    for (column, label) in span.ticks() {
        let left = column as f64 / columns as f64 * 100.0;
        // A label that would stick out is moved in.
        let class = match left {
            left if left < 8.0 => " class=\"begin\"",
            left if left > 92.0 => " class=\"end\"",
            _ => "",
        };
        page.add(format_args!("<span{class} style=\"left:{left:.2}%\">{label}</span>"));
    }
    page.add("</div></figure>\n");
}

fn events_chart(span: &TimeSpan, page: &mut Page) {
    let events = |tally: &Tally| tally.events.total();
    let Some((column, most)) =
        span.filled().map(|(column, tally)| (column, events(tally))).max_by_key(|(_, n)| *n)
    else {
        return;
    };
    let sizes = span.filled().map(|(column, tally)| (column, events(tally) as f64 / most as f64));
    let caption = format!(
        "<b>Events by the {}.</b> Most: {} in {}.",
        span.name(),
        count(most),
        span.when(column)
    );
    let marks = [(0.0, "0".to_owned()), (1.0, count(most))];
    chart(page, span, &caption, &bars("fa", sizes), &marks);
}

fn failures_chart(span: &TimeSpan, page: &mut Page) {
    let rate = |tally: &Tally| tally.events.failed as f64 / tally.events.total().max(1) as f64;
    let worst = span.filled().max_by(|a, b| rate(a.1).total_cmp(&rate(b.1)));
    let Some((column, tally)) = worst.filter(|(_, tally)| tally.events.failed > 0) else {
        page.paragraph("", "<b>No event failed.</b>");
        return;
    };
    // The end of the scale is round.
    let top = [0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0];
    let top = top.into_iter().find(|top| *top >= rate(tally)).unwrap_or(1.0);
    let with = span.filled().filter(|(_, tally)| tally.events.failed > 0).count();
    let caption = format!(
        "<b>Failure rate.</b> Worst: {} ({} of {}) in {}. In {} of {} no event failed.",
        percent(tally.events.failed, tally.events.total()),
        count(tally.events.failed),
        count(tally.events.total()),
        span.when(column),
        span.filled().count() - with,
        plural(span.filled().count() as u64, "column")
    );
    let sizes = span.filled().map(|(column, tally)| (column, rate(tally) / top));
    let marks = [(0.0, "0 %".to_owned()), (1.0, percent((top * 100.0) as u64, 100))];
    chart(page, span, &caption, &bars("fbad", sizes), &marks);
}

/// One and two, five and ten of every power of ten, of a nanosecond; in milliseconds.
fn round_times() -> impl Iterator<Item = f64> {
    let steps = [1.0, 2.0, 5.0];
    (-6..12).flat_map(move |power| steps.map(|step| step * 10_f64.powi(power)))
}

fn latency_chart(span: &TimeSpan, page: &mut Page) {
    let points: Vec<_> = span
        .filled()
        .filter(|(_, tally)| tally.calls.count() > 0)
        .map(|(column, tally)| (column, tally.calls.percentile(50), tally.calls.percentile(95)))
        .collect();
    if points.len() < CHART_COLUMNS_MIN {
        page.paragraph("soft", "Too few calls with a latency for a curve.");
        return;
    }
    let low = points.iter().map(|point| point.1).fold(f64::MAX, f64::min);
    let high = points.iter().map(|point| point.2).fold(0.0, f64::max);
    let from = round_times().filter(|time| *time <= low).last().unwrap_or(low);
    let to = round_times().find(|time| *time >= high && *time > from).unwrap_or(high);
    let height = |time: f64| (time / from).ln() / (to / from).ln();
    let curve = |class: &str, of: fn(&(usize, f64, f64)) -> f64| {
        let mut path = String::new();
        let mut last = None;
        for point in &points {
            let (x, y) = (point.0 as f64 + 0.5, HEIGHT * (1.0 - height(of(point))));
            let joined = last.is_some_and(|last| last + 1 == point.0);
            // A point of its own is a short line, which round ends make a dot.
            let _ = match joined {
                true => write!(path, "L{x} {y:.1}"),
                false => write!(path, "M{x} {y:.1}h.01"),
            };
            last = Some(point.0);
        }
        format!("<path class=\"{class}\" vector-effect=\"non-scaling-stroke\" d=\"{path}\"/>")
    };
    let slowest = points.iter().max_by(|a, b| a.2.total_cmp(&b.2));
    let slowest = slowest.map_or(String::new(), |(column, _, p95)| {
        format!(" Slowest: p95 of {} in {}.", time(*p95), span.when(*column))
    });
    let line = |class| {
        format!(
            "<svg width=\"26\" height=\"10\" aria-hidden=\"true\"><path class=\"{class}\" d=\"M2 5H24\"/></svg>"
        )
    };
    let caption = format!(
        "<b>Latency of calls.</b> {} half are at most as long (p50), {} 95 of 100 (p95); failed \
         calls too, on a logarithmic scale.{slowest}",
        line("half"),
        line("most")
    );
    let body = curve("most", |point| point.2) + &curve("half", |point| point.1);
    // At most four labels between, evenly thinned out.
    let times: Vec<_> =
        round_times().filter(|time| *time >= from * 0.999 && *time <= to * 1.001).collect();
    let step = times.len().div_ceil(5).max(1);
    let marks: Vec<_> =
        times.iter().step_by(step).map(|ms| (height(*ms), time_label(*ms))).collect();
    chart(page, span, &caption, &body, &marks);
}

/// A round time: `500 ms`, `2 s`.
pub(super) fn time_label(ms: f64) -> String {
    let unit = Unit::of(ms);
    // Minutes and hours have other round numbers.
    let unit = if unit.ms > 1e3 { Unit { name: "s", ms: 1e3 } } else { unit };
    format!("{} {}", count((ms / unit.ms).round() as u64), unit.name)
}

fn table(span: &TimeSpan, page: &mut Page) {
    let unit = Unit::of_all(span.filled().map(|(_, tally)| tally.calls.percentile(95)));
    let row = |(column, tally)| [vec![span.label(column)], tally_cells(tally, unit)].concat();
    let rows: Vec<_> = span.filled().map(row).collect();
    let caption = format!("Events, failures and latency of calls by the {}", span.name());
    let heads = [vec!["From (UTC)".to_owned()], tally_heads(unit)].concat();
    page.folded(&caption, &heads, &rows);
}

fn tally_heads(unit: Unit) -> Vec<String> {
    let times = ["p50", "p95"].map(|name| format!("{name},\u{a0}{}", unit.name));
    ["Events", "Failed", "Failed,\u{a0}%"].map(str::to_owned).into_iter().chain(times).collect()
}

fn tally_cells(tally: &Tally, unit: Unit) -> Vec<String> {
    let events = tally.events;
    let times = [50, 95].map(|percent| match tally.calls.count() {
        0 => "–".to_owned(),
        _ => unit.of_time(tally.calls.percentile(percent)),
    });
    let counts =
        [count(events.total()), count(events.failed), percent_cell(events.failed, events.total())];
    counts.into_iter().chain(times).collect()
}

pub(super) fn by_run(debrief: &Debrief, page: &mut Page) {
    let history = &debrief.counts.history;
    if history.runs.is_empty() {
        return;
    }
    page.heading("By run");
    let unit = Unit::of_all(history.runs.iter().map(|run| run.tally.calls.percentile(95)));
    let mut rows: Vec<_> = history.runs.iter().rev().map(|run| run_cells(run, unit)).collect();
    let heads = ["Run", "Began (UTC)", "Lasted", "End"].map(str::to_owned).to_vec();
    let heads = [heads, tally_heads(unit)].concat();
    let earlier = rows.split_off(rows.len().min(RUNS_SHOWN));
    let caption = "The latest first. A run ends clean with a run_end line; an open one was killed, \
                   still runs, or has a writer that writes none.";
    page.table("", caption, &heads, &rows);
    if !earlier.is_empty() {
        page.folded(&plural(earlier.len() as u64, "earlier run"), &heads, &earlier);
    }
    if history.earlier_runs > 0 {
        let runs = plural(history.earlier_runs, "still earlier run");
        page.paragraph("soft", format_args!("{runs} count above, but have no row."));
    }
}

fn run_cells(run: &RunRow, unit: Unit) -> Vec<String> {
    let none = || "–".to_owned();
    let began = run.first.filter(|at| *at >= 0.0).map(|at| UtcMoment::new(at as u64).minute());
    let lasted = run.first.zip(run.last).map(|(first, last)| time((last - first).max(0.0) * 1e3));
    let end = if run.ended { "clean" } else { "open" };
    let own = vec![
        Name(&run.id).to_string(),
        began.unwrap_or_else(none),
        lasted.unwrap_or_else(none),
        end.to_owned(),
    ];
    [own, tally_cells(&run.tally, unit)].concat()
}
