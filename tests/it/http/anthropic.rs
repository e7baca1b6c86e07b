//! The Messages API: what is sent, and what is made of what comes. What the engine shares among
//! protocols is tested beside this file, over Chat Completions.

use std::sync::{Arc, Mutex};

use automation_assistant::{
    AutomationAssistantManager, ErrorKind, FinishReason, FnTool, HelperConfig, Role, Task,
    TaskError, TaskRequest,
};
use serde_json::{Value, json};

use super::{KEY, ask, failure, spawn};
use crate::support::server::{Act, Seen, Server};

/// An Anthropic helper at this server: no retries, so that one script is one call.
fn config(server: &Server) -> HelperConfig {
    HelperConfig::anthropic()
        .api_endpoint(server.base())
        .api_key(KEY)
        .model("claude-x")
        .max_retries(0)
}

/// A complete reply with this content and reason to stop.
fn message(content: Value, stop_reason: &str) -> Act {
    let reply = json!({
        "id": "msg_1", "type": "message", "role": "assistant", "model": "claude-x-1",
        "content": content, "stop_reason": stop_reason, "stop_sequence": null,
        "usage": {"input_tokens": 10, "output_tokens": 5, "cache_creation_input_tokens": 3,
            "cache_read_input_tokens": 20},
    });
    Act::json(200, &reply.to_string())
}

fn text(text: &str) -> Act {
    message(json!([{"type": "text", "text": text}]), "end_turn")
}

/// The events of a stream, each named as its data's type.
fn events(events: &[Value]) -> Act {
    let all = events.iter().map(|data| {
        format!("event: {}\ndata: {data}\n\n", data["type"].as_str().unwrap_or_default())
    });
    Act::write(all.collect::<String>())
}

fn start() -> Value {
    json!({"type": "message_start", "message": {"model": "claude-x-1", "content": [],
        "usage": {"input_tokens": 10, "output_tokens": 1, "cache_read_input_tokens": 2}}})
}

fn open(index: u32, block: Value) -> Value {
    json!({"type": "content_block_start", "index": index, "content_block": block})
}

fn delta(index: u32, delta: Value) -> Value {
    json!({"type": "content_block_delta", "index": index, "delta": delta})
}

fn close(index: u32) -> Value {
    json!({"type": "content_block_stop", "index": index})
}

fn stop(reason: &str) -> Value {
    json!({"type": "message_delta", "delta": {"stop_reason": reason},
        "usage": {"output_tokens": 7}})
}

fn over() -> Value {
    json!({"type": "message_stop"})
}

/// Asks once at a server that plays this script; gives the task and what was sent.
fn once(script: Vec<Act>, request: TaskRequest) -> (Task, Vec<Seen>) {
    let server = Server::start([script]);
    let (manager, helper) = spawn(config(&server));
    let task = ask(&manager, helper, request);
    drop(manager);
    (task, server.finish())
}

/// How a task ends whose answer is this stream.
fn streamed(stream: &[Value]) -> Task {
    let script = vec![Act::read(), Act::stream_head(), events(stream)];
    once(script, TaskRequest::new("p").on_text(|_| {})).0
}

