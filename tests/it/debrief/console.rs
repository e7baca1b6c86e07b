//! The console's report fits its columns, and the histograms are there on request.

use automation_assistant::Debrief;
use serde_json::json;

use super::{data, line, read};

const COLUMNS: usize = 60;

#[test]
fn the_report_fits_sixty_columns() {
    let names = ["b", "ChatGPT (gpt-4o-mini)", &"long name ".repeat(20), &"x".repeat(300)];
    let mut lines = String::new();
    for (n, name) in names.iter().cycle().take(400).enumerate() {
        let fields = json!({
            "run_id": "r", "event": (["backend_call", "task_complete"][n % 2]), "backend": name,
            "latency_ms": 1.5_f64.powi((n % 30) as i32), "success": n % 3 == 0,
            "error": format!("{} {}", name.repeat(2), "and so on ".repeat(n % 40)),
            "error_kind": (["rate_limited", "network", "unheard_of"][n % 3]),
            "prompt_tokens": 123_456_789, "completion_tokens": 123_456_789,
            "cost_nano": 123_456_789_123_u64, "queue_ms": 12_345.5, "waited_ms": 0.001,
            "first_byte_ms": 3.0,
        });
        let fallback =
            json!({"run_id": "r", "event": "fallback", "from": name, "to": name, "why": name});
        lines.push_str(&format!("{fields}\n{fallback}\n"));
    }
    for debrief in [read(&lines), Debrief::from_path(data("ours.jsonl")).unwrap()] {
        for text in
            [debrief.to_text(), debrief.to_histograms(), debrief.compare(&debrief).to_string()]
        {
            for line in text.lines().filter(|line| !line.contains("Latency: avg=")) {
                assert!(line.chars().count() <= COLUMNS, "{line}");
                assert_eq!(line, line.trim_end(), "no blanks at the end");
            }
        }
    }
    // Nothing of a text is lost by breaking it.
    let words = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(words(&read(&lines).to_text()).contains(&words(&"long name ".repeat(5))));
}

#[test]
fn latencies_spread_over_one_line_and_over_many_on_request() {
    let lines: String =
        [10.0, 10.0, 10.0, 10.0, 30.0, 300.0].map(|ms| line("b", ms, true)).concat();
    let debrief = read(&lines);
    assert!(debrief.to_text().contains("    Spread: 10ms █▂  ▂ 500ms\n"), "{debrief}");
    assert!(!debrief.to_text().contains("Histogram"));
    let histograms = debrief.to_histograms();
    for row in [
        "10ms – 20ms    ██████████████████████████████ 4",
        "200ms – 500ms   ████████                       1",
    ] {
        assert!(histograms.contains(row), "{histograms}");
    }
    let alike = read(&line("b", 5.0, true).repeat(3));
    assert!(!alike.to_text().contains("Spread"));
    assert_eq!(alike.to_histograms(), "");
}
