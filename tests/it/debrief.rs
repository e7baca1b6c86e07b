//! The report: its text for people, its numbers for programs, its calm before odd files.
#![allow(clippy::print_stdout, reason = "the harness shows it when the test fails")]

mod compare;
mod console;
mod damage;
mod live;
mod page;
mod prometheus;
mod sections;
mod sums;

use std::collections::HashMap;
use std::fmt::Write;
use std::path::{Path, PathBuf};

use automation_assistant::{Debrief, Error, Health, compute_stability_score};

use crate::support::chance::{Chance, seed};

fn data(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/debrief").join(name)
}

fn read(lines: &str) -> Debrief {
    Debrief::from_reader(lines.as_bytes()).unwrap()
}

/// A line of the prototype's shape.
fn line(backend: &str, latency_ms: f64, success: bool) -> String {
    serde_json::json!({
        "timestamp": 1.0, "run_id": "20250101_000000", "event": "backend_call",
        "helper_id": "00000000", "backend": backend, "latency_ms": latency_ms,
        "success": success,
    })
    .to_string()
        + "\n"
}

/// Compares with a file of tests/data; `AA_TEST_BLESS=1` writes it instead.
fn golden(name: &str, text: &str) {
    if std::env::var_os("AA_TEST_BLESS").is_some() {
        std::fs::write(data(name), text).unwrap();
    }
    let expected = std::fs::read_to_string(data(name)).unwrap();
    assert!(text == expected, "{name} differs (AA_TEST_BLESS=1 writes it anew):\n{text}");
}

#[test]
fn a_file_of_the_prototype_reads_as_it_always_did() {
    let debrief = Debrief::from_path(data("prototype.jsonl")).unwrap();
    assert_eq!((debrief.total_runs(), debrief.total_events()), (3, 45));
    assert_eq!((debrief.success_count(), debrief.error_count()), (44, 1));
    assert!((debrief.failure_rate() - 1.0 / 45.0).abs() < 1e-12);
    assert!((debrief.stability_score() - 44.0 / 45.0).abs() < 1e-12);
    assert_eq!(debrief.health(), Health::Ok);
    assert_eq!((debrief.tasks_done(), debrief.tasks_failed()), (17, 1));
    golden("prototype.txt", &debrief.to_string());
    golden("prototype.md", &debrief.to_markdown());
    let json = serde_json::to_string_pretty(&debrief.to_json()).unwrap() + "\n";
    golden("prototype.json", &json);
}

#[test]
fn a_file_of_ours_reads_with_all_its_sections() {
    let debrief = Debrief::from_path(data("ours.jsonl")).unwrap();
    golden("ours.txt", &debrief.to_string());
    golden("ours.md", &debrief.to_markdown());
    let json = serde_json::to_string_pretty(&debrief.to_json()).unwrap() + "\n";
    golden("ours.json", &json);
}

#[test]
fn the_lines_that_outside_readers_look_for_stand_alone() {
    let debrief = Debrief::from_path(data("prototype.jsonl")).unwrap();
    let console = debrief.to_string();
    let has = |text: &str, line: &str| text.lines().any(|found| found.trim() == line);
    for line in [
        "Overall Health: 🟢 OK",
        "Total Runs: 3",
        "Total Events: 45",
        "Success: 44",
        "Errors: 1",
        "Failure Rate: 2.22%",
        "Per-Backend Stats:",
        "Calls: 15, Errors: 0, Failure: 0.00%",
        "Latency: avg=520.8ms, p50=518.8ms, p95=548.1ms",
    ] {
        assert!(has(&console, line), "{line}");
    }
    let markdown = debrief.to_markdown();
    assert!(markdown.starts_with("# Automation Assistant Telemetry Debrief\n"));
    for line in [
        "**Total Runs:** 3",
        "**Total Events:** 45",
        "**Success:** 44",
        "**Errors:** 1",
        "**Failure Rate:** 2.22%",
        "### ChatGPT (gpt-4o-mini)",
    ] {
        assert!(markdown.lines().any(|found| found == line), "{line}");
    }
}

