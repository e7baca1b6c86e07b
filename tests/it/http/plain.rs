//! Plain calls: what is sent, and what comes back.

use automation_assistant::{ErrorKind, FinishReason, FnTool, HelperConfig, Role, TaskRequest};
use serde_json::json;

use super::{KEY, ask, chatgpt, failure, spawn};
use crate::support::server::{Act, Server, answer, answers};

#[test]
fn a_prompt_becomes_an_answer_with_model_usage_and_reason() {
    let server = Server::start([answers("hello")]);
    let (manager, helper) = spawn(chatgpt(&server));
    let report = &manager.get_all_helpers_status()[0];
    assert_eq!(report.backend, "ChatGPT (gpt-4o-mini)");
    let task = ask(&manager, helper, "hi");
    assert_eq!(task.result.as_deref(), Some("hello"));
    assert_eq!(task.model.as_deref(), Some("m-1"));
    assert_eq!(task.usage.unwrap().total_tokens, 5);
    assert_eq!(task.finish_reason, Some(FinishReason::Stop));
    assert_eq!(task.attempts, 1);
    drop(manager);
    let seen = server.finish();
    assert_eq!(seen[0].line(), "POST /v1/chat/completions");
    assert_eq!(seen[0].header("authorization"), Some(format!("Bearer {KEY}").as_str()));
    assert_eq!(seen[0].header("content-type"), Some("application/json"));
    assert_eq!(seen[0].header("accept-encoding"), None);
    assert!(seen[0].header("user-agent").unwrap().starts_with("automation-assistant/"));
    assert_eq!(
        seen[0].json(),
        json!({"model": "gpt-4o-mini", "messages": [{"role": "user", "content": "hi"}]})
    );
}

#[test]
fn instructions_context_turns_and_parameters_go_along() {
    let server = Server::start([answers("ok")]);
    let config = chatgpt(&server)
        .model("big")
        .system_prompt("be brief")
        .organization("org-1")
        .project("proj-1")
        .custom_param("temperature", 0.5)
        .custom_param("seed", 1);
    let (manager, helper) = spawn(config);
    let request = TaskRequest::new("p \"quoted\" \u{1F600}\n")
        .context("battery", 12)
        .turn(Role::User, "q")
        .turn(Role::Assistant, "a")
        .custom_param("seed", 2);
    ask(&manager, helper, request);
    drop(manager);
    let seen = server.finish();
    assert_eq!(seen[0].header("openai-organization"), Some("org-1"));
    assert_eq!(seen[0].header("openai-project"), Some("proj-1"));
    assert_eq!(
        seen[0].json(),
        json!({
            "model": "big",
            "messages": [
                {"role": "system", "content": "be brief\n\n{\"context\":{\"battery\":12}}"},
                {"role": "user", "content": "q"},
                {"role": "assistant", "content": "a"},
                {"role": "user", "content": "p \"quoted\" \u{1F600}\n"},
            ],
            "temperature": 0.5,
            "seed": 2,
        })
    );
}

#[test]
fn a_body_longer_than_the_buffers_arrives_whole() {
    let server = Server::start([answers("ok")]);
    let (manager, helper) = spawn(chatgpt(&server));
    let prompt = "0123456789".repeat(50_000);
    assert!(ask(&manager, helper, prompt.as_str()).is_success());
    drop(manager);
    assert_eq!(server.finish()[0].json()["messages"][0]["content"], prompt);
}

#[test]
fn one_connection_serves_one_task_after_another() {
    let script = (0..3).flat_map(|n| answers(&n.to_string())).collect();
    let server = Server::start([script]);
    let (manager, helper) = spawn(chatgpt(&server));
    for n in 0..3 {
        assert_eq!(ask(&manager, helper, "next").result, Some(n.to_string()));
    }
    drop(manager);
    assert!(server.finish().iter().all(|request| request.connection == 0));
}

