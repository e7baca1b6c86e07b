//! How latencies spread, and where the time went, by backend.

use std::fmt::Write;

use super::busiest;
use super::time::time_label;
use super::units::{Unit, count, percent_cell, time};
use super::write::{EscapedText, Name, Page};
use crate::debrief::Debrief;
use crate::debrief::histogram::Column;
use crate::debrief::stats::BackendStats;

/// Fewer latencies make no distribution.
const LATENCIES_MIN: u64 = 12;

/// Columns of a distribution, at most.
const COLUMNS_MAX: usize = 96;

/// Labels under it, at most.
const LABELS_MAX: usize = 5;

/// Its height, in its own units.
const HEIGHT: u64 = 40;

pub(super) fn distributions(debrief: &Debrief, page: &mut Page) {
    let cards = busiest(debrief);
    if cards.is_empty() {
        return;
    }
    page.heading("Latency by backend");
    page.paragraph(
        "soft",
        "All of a backend’s events (starts, calls, tasks), without those that took no time. Lines mark p50 (solid), p95 (dashed) and p99 (dotted): 50, 95 and 99 of 100 are at most as long. The scale is logarithmic.",
    );
    let scale = Scale::new(&cards);
    page.add("<div class=\"cards\">");
    for stats in &cards {
        card(stats, scale.as_ref(), page);
    }
    page.add("</div>\n");
    table(debrief, page);
    ranges(&cards, page);
}

/// The axis that all distributions share: equal steps of the logarithm.
struct Scale {
    /// Columns for each power of two.
    per_power: u32,
    first: i64,
    columns: usize,
}

impl Scale {
    fn new(cards: &[&BackendStats]) -> Option<Self> {
        [4, 2, 1].into_iter().find_map(|per_power| {
            let columns = cards.iter().flat_map(|stats| stats.latency.columns(per_power));
            let places = columns.map(|column| column.place);
            let (first, last) = (places.clone().min()?, places.max()?);
            let columns = (last - first + 1) as usize;
            // The widest columns of all do for any latency.
            (columns <= COLUMNS_MAX || per_power == 1).then_some(Self { per_power, first, columns })
        })
    }

    /// Where a time stands, in columns.
    fn at(&self, ms: f64) -> f64 {
        ms.log2() * f64::from(self.per_power) - self.first as f64
    }
}

fn card(stats: &BackendStats, scale: Option<&Scale>, page: &mut Page) {
    page.add(format_args!("<div><h3>{}</h3>", Name(&stats.name)));
    let latencies = stats.latency.count();
    match scale.filter(|_| latencies >= LATENCIES_MIN) {
        Some(scale) => distribution(stats, scale, page),
        None => {
            let text = format!("{}: too few for a distribution.", plural_of(latencies, "latency"));
            page.paragraph("", text);
        }
    }
    if latencies > 0 {
        page.add("<dl class=\"numbers\">");
        for (name, of) in TIMES {
            let ms = time(of(stats));
            page.add(format_args!("<div><dt>{name}</dt><dd>{ms}</dd></div>"));
        }
        page.add("</dl>");
    }
    page.add("</div>\n");
}

/// `1 latency`, `2 latencies`.
fn plural_of(number: u64, noun: &str) -> String {
    match number {
        1 => format!("1 {noun}"),
        number => format!("{} {}ies", count(number), noun.trim_end_matches('y')),
    }
}

