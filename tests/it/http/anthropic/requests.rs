//! Requests: their content, address and key.

use automation_assistant::{
    AutomationAssistantManager, FinishReason, FnTool, HelperConfig, Role, TaskRequest,
};
use serde_json::json;

use super::{KEY, ask, config, once, spawn, text};
use crate::support::server::{Act, Server};

#[test]
fn a_plain_request_holds_what_the_api_requires_and_nothing_unasked() {
    let (task, sent) = once(vec![Act::read(), text("hi")], "hello".into());
    assert_eq!(task.result.as_deref(), Some("hi"));
    assert_eq!(task.model.as_deref(), Some("claude-x-1"));
    assert_eq!(task.finish_reason, Some(FinishReason::Stop));
    let usage = task.usage.unwrap();
    assert_eq!((usage.prompt_tokens, usage.completion_tokens, usage.total_tokens), (33, 5, 38));
    assert_eq!(usage.cached_tokens, Some(20));
    let seen = &sent[0];
    assert_eq!(seen.line(), "POST /v1/messages");
    assert_eq!(seen.header("x-api-key"), Some(KEY));
    assert_eq!(seen.header("authorization"), None);
    assert_eq!(seen.header("anthropic-version"), Some("2023-06-01"));
    assert_eq!(
        seen.json(),
        json!({"model": "claude-x", "max_tokens": 4096,
            "messages": [{"role": "user", "content": "hello"}]})
    );
}

#[test]
fn everything_asked_for_is_sent_in_the_api_s_own_form() {
    let server = Server::start([vec![Act::read(), text("{}")]]);
    let config = config(&server)
        .anthropic_version("2026-10-21")
        .system_prompt("s")
        .custom_param("max_tokens", 100)
        .custom_param("cache_control", json!({"type": "ephemeral"}))
        .custom_param("output_config", json!({"effort": "low"}));
    let (manager, helper) = spawn(config);
    let request = TaskRequest::new("p")
        .context("k", 1)
        .turn(Role::System, "also")
        .turn(Role::User, "q")
        .turn(Role::Assistant, " ")
        .turn(Role::Assistant, "a")
        .reply_schema("n", json!({"type": "object", "properties": {"o": {"type": "object"}}}))
        .tool(FnTool::new("f", "does", json!({}), |_| Ok(String::new())));
    assert!(ask(&manager, helper, request).is_success());
    drop(manager);
    let sent = server.finish();
    assert_eq!(sent[0].header("anthropic-version"), Some("2026-10-21"));
    assert_eq!(
        sent[0].json(),
        json!({
            "model": "claude-x",
            "max_tokens": 100,
            "system": "s\n\n{\"context\":{\"k\":1}}\n\nalso",
            "messages": [
                {"role": "user", "content": "q"},
                {"role": "assistant", "content": "a"},
                {"role": "user", "content": "p"},
            ],
            "tools": [{"name": "f", "description": "does",
                "input_schema": {"type": "object", "properties": {}}}],
            "output_config": {"effort": "low", "format": {"type": "json_schema", "schema":
                {"type": "object", "additionalProperties": false, "properties":
                    {"o": {"type": "object", "additionalProperties": false}}}}},
            "cache_control": {"type": "ephemeral"},
        })
    );
}

#[test]
fn a_token_is_a_bearer_and_a_model_is_required() {
    let (manager, server) =
        (AutomationAssistantManager::new(1), Server::start([vec![Act::read(), text("hi")]]));
    let base = server.base();
    let none = HelperConfig::anthropic().api_endpoint(&base);
    let why = manager.spawn_helper(none).unwrap_err().to_string();
    assert!(why.contains("needs a model"), "{why}");
    // On loopback no key is needed, and a base without /v1 is as good.
    let config = HelperConfig::anthropic().api_endpoint(base.trim_end_matches("/v1")).model("m");
    let helper = manager.spawn_helper(config).unwrap();
    assert!(ask(&manager, helper, "p").is_success());
    drop(manager);
    let seen = server.finish();
    assert_eq!((seen[0].line(), seen[0].header("x-api-key")), ("POST /v1/messages", None));
}

#[test]
fn a_setting_of_another_provider_is_refused() {
    let why = AutomationAssistantManager::new(1)
        .spawn_helper(HelperConfig::local().anthropic_version("2026-10-21"))
        .unwrap_err()
        .to_string();
    assert!(why.contains("anthropic_version is no setting of a local helper"), "{why}");
    let json = r#"{"backend_type": "anthropic", "model": "m", "anthropic_version": "2026-10-21"}"#;
    serde_json::from_str::<HelperConfig>(json).unwrap();
}
