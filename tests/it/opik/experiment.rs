//! One set of prompts over several helpers.

use std::time::Duration;

use automation_assistant::{
    AutomationAssistantManager, CallContext, Error, ErrorKind, Experiment, HelperConfig, Reply,
    TaskError, TaskRequest, TraceMode, Usage,
};
use serde_json::json;

use super::stand_in::Opik;
use super::{echo, flush, manager, opik};
use crate::support::{FnBackend, LONG};

#[test]
fn helpers_stand_side_by_side_and_their_scores_go_with_the_traces() {
    let server = Opik::willing();
    let manager = manager(opik(&server.url()).project("trials"));
    let good = echo(&manager, TraceMode::Metadata);
    let flaky = FnBackend(|call: &CallContext<'_>| match call.prompt() {
        "two" => Err(TaskError::new(ErrorKind::Server, "no")),
        _ => Ok(Reply::new("?").with_model("m\n\u{1b}2").with_usage(Usage::new(10, 1))),
    });
    let config = HelperConfig::local().name("flaky");
    let flaky = manager.spawn_helper_with(config, flaky).unwrap();
    let report = Experiment::new("trial 1")
        .prompts(["one", "two"])
        .prompt(TaskRequest::new("three").context("a", 1))
        .helper(good)
        .helper(flaky)
        .score("same", |task| f64::from(task.result.as_deref() == Some(task.prompt.as_str())))
        .score("odd", |task| if task.prompt == "one" { f64::NAN } else { 7.0 })
        .run(&manager)
        .unwrap();
    assert_eq!((report.name.as_str(), report.rows.len()), ("trial 1", 2));
    let [one, two] = [&report.rows[0], &report.rows[1]];
    assert_eq!((one.helper.as_str(), one.model.as_str()), ("echo", "m-1"));
    assert_eq!((one.tasks, one.failures, one.prompt_tokens), (3, 0, 9));
    assert_eq!(one.scores, [Some(1.0), Some(1.0)]);
    assert!(one.latency_p50_ms <= one.latency_p95_ms);
    assert_eq!((two.tasks, two.failures, two.completion_tokens), (3, 1, 2));
    assert_eq!((two.model.as_str(), &two.scores), ("m\n\u{1b}2", &vec![Some(0.0), Some(1.0)]));
    let table = report.to_string();
    assert!(table.starts_with("Experiment trial 1\nhelper"), "{table}");
    assert_eq!(table.lines().count(), 4);
    assert!(!table.contains('\u{1b}'), "{table:?}");

    // Only the first traces: three traces, three scores "same", two scores "odd".
    assert_eq!(flush(&manager, LONG), (8, 0, 0));
    let traces = server.items("traces");
    assert_eq!(traces.len(), 3);
    assert!(traces.iter().all(|trace| trace["tags"] == json!(["echo", "trial 1"])));
    let scores = server.items("scores");
    assert_eq!(scores.len(), 5);
    for score in &scores {
        assert!(traces.iter().any(|trace| trace["id"] == score["id"]), "{score}");
        assert_eq!((&score["value"], &score["project_name"]), (&json!(1.0), &json!("trials")));
    }
}

#[test]
fn more_prompts_than_any_queue_takes_are_all_asked() {
    let manager = AutomationAssistantManager::new(2);
    let small = HelperConfig::local().queue_capacity(1);
    let helpers = [0, 1].map(|_| manager.spawn_helper(small.clone()).unwrap());
    let prompts = (0..100).map(|n| format!("prompt {n}"));
    let experiment = Experiment::new("many").prompts(prompts).helper(helpers[0]).helper(helpers[1]);
    let report = experiment.run(&manager).unwrap();
    for row in &report.rows {
        assert_eq!(row.tasks, 100);
    }
    assert_eq!(report.rows.iter().map(|row| row.failures).sum::<usize>(), 0);
}

#[test]
fn an_experiment_ends_in_time_and_leaves_nothing_behind() {
    let manager = AutomationAssistantManager::new(1);
    let (backend, _begun) = crate::support::patient();
    let helper = manager.spawn_helper_with(HelperConfig::local(), backend).unwrap();
    let report = Experiment::new("slow")
        .prompts(["a", "b"])
        .helper(helper)
        .timeout(Duration::from_millis(50))
        .run(&manager)
        .unwrap();
    assert_eq!((report.rows[0].failures, report.rows[0].latency_p95_ms), (2, 0.0));
    let status = manager.get_all_helpers_status().remove(0);
    assert_eq!((status.queued_tasks, status.active_tasks, status.kept_results), (0, 0, 0));
}

#[test]
fn what_cannot_be_run_is_refused() {
    let manager = AutomationAssistantManager::new(1);
    let helper = manager.spawn_helper(HelperConfig::local()).unwrap();
    let none = Experiment::new("x").helper(helper).run(&manager);
    assert!(matches!(none, Err(Error::InvalidRequest(_))));
    let empty = Experiment::new("x").prompt(" ").helper(helper).run(&manager);
    assert!(matches!(empty, Err(Error::InvalidRequest(_))));
    manager.terminate_helper(helper).unwrap();
    let gone = Experiment::new("x").prompt("a").helper(helper).run(&manager);
    assert!(matches!(gone, Err(Error::UnknownHelper(_))));
}
