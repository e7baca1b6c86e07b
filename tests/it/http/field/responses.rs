//! The same kinds on the Responses API (`field-cases.md`, A1, A2, A4 to A11, B2).

use automation_assistant::{ErrorKind as K, HelperConfig, OpenAiApi};
use serde_json::{Value, json};

use super::calls::round_at;
use super::{Any, EVENTS, Error, Events, JSON, Row, Text, Whole, check, once};
use crate::http::chatgpt;
use crate::support::server::Server;

fn config(server: &Server) -> HelperConfig {
    chatgpt(server).openai_api(OpenAiApi::Responses)
}

const WHOLES: &[Row] = &[
    ("A1: a number", Whole(r#"{"status":"completed","output":[{"type":"message","content":[{"type":"output_text","text":6.50}]}]}"#), Text("6.50")),
    ("A1: a text without parts", Whole(r#"{"status":"completed","output":[{"type":"message","content":"words"}]}"#), Text("words")),
    ("A1: one part", Whole(r#"{"status":"completed","output":[{"type":"message","content":{"type":"output_text","text":"words"}}]}"#), Text("words")),
    ("A1: one item", Whole(r#"{"status":"completed","output":{"type":"message","content":[{"text":true}]}}"#), Text("true")),
    ("A1: a text within a text", Whole(r#"{"status":"completed","output":[{"type":"message","content":[{"type":"output_text","text":{"value":"words"}}]}]}"#), Text("words")),
    ("A2: a status in other letters", Whole(r#"{"status":"FAILED","output":[{"type":"message","content":[{"text":"half"}]}]}"#), Error(K::Server, "half", "")),
    ("A2: an error beside text", Whole(r#"{"status":"failed","error":{"code":"server_error","message":"x"},"output":[{"type":"message","content":[{"text":"half"}]}]}"#), Error(K::Server, "half", "x")),
    ("A2: a bare error", Whole(r#"{"status":"failed","error":"x","output":[]}"#), Error(K::Server, "", "x")),
    ("A2: a word for a failure", Whole(r#"{"status":"network_error","output":[]}"#), Error(K::Server, "", "")),
    ("A2: the older API's words", Whole(r#"{"status":"sensitive","output":[{"type":"message","content":[{"text":"half"}]}]}"#), Error(K::ContentFiltered, "half", "")),
    ("A2: STOP", Whole(r#"{"status":"STOP","output":[{"type":"message","content":[{"text":"a"}]}]}"#), Text("a")),
    ("A6: members of other types", Whole(r#"{"status":7,"model":[],"usage":[],"error":null,"incomplete_details":"x","output":[{"type":"message","id":{},"content":[{"type":"output_text","text":"a","annotations":7}]},null,"x",7]}"#), Text("a")),
    ("A8: control characters and bad UTF-8", Any(JSON, b"{\"status\":\"completed\",\"output\":[{\"type\":\"message\",\"content\":[{\"text\":\"a\x1b\xff\"}]}]}"), Text("a\u{1b}\u{fffd}")),
    ("A10: reasoned, and said nothing", Whole(r#"{"status":"completed","output":[{"type":"reasoning","content":[{"text":"42"}]}]}"#), Error(K::Protocol, "", "reasoned")),
    ("A10: cut off while it reasoned", Whole(r#"{"status":"incomplete","incomplete_details":{"reason":"max_output_tokens"},"output":[{"type":"reasoning","summary":[{"text":"4"}]}]}"#), Error(K::Truncated, "", "max_tokens")),
];

const STREAMS: &[Row] = &[
    (
        "A1",
        Events(concat!(
            "event: response.output_text.delta\ndata: {\"type\":\"response.output_text.delta\",\"delta\":6}\n\n",
            "event: response.output_text.delta\ndata: {\"type\":\"response.output_text.delta\",\"delta\":{\"text\":\"a\"}}\n\n",
            "event: response.completed\ndata: {\"type\":\"response.completed\",\"response\":{\"status\":\"completed\"}}\n\n",
        )),
        Text("6a"),
    ),
    (
        "A5: halves in two deltas, and the whole text again",
        Events(concat!(
            "data: {\"type\":\"response.output_text.delta\",\"output_index\":0,\"delta\":\"a\\ud83d\"}\n\n",
            "data: {\"type\":\"response.output_text.delta\",\"output_index\":0,\"delta\":\"\\ude00b\"}\n\n",
            "data: {\"type\":\"response.output_item.done\",\"output_index\":0,\"item\":{\"type\":\"message\",\"content\":[{\"text\":\"a\\ud83d\\ude00b\"}]}}\n\n",
            "data: {\"type\":\"response.completed\",\"response\":{\"status\":\"completed\"}}\n\n",
        )),
        Text("a\u{1f600}b"),
    ),
    (
        "A6, A7: one newline apart, members of other types",
        Events(concat!(
            "event: response.created\ndata: {\"type\":\"response.created\",\"response\":[]}\n",
            "event: ping\ndata: null\n",
            "event: response.output_item.added\ndata: {\"type\":\"response.output_item.added\",\"output_index\":{},\"item\":\"x\"}\n",
            "event: response.output_text.delta\ndata: {\"type\":\"response.output_text.delta\",\"item_id\":[],\"delta\":\"a\"}\n",
            "event: response.output_text.delta\ndata: {\"type\":\"response.output_text.delta\",\"delta\":null}\n",
            "event: response.completed\ndata: {\"type\":\"response.completed\",\"response\":{\"status\":\"completed\",\"usage\":7,\"output\":7}}\n",
        )),
        Text("a"),
    ),
    (
        "A7: the whole where a stream was asked for, on many lines",
        Any(EVENTS, b"{\n \"object\": \"response\",\n \"status\": \"completed\",\n \"output\": [{\"type\": \"message\", \"content\": [{\"text\": \"a\"}]}]\n}\n"),
        Text("a"),
    ),
    (
        "A7: a stream where the whole was asked for",
        Any(JSON, b"event: response.output_text.delta\ndata: {\"delta\":\"a\"}\n\nevent: response.completed\ndata: {\"response\":{\"status\":\"completed\"}}\n\n"),
        Text("a"),
    ),
    (
        "A7: an end in the words of the other API",
        Events("data: {\"type\":\"response.completed\",\"response\":{\"output\":[{\"type\":\"message\",\"content\":[{\"text\":\"a\"}]}]}}\n\ndata: [DONE]\n\n"),
        Text("a"),
    ),
    ("A7: the same after the whole", Any(JSON, b"{\"status\":\"completed\",\"output\":[{\"type\":\"message\",\"content\":[{\"text\":\"a\"}]}]}data: [DONE]"), Text("a")),
    (
        "A7: an error on many lines",
        Any("Text/Event-Stream", b"{\n \"error\": {\"code\": \"server_is_overloaded\", \"message\": \"x\"}\n}"),
        Error(K::Server, "", "x"),
    ),
    (
        "A8: control characters",
        Any(EVENTS, b"data: {\"type\":\"response.output_text.delta\",\"delta\":\"a\x1b\xff\"}\n\ndata: {\"type\":\"response.completed\",\"response\":{}}\n\n"),
        Text("a\u{1b}\u{fffd}"),
    ),
    ("B2: bare", Events("data: {\"error\":\"boom\"}\n\n"), Error(K::Server, "", "boom")),
    ("B2: words", Events("event: error\ndata: boom\n\n"), Error(K::Server, "", "boom")),
    ("B2: a list", Events("data: [{\"error\":{\"message\":\"boom\"}}]\n\n"), Error(K::Server, "", "boom")),
    (
        "B2: after text",
        Events("data: {\"type\":\"response.output_text.delta\",\"delta\":\"half\"}\n\ndata: {\"type\":\"error\",\"code\":\"rate_limit_exceeded\",\"message\":\"boom\"}\n\n"),
        Error(K::RateLimited, "half", "boom"),
    ),
];

#[test]
fn the_responses_api_is_read_as_leniently() {
    check(config, WHOLES);
    check(config, STREAMS);
}

/// A9: counts as texts and floats; an end without counts takes none away.
#[test]
fn usage_is_counted_in_any_form() {
    let body = r#"{"status":"completed","output":[{"type":"message","content":"a"}],"usage":{"input_tokens":"3","output_tokens":4.0,"input_tokens_details":[]}}"#;
    let task = once(config, JSON, body.as_bytes(), false);
    let usage = task.usage.unwrap();
    assert_eq!((usage.prompt_tokens, usage.completion_tokens, usage.total_tokens), (3, 4, 7));
}

/// A4, A5, A11: what is run, and what goes back, whole and streamed.
#[test]
fn calls_are_what_they_mean_and_ids_stand_once() {
    let done = r#"{"status":"completed","output":[{"type":"message","content":"done"}]}"#;
    for (arguments, expected) in [
        (json!("null"), json!({})),
        (json!("[]"), json!({})),
        (json!(""), json!({})),
        (json!(null), json!({})),
        (json!({"x": 1}), json!({"x": 1})),
        (json!("\"{\\\"x\\\":1}\""), json!({"x": 1})),
        (json!("{\"x\":\"\\ud83d\\ude00\"}"), json!({"x": "\u{1f600}"})),
    ] {
        let call =
            json!({"type": "function_call", "call_id": "a", "name": "f", "arguments": arguments});
        let response = json!({"status": "completed", "output": [call, call]});
        let item = |index| json!({"type": "response.output_item.done", "output_index": index, "item": call});
        let end = json!({"type": "response.completed", "response": {"status": "completed"}});
        let stream: String =
            [item(0), item(1), end].iter().map(|event| format!("data: {event}\n\n")).collect();
        for (kind, body) in [(JSON, response.to_string()), (EVENTS, stream)] {
            let outcome = round_at(config, done, kind, &body, kind == EVENTS);
            let both = [("f".to_owned(), expected.clone()), ("f".to_owned(), expected.clone())];
            assert_eq!(outcome.ran, both, "{arguments}: {:?}", outcome.task.error);
            let next = outcome.next.unwrap();
            let of = |kind: &str| -> Vec<Value> {
                let items = next["input"].as_array().unwrap().iter();
                items.filter(|item| item["type"] == kind).cloned().collect()
            };
            let (calls, results) = (of("function_call"), of("function_call_output"));
            let ids = |items: &[Value]| -> Vec<String> {
                items.iter().map(|item| item["call_id"].as_str().unwrap().to_owned()).collect()
            };
            assert_eq!(ids(&calls), ["a", "a_2"], "{arguments}: {next}");
            assert_eq!(ids(&calls), ids(&results), "{arguments}");
            for call in calls {
                let sent: Value =
                    serde_json::from_str(call["arguments"].as_str().unwrap()).unwrap();
                assert_eq!(sent, expected, "{arguments}");
            }
        }
    }
}