fn distribution(stats: &BackendStats, scale: &Scale, page: &mut Page) {
    let columns: Vec<Column> = stats.latency.columns(scale.per_power);
    let most = columns.iter().map(|column| column.count).max().unwrap_or(1).max(1);
    let mut path = String::new();
    for column in &columns {
        // A count above zero stays visible.
        let size = (u128::from(column.count) * u128::from(HEIGHT)).div_ceil(u128::from(most));
        let (x, top) = (column.place - scale.first, u128::from(HEIGHT) - size);
        let _ = write!(path, "M{x} {HEIGHT}V{top}h1V{HEIGHT}z");
    }
    let label = format!(
        "Distribution of {} of {}: half within {}, 95 of 100 within {}, 99 of 100 within {}, all \
         within {}.",
        plural_of(stats.latency.count(), "latency"),
        stats.name.chars().take(72).collect::<String>(),
        time(stats.p50_latency_ms),
        time(stats.p95_latency_ms),
        time(stats.p99_latency_ms),
        time(stats.max_latency_ms)
    );
    page.add(format_args!(
        "<div class=\"plot\"><svg viewBox=\"0 0 {} {HEIGHT}\" preserveAspectRatio=\"none\" \
         role=\"img\" aria-label=\"{}\"><path class=\"fa\" d=\"{path}\"/>",
        scale.columns,
        EscapedText(&label)
    ));
    page.add(format_args!(
        "<path class=\"grid\" vector-effect=\"non-scaling-stroke\" d=\"M0 {HEIGHT}H{}\"/>",
        scale.columns
    ));
    for (class, ms) in [
        ("mark", stats.p50_latency_ms),
        ("mark m95", stats.p95_latency_ms),
        ("mark m99", stats.p99_latency_ms),
    ] {
        page.add(format_args!(
            "<path class=\"{class}\" vector-effect=\"non-scaling-stroke\" d=\"M{:.2} 0V{HEIGHT}\"/>",
            scale.at(ms).max(0.0).min(scale.columns as f64)));
    }
    page.add("</svg></div><div class=\"x\" aria-hidden=\"true\">");
    for (at, label) in labels(scale) {
        let class = match at {
            at if at < 0.08 => " class=\"begin\"",
            at if at > 0.92 => " class=\"end\"",
            _ => "",
        };
        page.add(format_args!("<span{class} style=\"left:{:.1}%\">{label}</span>", at * 100.0));
    }
    page.add("</div>");
}

/// Powers of ten under the axis, thinned out; places from 0 to 1.
fn labels(scale: &Scale) -> Vec<(f64, String)> {
    let end = scale.columns as f64;
    let powers = (-6..10).map(|power| 10_f64.powi(power));
    let inside = |ms: &f64| (0.0..=end).contains(&scale.at(*ms));
    let powers: Vec<_> = powers.filter(inside).collect();
    let step = powers.len().div_ceil(LABELS_MAX).max(1);
    powers.iter().step_by(step).map(|ms| (scale.at(*ms) / end, time_label(*ms))).collect()
}

/// A column of times: its heading, and what stands in it.
type TimeColumn = (&'static str, fn(&BackendStats) -> f64);

const TIMES: [TimeColumn; 5] = [
    ("average", |stats| stats.avg_latency_ms),
    ("p50", |stats| stats.p50_latency_ms),
    ("p95", |stats| stats.p95_latency_ms),
    ("p99", |stats| stats.p99_latency_ms),
    ("most", |stats| stats.max_latency_ms),
];

/// Columns of times with the unit of each.
fn with_units<'a>(
    columns: impl Iterator<Item = TimeColumn> + 'a,
    all: &'a [&BackendStats],
) -> Vec<(TimeColumn, Unit)> {
    let unit = |column: &TimeColumn| Unit::of_all(all.iter().map(|stats| (column.1)(stats)));
    columns.map(|column| (column, unit(&column))).collect()
}

fn heads(first: &[&str], columns: &[(TimeColumn, Unit)]) -> Vec<String> {
    let times = columns.iter().map(|((name, _), unit)| format!("{name},\u{a0}{}", unit.name));
    first.iter().map(|head| (*head).to_owned()).chain(times).collect()
}

fn table(debrief: &Debrief, page: &mut Page) {
    let all: Vec<_> = debrief.backends.iter().collect();
    let columns = with_units(TIMES.into_iter(), &all);
    let row = |stats: &&BackendStats| {
        let cell = |((_, of), unit): &(TimeColumn, Unit)| match stats.latency.count() {
            0 => "–".to_owned(),
            _ => unit.of_time(of(stats)),
        };
        let own = [
            Name(&stats.name).to_string(),
            count(stats.calls),
            count(stats.errors),
            percent_cell(stats.errors, stats.calls),
        ];
        own.into_iter().chain(columns.iter().map(cell)).collect()
    };
    let rows: Vec<Vec<String>> = all.iter().map(row).collect();
    let heads = heads(&["Backend", "Events", "Failed", "Failed,\u{a0}%"], &columns);
    page.table("", "Events, failures and latencies of each backend", &heads, &rows);
}

