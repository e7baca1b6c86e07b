//! The examples `demo` and `debrief`: the report of an audit file, what options do to it, and its
//! live view.

use std::collections::BTreeSet;
use std::fs::{self, OpenOptions};
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::sync::mpsc::channel;
use std::time::SystemTime;

use automation_assistant::debrief::{LineFilter, LiveDebrief};

use serde_json::{Value, json};

use super::{Folder, LIMIT, run, run_in, start};

/// `count` calls of this backend in this run, so many seconds ago; each fifth failed.
fn calls(run: &str, backend: &str, seconds_ago: f64, count: usize) -> String {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs_f64();
    let line = |n: usize| {
        let line = json!({
            "timestamp": now - seconds_ago, "run_id": run, "event": "backend_call",
            "backend": backend, "latency_ms": 10.0 + n as f64, "success": !n.is_multiple_of(5),
        });
        format!("{line}\n")
    };
    (0..count).map(line).collect()
}

#[test]
fn the_demo_and_its_debrief() {
    let folder = Folder::new("demo-debrief");
    let demo = run_in(&folder, "demo", &["--debrief"]).ends_well();
    let demo = demo
        .says("== 1. Three backends")
        .says("== 2. One backend, several models")
        .says("== 3. Set up for this device")
        .says("Echo of 'Chore 5'")
        .says("Overall Health: 🟢 OK")
        .says("Total Runs: 1")
        .says("Errors: 0")
        .says("Failure Rate: 0.00%")
        .says("Per-Backend Stats:")
        .says("Local (local-mock)");
    if cfg!(feature = "http") {
        demo.says("[canned] gpt-4o would now answer").says("ChatGPT (gpt-4o-mini)");
    } else {
        demo.says("left out").says("feature \"http\"");
    }
    let (audit, report) = ("src/memory/audit.jsonl", "docs/debrief/latest.md");
    assert_eq!(folder.files(), BTreeSet::from([audit.to_owned(), report.to_owned()]));
    let markdown = fs::read_to_string(folder.0.join(report)).unwrap();
    assert!(markdown.starts_with("# Automation Assistant Telemetry Debrief"));
    assert!(markdown.contains("**Total Runs:** 1"));

    // A second run is added to the first; the reader sees both.
    run_in(&folder, "demo", &[]).ends_well().never_says("Overall Health");
    run_in(&folder, "debrief", &[]).ends_well().says("Overall Health: 🟢 OK").says("Total Runs: 2");
    let json = run_in(&folder, "debrief", &["--json", "--out", "here.md"]).ends_well();
    let json: Value = serde_json::from_str(&json.out).unwrap();
    assert_eq!(json["total_runs"], 2);
    assert_eq!(json["error_count"], 0);
    assert!(folder.files().contains("here.md"));
}

#[test]
fn debrief_says_how_to_get_an_audit_file() {
    let run = run("debrief", &[]);
    assert_eq!(run.code, Some(1));
    assert!(run.err.contains("there is no audit file"), "{}", run.err);
    assert!(run.err.contains("--example demo"), "{}", run.err);
}

const HOUR: f64 = 3_600.0;

#[test]
fn options_choose_the_lines() {
    let folder = Folder::new("debrief-lines");
    let lines = [
        calls("old", "one", 30.0 * HOUR, 20),
        calls("new", "one", 2.0 * HOUR, 10),
        calls("new", "two", 60.0, 5),
    ];
    fs::write(folder.0.join("a.jsonl"), lines.concat()).unwrap();
    for (arguments, events) in [
        (&[][..], 35),
        (&["--since", "24h"], 15),
        (&["--since", "1d"], 15),
        (&["--since", "90m"], 5),
        (&["--since", "90s"], 5),
        (&["--run", "old"], 20),
        (&["--backend", "one"], 30),
        (&["--backend", "one", "--run", "new", "--since", "3h"], 10),
    ] {
        let arguments = [&["a.jsonl", "--out", "a.md"], arguments].concat();
        let run = run_in(&folder, "debrief", &arguments).ends_well();
        run.says(&format!("Total Events: {events}\n"));
    }
}

