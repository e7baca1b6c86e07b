//! A real model on a real server, named by an environment variable; without it these tests
//! say so and pass.
//!
//! `AUTOMATION_ASSISTANT_REAL_ENDPOINT=http://127.0.0.1:PORT/v1` names a server of the OpenAI
//! protocol (llama.cpp, say) on this device that needs no key. `AUTOMATION_ASSISTANT_LITELLM`
//! names LiteLLM's proxy in front of it (`tests/litellm/run` starts one), which is then asked in
//! its place where all APIs are; its key is in `AUTOMATION_ASSISTANT_LITELLM_KEY`.

use std::sync::mpsc::channel;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use automation_assistant::{
    AutomationAssistantManager, Debrief, ErrorKind, FinishReason, FnTool, HelperConfig, HelperId,
    OpenAiApi, Task, TaskRequest, Telemetry,
};
use serde_json::{Value, json};

/// A small model on a busy machine: minutes are no failure.
const PATIENCE: Duration = Duration::from_secs(240);

/// The server's address, or a word on why nothing is tested.
fn endpoint() -> Option<String> {
    let found = std::env::var("AUTOMATION_ASSISTANT_REAL_ENDPOINT").ok();
    if found.is_none() {
        println!("left out: AUTOMATION_ASSISTANT_REAL_ENDPOINT names no model server");
    }
    found
}

/// Short answers, the same each time.
fn brief(config: HelperConfig, base: &str) -> HelperConfig {
    config
        .api_endpoint(base)
        .timeout(PATIENCE)
        .custom_param("max_tokens", 24)
        .custom_param("temperature", 0)
        .custom_param("seed", 1)
}

fn local(base: &str) -> (AutomationAssistantManager, HelperId) {
    spawn(brief(HelperConfig::local(), base))
}

fn spawn(config: HelperConfig) -> (AutomationAssistantManager, HelperId) {
    let manager = AutomationAssistantManager::new(2);
    let helper = manager.spawn_helper(config).unwrap();
    (manager, helper)
}

/// A helper for each API: of LiteLLM, where there is one, else of the server.
fn every_api(base: &str) -> Vec<(String, HelperConfig)> {
    let Ok(proxy) = std::env::var("AUTOMATION_ASSISTANT_LITELLM") else { return apis("", base) };
    let key = std::env::var("AUTOMATION_ASSISTANT_LITELLM_KEY").unwrap();
    let through = apis("LiteLLM, ", &proxy).into_iter();
    through.map(|(api, config)| (api, config.model("small").api_key(key.as_str()))).collect()
}

fn apis(way: &str, base: &str) -> Vec<(String, HelperConfig)> {
    // Unlike the chat API, the others have no seed.
    let anthropic = HelperConfig::anthropic()
        .api_endpoint(base)
        .model("any")
        .timeout(PATIENCE)
        .custom_param("max_tokens", 24)
        .custom_param("temperature", 0);
    let responses = HelperConfig::local()
        .api_endpoint(base)
        .openai_api(OpenAiApi::Responses)
        .timeout(PATIENCE)
        .custom_param("max_output_tokens", 24)
        .custom_param("temperature", 0);
    vec![
        (format!("{way}chat completions"), brief(HelperConfig::local(), base)),
        (format!("{way}messages"), anthropic),
        (format!("{way}responses"), responses),
    ]
}

fn ask(manager: &AutomationAssistantManager, helper: HelperId, request: TaskRequest) -> Task {
    let id = manager.submit_task(helper, request).unwrap();
    manager.wait_task(helper, id, PATIENCE).unwrap()
}

#[test]
fn two_helpers_work_side_by_side_on_a_real_model() {
    let Some(base) = endpoint() else { return };
    let folder = std::env::temp_dir().join(format!("aa-real-{}", std::process::id()));
    let audit = folder.join("audit.jsonl");
    let telemetry = Telemetry::to_file(&audit).unwrap();
    let manager =
        AutomationAssistantManager::builder().telemetry(telemetry.clone()).build().unwrap();
    let local = brief(HelperConfig::local(), &base).max_concurrent_tasks(2);
    let local = manager.spawn_helper(local).unwrap();
    let chat = manager.spawn_helper(brief(HelperConfig::chatgpt(), &base)).unwrap();
    let mut tasks = Vec::new();
    for prompt in ["Name a colour.", "Name an animal.", "Name a town."] {
        for helper in [local, chat] {
            let request = TaskRequest::new(prompt).context("place", "a small garden");
            tasks.push((helper, manager.submit_task(helper, request).unwrap()));
        }
    }
    for (helper, id) in tasks {
        let task = manager.wait_task(helper, id, PATIENCE).unwrap();
        assert!(task.error.is_none(), "{:?}", task.error);
        assert!(!task.result.unwrap().trim().is_empty());
        let usage = task.usage.unwrap();
        assert!(usage.prompt_tokens > 0 && usage.completion_tokens > 0);
        assert_eq!(usage.total_tokens, usage.prompt_tokens + usage.completion_tokens);
        // The server reports its own model, whatever was asked for.
        assert!(!task.model.unwrap().is_empty());
    }
    drop((manager, telemetry));
    // Two spawns, six calls, six ends; each backend by its own name.
    let debrief = Debrief::from_path(&audit).unwrap();
    assert_eq!((debrief.total_runs(), debrief.error_count()), (1, 0));
    assert_eq!(debrief.total_events(), 14);
    let report = debrief.to_string();
    assert!(report.contains("Overall Health: 🟢 OK"), "{report}");
    assert!(report.contains("Local (server)") && report.contains("ChatGPT ("), "{report}");
    let lines = std::fs::read_to_string(&audit).unwrap();
    assert!(lines.contains("\"completion_tokens\":") && !lines.contains("garden"), "{lines}");
    std::fs::remove_dir_all(folder).unwrap();
}

