//! The public face: the names that users' code is written against. A change here breaks
//! programs.

use std::collections::HashSet;
use std::time::Duration;

use automation_assistant::{
    AutomationAssistantManager, AutomationHelper, BackendType, DEFAULT_AUDIT_PATH, Debrief, Error,
    ErrorKind, HelperConfig, HelperId, HelperStatus, HelperStatusReport, Priority, Task, TaskError,
    TaskId, TaskRequest, TaskState, Telemetry, compute_stability_score, create_chatgpt_helper,
    create_comet_helper, create_local_helper,
};
use serde_json::{Map, Value, json};

use crate::support::LONG;
use crate::support::chance::{Chance, seed};

fn is_shared<T: Send + Sync>() {}
fn is_id<T>()
where
    T: Copy + Eq + std::hash::Hash + Ord + std::fmt::Display + std::str::FromStr,
    T: serde::Serialize + serde::de::DeserializeOwned,
{
}

#[test]
fn enums_that_programs_print_have_words() {
    use automation_assistant::device::{BatterySource, CloudAction};
    use automation_assistant::limits::WhenResultsFull;
    use automation_assistant::opik::TraceMode;
    use automation_assistant::together::Want;
    use automation_assistant::{EventKind, Fact, FinishReason, Fsync, Role, TaskLookup};
    use std::fmt::Display;
    let lines = Fsync::EachLines(std::num::NonZeroU32::new(7).unwrap());
    let rows: [(&dyn Display, &str); 19] = [
        (&BackendType::Local, "local"),
        (&HelperStatus::Idle, "idle"),
        (&TaskState::Running, "running"),
        (&TaskLookup::Dropped, "dropped"),
        (&Priority::High, "high"),
        (&Role::Assistant, "assistant"),
        (&FinishReason::ToolCalls, "tool_calls"),
        (&EventKind::NotAsked, "not_asked"),
        (&Fact::Count(3), "3"),
        (&Fact::Number(0.5), "0.5"),
        (&Fact::Text("x"), "x"),
        (&Want::First(2), "first 2"),
        (&Fsync::EachTask, "each task"),
        (&lines, "each 7 lines"),
        (&TraceMode::Metadata, "metadata"),
        (&WhenResultsFull::DropOldest, "drop_oldest"),
        (&CloudAction::UseLocal, "use_local"),
        (&BatterySource::Termux, "termux"),
        (&ErrorKind::RateLimited, "rate_limited"),
    ];
    for (printed, word) in rows {
        assert_eq!(printed.to_string(), word);
        // For a table's columns.
        if !word.contains(' ') {
            assert_eq!(format!("{printed:>20}"), format!("{word:>20}"));
        }
    }
}

#[test]
fn types_can_do_what_is_promised_of_them() {
    is_shared::<AutomationAssistantManager>();
    is_shared::<AutomationHelper>();
    is_shared::<Telemetry>();
    is_shared::<Error>();
    is_shared::<TaskRequest>();
    is_id::<HelperId>();
    is_id::<TaskId>();
    let of_report: fn(&HelperStatusReport) -> HelperStatusReport = HelperStatusReport::clone;
    let of_task: fn(&Task) -> Task = Task::clone;
    let _ = (of_report, of_task);
    let kinds: HashSet<ErrorKind> = [
        ErrorKind::Timeout,
        ErrorKind::Cancelled,
        ErrorKind::Terminated,
        ErrorKind::Panicked,
        ErrorKind::InvalidRequest,
        ErrorKind::Authentication,
        ErrorKind::PermissionDenied,
        ErrorKind::NotFound,
        ErrorKind::RateLimited,
        ErrorKind::QuotaExceeded,
        ErrorKind::ContextLengthExceeded,
        ErrorKind::ContentFiltered,
        ErrorKind::Truncated,
        ErrorKind::Server,
        ErrorKind::Network,
        ErrorKind::Protocol,
        ErrorKind::ResponseTooLarge,
        ErrorKind::Unsupported,
    ]
    .into();
    assert_eq!(kinds.len(), 18);
    assert_eq!(HelperStatus::Processing.to_string(), "processing");
    assert_eq!(serde_json::to_value(BackendType::ChatGpt).unwrap(), "chatgpt");
    assert_eq!(serde_json::from_value::<HelperStatus>(json!("idle")).unwrap(), HelperStatus::Idle);
    assert_eq!(DEFAULT_AUDIT_PATH, "src/memory/audit.jsonl");
    assert!((compute_stability_score(0, 0) - 1.0).abs() < f64::EPSILON);
    assert!((compute_stability_score(3, 1) - 0.75).abs() < f64::EPSILON);
}