#[test]
fn options_choose_the_forms() {
    let folder = Folder::new("debrief-forms");
    fs::write(folder.0.join("a.jsonl"), calls("r", "one", 60.0, 40)).unwrap();
    fs::write(folder.0.join("b.jsonl"), calls("r", "one", 9.0 * HOUR, 30)).unwrap();
    let read = |name: &str| fs::read_to_string(folder.0.join(name)).unwrap();
    let forms = ["a.jsonl", "--html", "pages/a.html", "--prometheus", "a.prom", "--histograms"];
    let run = run_in(&folder, "debrief", &forms).ends_well();
    run.says("Overall Health: 🟡 Degraded\n").says("Latency Histograms:\n");
    assert!(read("pages/a.html").starts_with("<!DOCTYPE html>"));
    assert!(read("a.prom").contains("automation_assistant_events_total{backend=\"one\"} 40\n"));
    assert!(read("docs/debrief/latest.md").contains("**Total Events:** 40"));

    let forms = ["a.jsonl", "--compare", "b.jsonl", "--html", "c.html", "--out", "c.md"];
    let run = run_in(&folder, "debrief", &forms).ends_well();
    run.says("Events: 30 → 40 ▲\n").says("can be chance (p = 1.000)\n");
    assert!(read("c.html").contains("<h1>Telemetry comparison</h1>"));
    assert!(read("c.md").starts_with("# Automation Assistant Comparison\n"));

    // Two spans of one file.
    fs::write(folder.0.join("both.jsonl"), read("b.jsonl") + &read("a.jsonl")).unwrap();
    let forms = ["both.jsonl", "--since", "8h", "--compare", "both.jsonl", "--out", "c.md"];
    run_in(&folder, "debrief", &forms).ends_well().says("Events: 30 → 40 ▲\n");
}

#[test]
fn options_that_make_no_sense_are_refused_with_usage() {
    for arguments in [
        &["--frobnicate"][..],
        &["--since"],
        &["--since", "yesterday"],
        &["--since", "99999999999999999999d"],
        &["one.jsonl", "two.jsonl"],
        &["--follow", "--html", "a.html"],
        &["--follow", "--json"],
        &["--compare", "a.jsonl", "--json"],
        &["--compare", "a.jsonl", "--prometheus", "a.prom"],
    ] {
        let folder = Folder::new("debrief-refused");
        let run = run_in(&folder, "debrief", arguments);
        assert_eq!((run.code, run.out.as_str()), (Some(2), ""), "{arguments:?}: {}", run.err);
        assert!(run.err.contains("usage: debrief"), "{arguments:?}: {}", run.err);
        assert!(folder.files().is_empty(), "{arguments:?}");
    }
}

/// The usual slip is a FILE that was forgotten: the option then takes the audit file for it.
#[cfg(unix)]
#[test]
fn no_report_takes_the_place_of_an_audit_file() {
    let folder = Folder::new("debrief-keeps");
    let place = |name: &str| folder.0.join(name);
    let torn = format!("a torn end\n{}", calls("r", "one", 60.0, 40));
    let files = [
        ("a.jsonl", torn),
        ("b.jsonl", calls("r", "one", 90.0, 9)),
        ("src/memory/audit.jsonl", calls("r", "one", 30.0, 4)),
    ];
    fs::create_dir_all(place("src/memory")).unwrap();
    for (name, text) in &files {
        fs::write(place(name), text).unwrap();
    }
    std::os::unix::fs::symlink("a.jsonl", place("link")).unwrap();
    fs::hard_link(place("a.jsonl"), place("hard")).unwrap();
    for arguments in [
        &["a.jsonl", "--html", "a.jsonl"][..],
        &["a.jsonl", "--out", "src/../a.jsonl"],
        &["a.jsonl", "--prometheus", "link"],
        &["link", "--json", "--html", "hard"],
        &["b.jsonl", "--compare", "a.jsonl", "--out", "a.jsonl"],
        &["--html", "src/memory/audit.jsonl"],
        // Not the one that is read.
        &["--prometheus", "b.jsonl"],
    ] {
        let run = run_in(&folder, "debrief", arguments);
        assert_eq!((run.code, run.out.as_str()), (Some(2), ""), "{arguments:?}: {}", run.err);
        let option = format!("{} ", arguments[arguments.len() - 2]);
        let expected = format!("debrief: {option}{} would overwrite", arguments.last().unwrap());
        assert!(run.err.starts_with(&expected), "{arguments:?}: {}", run.err);
        for (name, text) in &files {
            assert_eq!(fs::read_to_string(place(name)).unwrap(), *text, "{arguments:?}: {name}");
        }
    }
    // A report of the day before gives way.
    for _ in 0..2 {
        let reports = ["b.jsonl", "--out", "b.md", "--html", "b.html", "--prometheus", "b.prom"];
        run_in(&folder, "debrief", &reports).ends_well().says("Total Events: 9\n");
    }
}