/// The error that this reply ends a task with.
fn error_of(reply: Act) -> TaskError {
    failure(&once(vec![Act::read(), reply], "p".into()).0).clone()
}

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
fn deltas_make_up_the_answer_and_usage_is_cumulative() {
    let deltas = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&deltas);
    let stream = [
        json!({"type": "ping"}),
        start(),
        open(0, json!({"type": "thinking", "thinking": "", "signature": ""})),
        delta(0, json!({"type": "thinking_delta", "thinking": "hm"})),
        delta(0, json!({"type": "signature_delta", "signature": "s"})),
        close(0),
        open(1, json!({"type": "text", "text": ""})),
        delta(1, json!({"type": "text_delta", "text": "a"})),
        json!({"type": "from_the_future", "x": [1]}),
        delta(1, json!({"type": "text_delta", "text": "b"})),
        close(1),
        json!({"type": "message_delta", "delta": {"stop_reason": "end_turn"},
            "usage": {"input_tokens": 0, "output_tokens": 7,
                "output_tokens_details": {"thinking_tokens": 4}}}),
        over(),
    ];
    let script = vec![Act::read(), Act::stream_head(), events(&stream)];
    let request =
        TaskRequest::new("p").on_text(move |text| seen.lock().unwrap().push(text.to_owned()));
    let (task, sent) = once(script, request);
    assert_eq!(task.result.as_deref(), Some("ab"));
    assert_eq!(*deltas.lock().unwrap(), ["a", "b"]);
    assert_eq!(sent[0].json()["stream"], true);
    let usage = task.usage.unwrap();
    assert_eq!((usage.prompt_tokens, usage.completion_tokens), (12, 7));
    assert_eq!((usage.cached_tokens, usage.reasoning_tokens), (Some(2), Some(4)));
}

/// A request with two tools, of which one fails.
fn with_tools() -> TaskRequest {
    TaskRequest::new("p")
        .tool(FnTool::new("add", "", json!({}), |arguments| {
            Ok((arguments["a"].as_i64().unwrap_or(0) + 1).to_string())
        }))
        .tool(FnTool::new("fail", "", json!({}), |_| Err("no".to_owned())))
}

#[test]
fn a_tool_round_sends_the_whole_message_back_as_it_came_and_all_results_after_it() {
    // Written so that reading it into a map and writing that would change it.
    let blocks = [
        r#"{"type":"thinking","thinking":"","signature":"Eq+/=="}"#,
        r#"{"type":"redacted_thinking","data":"x","b":1.0,"a":2}"#,
        r#"{"type":"text","text":"so"}"#,
        r#"{"type":"tool_use","id":"t1","name":"add","input":{"a": 1}}"#,
        r#"{"type":"tool_use","id":"t2","name":"fail","input":{}}"#,
    ];
    let content = format!("[{}]", blocks.join(","));
    let reply = format!(
        r#"{{"type":"message","model":"m","content":{content},"stop_reason":"tool_use",
            "usage":{{"input_tokens":1,"output_tokens":1}}}}"#
    );
    let script = vec![Act::read(), Act::json(200, &reply), Act::read(), text("two")];
    let (task, sent) = once(script, with_tools());
    assert_eq!(task.result.as_deref(), Some("two"));
    assert_eq!((task.attempts, task.usage.unwrap().prompt_tokens), (2, 34));
    assert!(sent[1].body.contains(&content), "{}", sent[1].body);
    let messages = &sent[1].json()["messages"];
    assert_eq!(messages[1]["role"], "assistant");
    assert_eq!(
        messages[2],
        json!({"role": "user", "content": [
            {"type": "tool_result", "tool_use_id": "t1", "content": "2"},
            {"type": "tool_result", "tool_use_id": "t2", "content": "error: no", "is_error": true},
        ]})
    );
    // What stands before the round is the same to the byte.
    let before = |seen: &Seen| seen.body.split("\"messages\":[").nth(1).unwrap().to_owned();
    let first = before(&sent[0]);
    let shared = first.split_once(']').unwrap().0;
    assert!(before(&sent[1]).starts_with(shared), "{shared}");
}

