//! The page: texts of others stay text, its size has a bound, little data draws no curve.

use std::collections::BTreeSet;
use std::fmt::Write;
use std::sync::LazyLock;

use automation_assistant::Debrief;
use serde_json::{Value, json};

use super::{data, read};

/// The bound that `to_html` promises.
const PAGE_BYTES_MAX: usize = 300_000;

/// Many times more than any text that a report keeps.
const LONG_TEXT_BYTES: usize = 2_000;

const EVIL: [&str; 12] = [
    "<script>alert(1)</script>",
    "</style><img src=x onerror=alert(1)>",
    "\"><svg onload=alert(1)>",
    "' onmouseover='alert(1)",
    "]]><!-- --><!DOCTYPE html>",
    "&lt;b&gt;&amp;",
    "\u{202e}gnp.exe\u{2066}",
    "\0\u{1b}[2J\u{7f}\u{85}\u{fffe}\u{10ffff}",
    "שלום",
    "url(http://example.com/a.css) @import",
    "`|**[a](javascript:1)",
    "",
];

fn evil(number: usize) -> String {
    let text = EVIL[number % EVIL.len()];
    match number % 5 {
        0 => format!("{text} {number}"),
        1 => format!("{text} {number} {}", "<\"".repeat(LONG_TEXT_BYTES / 2)),
        _ => format!("{number} {text}"),
    }
}

/// Of lines with more of everything than a report lists.
static HOSTILE: LazyLock<Debrief> = LazyLock::new(|| read(&hostile_lines()));

fn hostile_lines() -> String {
    let mut lines = String::new();
    for n in 0..3_000 {
        let event = ["backend_call", "task_complete", "helper_spawn", &evil(n)][n % 4].to_owned();
        let call = json!({
            "timestamp": 1_763_830_000 + n * 900, "run_id": evil(n / 20), "event": event,
            "backend": evil(n % 45), "latency_ms": 1.5_f64.powi((n % 70) as i32) / 1e3,
            "success": n % 3 > 0, "error": evil(n % 35), "error_kind": evil(n % 34),
            "prompt_tokens": u64::MAX, "completion_tokens": 1, "cost_nano": u64::MAX / 2,
            "queue_ms": 1e308, "first_byte_ms": 1.0, "waited_ms": 5.0,
        });
        let fallback = json!({
            "run_id": "r", "event": "fallback", "from_name": evil(n), "to_name": evil(n + 1),
            "why": evil(n + 2),
        });
        let admission =
            json!({"run_id": "r", "event": "admission", "decision": evil(n), "pressure": evil(n)});
        writeln!(lines, "{call}\n{fallback}\n{admission}").unwrap();
    }
    lines
}

/// The names of all elements and attributes of a page.
fn markup(page: &str) -> (BTreeSet<&str>, BTreeSet<&str>) {
    let (mut elements, mut attributes) = (BTreeSet::new(), BTreeSet::new());
    let mut rest = page;
    while let Some((_, after)) = rest.split_once('<') {
        let (tag, after) = after.split_once('>').unwrap();
        rest = after;
        let name = tag.trim_start_matches('/').split([' ', '\n']).next().unwrap();
        elements.insert(name.trim_end_matches('/'));
        // Between quotes there is no quote.
        for outside in tag.trim_start_matches('/').split('"').step_by(2) {
            let names = outside.trim_end_matches('=').split([' ', '\n', '/']);
            attributes.extend(names.skip(1).filter(|name| !name.is_empty()));
        }
    }
    (elements, attributes)
}

/// The elements and attributes that a page is made of.
const HARMLESS: &str = "\
    !DOCTYPE b bdi body circle dd defs details div dl dt figcaption figure footer h1 h2 \
    h3 head html li link main meta p path pattern rect small span strong style summary \
    svg table tbody td th thead title tr ul";
const HARMLESS_ATTRIBUTES: &str = "\
    aria-hidden aria-label charset class content cx cy d fill height href html \
    http-equiv id lang name patternTransform patternUnits preserveAspectRatio r rel role \
    scope style tabindex vector-effect viewBox width x";

