//! The official SDKs' own types, as a judge: a strict server that holds each request against
//! them, and against the rules that no type can say. `tests/sdks/run` installs and starts it;
//! without its address in the environment these tests say so and pass.

use automation_assistant::{
    AutomationAssistantManager, ErrorKind, FnTool, HelperConfig, OpenAiApi, Role, Task,
    TaskRequest, Turn,
};
use serde_json::{Value, json};

use crate::support::LONG;
use crate::support::pictures::PNG;

const KEY: &str = "sk-judged-0123456789";

/// The judge's address, such as `http://127.0.0.1:8071`, or a word on why nothing is tested.
#[allow(clippy::print_stdout)] // A skipped test must say so.
fn judge() -> Option<String> {
    let found = std::env::var("AUTOMATION_ASSISTANT_SDK_JUDGE").ok();
    if found.is_none() {
        println!("skipped: AUTOMATION_ASSISTANT_SDK_JUDGE names no judge; see tests/sdks/run");
    }
    found
}

/// A helper for each API, bare and with all that its configuration can ask for.
fn helpers(judge: &str) -> Vec<(&'static str, HelperConfig)> {
    let with = |config: HelperConfig| {
        config.api_endpoint(format!("{judge}/v1")).api_key(KEY).max_retries(0)
    };
    let chat = || with(HelperConfig::chatgpt());
    let anthropic = || with(HelperConfig::anthropic()).model("claude-sonnet-5");
    vec![
        ("chat, bare", chat()),
        (
            "chat, full",
            chat()
                .system_prompt("be brief")
                .organization("org-1")
                .project("proj-1")
                .custom_param("temperature", 0.7)
                .max_output_tokens(100)
                .prompt_cache_key("key-1")
                .custom_param("seed", 7),
        ),
        ("responses, bare", chat().openai_api(OpenAiApi::Responses)),
        (
            "responses, full",
            chat()
                .openai_api(OpenAiApi::Responses)
                .system_prompt("be brief")
                .max_output_tokens(2000)
                .reasoning_effort("low")
                .prompt_cache_key("key-1")
                .custom_param("metadata", json!({"k": "v"}))
                .custom_param("reasoning", json!({"summary": "auto"})),
        ),
        ("messages, bare", anthropic()),
        (
            "messages, full",
            anthropic()
                .system_prompt("be brief")
                .custom_param("max_tokens", 2000)
                .custom_param("temperature", 0.7)
                .custom_param("stop_sequences", json!(["\n\n"]))
                .custom_param("cache_control", json!({"type": "ephemeral"}))
                .reasoning_effort("low"),
        ),
        (
            "messages, newest version",
            anthropic()
                .anthropic_version("2026-10-21")
                .custom_param("thinking", json!({"type": "adaptive", "display": "summarized"})),
        ),
    ]
}

fn request() -> TaskRequest {
    TaskRequest::new("how many?")
        .context("battery", json!({"percent": 12, "states": ["low", null]}))
        .turn(Role::User, "hello")
        .turn(Role::Assistant, "hello")
}

fn with_tools(request: TaskRequest) -> TaskRequest {
    let schema = json!({"type": "object", "properties": {"n": {"type": "number"}},
        "required": ["n"], "additionalProperties": false});
    request
        .tool(FnTool::new("count", "Counts.", schema, |arguments| Ok(arguments.to_string())))
        .tool(FnTool::new("battery_level", "", json!({}), |_| Err("no sensor".to_owned())))
}

fn with_images(request: TaskRequest) -> TaskRequest {
    let turn = Turn::user("").image_url("https://h.example/a.png");
    let request = request.turns([turn, Turn::assistant("seen")]);
    request.image_bytes("image/png", PNG.to_vec()).image_url("https://h.example/b.png")
}

fn with_schema(request: TaskRequest) -> TaskRequest {
    let schema = json!({"type": "object", "properties": {"n": {"type": "number"}},
        "required": ["n"], "additionalProperties": false});
    request.reply_schema("count", schema)
}

fn ask(config: HelperConfig, request: TaskRequest) -> Task {
    let manager = AutomationAssistantManager::new(1);
    let helper = manager.spawn_helper(config).unwrap();
    let id = manager.submit_task(helper, request).unwrap();
    manager.wait_task(helper, id, LONG).unwrap()
}

/// Every request that can be built is accepted, and every answer is understood: the judge
/// thinks first, and its thoughts must come back as they were before the tools' results.
#[test]
fn every_request_is_accepted_and_every_answer_understood() {
    let Some(judge) = judge() else { return };
    for (name, config) in helpers(&judge) {
        for stream in [false, true] {
            for tools in [false, true] {
                for (schema, images) in [(false, false), (false, true), (true, false), (true, true)]
                {
                    let mut asked = request();
                    if images {
                        asked = with_images(asked);
                    }
                    if stream {
                        asked = asked.on_text(|_| {});
                    }
                    if tools {
                        asked = with_tools(asked);
                    }
                    if schema {
                        asked = with_schema(asked);
                    }
                    let task = ask(config.clone(), asked);
                    let what = format!(
                        "{name}, stream {stream}, tools {tools}, schema {schema}, images {images}"
                    );
                    assert!(task.is_success(), "{what}: {:?}", task.error);
                    assert_eq!(task.attempts, 1 + u32::from(tools), "{what}");
                    assert!(task.usage.is_some(), "{what}");
                    if schema {
                        let answer: Value = task.parse_result().unwrap();
                        assert!(answer["n"].is_number(), "{what}: {answer}");
                    }
                }
            }
        }
    }
}

/// The judge does reject: these requests are bad, and the test above would notice. (Run apart
/// from it: the judge counts what it rejects.)
#[test]
fn the_judge_rejects_what_is_bad() {
    let Ok(judge) = std::env::var("AUTOMATION_ASSISTANT_SDK_JUDGE_CONTROL") else { return };
    for (name, config) in helpers(&judge) {
        let unknown = request().custom_param("no_such_field", 1);
        let error = ask(config, unknown).error.unwrap();
        assert_eq!(error.kind(), ErrorKind::InvalidRequest, "{name}");
    }
}