#[test]
fn streamed_calls_and_thinking_go_back_whole() {
    let stream = [
        start(),
        open(0, json!({"type": "thinking", "thinking": "", "signature": "", "future": [1]})),
        delta(0, json!({"type": "signature_delta", "signature": "Eq"})),
        delta(0, json!({"type": "signature_delta", "signature": "QB"})),
        close(0),
        open(1, json!({"type": "redacted_thinking", "data": "opaque"})),
        close(1),
        open(2, json!({"type": "text", "text": ""})),
        delta(2, json!({"type": "text_delta", "text": "so"})),
        close(2),
        // llama.cpp leaves the input out.
        open(3, json!({"type": "tool_use", "id": "t1", "name": "add"})),
        delta(3, json!({"type": "input_json_delta", "partial_json": ""})),
        delta(3, json!({"type": "input_json_delta", "partial_json": "{\"a\""})),
        delta(3, json!({"type": "input_json_delta", "partial_json": ":4}"})),
        close(3),
        open(4, json!({"type": "tool_use", "id": "t2", "name": "add", "input": {}})),
        delta(4, json!({"type": "input_json_delta", "partial_json": ""})),
        close(4),
        stop("tool_use"),
        over(),
    ];
    let script = vec![
        Act::read(),
        Act::chunked_head(),
        crate::support::server::chunk(&match events(&stream) {
            Act::Write(bytes) => String::from_utf8(bytes).unwrap(),
            _ => unreachable!(),
        }),
        crate::support::server::chunk(""),
        Act::read(),
        text("done"),
    ];
    let (task, sent) = once(script, with_tools().on_text(|_| {}));
    assert_eq!(task.result.as_deref(), Some("done"));
    let messages = &sent[1].json()["messages"];
    assert_eq!(
        messages[1]["content"],
        json!([
            {"type": "thinking", "thinking": "", "signature": "EqQB", "future": [1]},
            {"type": "redacted_thinking", "data": "opaque"},
            {"type": "text", "text": "so"},
            {"type": "tool_use", "id": "t1", "name": "add", "input": {"a": 4}},
            {"type": "tool_use", "id": "t2", "name": "add", "input": {}},
        ])
    );
    let results = &messages[2]["content"];
    assert_eq!((&results[0]["content"], &results[1]["content"]), (&json!("5"), &json!("1")));
}

#[test]
fn every_reason_to_stop_has_its_outcome() {
    let said = || json!([{"type": "text", "text": "so far"}]);
    for (reason, expected) in [
        ("end_turn", FinishReason::Stop),
        ("stop_sequence", FinishReason::Stop),
        ("max_tokens", FinishReason::Length),
        ("model_context_window_exceeded", FinishReason::Length),
        ("tool_use", FinishReason::ToolCalls),
        ("something_new", FinishReason::Other),
    ] {
        let (whole, _) = once(vec![Act::read(), message(said(), reason)], "p".into());
        let stream = [
            start(),
            open(0, json!({"type": "text", "text": "so far"})),
            close(0),
            stop(reason),
            over(),
        ];
        for task in [whole, streamed(&stream)] {
            assert_eq!(task.result.as_deref(), Some("so far"), "{reason}");
            assert_eq!(task.finish_reason, Some(expected), "{reason}");
        }
    }
    for (reason, kind) in
        [("refusal", ErrorKind::ContentFiltered), ("pause_turn", ErrorKind::Unsupported)]
    {
        let (whole, _) = once(vec![Act::read(), message(said(), reason)], "p".into());
        assert_eq!(failure(&whole).kind(), kind);
        let stream =
            [start(), open(0, json!({"type": "text", "text": "so far"})), stop(reason), over()];
        let task = streamed(&stream);
        assert_eq!((failure(&task).kind(), failure(&task).partial()), (kind, Some("so far")));
    }
    // Nothing to say is an answer.
    let (task, _) = once(vec![Act::read(), message(json!([]), "end_turn")], "p".into());
    assert_eq!(task.result.as_deref(), Some(""));
}

#[test]
fn a_call_that_the_limit_cut_off_is_not_run() {
    let call = json!({"type": "tool_use", "id": "t", "name": "add", "input": {}});
    let script = vec![Act::read(), message(json!([call]), "max_tokens")];
    let tool = FnTool::new("add", "", json!({}), |_| panic!("it runs"));
    let (task, _) = once(script, TaskRequest::new("p").tool(tool));
    assert_eq!(failure(&task).kind(), ErrorKind::Truncated);
    assert!(failure(&task).summary().contains("max_tokens"));
}