#[test]
fn texts_of_others_make_no_markup() {
    let ours = Debrief::from_path(data("ours.jsonl")).unwrap();
    let hostile = &*HOSTILE;
    for page in [hostile.to_html(), hostile.compare(&ours).to_html(), ours.to_html()] {
        let (elements, attributes) = markup(&page);
        for (names, harmless) in [(elements, HARMLESS), (attributes, HARMLESS_ATTRIBUTES)] {
            let harmless: BTreeSet<_> = harmless.split(' ').collect();
            let odd: Vec<_> = names.difference(&harmless).collect();
            assert!(odd.is_empty(), "{odd:?}");
        }
        for steering in ['\u{202e}', '\u{2066}', '\0', '\u{1b}', '\u{85}', '\u{fffe}'] {
            assert!(!page.contains(steering), "{steering:?}");
        }
        assert_eq!(page.matches("href=").count(), 1);
    }
    assert!(hostile.to_html().contains("&lt;script&gt;alert(1)&lt;/script&gt;"));
    assert!(hostile.to_html().contains("שלום"));
}

/// Text, Markdown, page and metrics, of a name and an error that a terminal, an editor or a
/// browser would obey.
#[test]
fn no_report_holds_what_is_obeyed_instead_of_shown() {
    let evil = "\u{202e}a\u{2066}b\u{2028}\u{1b}[2J<script>alert(1)</script>![x](http://h/)";
    let line = json!({
        "run_id": "r", "event": "backend_call", "backend": evil, "latency_ms": 1.0,
        "success": false, "error": evil, "error_kind": evil,
    });
    let debrief = read(&format!("{line}\n"));
    let (page, markdown) = (debrief.to_html(), debrief.to_markdown());
    let compared = debrief.compare(&debrief);
    let texts = [debrief.to_string(), debrief.to_prometheus(), compared.to_string()];
    let pages = [page, compared.to_html()];
    let markdowns = [markdown, compared.to_markdown()];
    for shown in texts.iter().chain(&pages).chain(&markdowns) {
        for obeyed in ['\u{202e}', '\u{2066}', '\u{2028}', '\u{1b}'] {
            assert!(!shown.contains(obeyed), "{obeyed:?} in {shown}");
        }
    }
    for shown in pages.iter().chain(&markdowns) {
        assert!(!shown.contains("<script>alert"), "{shown}");
    }
    assert!(markdowns.iter().all(|shown| !shown.contains("](")), "{markdowns:?}");
    assert!(markdowns[0].contains("&lt;script>alert(1)"), "{}", markdowns[0]);
}

#[test]
fn one_error_written_in_several_ways_is_listed_once() {
    let line = |error: &str| {
        let start = r#"{"run_id":"r","event":"backend_call","backend":"b","success":false"#;
        format!("{start},\"error\":\"{error}\"}}\n")
    };
    let debrief = read(&["no/way", r"no\/way", r"n\u006f/way", "other"].map(line).concat());
    let listed: Vec<_> =
        debrief.top_errors().iter().map(|top| (top.error.as_str(), top.count)).collect();
    assert_eq!(listed, [("no/way", 3), ("other", 1)]);
}

#[test]
fn a_page_has_a_bound_whatever_the_file_holds() {
    for page in [HOSTILE.to_html(), HOSTILE.compare(&HOSTILE).to_html()] {
        assert!(page.len() < PAGE_BYTES_MAX, "{} bytes", page.len());
    }
}

/// A call at this second.
fn call(second: u64, success: bool) -> String {
    let line = json!({
        "timestamp": second as f64 + 0.5, "run_id": "r", "event": "backend_call", "backend": "b",
        "latency_ms": 100.0 + (second % 7) as f64, "success": success,
    });
    format!("{line}\n")
}

const MONDAY: u64 = 1_763_337_600;
const HOUR: u64 = 3_600;

#[test]
fn three_calls_draw_no_curve() {
    let lines: String = (0..3).map(|n| call(MONDAY + n * HOUR, true)).collect();
    let page = read(&lines).to_html();
    assert!(page.contains("3 events in 3 columns by the minute: too few for a curve."), "{page}");
    assert!(page.contains("3 latencies: too few for a distribution."));
    assert!(!page.contains("viewBox"));
    let nothing = read("").to_html();
    assert!(nothing.contains("There are no events to judge by."));
    assert!(nothing.contains("No event has a time."));
}

