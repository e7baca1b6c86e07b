//! The fields of a line, and the order of lines.

use std::fs;

use automation_assistant::{
    AutomationAssistantManager, CallContext, Debrief, ErrorKind, HelperConfig, Reply, TaskError,
    Telemetry, Usage,
};

use super::{Folder, events, lines, log, manager};
use crate::support::{FnBackend, LONG};

#[test]
fn a_task_leaves_the_lines_that_readers_know() {
    let folder = Folder::new("lines");
    let path = folder.join("deep/down/audit.jsonl");
    let telemetry = Telemetry::to_file(&path).unwrap();
    let manager = manager(&telemetry);
    let helper = manager.spawn_helper(HelperConfig::local()).unwrap();
    let task = manager.submit_task(helper, "hello").unwrap();
    manager.wait_task(helper, task, LONG).unwrap();
    // No flush, no drop: what a finished task left is there.
    let before = lines(&path);
    let done = events(&before, "task_complete")[0].clone();
    assert_eq!(done["helper_id"], helper.to_string());
    assert_eq!(done["task_id"], task.to_string());
    assert_eq!(done["backend"], "Local (local-mock)");
    assert_eq!(done["success"], true);
    assert!(done["latency_ms"].is_f64() && done["queue_ms"].is_f64(), "{done}");
    assert!(done["timestamp"].as_f64().unwrap() > 1.7e9);
    assert_eq!(done["run_id"], telemetry.run_id());
    assert_eq!(done.get("error"), None);
    for event in ["helper_spawn", "backend_call", "task_complete"] {
        let line = events(&before, event)[0];
        assert!(line["latency_ms"].is_number() && line["success"].is_boolean(), "{line}");
        assert!(line["backend"].is_string() && line["helper_id"].is_string(), "{line}");
    }
    drop(manager);
    let stats = telemetry.stats();
    drop(telemetry);
    let after = lines(&path);
    let seqs: Vec<_> = after.iter().map(|line| line["seq"].as_u64().unwrap()).collect();
    assert_eq!(seqs, (1..=after.len() as u64).collect::<Vec<_>>());
    let end = after.last().unwrap();
    assert_eq!(end["event"], "run_end");
    assert_eq!(end["lines_written"], stats.lines_written);
    assert_eq!(stats.lines_written + 1, after.len() as u64);
    assert_eq!(folder.files(), ["deep"]);
    assert_eq!(
        fs::read_dir(folder.join("deep/down")).unwrap().count(),
        1,
        "no lock file without rotation"
    );
}

#[test]
fn failures_are_reported_in_our_words_and_without_private_text() {
    let folder = Folder::new("private");
    let path = folder.join("audit.jsonl");
    let telemetry = Telemetry::to_file(&path).unwrap();
    let manager = manager(&telemetry);
    let backend = FnBackend(|call: &automation_assistant::CallContext<'_>| {
        if call.prompt().contains("fail") {
            return Err(TaskError::new(ErrorKind::RateLimited, "slow down, \"please\"")
                .with_status(429)
                .with_code("rate_limit_exceeded")
                .with_message("key sk-planted is over its limit")
                .with_request_id("req-planted")
                .with_partial("planted half reply"));
        }
        Ok(Reply::new("planted reply").with_usage(Usage::new(7, 9)))
    });
    let helper = manager.spawn_helper_with(HelperConfig::local(), backend).unwrap();
    for prompt in ["planted, fail", "planted, go"] {
        let id = manager.submit_task(helper, prompt).unwrap();
        manager.wait_task(helper, id, LONG).unwrap();
    }
    drop((manager, telemetry));
    let text = fs::read_to_string(&path).unwrap();
    assert!(!text.contains("planted"), "{text}");
    let lines = lines(&path);
    let failed = events(&lines, "task_complete")[0];
    assert_eq!(failed["success"], false);
    assert_eq!(failed["error"], "slow down, \"please\"");
    assert_eq!(failed["error_kind"], "rate_limited");
    assert_eq!(failed["error_code"], "rate_limit_exceeded");
    assert_eq!(failed["http_status"], 429);
    let done = events(&lines, "task_complete")[1];
    assert_eq!((&done["prompt_tokens"], &done["completion_tokens"]), (&7.into(), &9.into()));
    let debrief = Debrief::from_path(&path).unwrap();
    assert_eq!(debrief.top_errors()[0].error_kind.as_deref(), Some("rate_limited"));
    assert_eq!(debrief.to_json()["tokens"]["prompt"], 7);
}

