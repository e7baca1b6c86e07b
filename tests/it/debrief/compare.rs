//! The differences between two reports, and which of them can be chance.

use automation_assistant::Debrief;
use serde_json::json;

use super::read;

/// `tasks` tasks of this backend with a call each; each `fails`-th fails.
fn tasks(backend: &str, tasks: usize, fails: usize, latency: impl Fn(usize) -> f64) -> Debrief {
    let mut lines = String::new();
    for n in 0..tasks {
        for event in ["backend_call", "task_complete"] {
            let failed = n % fails == 0;
            let line = json!({
                "run_id": "r", "event": event, "backend": backend, "latency_ms": latency(n),
                "success": !failed, "error_kind": failed.then_some("server"),
                "prompt_tokens": 10, "completion_tokens": n % 3,
            });
            lines.push_str(&format!("{line}\n"));
        }
    }
    read(&lines)
}

fn spread(n: usize) -> f64 {
    100.0 + (n * 37 % 100) as f64
}

/// The verdict in the line below the one that begins so, in this backend's group.
fn verdict(text: &str, group: &str, what: &str) -> String {
    let group = text.split(&format!("\n{group}:\n")).nth(1).unwrap();
    let mut lines = group.split("\n\n").next().unwrap().lines();
    lines.find(|line| line.trim_start().starts_with(what)).unwrap();
    lines.next().unwrap().trim().to_owned()
}

#[test]
fn what_is_alike_can_be_chance() {
    let (before, after) = (tasks("b", 200, 20, spread), tasks("b", 150, 19, |n| spread(n + 11)));
    let comparison = after.compare(&before);
    assert!(!comparison.differs(), "{comparison}");
    let text = comparison.to_string();
    for what in ["Tasks failed", "Calls failed", "Latency p50"] {
        assert!(verdict(&text, "b", what).starts_with("can be chance (p = "), "{text}");
    }
    assert!(text.contains("No difference that cannot be chance"), "{text}");
}

#[test]
fn a_large_difference_is_no_chance_and_says_which_way_it_went() {
    let before = tasks("b", 200, 20, spread);
    let slow = tasks("b", 200, 20, |n| spread(n) * 1.5).compare(&before);
    let text = slow.to_string();
    assert!(slow.differs());
    assert_eq!(verdict(&text, "b", "Latency p50"), "not chance (p < 0.001)");
    assert!(verdict(&text, "b", "Tasks failed").starts_with("can be chance"));
    assert!(text.contains("Latency p50: 148.0ms → 222.0ms ▲") || text.contains("▲"), "{text}");
    let failing = tasks("b", 200, 4, spread).compare(&before);
    let text = failing.to_string();
    assert!(text.contains("Tasks failed: 5.00% (10 of 200) → 25.00% (50 of"), "{text}");
    assert_eq!(verdict(&text, "All backends", "Calls failed"), "not chance (p < 0.001)");
    assert!(text.contains("Overall Health: 🟡 Degraded → 🔴 Critical"), "{text}");
    assert!(before.compare(&tasks("b", 200, 4, spread)).to_string().contains("▼"));
    let markdown = failing.to_markdown();
    assert!(
        markdown.contains(
            "| Tasks failed | 5.00% (10 of 200) | 25.00% (50 of 200) ▲ | not chance (p < 0.001) |"
        ),
        "{markdown}"
    );
    let page = failing.to_html();
    assert!(page.contains("▲ Changed") && page.contains("not chance (p &lt; 0.001)"), "{page}");
}

#[test]
fn too_few_calls_and_a_backend_of_one_side_are_not_compared() {
    let (three, many) = (tasks("b", 3, 1, spread), tasks("b", 200, 20, spread));
    let text = three.compare(&many).to_string();
    assert_eq!(verdict(&text, "b", "Tasks failed"), "too few to compare");
    assert_eq!(verdict(&text, "b", "Latency p50"), "too few to compare");
    let other = tasks("other", 10, 2, spread).compare(&many).to_string();
    assert!(
        other.contains("\nb:\n  Events: 400 → none\n\nother:\n  Events: none → 20\n"),
        "{other}"
    );
    let nothing = read("").compare(&read(""));
    assert!(nothing.to_string().contains("There is nothing to compare."), "{nothing}");
    assert!(!nothing.differs() && nothing.to_html().contains("● Alike"));
}

#[test]
fn a_call_and_its_task_are_one_fact() {
    // Each latency is in the file twice: as evidence it counts once.
    let once = |factor: f64| tasks("b", 40, 41, move |n| spread(n) * factor);
    let twice = once(1.08).compare(&once(1.0)).to_string();
    let p = |text: &str| {
        verdict(text, "b", "Latency p50")
            .trim_end_matches(')')
            .rsplit(' ')
            .next()
            .unwrap()
            .parse::<f64>()
            .unwrap()
    };
    let calls = |factor: f64| {
        let lines: String = (0..40).map(|n| super::line("b", spread(n) * factor, n > 0)).collect();
        read(&lines)
    };
    let alone = calls(1.08).compare(&calls(1.0)).to_string();
    assert!((p(&twice) - p(&alone)).abs() < 0.02, "{twice}\n{alone}");
}