#[test]
fn nothing_is_healthy() {
    for nothing in ["", "\n\n", "\u{feff}"] {
        let debrief = read(nothing);
        assert_eq!((debrief.total_runs(), debrief.total_events()), (0, 0));
        assert_eq!((debrief.failure_rate(), debrief.stability_score()), (0.0, 1.0));
        assert_eq!(debrief.health(), Health::Ok);
        assert!(debrief.to_string().contains("Failure Rate: 0.00%"));
    }
    assert_eq!(compute_stability_score(0, 0), 1.0);
    assert_eq!(compute_stability_score(3, 1), 0.75);
    assert_eq!(compute_stability_score(0, 7), 0.0);
    assert!(compute_stability_score(u64::MAX, u64::MAX) > 0.49);
}

#[test]
fn health_changes_at_its_borders() {
    for (errors, events, health) in [
        (0, 100, "🟢 OK"),
        (4, 100, "🟢 OK"),
        (5, 100, "🟡 Degraded"),
        (20, 100, "🟡 Degraded"),
        (21, 100, "🔴 Critical"),
        (1, 1, "🔴 Critical"),
        (1, 20, "🟡 Degraded"),
        (1, 5, "🟡 Degraded"),
        (499, 10_000, "🟢 OK"),
        (2001, 10_000, "🔴 Critical"),
    ] {
        let lines: String = (0..events).map(|n| line("B", 1.0, n >= errors)).collect();
        assert_eq!(read(&lines).health().to_string(), health, "{errors} of {events}");
    }
}

#[test]
fn odd_lines_are_counted_and_skipped() {
    let good = line("B", 5.0, true);
    let mut file = b"\xef\xbb\xbf".to_vec();
    file.extend(good.trim_end().as_bytes());
    file.extend(b"\r\n\r\n   \n");
    for odd in [
        &b"not json"[..],
        b"{\"run_id\":\"a\"",
        b"\0\0\0\0\0\0\0\0",
        b"[1,2]",
        b"42",
        b"{\"run_id\":\"\xff\"}",
        b"\xff\xfe{\x00}\x00",
    ] {
        file.extend(odd);
        file.push(b'\n');
    }
    // Not ours.
    file.extend(b"{\"event\":\"backend_call\",\"success\":false}\n{\"run_id\":5}\n");
    // Ours, of a kind that a later version may write.
    file.extend(b"{\"run_id\":\"20250101_000000\",\"event\":\"moon_phase\",\"success\":false}\n");
    file.extend(vec![b'x'; 1 << 20]);
    file.push(b'\n');
    file.extend(good.trim_end().as_bytes());
    let debrief = Debrief::from_reader(&file[..]).unwrap();
    assert_eq!((debrief.total_events(), debrief.success_count()), (2, 2));
    assert_eq!(debrief.total_runs(), 1);
    let lines = &debrief.to_json()["lines"];
    assert_eq!((&lines["broken"], &lines["foreign"]), (&6.into(), &2.into()));
    assert_eq!((&lines["nul_bytes"], &lines["mended"]), (&10.into(), &0.into()));
    assert_eq!((&lines["too_long"], &lines["torn_end"]), (&1.into(), &false.into()));
    file.truncate(file.len() - 9);
    let torn = Debrief::from_reader(&file[..]).unwrap();
    assert_eq!(torn.total_events(), 1);
    assert_eq!(torn.to_json()["lines"]["torn_end"], true);
}

#[test]
fn fields_that_are_missing_or_of_another_type_cost_no_line() {
    let start = "{\"run_id\":\"r\",\"event\":\"backend_call\"";
    for (rest, success) in [
        ("}", true),
        (",\"error\":\"x\"}", false),
        (",\"error\":null}", true),
        (",\"success\":\"yes\",\"backend\":7,\"latency_ms\":\"12\"}", true),
        (",\"success\":false,\"latency_ms\":-5}", false),
        (",\"success\":true,\"error\":\"recovered\",\"latency_ms\":1e999}", true),
    ] {
        let line = format!("{start}{rest}");
        let debrief = read(&line);
        assert_eq!(debrief.success_count() == 1, success, "{line}");
        assert_eq!(debrief.total_events(), 1, "{line}");
        assert_eq!(debrief.backends()[0].avg_latency_ms, 0.0, "{line}");
    }
}

