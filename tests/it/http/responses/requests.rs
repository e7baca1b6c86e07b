//! Requests.

use automation_assistant::{
    AutomationAssistantManager, FnTool, HelperConfig, OpenAiApi, Role, TaskRequest,
};
use serde_json::json;

use super::{KEY, ask, config, once, spawn, text};
use crate::support::server::{Act, Server};

#[test]
fn a_plain_request_keeps_nothing_at_the_provider_and_asks_for_nothing_else() {
    let (task, sent) = once(vec![Act::read(), text("hi")], "hello".into());
    assert_eq!(task.result.as_deref(), Some("hi"));
    assert_eq!(task.model.as_deref(), Some("gpt-x-1"));
    assert_eq!(task.api, Some(OpenAiApi::Responses));
    let usage = task.usage.unwrap();
    assert_eq!((usage.prompt_tokens, usage.completion_tokens, usage.total_tokens), (30, 5, 35));
    assert_eq!((usage.cached_tokens, usage.reasoning_tokens), (Some(20), Some(2)));
    assert_eq!(sent[0].line(), "POST /v1/responses");
    assert_eq!(sent[0].header("authorization"), Some(format!("Bearer {KEY}").as_str()));
    assert_eq!(
        sent[0].json(),
        json!({"model": "gpt-x", "store": false, "include": ["reasoning.encrypted_content"],
            "input": [{"type": "message", "role": "user", "content": "hello"}]})
    );
}

#[test]
fn everything_asked_for_is_sent_in_the_api_s_own_form() {
    let server = Server::start([vec![Act::read(), text("{}")]]);
    let config = config(&server)
        .system_prompt("s")
        .max_output_tokens(100)
        .prompt_cache_key("k1")
        .custom_param("store", true)
        .custom_param("reasoning", json!({"summary": "auto"}))
        .custom_param("text", json!({"verbosity": "low"}));
    let (manager, helper) = spawn(config);
    let request = TaskRequest::new("p")
        .context("k", 1)
        .turn(Role::User, "q")
        .turn(Role::Assistant, "a")
        .reasoning_effort("low")
        .reply_schema("n", json!({"type": "object"}))
        .tool(FnTool::new("f", "does", json!({}), |_| Ok(String::new())))
        .on_text(|_| {});
    ask(&manager, helper, request);
    drop(manager);
    assert_eq!(
        server.finish()[0].json(),
        json!({
            "model": "gpt-x",
            "instructions": "s\n\n{\"context\":{\"k\":1}}",
            "input": [
                {"type": "message", "role": "user", "content": "q"},
                {"type": "message", "role": "assistant", "content": "a"},
                {"type": "message", "role": "user", "content": "p"},
            ],
            "stream": true,
            "store": true,
            "tools": [{"type": "function", "name": "f", "description": "does", "strict": false,
                "parameters": {"type": "object", "properties": {}}}],
            "text": {"verbosity": "low", "format": {"type": "json_schema", "name": "n",
                "strict": true, "schema": {"type": "object"}}},
            "reasoning": {"summary": "auto", "effort": "low"},
            "max_output_tokens": 100,
            "prompt_cache_key": "k1",
        })
    );
}

/// The same words, as each protocol writes them.
#[test]
fn neutral_settings_are_written_as_each_protocol_has_them() {
    let chat = |server: &Server| {
        HelperConfig::chatgpt()
            .api_endpoint(server.base())
            .openai_api(OpenAiApi::ChatCompletions)
            .prompt_cache_key("k1")
    };
    let local = |server: &Server| HelperConfig::local().api_endpoint(server.base()).model("m");
    let answer = crate::support::server::answer("hi");
    let said = json!({"type": "message", "content": [], "stop_reason": "end_turn"}).to_string();
    let anthropic =
        |server: &Server| HelperConfig::anthropic().api_endpoint(server.base()).model("m");
    type Make<'a> = &'a dyn Fn(&Server) -> HelperConfig;
    let cases: [(Make<'_>, &str, serde_json::Value); 3] = [
        (
            &chat,
            &answer,
            json!({"max_completion_tokens": 9, "reasoning_effort": "low",
                "prompt_cache_key": "k1"}),
        ),
        (&local, &answer, json!({"max_tokens": 9, "reasoning_effort": "low"})),
        (&anthropic, &said, json!({"max_tokens": 9, "output_config": {"effort": "low"}})),
    ];
    for (config, reply, expected) in cases {
        let server = Server::start([vec![Act::read(), Act::json(200, reply)]]);
        let (manager, helper) = spawn(config(&server).max_output_tokens(50));
        let request = TaskRequest::new("p").max_output_tokens(9).reasoning_effort("low");
        assert!(ask(&manager, helper, request).is_success());
        drop(manager);
        let mut sent = server.finish()[0].json();
        let members = sent.as_object_mut().unwrap();
        members.remove("model");
        members.remove("messages");
        assert_eq!(sent, expected);
    }
}

#[test]
fn settings_that_cannot_work_are_refused() {
    let manager = AutomationAssistantManager::new(1);
    let helper = manager.spawn_helper(HelperConfig::local()).unwrap();
    for request in
        [TaskRequest::new("p").max_output_tokens(0), TaskRequest::new("p").reasoning_effort(" ")]
    {
        manager.submit_task(helper, request).unwrap_err();
    }
    for config in [
        HelperConfig::local().openai_api(OpenAiApi::Responses),
        HelperConfig::comet().model("m").openai_api(OpenAiApi::Auto),
        HelperConfig::anthropic().model("m").prompt_cache_key("k"),
        HelperConfig::local().max_output_tokens(0),
    ] {
        let why = AutomationAssistantManager::new(1).spawn_helper(config).unwrap_err();
        assert!(matches!(why, automation_assistant::Error::InvalidConfig(_)), "{why}");
    }
    let json = r#"{"backend_type": "chatgpt", "openai_api": "responses", "reasoning_effort": "low",
        "max_output_tokens": 9, "api_endpoint": "http://127.0.0.1:9/v1"}"#;
    let config: HelperConfig = serde_json::from_str(json).unwrap();
    AutomationAssistantManager::new(1).spawn_helper(config).unwrap();
    let wrong = json.replace("\"responses\"", "\"both\"");
    let config: HelperConfig = serde_json::from_str(&wrong).unwrap();
    let why = AutomationAssistantManager::new(1).spawn_helper(config).unwrap_err().to_string();
    assert!(why.contains("auto, chat_completions, responses"), "{why}");
}