fn append(path: &Path, text: &str) {
    let mut file = OpenOptions::new().append(true).create(true).open(path).unwrap();
    file.write_all(text.as_bytes()).unwrap();
}

/// The example's own reader of a file that grows.
#[path = "../../../examples/debrief/follow.rs"]
#[allow(dead_code, clippy::print_stderr, reason = "its loop is the program's")]
mod follow;

/// Each look at the file, without the pauses between them.
#[test]
fn the_live_view_follows_a_file_through_torn_ends_and_rotation() {
    let folder = Folder::new("debrief-tail");
    let audit = folder.0.join("a.jsonl");
    let mut live = LiveDebrief::new(LineFilter::default());
    let mut tail = follow::Tail::new(&audit);
    let mut look = || {
        tail.read_on(&mut live).unwrap();
        live.report().total_events()
    };
    assert_eq!(look(), 0);
    append(&audit, &calls("r", "one", 1.0, 10));
    assert_eq!(look(), 10);
    append(&audit, "{\"run_id\":\"torn");
    assert_eq!(look(), 10);
    // Its writer cuts the torn end off.
    let whole = fs::metadata(&audit).unwrap().len() - "{\"run_id\":\"torn".len() as u64;
    OpenOptions::new().write(true).open(&audit).unwrap().set_len(whole).unwrap();
    assert_eq!(look(), 10);
    append(&audit, &calls("r", "one", 1.0, 1));
    assert_eq!(look(), 11);
    // The writer's last lines come to the old file after the new one is there.
    let older = folder.0.join("a.jsonl.1");
    fs::rename(&audit, &older).unwrap();
    append(&audit, &calls("r", "one", 1.0, 4));
    assert_eq!(look(), 11);
    append(&older, &calls("r", "one", 1.0, 2));
    assert_eq!(look(), 13);
    let looks = (0..follow::LOOKS_AT_REPLACED).map(|_| look());
    assert_eq!(looks.last(), Some(17));
    // Emptied in place.
    fs::write(&audit, "").unwrap();
    append(&audit, &calls("r", "one", 1.0, 3));
    assert_eq!(look(), 20);
}

#[test]
fn the_live_view_prints_a_line_when_the_file_grows() {
    let folder = Folder::new("debrief-follow");
    let audit = folder.0.join("a.jsonl");
    let mut child = start(&folder, "debrief", &["a.jsonl", "--follow"], &[]);
    let (send, lines) = channel();
    let mut out = BufReader::new(child.stdout.take().unwrap()).lines();
    let reader = std::thread::spawn(move || out.try_for_each(|line| send.send(line.unwrap())));
    // Lines arrive in any number of portions: only the final counts matter.
    let reaches = |total: &str| {
        while !lines.recv_timeout(LIMIT).expect(total).contains(&format!(": {total} ")) {}
    };
    reaches("0 events");
    append(&audit, &calls("r", "one", 1.0, 10));
    reaches("10 events");
    append(&audit, &calls("r", "one", 1.0, 1));
    reaches("11 events");
    child.kill().unwrap();
    child.wait().unwrap();
    drop(lines);
    let _ = reader.join().unwrap();
    assert_eq!(folder.files().len(), 1);
}
