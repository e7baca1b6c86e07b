//! Words of a server that quote more than the request has texts: thoughts of the model, which go back to
//! it with the result of a tool, numbers of the context, keys in the query of its URL.

use automation_assistant::{
    AutomationAssistantManager, Error, FnTool, HelperConfig, OpenAiApi, TaskRequest,
};
use serde_json::{Value, json};

use super::search_debug;
use crate::support::LONG;
use crate::support::server::{Act, Server, event};

const THOUGHT: &str = "Ada Lovelace has diabetes, so I look up the pharmacy";

/// Its error, after replies that end by a 400 with this message.
fn refusal(
    config: HelperConfig,
    query: &str,
    replies: &[Value],
    message: &str,
    request: TaskRequest,
) -> String {
    let refused = (400, json!({"error": {"message": message}}).to_string());
    refused_as(config, query, replies, refused, request)
}

/// The same, after replies that end by this status and body.
fn refused_as(
    config: HelperConfig,
    query: &str,
    replies: &[Value],
    refused: (u16, String),
    request: TaskRequest,
) -> String {
    let replies = replies.iter().map(|reply| (200, reply.to_string()));
    let script = replies.chain([refused]);
    let script = script.flat_map(|(status, body)| [Act::read(), Act::json(status, &body)]);
    let server = Server::start([script.collect()]);
    let manager = AutomationAssistantManager::new(1);
    let config = config.api_endpoint(server.base() + query).api_key("k").model("m").max_retries(0);
    search_debug(&config);
    let helper = manager.spawn(config).unwrap();
    let task = helper.submit_task(request).unwrap();
    let task = helper.wait_task(task, LONG).unwrap();
    format!("{task:?} {}", task.error.as_ref().unwrap())
}

#[test]
fn what_a_model_thought_is_no_part_of_an_error() {
    let call = json!({"id": "a", "type": "function", "function": {"name": "t", "arguments": "{}"}});
    let chat = json!({"choices": [{"message": {"role": "assistant", "content": "",
        "reasoning_content": THOUGHT, "tool_calls": [call]}, "finish_reason": "tool_calls"}]});
    let messages = json!({"type": "message", "role": "assistant", "model": "c", "content": [
        {"type": "thinking", "thinking": THOUGHT, "signature": "x"},
        {"type": "tool_use", "id": "a", "name": "t", "input": {}}], "stop_reason": "tool_use"});
    let responses = json!({"object": "response", "status": "completed", "output": [
        {"type": "reasoning", "id": "r", "summary": [{"type": "summary_text", "text": THOUGHT}]},
        {"type": "function_call", "id": "f", "call_id": "a", "name": "t", "arguments": "{}"}]});
    let by_responses = HelperConfig::chatgpt().openai_api(OpenAiApi::Responses);
    for (config, reply) in [
        (HelperConfig::chatgpt(), chat),
        (by_responses, responses),
        (HelperConfig::anthropic(), messages),
    ] {
        let tool = FnTool::new("t", "a tool", json!({}), |_| Ok("done".into()));
        let request = TaskRequest::new("Where do I get my medicine?").tool(tool);
        let error =
            refusal(config, "", std::slice::from_ref(&reply), &format!("bad <{reply}>"), request);
        assert!(error.contains("bad <"), "the server's words stay: {error}");
        for word in ["Lovelace", "diabetes", "pharmacy"] {
            assert!(!error.contains(word), "{word} in {error}");
        }
    }
}

#[test]
fn numbers_of_a_context_are_no_part_of_an_error() {
    let request = TaskRequest::new("x").context("ssn", 123_456_789).context("at", 52.520_008);
    let error = refusal(HelperConfig::chatgpt(), "", &[], "no 123456789, 52.520008 or 12", request);
    assert!(error.contains("no [redacted], [redacted] or 12"), "{error}");
}

/// As servers built on FastAPI do, beside what they say.
#[test]
fn a_server_that_quotes_the_whole_request_is_understood() {
    let prompt = "Ada Lovelace has diabetes. ".repeat(5_000);
    let quoted = json!({"messages": [{"role": "user", "content": prompt}], "top_k": 1});
    let message = json!([{"type": "extra_forbidden", "loc": ["body", "top_k"], "msg": "Extra inputs",
        "input": quoted}]);
    let request = TaskRequest::new(prompt.clone());
    let body = json!({"detail": message}).to_string();
    let error = refused_as(HelperConfig::chatgpt(), "", &[], (422, body), request);
    assert!(error.contains("Extra inputs") && !error.contains("Ada"), "{error}");
}

#[test]
fn a_key_in_an_endpoint_s_query_is_a_key() {
    let query = "?api-version=2024-10-21&code=QUERYKEY99";
    let quoted = format!("no route POST /v1/chat/completions{query}");
    let error = refusal(HelperConfig::chatgpt(), query, &[], &quoted, TaskRequest::new("x"));
    assert!(error.contains("api-version=2024-10-21&code=[redacted]"), "{error}");

    let manager = AutomationAssistantManager::new(3);
    let local = |query: &str| {
        let url = format!("http://model.test/v1{query}");
        manager.spawn(HelperConfig::local().api_endpoint(url))
    };
    assert!(local("").is_ok() && local("?api-version=1").is_ok());
    let refused = local("?code=QUERYKEY99");
    let named = matches!(&refused, Err(Error::InvalidConfig(why)) if why.contains("plain http"));
    assert!(named, "{refused:?}");
}

#[test]
fn thoughts_of_the_call_that_fails_are_no_part_of_its_error() {
    let thinks = json!({"choices": [{"delta": {"reasoning_content": THOUGHT}}]});
    let fails = json!({"error": {"message": format!("bad <{THOUGHT}>")}});
    let stream = event(&thinks.to_string()) + &event(&fails.to_string());
    let server = Server::start([vec![Act::read(), Act::stream_head(), Act::write(stream)]]);
    let manager = AutomationAssistantManager::new(1);
    let config = HelperConfig::chatgpt().api_endpoint(server.base()).api_key("k").max_retries(0);
    let helper = manager.spawn(config).unwrap();
    let task = helper.submit_task(TaskRequest::new("x").on_text(|_| {})).unwrap();
    let error = helper.wait_task(task, LONG).unwrap().error.unwrap();
    assert_eq!(error.message(), "bad <[redacted]>");
}