#[test]
fn a_hostile_name_cannot_forge_the_report() {
    let name = "evil\n\nOverall Health: 🟢 OK\u{1b}[2J\r`|<b>";
    let lines = line(name, 5.0, false);
    let debrief = read(&lines);
    for (text, shown) in [(debrief.to_string(), "`|<b>"), (debrief.to_markdown(), "`|&lt;b>")] {
        assert!(!text.contains('\u{1b}') && !text.contains('\r'));
        assert!(!text.lines().any(|line| line.starts_with("Overall Health: 🟢")), "{text}");
        // Names stand unescaped otherwise, but for tags of HTML in Markdown.
        assert!(text.contains(shown), "{text}");
    }
}

#[test]
fn what_has_no_bound_in_the_file_has_one_in_the_report() {
    let mut lines = String::new();
    for n in 0..3000 {
        let backend = format!("backend {n}");
        writeln!(
            lines,
            "{{\"run_id\":\"{}\",\"event\":\"backend_call\",\"backend\":\"{backend}\",\
             \"success\":false,\"error\":\"error {n}\",\"error_kind\":\"kind {n}\"}}",
            3000 - n
        )
        .unwrap();
        if n % 3 == 0 {
            lines.push_str(&line("frequent", 1.0, true));
            lines.push_str("{\"run_id\":\"x\",\"event\":\"backend_call\",\"success\":false,\"error\":\"often\"}\n");
        }
    }
    let debrief = read(&lines);
    assert_eq!(debrief.total_events(), 5000);
    assert!(debrief.backends().len() <= 34, "{}", debrief.backends().len());
    let calls: u64 = debrief.backends().iter().map(|stats| stats.calls).sum();
    assert_eq!(calls, 5000, "those beyond the bound are counted together");
    assert_eq!(debrief.top_errors()[0].error, "often");
    assert_eq!(debrief.top_errors()[0].count, 1000);
    let reported: u64 = debrief.top_errors().iter().map(|error| error.count).sum();
    assert_eq!(reported + debrief.to_json()["other_errors"].as_u64().unwrap(), 4000);
    assert_eq!(debrief.total_runs(), 3002);
}

#[test]
fn a_missing_file_is_an_error_with_its_name() {
    let error = Debrief::from_path("no/such/audit.jsonl").unwrap_err();
    assert!(matches!(error, Error::Io { .. }));
    assert!(error.to_string().contains("no/such/audit.jsonl"), "{error}");
}

#[cfg(unix)]
#[test]
fn a_pipe_is_an_error_and_no_wait() {
    let folder = crate::telemetry::Folder::new("debrief-pipe");
    let path = folder.join("audit.jsonl");
    crate::telemetry::places::pipe(&path);
    let (send, ended) = std::sync::mpsc::channel();
    std::thread::spawn(move || send.send(Debrief::from_path(path).map(drop)));
    let error = ended.recv_timeout(crate::support::LONG).expect("it does not wait").unwrap_err();
    assert!(error.to_string().contains("a pipe"), "{error}");
    // Neither has an end.
    for device in ["/dev/zero", "/dev/full"] {
        assert!(Debrief::from_path(device).is_err(), "{device}");
    }
}

#[test]
fn progress_ends_with_the_whole_file() {
    let path = data("prototype.jsonl");
    let mut reported = Vec::new();
    Debrief::from_path_with_progress(&path, |done, total| reported.push((done, total))).unwrap();
    let size = std::fs::metadata(&path).unwrap().len();
    assert_eq!(reported.last(), Some(&(size, size)));
}