#[test]
fn streams_that_break_off_or_fail_are_no_answers() {
    use ErrorKind as K;
    let said = |rest: &[Value]| {
        let begun = [start(), open(0, json!({"type": "text", "text": "so far"}))];
        streamed(&[&begun, rest].concat())
    };
    let error = |kind: &str| {
        json!({"type": "error", "request_id": "req_1",
            "error": {"details": null, "type": kind, "message": "words"}})
    };
    for (rest, kind) in [
        (vec![], K::Truncated),
        (vec![close(0)], K::Truncated),
        (vec![error("overloaded_error")], K::Server),
        (vec![error("rate_limit_error")], K::RateLimited),
        (vec![json!({"error": {"type": "server_error", "message": "words"}})], K::Server),
        (vec![json!({"error": "words"})], K::Protocol),
    ] {
        let task = said(&rest);
        let error = failure(&task);
        assert_eq!((error.kind(), error.partial()), (kind, Some("so far")), "{rest:?}");
    }
    // A reason to stop is enough of an end.
    assert_eq!(said(&[stop("end_turn")]).result.as_deref(), Some("so far"));
    // An error within the stream is tried again while nothing was delivered.
    let scripts = [
        vec![Act::read(), Act::stream_head(), events(&[start(), error("overloaded_error")])],
        vec![Act::read(), text("better")],
    ];
    let server = Server::start(scripts);
    let (manager, helper) = spawn(config(&server).max_retries(1));
    let task = ask(&manager, helper, TaskRequest::new("p").on_text(|_| {}));
    assert_eq!((task.result.as_deref(), task.attempts), (Some("better"), 2));
}

#[test]
fn rejections_keep_type_id_and_words() {
    use ErrorKind as K;
    for (status, kind, message, expected) in [
        (400, "invalid_request_error", "max_tokens: Field required", K::InvalidRequest),
        (400, "invalid_request_error", "Your credit balance is too low to…", K::QuotaExceeded),
        (400, "invalid_request_error", "prompt is too long: 2 > 1", K::ContextLengthExceeded),
        (401, "authentication_error", "x", K::Authentication),
        (402, "billing_error", "x", K::QuotaExceeded),
        (403, "permission_error", "x", K::PermissionDenied),
        (404, "not_found_error", "x", K::NotFound),
        (409, "conflict_error", "x", K::Server),
        (413, "request_too_large", "x", K::InvalidRequest),
        (429, "rate_limit_error", "x", K::RateLimited),
        (500, "api_error", "x", K::Server),
        (504, "timeout_error", "x", K::Server),
        (529, "overloaded_error", "x", K::Server),
    ] {
        let body = json!({"type": "error", "request_id": "req_1",
            "error": {"type": kind, "message": message}});
        let headers = "request-id: req_1\r\nconnection: close\r\n";
        let error = error_of(Act::reply(status, headers, body.to_string()));
        assert_eq!((error.kind(), error.status()), (expected, Some(status)), "{kind}");
        assert_eq!((error.code(), error.request_id()), (Some(kind), Some("req_1")));
        assert_eq!(error.message(), message);
    }
}

#[test]
fn a_rate_limit_is_tried_again_only_where_it_says_when() {
    let limited = |headers: &str| {
        let body = r#"{"type":"error","error":{"type":"rate_limit_error","message":"x"}}"#;
        Act::reply(429, &format!("{headers}connection: close\r\n"), body)
    };
    for (headers, attempts) in [("", 1), ("retry-after: 0\r\n", 2)] {
        let scripts = [vec![Act::read(), limited(headers)], vec![Act::read(), text("hi")]];
        let server = Server::start(scripts);
        let (manager, helper) = spawn(config(&server).max_retries(1));
        let task = ask(&manager, helper, "p");
        assert_eq!(task.attempts, attempts, "{headers:?}");
    }
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