#[test]
fn a_real_stream_arrives_in_deltas_that_make_up_the_answer() {
    let Some(base) = endpoint() else { return };
    for (api, config) in every_api(&base) {
        let (manager, helper) = spawn(config);
        let deltas = Arc::new(Mutex::new(Vec::new()));
        let received = Arc::clone(&deltas);
        let request = TaskRequest::new("Count from one to ten.")
            .on_text(move |text| received.lock().unwrap().push(text.to_owned()));
        let task = ask(&manager, helper, request);
        let deltas = deltas.lock().unwrap();
        assert!(deltas.len() > 1, "{api}: {:?}", task.error);
        assert_eq!(task.result.unwrap(), deltas.concat(), "{api}");
        let usage = task.usage.unwrap();
        assert!(usage.prompt_tokens > 0 && usage.completion_tokens > 0, "{api}");
        assert!(matches!(task.finish_reason, Some(FinishReason::Stop | FinishReason::Length)));
        let whole = ask(&manager, helper, TaskRequest::new("Count from one to ten."));
        assert!(!whole.result.unwrap().trim().is_empty(), "{api}");
    }
}

#[test]
fn a_real_model_calls_a_tool_with_and_without_a_stream() {
    let Some(base) = endpoint() else { return };
    for (api, config) in every_api(&base) {
        // Enough for the arguments: a call that is cut off is not run.
        let (manager, helper) = spawn(config.max_output_tokens(128));
        for stream in [false, true] {
            let (called, calls) = channel();
            let called = Mutex::new(called);
            let tool = FnTool::new(
                "battery_level",
                "Returns the battery's level in percent.",
                json!({"type": "object", "properties": {}}),
                move |_| {
                    called.lock().unwrap().send(()).map_err(|error| error.to_string())?;
                    Ok("71".to_owned())
                },
            );
            let mut request = TaskRequest::new("How full is the battery?").tool(tool);
            if stream {
                request = request.on_text(|_| {});
            }
            let task = ask(&manager, helper, request);
            // A small model may forget to stop asking; that it asked is what counts.
            assert!(calls.try_recv().is_ok(), "{api}: {task:?}");
            assert!(task.attempts >= 2, "{api}: {task:?}");
        }
    }
}

#[test]
fn a_real_model_obeys_a_schema() {
    let Some(base) = endpoint() else { return };
    let (manager, helper) = local(&base);
    let schema = json!({
        "type": "object",
        "properties": {"colour": {"type": "string", "enum": ["red", "green", "blue"]}},
        "required": ["colour"],
        "additionalProperties": false,
    });
    let task = ask(&manager, helper, TaskRequest::new("Pick one.").reply_schema("pick", schema));
    let answer: Value = task.parse_result().unwrap();
    assert!(["red", "green", "blue"].contains(&answer["colour"].as_str().unwrap()));
}

/// llama.cpp enforces schemas on its chat API alone: what comes elsewhere is prose, and says so.
#[test]
fn prose_in_place_of_json_is_reported_as_such() {
    let Some(base) = endpoint() else { return };
    let schema = json!({"type": "object", "properties": {}, "additionalProperties": false});
    for (api, config) in apis("", &base).into_iter().skip(1) {
        let (manager, helper) = spawn(config);
        let request = TaskRequest::new("Say a word.").reply_schema("word", schema.clone());
        let task = ask(&manager, helper, request);
        assert!(task.is_success(), "{api}: {:?}", task.error);
        let error = task.parse_result::<Value>().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Protocol, "{api}");
        assert!(error.summary().contains("is not JSON"), "{api}: {error}");
        assert_eq!(error.partial(), task.result.as_deref(), "{api}");
    }
}

#[test]
fn a_real_answer_is_cancelled_in_the_middle_and_the_helper_goes_on() {
    let Some(base) = endpoint() else { return };
    for (api, config) in every_api(&base) {
        let (manager, helper) = spawn(config);
        let (reported, received) = channel();
        let request = TaskRequest::new("Write a very long story about the sea.")
            .max_output_tokens(2000)
            .on_text(move |text| drop(reported.send(text.to_owned())));
        let id = manager.submit_task(helper, request).unwrap();
        received.recv_timeout(PATIENCE).unwrap();
        let began = Instant::now();
        assert!(manager.cancel_task(helper, id), "{api}");
        let task = manager.wait_task(helper, id, PATIENCE).unwrap();
        assert_eq!(task.error.unwrap().kind(), ErrorKind::Cancelled, "{api}");
        // The channel closes when the helper's thread has let go of the callback.
        while received.recv_timeout(PATIENCE).is_ok() {}
        assert!(began.elapsed() < Duration::from_secs(1), "{api}: {:?}", began.elapsed());
        assert!(ask(&manager, helper, TaskRequest::new("Say yes.")).is_success(), "{api}");
    }
}

#[test]
fn a_real_server_s_refusal_has_its_kind() {
    let Some(base) = endpoint() else { return };
    for (api, config) in every_api(&base) {
        let (manager, helper) = spawn(config);
        for stream in [false, true] {
            let mut request = TaskRequest::new("word ".repeat(20_000));
            if stream {
                request = request.on_text(|_| {});
            }
            let error = ask(&manager, helper, request).error.unwrap();
            assert_eq!(error.kind(), ErrorKind::ContextLengthExceeded, "{api}");
        }
    }
}