#[test]
fn a_task_s_error_is_an_error_for_a_question_mark() {
    fn number() -> Result<u32, Error> {
        let manager = AutomationAssistantManager::new(1);
        let task = manager.spawn(HelperConfig::local())?.ask("a number")?;
        Ok(task.parse_result::<u32>()?)
    }
    let error = number().unwrap_err();
    let Error::TaskFailed(of_task) = &error else { panic!("{error:?}") };
    assert_eq!(of_task.kind(), ErrorKind::Protocol);
    assert_eq!(error.to_string(), of_task.to_string());
    assert_eq!(format!("{error:?}"), format!("TaskFailed({of_task})"));
}

#[test]
fn ids_go_through_text_and_json() {
    let manager = AutomationAssistantManager::new(1);
    let helper = create_local_helper(&manager, "a").unwrap();
    let task = manager.submit_task(helper, "x").unwrap();
    assert_eq!(helper.to_string().len(), 8);
    assert_eq!(helper.to_string().parse::<HelperId>().unwrap(), helper);
    assert_eq!(task.to_string().parse::<TaskId>().unwrap(), task);
    let json = serde_json::to_value((helper, task)).unwrap();
    assert_eq!(json, json!([helper.to_string(), task.to_string()]));
    assert_eq!(serde_json::from_value::<(HelperId, TaskId)>(json).unwrap(), (helper, task));
}

/// A parsed id prints its text again, in lower case; each printed id parses.
#[test]
fn any_text_is_an_id_in_one_spelling_or_in_none() {
    let mut chance = Chance::new(seed(), 0);
    let mut whole = 0;
    for round in 0..20_000 {
        let number = chance.roll() >> chance.below(64);
        let mut text = format!("{:08x}-{number:08x}", chance.roll() as u32);
        let task: TaskId = text.parse().unwrap();
        assert_eq!(
            (task.to_string(), task.helper_id().to_string()),
            (text.clone(), text[..8].into())
        );
        assert_eq!(serde_json::from_value::<TaskId>(json!(text)).unwrap(), task);
        // One letter changed, lost or added.
        let letter = char::from(*chance.pick(b"0123456789abcdefABCDEF-+ gx"));
        let at = chance.below(text.len());
        match round % 3 {
            0 => text.replace_range(at..=at, letter.encode_utf8(&mut [0; 4])),
            1 => drop(text.remove(at)),
            _ => text.insert(at, letter),
        }
        if let Ok(task) = text.parse::<TaskId>() {
            assert_eq!(task.to_string(), text.to_lowercase(), "{text}");
            whole += 1;
        }
        if let Ok(helper) = text[..8].parse::<HelperId>() {
            assert_eq!(helper.to_string(), text[..8].to_lowercase());
        }
    }
    assert!(whole > 1000, "{whole}");
}

#[test]
fn configuration_and_request_have_their_setters() {
    let params: Map<String, Value> = [("seed".to_owned(), json!(1))].into_iter().collect();
    let config = HelperConfig::new(BackendType::Local)
        .name("n")
        .max_concurrent_tasks(2)
        .timeout(Duration::from_secs(9))
        .api_key("sk-planted")
        .model("m")
        .custom_param("temperature", 0.7)
        .custom_params(params)
        .system_prompt("s");
    assert!(!format!("{:?}", config.clone()).contains("sk-planted"));
    for short in [HelperConfig::chatgpt(), HelperConfig::comet(), HelperConfig::local()] {
        let _ = short.api_endpoint("http://127.0.0.1:1/v1");
    }
    let map: Map<String, Value> = [("b".to_owned(), json!(2))].into_iter().collect();
    let request = TaskRequest::new("p")
        .context("a", 1)
        .context_map(map)
        .priority(Priority::High)
        .timeout(Duration::from_secs(1))
        .deadline(Duration::from_secs(1))
        .on_text(|_: &str| {})
        .on_done(|_: &Task| {});
    let helper = AutomationHelper::new(config).unwrap();
    helper.start().unwrap();
    assert_eq!((helper.name(), helper.backend_name()), ("n", "Local (m)"));
    let id = helper.submit_task(request).unwrap();
    let task: Task = helper.wait_task(id, LONG).unwrap();
    assert_eq!(task.context, json!({"a": 1, "b": 2}).as_object().unwrap().clone());
    let error: Option<TaskError> = task.error;
    assert!(error.is_none());
    helper.submit_task(String::from("owned")).unwrap();
    let _: HelperId = helper.helper_id();
    let _: HelperStatusReport = helper.get_status();
    assert!(helper.take_task_result(id).is_some() && !helper.cancel_task(id));
    helper.stop();
}

