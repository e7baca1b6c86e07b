//! Sums of numbers in lines: they stay at their greatest value, in every build.

use automation_assistant::Debrief;
use serde_json::{Value, json};

/// Numbers at which a sum of two wraps around, or a float loses its unit.
const GREAT: [u64; 4] = [u64::MAX, u64::MAX - 1, 1 << 63, (1 << 63) + 2048];

fn read(event: &str, fields: &Value) -> Debrief {
    let mut line = json!({"run_id": "r", "event": event, "backend": "b", "seq": 1});
    line.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
    // The second line of each pair is what made the sum wrap.
    Debrief::from_reader(format!("{line}\n{line}\n{line}\n").as_bytes()).unwrap()
}

/// Each form of the report adds up for itself.
fn every_form_is_given(debrief: &Debrief) {
    let comparison = debrief.compare(debrief);
    for form in [
        debrief.to_text(),
        debrief.to_markdown(),
        debrief.to_html(),
        debrief.to_prometheus(),
        comparison.to_string(),
        comparison.to_html(),
    ] {
        assert!(form.len() > 100, "{form}");
    }
}

#[test]
fn a_sum_stays_at_its_greatest_value() {
    for (event, key, place) in [
        ("helper_stop", "unjoined_threads", "/unjoined_threads"),
        ("not_asked", "requests", "/not_asked"),
        ("trace_export", "sent", "/trace_export/sent"),
        ("trace_export", "dropped", "/trace_export/dropped"),
        ("trace_export", "retried", "/trace_export/retried"),
        ("tail_repaired", "bytes_dropped", "/lines/bytes_dropped"),
        ("lines_lost", "lines", "/lines/lost"),
        ("backend_call", "prompt_tokens", "/backends/b/prompt_tokens"),
        ("backend_call", "completion_tokens", "/backends/b/completion_tokens"),
        ("backend_call", "prompt_tokens", "/tokens/prompt"),
        ("backend_call", "oddities", "/backends/b/oddities/count"),
        ("task_complete", "completion_tokens", "/tokens/completion"),
    ] {
        for great in GREAT {
            let debrief = read(event, &json!({ key: great }));
            assert_eq!(debrief.to_json().pointer(place), Some(&json!(u64::MAX)), "{key} {great}");
            every_form_is_given(&debrief);
        }
    }
}

#[test]
fn great_numbers_in_every_field_at_once_give_a_report() {
    let keys = [
        "latency_ms",
        "attempt",
        "prompt_tokens",
        "completion_tokens",
        "queue_ms",
        "first_byte_ms",
        "waited_ms",
        "bytes_dropped",
        "lines",
        "sent",
        "dropped",
        "retried",
        "unjoined_threads",
        "suspended_ms",
        "oddities",
        "cost_nano",
        "timestamp",
        "seq",
    ];
    for number in [json!(u64::MAX), json!(f64::MAX), json!(-f64::MAX), json!(i64::MIN)] {
        let fields: Value = keys.iter().map(|key| ((*key).to_owned(), number.clone())).collect();
        for event in [
            "helper_spawn",
            "backend_call",
            "task_complete",
            "helper_stop",
            "trace_export",
            "tail_repaired",
            "lines_lost",
            "suspended",
            "run_end",
        ] {
            let debrief = read(event, &fields);
            let json = debrief.to_json();
            // A sum that is no finite number would be null.
            let latency = &json["backends"]["b"]["avg_latency_ms"];
            assert!(json["backends"] == json!({}) || latency.is_number(), "{event}: {json}");
            let times = json["times"].as_object().unwrap();
            assert!(times.values().all(|part| part["total_ms"].is_number()), "{event}: {json}");
            every_form_is_given(&debrief);
        }
    }
}