#[test]
fn clones_write_to_one_run_from_many_threads() {
    const THREADS: usize = 4;
    const TASKS: usize = 100;
    let folder = Folder::new("threads");
    let path = folder.join("audit.jsonl");
    let telemetry = Telemetry::to_file(&path).unwrap();
    std::thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(|| log(&telemetry, TASKS));
        }
    });
    drop(telemetry);
    let lines = lines(&path);
    assert_eq!(events(&lines, "task_complete").len(), THREADS * TASKS);
    let debrief = Debrief::from_path(&path).unwrap();
    assert_eq!(debrief.total_runs(), 1);
    assert_eq!(debrief.to_json()["runs"]["missing_lines"], 0);
    assert_eq!(debrief.to_json()["runs"]["ended"], 1);
}

#[test]
fn an_echo_is_marked_in_its_line_and_counted_apart_by_the_debrief() {
    let folder = Folder::new("echo");
    let path = folder.join("audit.jsonl");
    let manager = AutomationAssistantManager::builder()
        .telemetry(Telemetry::to_file(&path).unwrap())
        .build()
        .unwrap();
    let own = FnBackend(|_: &CallContext<'_>| Ok(Reply::new("an answer")));
    manager.spawn_with(HelperConfig::local(), own).unwrap().ask("x").unwrap();
    let answered = Debrief::from_path(&path).unwrap();
    assert!(!answered.to_string().contains("Echoes"), "{answered}");
    let embedded = manager.spawn(HelperConfig::local()).unwrap();
    embedded.ask("x").unwrap();
    drop(manager);
    let lines = lines(&path);
    let ends = events(&lines, "task_complete");
    assert_eq!((ends[0].get("echoed"), &ends[1]["echoed"]), (None, &true.into()));
    let debrief = Debrief::from_path(&path).unwrap();
    let line = "Echoes of the embedded engine, no model's answers: 1";
    assert!(
        debrief.to_string().contains(line) && debrief.to_markdown().contains(line),
        "{debrief}"
    );
    assert_eq!(debrief.to_json()["echoed_tasks"], 1);
}

#[test]
fn cost_is_reported_and_tasks_without_a_price_are_kept_apart() {
    use crate::support::one_helper;
    use automation_assistant::limits::{Price, Prices};
    let folder = Folder::new("cost");
    let audit = folder.join("audit.jsonl");
    let telemetry = Telemetry::to_file(&audit).unwrap();
    let manager =
        AutomationAssistantManager::builder().telemetry(telemetry.clone()).build().unwrap();
    let backend = FnBackend(|call: &CallContext<'_>| match call.prompt() {
        "no_usage" => Ok(Reply::new("x").with_model("m-1")),
        model => Ok(Reply::new("x").with_model(model).with_usage(Usage::new(7, 2))),
    });
    let prices = Prices::new().model("m-1", Price::per_million(0.15, 0.60));
    let config = HelperConfig::local().prices(prices);
    let helper = manager.spawn_helper_with(config, backend).unwrap();
    let run = |prompt: &str| {
        let id = manager.submit_task(helper, prompt).unwrap();
        manager.wait_task(helper, id, LONG).unwrap()
    };
    // 7 tokens at 0.15 and 2 at 0.60 a million: less than a hundred-thousandth of a unit.
    let cost = run("m-1").cost.unwrap();
    assert!((cost - 2.25e-6).abs() < 1e-15, "{cost}");
    assert_eq!(run("m-1").cost, Some(cost));
    assert_eq!(run("unheard-of").cost, None);
    assert_eq!(run("no_usage").cost, None);
    // Without a list nothing has a price, whatever the model.
    let (bare, other) = one_helper(
        HelperConfig::local(),
        FnBackend(|_: &CallContext<'_>| {
            Ok(Reply::new("x").with_model("m-1").with_usage(Usage::new(7, 2)))
        }),
    );
    let id = bare.submit_task(other, "p").unwrap();
    assert_eq!(bare.wait_task(other, id, LONG).unwrap().cost, None);
    drop((manager, telemetry));
    let debrief = Debrief::from_path(&audit).unwrap();
    let json = debrief.to_json();
    assert_eq!(json["cost"]["priced"], 2);
    assert_eq!(json["cost"]["unpriced"], 1);
    assert_eq!(json["cost"]["usage_missing"], 1);
    assert!((json["cost"]["total"].as_f64().unwrap() - 4.5e-6).abs() < 1e-15);
    let line = "Cost: 0.000004500 (tasks priced: 2, unpriced: 1, usage missing: 1)";
    // The console's lines are broken at its width.
    let words: Vec<_> = debrief.to_text().split_whitespace().map(str::to_owned).collect();
    assert!(words.join(" ").contains(line), "{debrief}");
    assert!(debrief.to_markdown().contains(line));
}