#[test]
fn the_manager_has_all_its_methods() {
    let folder = std::env::temp_dir().join(format!("aa-face-{}", std::process::id()));
    let audit = folder.join("deep/audit.jsonl");
    let telemetry = Telemetry::to_file(&audit).unwrap();
    let manager = AutomationAssistantManager::builder()
        .max_helpers(5)
        .telemetry(telemetry.clone())
        .build()
        .unwrap();
    let helper = manager.spawn_helper(HelperConfig::local().name("n")).unwrap();
    let task = manager.submit_task_wait(helper, "x", LONG).unwrap();
    assert_eq!(manager.wait_any(&[(helper, task)], LONG).unwrap().task_id, task);
    assert_eq!(manager.task_state(helper, task), Some(TaskState::Finished));
    assert!(manager.get_task_result(helper, task).is_some());
    assert_eq!(manager.clear_results(helper), 1);
    assert!(manager.take_task_result(helper, task).is_none());
    assert!(!manager.cancel_task(helper, task));
    let report = serde_json::to_value(manager.get_all_helpers_status()).unwrap();
    for key in ["helper_id", "name", "backend", "status", "queued_tasks", "active_tasks"] {
        assert!(report[0].get(key).is_some(), "{key}");
    }
    assert_eq!(report[0]["completed_tasks"], 1);
    manager.terminate_helper(helper).unwrap();
    manager.terminate_all();
    drop((manager, telemetry));
    let debrief = Debrief::from_path(&audit).unwrap();
    assert_eq!((debrief.total_runs(), debrief.total_events()), (1, 3));
    assert_eq!((debrief.success_count(), debrief.error_count()), (3, 0));
    assert!(debrief.failure_rate().abs() < f64::EPSILON);
    assert!((debrief.stability_score() - 1.0).abs() < f64::EPSILON);
    assert!(debrief.to_string().contains("Overall Health: 🟢 OK"));
    assert!(debrief.to_markdown().starts_with("# Automation Assistant Telemetry Debrief"));
    let json = debrief.to_json();
    for key in [
        "total_runs",
        "total_events",
        "success_count",
        "error_count",
        "failure_rate",
        "stability_score",
        "health",
        "backends",
        "top_errors",
    ] {
        assert!(json.get(key).is_some(), "{key}");
    }
    let (_, _, _) = (debrief.health(), debrief.backends(), debrief.top_errors());
    let from_bytes = Debrief::from_reader(std::fs::read(&audit).unwrap().as_slice()).unwrap();
    assert_eq!(from_bytes.total_events(), 3);
    std::fs::remove_dir_all(folder).unwrap();
}

#[test]
fn backends_that_cannot_be_are_refused_by_name() {
    let manager = AutomationAssistantManager::new(3);
    let custom = manager.spawn_helper(HelperConfig::new(BackendType::Custom));
    assert!(matches!(custom, Err(Error::InvalidConfig(_))));
    let outcomes = [
        create_chatgpt_helper(&manager, "c", "gpt-4o-mini"),
        create_comet_helper(&manager, "c", "gpt-4o-mini"),
    ];
    for outcome in outcomes {
        // With a key in the environment it would be made.
        match outcome {
            Err(Error::MissingKey { variable }) => {
                assert!(["OPENAI_API_KEY", "OPIK_API_KEY"].contains(&variable));
            }
            Err(Error::Unsupported { feature, .. }) => assert_eq!(feature, "http"),
            Ok(helper) => assert!(manager.get_helper(helper).is_some()),
            Err(other) => panic!("{other}"),
        }
    }
    assert_eq!(
        format!("{}", Error::MaxHelpers { max: 3 }),
        "Maximum number of helpers (3) reached"
    );
}
