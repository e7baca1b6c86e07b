//! Prometheus's text format. (Its own parser judges it too, see tests/report.)

use std::collections::BTreeSet;

use automation_assistant::Debrief;
use serde_json::json;

use super::{data, golden, read};

#[test]
fn a_file_of_ours_has_its_metrics() {
    let debrief = Debrief::from_path(data("ours.jsonl")).unwrap();
    golden("ours.prom", &debrief.to_prometheus());
}

#[test]
fn buckets_are_cumulative_and_end_with_all() {
    let lines: String =
        [0.5, 1.5, 3.0, 3.0, 700.0, 4e6].map(|ms| super::line("b", ms, true)).concat();
    let text = read(&lines).to_prometheus();
    let bucket = |le: &str| {
        let start =
            format!("automation_assistant_latency_seconds_bucket{{backend=\"b\",le=\"{le}\"}} ");
        text.lines()
            .find_map(|line| line.strip_prefix(&start))
            .unwrap_or_else(|| panic!("{le} in {text}"))
            .to_owned()
    };
    let found = ["0.001", "0.002", "0.005", "0.5", "1", "500", "+Inf"].map(bucket);
    assert_eq!(found, ["1", "2", "4", "4", "5", "5", "6"]);
    assert!(
        text.contains("automation_assistant_latency_seconds_sum{backend=\"b\"} 4000.708\n"),
        "{text}"
    );
    assert!(text.contains("automation_assistant_latency_seconds_count{backend=\"b\"} 6\n"));
}

#[test]
fn names_follow_the_conventions_and_stand_once() {
    let text = Debrief::from_path(data("ours.jsonl")).unwrap().to_prometheus();
    let mut seen = BTreeSet::new();
    for line in text.lines() {
        let Some(rest) = line.strip_prefix("# TYPE ") else { continue };
        let (name, kind) = rest.split_once(' ').unwrap();
        assert!(seen.insert(name), "{name} twice");
        assert_eq!(kind == "counter", name.ends_with("_total"), "{name} {kind}");
        assert!(name.starts_with("automation_assistant_"));
    }
    assert!(seen.len() > 20);
    let of_family = |line: &str| {
        let name = line.split(['{', ' ']).next().unwrap().to_owned();
        let ends = ["_bucket", "_sum", "_count"];
        ends.iter().find_map(|end| name.strip_suffix(end).map(str::to_owned)).unwrap_or(name)
    };
    let samples = text.lines().filter(|line| !line.starts_with('#'));
    assert!(samples.map(of_family).all(|name| seen.contains(name.as_str())));
}

#[test]
fn labels_are_escaped() {
    let name = "a\"b\\c\nd}\u{202e}";
    let line =
        json!({"run_id": "r", "event": "backend_call", "backend": name, "latency_ms": 1e308});
    let text = read(&format!("{line}\n")).to_prometheus();
    assert!(text.contains("{backend=\"a\\\"b\\\\c d} \"} 1\n"), "{text}");
    assert!(
        text.lines()
            .all(|line| line.starts_with("# ") || line.starts_with("automation_assistant_"))
    );
}

#[test]
fn a_text_written_in_several_ways_is_one_sample() {
    let line = |kind: &str| {
        let start = r#"{"run_id":"r","event":"backend_call","backend":"b","success":false"#;
        format!(
            "{start},\"error_kind\":\"{kind}\"}}
"
        )
    };
    let kinds = ["net", r"n\u0065t", "net ", r"a\u0001b", "a b", "a b"];
    let debrief = read(&kinds.map(line).concat());
    let text = debrief.to_prometheus();
    for (kind, count) in [("net", 3), ("a b", 3)] {
        let sample = format!("automation_assistant_error_kinds_total{{kind=\"{kind}\"}} {count}\n");
        assert!(text.contains(&sample), "{text}");
        assert_eq!(debrief.to_json()["error_kinds"][kind], count);
    }
}
