//! Telemetry with events that no helper produces: wrong clocks.
#![allow(clippy::unwrap_used)]

use std::time::{Duration, UNIX_EPOCH};

use super::*;

/// In 2025; only differences matter here.
const NOW: Duration = Duration::from_secs(1_763_830_000);

fn line_at(telemetry: &Telemetry, since_1970: Duration) {
    let mut event = Event::new(EventKind::Admission);
    event.at = UNIX_EPOCH + since_1970;
    telemetry.on_event(&event);
}

#[test]
fn a_clock_that_jumps_is_written_as_it_is_and_stops_nothing() {
    let path = std::env::temp_dir().join(format!("aa-clock-{}.jsonl", std::process::id()));
    let telemetry = Telemetry::to_file(&path).unwrap();
    let jumps = [NOW, NOW - Duration::from_secs(86_400), Duration::ZERO, NOW * 4, NOW];
    for at in jumps {
        line_at(&telemetry, at);
    }
    // The file is checked at each line that comes a second later, or earlier, than the last
    // check: a clock that was set back does not delay that.
    std::fs::remove_file(&path).unwrap();
    line_at(&telemetry, NOW - Duration::from_secs(3600));
    assert_eq!(telemetry.stats().reopened, 1);
    line_at(&telemetry, NOW - Duration::from_secs(3600) + Duration::from_millis(10));
    std::fs::remove_file(&path).unwrap();
    line_at(&telemetry, NOW - Duration::from_secs(3600) + Duration::from_millis(20));
    assert_eq!(telemetry.stats().reopened, 1, "not at each line");
    line_at(&telemetry, NOW);
    assert_eq!(telemetry.stats().reopened, 2);
    let stats = telemetry.stats();
    drop(telemetry);
    assert_eq!((stats.lines_lost, stats.last_error), (0, None));
    let text = std::fs::read_to_string(&path).unwrap();
    assert!(text.contains("\"timestamp\":1763830000.000000,"), "{text}");
    assert_eq!(text.lines().count(), 3, "the line that reopened, the news of it, the end");
    std::fs::remove_file(&path).unwrap();
}

/// A separate telemetry, and its path.
fn telemetry(name: &str) -> (Telemetry, PathBuf) {
    let folder = std::env::temp_dir().join(format!("aa-{name}-{}", std::process::id()));
    let _ = std::fs::remove_dir_all(&folder);
    let path = folder.join("audit.jsonl");
    (Telemetry::to_file(&path).unwrap(), path)
}

fn gone(telemetry: Telemetry, path: &Path) {
    drop(telemetry);
    std::fs::remove_dir_all(path.parent().unwrap()).unwrap();
}

#[test]
fn the_file_is_looked_for_after_256_lines_of_one_moment() {
    let (telemetry, path) = telemetry("look");
    line_at(&telemetry, NOW);
    std::fs::remove_file(&path).unwrap();
    for _ in 1..256 {
        line_at(&telemetry, NOW);
    }
    assert_eq!(telemetry.stats().reopened, 0);
    line_at(&telemetry, NOW);
    assert_eq!(telemetry.stats().reopened, 1);
    gone(telemetry, &path);
}

#[test]
fn events_write_the_fields_they_have_and_counted_ones_those_that_readers_count() {
    let (telemetry, path) = telemetry("fields");
    let bare = |kind| Event::new(kind);
    let mut timed = bare(EventKind::Admission);
    timed.backend = "Local";
    timed.latency = Duration::from_millis(2);
    timed.success = false;
    for event in [bare(EventKind::Admission), timed, bare(EventKind::BackendCall)] {
        telemetry.on_event(&event);
    }
    let text = std::fs::read_to_string(&path).unwrap();
    let lines: Vec<serde_json::Value> =
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let keys = |line: &serde_json::Value| {
        ["backend", "latency_ms", "success"].map(|key| line.get(key).map(ToString::to_string))
    };
    let some = |texts: [&str; 3]| texts.map(|text| Some(text.to_owned()));
    assert_eq!(keys(&lines[0]), [None, None, None]);
    assert_eq!(keys(&lines[1]), some(["\"Local\"", "2.0", "false"]));
    assert_eq!(keys(&lines[2]), some(["\"\"", "0.0", "true"]));
    gone(telemetry, &path);
}

#[test]
fn a_telemetry_shows_its_file_and_run() {
    let (telemetry, path) = telemetry("shown");
    let shown = format!("{telemetry:?}");
    assert!(shown.contains("audit.jsonl") && shown.contains(telemetry.run_id()), "{shown}");
    gone(telemetry, &path);
}