#[test]
fn a_task_s_call_and_end_stand_together_and_at_one_moment() {
    let folder = Folder::new("telemetry-together");
    let path = folder.join("audit.jsonl");
    let telemetry = Telemetry::to_file(&path).unwrap();
    log(&telemetry, 50);
    drop(telemetry);
    let lines = lines(&path);
    let ends: Vec<_> = (0..lines.len()).filter(|&n| lines[n]["event"] == "task_complete").collect();
    assert_eq!(ends.len(), 50);
    for at in ends {
        let (call, end) = (&lines[at - 1], &lines[at]);
        assert_eq!(call["event"], "backend_call");
        assert_eq!((&call["task_id"], &call["timestamp"]), (&end["task_id"], &end["timestamp"]));
        assert_eq!(call["seq"].as_u64().map(|seq| seq + 1), end["seq"].as_u64());
    }
}

#[cfg(feature = "http")]
#[test]
fn a_final_call_is_reported_with_its_task_s_end_and_others_when_they_end() {
    use crate::support::server::{Act, Server, answer};

    let folder = Folder::new("telemetry-http");
    let path = folder.join("audit.jsonl");
    let telemetry = Telemetry::to_file(&path).unwrap();
    let (meet, meeting) = Act::meet();
    let server = Server::start([vec![
        Act::read(),
        Act::reply(500, "retry-after-ms: 1\r\n", "{}"),
        Act::read(),
        meet,
        // A model's name that is none: odd, but understood.
        Act::json(200, &answer("x").replace("\"m-1\"", "[]")),
    ]]);
    let manager = manager(&telemetry);
    let config = HelperConfig::local().api_endpoint(server.base()).model("m").max_retries(1);
    let helper = manager.spawn_helper(config).unwrap();
    let task = manager.submit_task(helper, "p").unwrap();
    meeting.reached();
    // The first call's end stands there while the second is under way.
    assert_eq!(events(&lines(&path), "backend_call").len(), 1);
    meeting.go();
    assert!(manager.wait_task(helper, task, LONG).unwrap().is_success());
    let lines = lines(&path);
    let [failed, call, end] = &lines[lines.len() - 3..] else { panic!("{lines:?}") };
    for (line, event, attempt, status) in [
        (failed, "backend_call", 1, Some(500)),
        (call, "backend_call", 2, Some(200)),
        (end, "task_complete", 2, None),
    ] {
        assert_eq!((&line["event"], &line["attempt"]), (&event.into(), &attempt.into()), "{line}");
        assert_eq!(line["http_status"].as_u64(), status, "{line}");
    }
    assert!(call["timestamp"].as_f64() <= end["timestamp"].as_f64());
    assert!(call["latency_ms"].as_f64() <= end["latency_ms"].as_f64());
    assert_eq!((&call["prompt_tokens"], &end["prompt_tokens"]), (&3.into(), &3.into()));
    assert!(call["waited_ms"].as_f64() > Some(0.0) && call["first_byte_ms"].is_number());
    assert_eq!((call["oddities"].as_u64(), failed["oddities"].as_u64()), (Some(1), None));
}