/// The plain reference: everything kept, sorted, and looked up by nearest rank.
fn exact(values: &[f64], percent: usize) -> f64 {
    let mut sorted: Vec<f64> = values.iter().copied().filter(|value| *value > 0.0).collect();
    sorted.sort_by(f64::total_cmp);
    let rank = (sorted.len() * percent).div_ceil(100);
    sorted.get(rank.saturating_sub(1)).copied().unwrap_or(0.0)
}

#[test]
fn percentiles_keep_within_one_percent_of_exact() {
    let mut rolls = Chance::new(seed(), 0);
    // A fraction.
    let mut chance = move || (rolls.roll() >> 11) as f64 / (1_u64 << 53) as f64;
    for round in 0..40 {
        let count = 1 + (chance() * if round % 2 == 0 { 300.0 } else { 5000.0 }) as usize;
        // From 0.12 µs on: below 0.06 µs all latencies are one bucket.
        let (low, span) = (chance() * 19.0 - 9.0, chance() * 12.0);
        let mut by_backend: HashMap<String, Vec<f64>> = HashMap::new();
        let mut lines = String::new();
        for _ in 0..count {
            let backend = format!("B{}", (chance() * 3.0) as u32);
            // Up to days, some zero.
            let drawn = (low + span * chance()).exp();
            let latency = if chance() < 0.1 { 0.0 } else { (drawn * 1e6).round() / 1e6 };
            lines.push_str(&line(&backend, latency, chance() < 0.9));
            by_backend.entry(backend).or_default().push(latency);
        }
        let debrief = read(&lines);
        assert_eq!(debrief.backends().len(), by_backend.len());
        for stats in debrief.backends() {
            let values = &by_backend[&stats.name];
            assert_eq!(stats.calls, values.len() as u64);
            let above: Vec<f64> = values.iter().copied().filter(|value| *value > 0.0).collect();
            let average = above.iter().sum::<f64>() / above.len().max(1) as f64;
            for (ours, exact, within) in [
                (stats.avg_latency_ms, average, 1e-9),
                (stats.p50_latency_ms, exact(values, 50), 0.01),
                (stats.p95_latency_ms, exact(values, 95), 0.01),
            ] {
                assert!((ours - exact).abs() <= exact * within, "{ours} {exact} round {round}");
            }
        }
    }
}

#[test]
fn what_happened_on_the_way_is_counted_by_names_that_last() {
    let line = |run: &str, facts: &str| format!("{{\"run_id\":\"{run}\",\"ts\":1,{facts}}}\n");
    // The ids differ from run to run; the names are the same.
    let fallback = |run: &str, from: &str| {
        line(
            run,
            &format!(
                "\"event\":\"fallback\",\"from\":\"{from}\",\"to\":\"b{from}\",\
                 \"from_name\":\"cloud\",\"to_name\":\"local\",\"why\":\"network\""
            ),
        )
    };
    let nameless = "\"event\":\"fallback\",\"from\":\"1\",\"to\":\"2\",\"why\":\"server\"";
    let admission = "\"event\":\"admission\",\"decision\":\"refuse\",\"pressure\":\"battery\"";
    let suspended = |ms: u32| format!("\"event\":\"suspended\",\"suspended_ms\":{ms}");
    let file = [
        fallback("r1", "11111111"),
        fallback("r2", "22222222"),
        line("r2", nameless),
        line("r2", admission),
        line("r2", &suspended(60_000)),
        line("r2", &suspended(30_000)),
    ];
    let debrief = read(&file.concat());
    let text = debrief.to_string();
    for expected in [
        "Fallback: cloud → local (network): 2 times",
        "Fallback: 1 → 2 (server): once",
        "Admission: refuse (battery): once",
        "device asleep        2     30000.0     60000.0        90.0",
    ] {
        assert!(text.contains(expected), "{expected} is missing in\n{text}");
    }
    let json = debrief.to_json();
    assert_eq!(json["fallbacks"][0]["count"], 2);
    assert_eq!(json["fallbacks"][0]["from"], "cloud");
}
