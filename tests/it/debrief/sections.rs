//! Which facts a report shows, and which sections it leaves out.

use automation_assistant::Debrief;
use serde_json::{Value, json};

/// A line of one run; `fields` are added.
fn line(event: &str, fields: Value) -> String {
    let mut line = json!({"run_id": "20250101_000000", "event": event, "backend": "b"});
    for (key, value) in fields.as_object().unwrap() {
        line[key] = value.clone();
    }
    format!("{line}\n")
}

fn read(lines: &[String]) -> Debrief {
    Debrief::from_reader(lines.concat().as_bytes()).unwrap()
}

#[test]
fn tokens_are_those_of_calls_and_of_tasks_where_calls_report_none() {
    let call = |tokens: Value| line("backend_call", tokens);
    let task = |tokens: Value| line("task_complete", tokens);
    let prompt = |lines: &[String]| read(lines).to_json()["tokens"]["prompt"].clone();
    let (five, nine) = (json!({"prompt_tokens": 5}), json!({"prompt_tokens": 9}));
    assert_eq!(prompt(&[call(five.clone()), task(nine.clone())]), 5);
    assert_eq!(prompt(&[call(json!({})), task(nine)]), 9);
    let one = read(&[call(json!({"completion_tokens": 3})), call(five)]).to_json();
    assert_eq!(one["tokens"], json!({"prompt": 5, "completion": 3, "told": 2, "missing": 0}));
}

#[test]
fn a_kind_of_error_is_worth_a_sentence_from_one_in_a_hundred_on() {
    let advised = |events: usize, errors: usize| {
        let lines: Vec<_> = (0..events)
            .map(|n| {
                let failed = json!({"success": false, "error_kind": "timeout"});
                line("backend_call", if n < errors { failed } else { json!({}) })
            })
            .collect();
        let report = read(&lines).to_json();
        !report["recommendations"].as_array().unwrap().is_empty()
    };
    assert!(advised(50, 1));
    assert!(advised(200, 2));
    assert!(!advised(200, 1));
}

/// A task's failed calls and its own end are one failed task.
#[test]
fn advice_counts_tasks() {
    let failed = |event: &str| line(event, json!({"success": false, "error_kind": "timeout"}));
    let (call, task) = (failed("backend_call"), failed("task_complete"));
    let done = line("task_complete", json!({}));
    for (lines, number) in [
        ([&call, &task, &call, &task], "2 tasks"),
        ([&call, &call, &task, &done], "1 task"),
        ([&call, &done, &call, &done], "2 events"),
    ] {
        let report = read(&lines.map(String::clone)).to_json();
        let advice = report["recommendations"][0].as_str().unwrap();
        assert!(advice.starts_with(&format!("timeout ({number}): ")), "{advice}");
        assert_eq!(report["error_kinds"]["timeout"], lines.iter().filter(|l| **l != &done).count());
    }
}

/// A text of errors of two kinds is two rows, however the kind is spelled.
#[test]
fn errors_of_one_text_are_counted_by_kind() {
    let failed = |kind: Value| {
        line("task_complete", json!({"success": false, "error": "no", "error_kind": kind}))
    };
    let (server, key) = (failed(json!("server")), failed(json!("authentication")));
    let escaped = key.replace("auth", "\\u0061uth");
    let none = line("task_complete", json!({"success": false, "error": "no"}));
    let report = read(&[server.clone(), key.clone(), server, escaped, key, none]);
    let rows = report.top_errors().iter().map(|top| (top.error_kind.as_deref(), top.count));
    let expected = [(Some("authentication"), 3), (Some("server"), 2), (None, 1)];
    assert_eq!(rows.collect::<Vec<_>>(), expected);
    assert!(report.top_errors().iter().all(|top| top.error == "no"));
}

#[test]
fn requests_that_no_helper_was_asked_are_summed_up() {
    let lines = [20, 4].map(|requests| line("not_asked", json!({"requests": requests})));
    let report = read(&lines);
    assert_eq!(report.to_json()["not_asked"], 24);
    assert_eq!(report.companion_events(), []);
    for (form, text) in [
        (report.to_text(), "Requests of batches that no helper was asked: 24"),
        (report.to_markdown(), "Requests of batches that no helper was asked: 24"),
        (report.to_html(), "24 requests of batches that no helper was asked."),
        (report.to_prometheus(), "automation_assistant_not_asked_total 24"),
    ] {
        assert!(form.contains(text), "{text}: {form}");
    }
}

#[test]
fn empty_sections_are_left_out() {
    let spawn = || line("helper_spawn", json!({}));
    let text = read(&[spawn()]).to_text();
    for absent in ["Tasks:", "Attempts:", "ended cleanly", "Lines skipped", "(other errors)"] {
        assert!(!text.contains(absent), "{absent} in {text}");
    }
    let done = read(&[line("task_complete", json!({})), line("run_end", json!({"seq": 1}))]);
    let text = done.to_text();
    assert!(text.contains("Tasks: 1 done, 0 failed"), "{text}");
    assert!(text.contains("Runs: 1 ended cleanly, 0 did not"), "{text}");
    assert_eq!(text, done.to_string());
    let failed = line("task_complete", json!({"success": false}));
    let failed = read(&[failed.clone(), failed]);
    assert_eq!((failed.tasks_done(), failed.tasks_failed()), (0, 2));
    let shown = format!("{failed:?}");
    assert!(shown.contains("total_events: 2") && shown.contains("error_count: 2"), "{shown}");
}

#[test]
fn lines_of_every_skipped_sort_and_errors_beyond_the_first_ten_are_summed_up() {
    let mut lines: Vec<_> = (0..12)
        .map(|n| line("backend_call", json!({"success": false, "error": format!("e{n:02}")})))
        .collect();
    lines.push("no json\n".to_owned());
    lines.push(format!("{{\"a\":\"{}\"}}\n", "x".repeat(70_000)));
    lines.push("{}\n".to_owned());
    let text = read(&lines).to_text();
    assert!(text.contains("     2  (other errors)"), "{text}");
    assert!(text.contains("Lines skipped: 3 (1 no JSON, 1 too long, 1 without run_id)"), "{text}");
}

#[test]
fn exported_traces_are_reported_from_the_first_one_on() {
    for (key, printed) in [
        ("sent", "Traces: 1 sent, 0 dropped, 0 retried"),
        ("dropped", "Traces: 0 sent, 1 dropped, 0 retried"),
        ("retried", "Traces: 0 sent, 0 dropped, 1 retried"),
    ] {
        let text = read(&[line("trace_export", json!({ key: 1 }))]).to_text();
        assert!(text.contains(printed), "{text}");
    }
    assert!(!read(&[line("trace_export", json!({}))]).to_text().contains("Traces:"));
}

#[test]
fn the_debug_form_of_a_report_is_short() {
    let call = |ms: u32| line("backend_call", json!({"latency_ms": ms, "success": true}));
    let debrief = read(&(1..=100).map(call).collect::<Vec<_>>());
    let printed = format!("{:?}", debrief.backends());
    assert!(printed.contains("calls: 100") && printed.len() < 400, "{} bytes", printed.len());
}