/// The cells of the folded table of columns of time.
fn columns(page: &str) -> Vec<Vec<String>> {
    let table = page.split_once("Events, failures and latency of calls by the").unwrap().1;
    let body = table.split("<tbody>").nth(1).unwrap().split("</tbody>").next().unwrap();
    let cells = |row: &str| {
        row.split(['<', '>'])
            .skip(1)
            .step_by(2)
            .map(str::to_owned)
            .filter(|cell| {
                !cell.contains("th ") && !["td", "/td", "/th", "tr", "/tr"].contains(&cell.as_str())
            })
            .collect()
    };
    body.lines()
        .filter(|row| row.starts_with("<tr>"))
        .map(|row| row.replace("<tr>", ""))
        .map(|row| cells(&row))
        .collect()
}

#[test]
fn a_week_is_shown_by_the_hour_and_every_event_has_its_column() {
    let lines: String = (0..7 * 24)
        .flat_map(|hour| {
            (0..3).map(move |n| call(MONDAY + hour * HOUR + n, n > 0 || hour % 2 == 0))
        })
        .collect();
    let page = read(&lines).to_html();
    assert!(page.contains("17 Nov 2025 00:00 to 24 Nov 2025 00:00 UTC"), "{page}");
    assert!(page.contains("Events by the hour"));
    assert_eq!(columns(&page).len(), 168);
    assert!(page.contains("Worst: 33.3\u{a0}% (1 of 3)"));
    assert!(page.contains("In 84 of 168 columns no event failed."));
}

#[test]
fn columns_widen_with_the_span() {
    for (days, name) in [
        (0, "second"),
        (1, "15 minutes"),
        (7, "hour"),
        (20, "3 hours"),
        (40, "6 hours"),
        (150, "day"),
        (1000, "week"),
    ] {
        let step = (days * 86_400_u64).div_ceil(400).max(1);
        let lines: String = (0..400)
            .map(|n| call(MONDAY + if days == 0 { n % 60 } else { n * step }, true))
            .collect();
        let page = read(&lines).to_html();
        assert!(page.contains(&format!("Events by the {name}.")), "{days} days");
    }
}

#[test]
fn a_clock_that_was_not_set_does_not_press_a_week_into_one_column() {
    let mut lines = call(100, true);
    lines.extend((0..7 * 24).map(|hour| call(MONDAY + hour * HOUR, true)));
    let page = read(&lines).to_html();
    assert!(page.contains("Events by the hour."), "{page}");
    assert!(page.contains("Events far from all others in time, and not shown: 1."));
    // Half of a file is no outlier.
    lines.extend((0..150).map(|n| call(n, true)));
    assert!(!read(&lines).to_html().contains("far from all others"));
}

#[test]
fn each_colour_has_its_meaning_in_words_too() {
    for (failed, word) in [(0, "● OK"), (3, "▲ Degraded"), (20, "■ Critical")] {
        let lines: String = (0..20).map(|n| call(MONDAY + n, n >= failed)).collect();
        let page = read(&lines).to_html();
        assert!(page.contains(word), "{failed}");
        assert!(page.contains("failed: "), "{failed}");
    }
}

#[test]
fn events_of_companions_are_counted_by_name() {
    let event = |name: &str| json!({"run_id": "r", "event": name}).to_string() + "\n";
    let debrief = read(&[event("job_done"), event("job_done"), event("run_end")].concat());
    assert_eq!(debrief.to_json()["other_events"], json!({"job_done": 2}));
    assert!(debrief.to_html().contains("<bdi>job_done</bdi></th><td>2</td>"));
    assert!(debrief.to_text().contains("Event: job_done: 2 times"));
}

#[test]
fn unpriced_and_unreported_stand_apart() {
    let task = |fields: Value| {
        let mut line =
            json!({"run_id": "r", "event": "task_complete", "backend": "b", "success": true});
        line.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
        format!("{line}\n")
    };
    let priced = json!({"prompt_tokens": 1000, "completion_tokens": 5, "cost_nano": 2_500_000});
    let lines = [
        task(priced),
        task(json!({"prompt_tokens": 7, "completion_tokens": 5})),
        task(json!({})),
        task(json!({})),
    ];
    let page = read(&lines.concat()).to_html();
    let row = "<bdi>b</bdi></th><td>1,007</td><td>10</td><td>2</td><td>2</td><td>0.002500</td>\
               <td>1</td><td>1</td><td>2</td>";
    assert!(page.contains(row), "{page}");
}