/// The distributions as numbers.
fn ranges(cards: &[&BackendStats], page: &mut Page) {
    let mut rows = Vec::new();
    for stats in cards {
        for row in stats.latency.rows().iter().filter(|row| row.count > 0) {
            let range = format!("{} to {}", time_label(row.from), time_label(row.to));
            rows.push(vec![Name(&stats.name).to_string(), range, count(row.count)]);
        }
    }
    if !rows.is_empty() {
        page.folded("The distributions as numbers", &["Backend", "Latency", "Events"], &rows);
    }
}

/// Parts of the time: name, class of its fill, its sum for a backend.
type BarPart = (&'static str, &'static str, fn(&BackendStats) -> f64);

const PARTS: [BarPart; 5] = [
    ("in the queue", "queue", |stats| stats.spent.queue),
    ("back-off before a call", "backoff", |stats| stats.spent.back_off),
    ("to the first byte", "first", |stats| stats.spent.first_byte),
    ("rest of the reply", "rest", |stats| stats.spent.rest),
    ("calls without a first-byte time", "whole", |stats| stats.spent.whole),
];

/// A sum of times; lines may hold any number.
fn sum(stats: &BackendStats) -> f64 {
    PARTS.iter().map(|part| (part.2)(stats)).sum::<f64>().min(f64::MAX)
}

pub(super) fn where_time_went(debrief: &Debrief, page: &mut Page) {
    let cards: Vec<_> = busiest(debrief).into_iter().filter(|stats| sum(stats) > 0.0).collect();
    let suspended = debrief.times.iter().find(|part| part.key == "suspended_ms");
    if cards.is_empty() && suspended.is_none() {
        return;
    }
    page.heading("Where the time went");
    if !cards.is_empty() {
        let used: Vec<_> =
            PARTS.iter().filter(|part| cards.iter().any(|stats| (part.2)(stats) > 0.0)).collect();
        page.paragraph("soft", "Each bar is the whole time of its backend.");
        page.add("<ul class=\"legend\">");
        for (name, fill, _) in &used {
            page.add(format_args!(
                "<li><svg aria-hidden=\"true\"><rect width=\"100%\" height=\"100%\" fill=\"url(#{fill})\"/>\
                 </svg>{name}</li>"
            ));
        }
        page.add("</ul>\n");
        cards.iter().for_each(|stats| stacked(stats, page));
        time_table(&cards, &used, page);
    }
    if let Some(suspended) = suspended {
        let all = time(suspended.total_ms);
        let how_often = times(suspended.count);
        let text = format!("The device was suspended {how_often} during tasks, {all} in all.");
        page.paragraph("", text);
    }
}

/// `once`, `1,234 times`.
pub(super) fn times(number: u64) -> String {
    if number == 1 { "once".to_owned() } else { format!("{} times", count(number)) }
}

/// A bar of a backend's parts, all as long as each other: how much it is in all stands in its
/// caption.
fn stacked(stats: &BackendStats, page: &mut Page) {
    let all = sum(stats);
    let mut label = format!("{}: ", stats.name.chars().take(72).collect::<String>());
    let (mut rects, mut left) = (String::new(), 0.0);
    for (name, fill, of) in PARTS {
        let part = of(stats).min(f64::MAX) / all * 100.0;
        if part > 0.0 {
            let _ = write!(label, "{name} {part:.1} %, ");
            let _ = write!(
                rects,
                "<rect class=\"edge\" x=\"{left:.2}%\" width=\"{part:.2}%\" height=\"100%\" \
                 fill=\"url(#{fill})\"/>"
            );
            left += part;
        }
    }
    page.add(format_args!(
        "<figure><figcaption><b>{}</b> {} in all</figcaption><div class=\"bar\"><svg role=\"img\" \
         aria-label=\"{}\">{rects}</svg></div></figure>\n",
        Name(&stats.name),
        time(all),
        EscapedText(label.trim_end_matches(", "))
    ));
}

fn time_table(cards: &[&BackendStats], used: &[&BarPart], page: &mut Page) {
    let parts = used.iter().map(|part| (part.0, part.2));
    let columns = with_units(parts.chain([("in all", sum as fn(&BackendStats) -> f64)]), cards);
    let row = |stats: &&BackendStats| {
        let cells = columns.iter().map(|((_, of), unit)| unit.of_time(of(stats)));
        std::iter::once(Name(&stats.name).to_string()).chain(cells).collect()
    };
    let rows: Vec<Vec<String>> = cards.iter().map(row).collect();
    page.folded("The bars as numbers", &heads(&["Backend"], &columns), &rows);
}