#[test]
fn a_local_server_s_model_is_looked_up_at_the_first_task_and_not_at_spawn() {
    let list = r#"{"object":"list","data":[{"id":"smol-1"},{"id":"smol-2"}]}"#;
    let failures = [
        (503, r#"{"error":{"message":"loading"}}"#, ErrorKind::Server),
        (200, r#"{"error":{"message":"no","code":"invalid_api_key"}}"#, ErrorKind::Authentication),
        (200, r#"{"object":"list","data":[]}"#, ErrorKind::NotFound),
    ];
    let script =
        failures.iter().flat_map(|(status, body, _)| [Act::read(), Act::json(*status, body)]);
    let mut script: Vec<_> = script.collect();
    script.extend([Act::read(), Act::json(200, list)]);
    script.extend(answers("a"));
    script.extend(answers("b"));
    let server = Server::start([script]);
    let config = HelperConfig::local().api_endpoint(server.base()).max_retries(0);
    let (manager, helper) = spawn(config);
    assert_eq!(manager.get_all_helpers_status()[0].backend, "Local (server)");
    assert_eq!(server.connections(), 0);
    // A failure is not remembered.
    for (_, body, kind) in failures {
        assert_eq!(failure(&ask(&manager, helper, "0")).kind(), kind, "{body}");
    }
    let first = ask(&manager, helper, "1");
    assert_eq!((first.model.as_deref(), first.attempts), (Some("m-1"), 1));
    assert_eq!(ask(&manager, helper, "2").result.as_deref(), Some("b"));
    drop(manager);
    let seen = server.finish();
    let lines: Vec<_> = seen.iter().map(|request| request.line()).collect();
    let (models, chat) = ("GET /v1/models", "POST /v1/chat/completions");
    assert_eq!(lines, [models, models, models, models, chat, chat]);
    assert_eq!(seen[4].json()["model"], "smol-1");
    assert_eq!(seen[4].header("authorization"), None);
}

#[test]
fn comet_is_asked_at_its_own_path_with_its_own_headers() {
    let server = Server::start([answers("ok")]);
    let base = format!("http://{}/api/", server.address());
    let config = HelperConfig::comet()
        .api_endpoint(base)
        .api_key(KEY)
        .workspace("team")
        .model("gpt-4o-mini");
    let (manager, helper) = spawn(config);
    assert_eq!(manager.get_all_helpers_status()[0].backend, "Comet (gpt-4o-mini)");
    assert!(ask(&manager, helper, "hi").is_success());
    drop(manager);
    let seen = server.finish();
    assert_eq!(seen[0].line(), "POST /api/v1/private/chat/completions");
    assert_eq!(seen[0].header("authorization"), Some(KEY));
    assert_eq!(seen[0].header("comet-workspace"), Some("team"));
}

#[test]
fn slots_share_the_helper_and_work_side_by_side() {
    let (first, meeting) = Act::meet();
    let slow = vec![Act::read(), first, Act::json(200, &answer("slow"))];
    let server = Server::start([slow, answers("fast")]);
    let (manager, helper) = spawn(chatgpt(&server).max_concurrent_tasks(2));
    let waiting = manager.submit_task(helper, "slow").unwrap();
    meeting.reached();
    assert_eq!(ask(&manager, helper, "fast").result.as_deref(), Some("fast"));
    meeting.go();
    let task = manager.wait_task(helper, waiting, crate::support::LONG).unwrap();
    assert_eq!(task.result.as_deref(), Some("slow"));
}

#[test]
fn all_that_is_asked_for_is_sent_in_the_protocol_s_form_and_the_request_wins() {
    let server = Server::start([answers("{\"n\": 1}")]);
    let config = chatgpt(&server).custom_param("tools", json!([])).custom_param("seed", 1);
    let (manager, helper) = spawn(config);
    let request = TaskRequest::new("p")
        .custom_param("seed", 2)
        .custom_param("model", "other")
        .on_text(|_| {})
        .reply_schema("number", json!({"type": "object"}))
        .tool(FnTool::new("f", "does f", json!({}), |_| Ok("x".into())));
    let task = ask(&manager, helper, request);
    assert_eq!(task.parse_result::<serde_json::Value>().unwrap(), json!({"n": 1}));
    drop(manager);
    assert_eq!(
        server.finish()[0].json(),
        json!({
            "model": "other",
            "messages": [{"role": "user", "content": "p"}],
            "stream": true,
            "stream_options": {"include_usage": true},
            "tools": [{"type": "function", "function": {"name": "f", "description": "does f",
                "parameters": {"type": "object", "properties": {}}}}],
            "response_format": {"type": "json_schema", "json_schema":
                {"name": "number", "strict": true, "schema": {"type": "object"}}},
            "seed": 2,
        })
    );
}

#[test]
fn both_spellings_parts_and_objects_are_read() {
    let wants = r#"{"id":"x","model":"m","error":null,"choices":[{"index":0,"finishReason":"tool_calls",
        "message":{"role":"assistant","content":[{"type":"text","text":"a"},"b"],
        "toolCalls":[{"id":"c","function":{"name":"f","arguments":{"x":1}}}]}}],
        "usage":{"promptTokens":1.0,"completion_tokens":2,
        "completion_tokens_details":{"reasoning_tokens":1,"x":[[]]}}}"#;
    let mut script = vec![Act::read(), Act::json(200, wants)];
    script.extend(answers("ok"));
    let server = Server::start([script]);
    let (manager, helper) = spawn(chatgpt(&server));
    let f = FnTool::new("f", "does f", json!({}), |arguments| Ok(arguments.to_string()));
    let usage = ask(&manager, helper, TaskRequest::new("p").tool(f)).usage.unwrap();
    assert_eq!((usage.total_tokens, usage.reasoning_tokens), (3 + 5, Some(1)));
    drop(manager);
    let sent = server.finish()[1].json();
    assert_eq!(sent["messages"][1]["content"], "ab");
    assert_eq!(sent["messages"][2]["content"], r#"{"x":1}"#);
}

#[test]
fn helpers_of_one_manager_share_their_connections() {
    let script = (0..4).flat_map(|n| answers(&n.to_string())).collect();
    let server = Server::start([script]);
    let (manager, first) = spawn(chatgpt(&server));
    let second = manager.spawn_helper(chatgpt(&server).model("other")).unwrap();
    for (helper, n) in [(first, 0), (second, 1), (first, 2), (second, 3)] {
        assert_eq!(ask(&manager, helper, "p").result, Some(n.to_string()));
    }
    drop(manager);
    assert_eq!(server.finish().len(), 4);
}

#[test]
fn a_cancel_in_one_helper_leaves_the_others_connections_alone() {
    let (hold, meeting) = Act::meet();
    let (busy, other) = Act::meet();
    let cancelled = vec![Act::read(), hold, Act::hold()];
    let mut kept = vec![Act::read(), busy, Act::json(200, &answer("kept"))];
    kept.extend(answers("again"));
    let server = Server::start([cancelled, kept]);
    let (manager, first) = spawn(chatgpt(&server));
    let second = manager.spawn_helper(chatgpt(&server)).unwrap();
    let gone = manager.submit_task(first, "p").unwrap();
    meeting.reached();
    let stays = manager.submit_task(second, "p").unwrap();
    other.reached();
    meeting.go();
    manager.terminate_helper(first).unwrap();
    other.go();
    let task = manager.wait_task(second, stays, crate::support::LONG).unwrap();
    assert_eq!(task.result.as_deref(), Some("kept"));
    assert_eq!(ask(&manager, second, "p").result.as_deref(), Some("again"));
    assert_eq!(manager.get_task_result(first, gone).map(|task| task.is_success()), None);
    drop(manager);
    server.finish();
}
