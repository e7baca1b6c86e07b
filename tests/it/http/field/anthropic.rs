//! The same kinds on the Messages API (`field-cases.md`, A1, A2, A4 to A8, A10, A11, B2).

use automation_assistant::{ErrorKind as K, HelperConfig};
use serde_json::json;

use super::calls::round_at;
use super::{Any, EVENTS, Error, Events, JSON, Row, Text, Whole, check};
use crate::http::KEY;
use crate::support::server::Server;

fn config(server: &Server) -> HelperConfig {
    HelperConfig::anthropic()
        .api_endpoint(format!("http://{}", server.address()))
        .api_key(KEY)
        .model("m")
        .max_retries(0)
}

fn rows() -> Vec<Row> {
    vec![
        ("A1", Whole(r#"{"type":"message","content":[{"type":"text","text":6.50}],"stop_reason":"end_turn"}"#), Text("6.50")),
        ("A1", Whole(r#"{"type":"message","content":"words","stop_reason":"end_turn"}"#), Text("words")),
        ("A1", Whole(r#"{"type":"message","content":{"type":"text","text":"words"},"stop_reason":"end_turn"}"#), Text("words")),
        ("A2", Whole(r#"{"type":"message","content":[{"type":"text","text":"half"}],"stop_reason":"error"}"#), Error(K::Server, "half", "")),
        ("A2", Whole(r#"{"type":"message","content":[{"type":"text","text":"half"}],"stop_reason":"REFUSAL"}"#), Error(K::ContentFiltered, "half", "")),
        (
            "A5",
            Events(concat!(
                "event: content_block_delta\ndata: {\"index\":0,\"delta\":{\"type\":\"text_delta\",\"text\":\"a\\ud83d\"}}\n\n",
                "event: content_block_delta\ndata: {\"index\":0,\"delta\":{\"type\":\"text_delta\",\"text\":\"\\ude00b\"}}\n\n",
                "event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n",
            )),
            Text("a\u{1f600}b"),
        ),
        (
            "A6, A7: one newline apart, members of other types",
            Events(concat!(
                "event: message_start\ndata: {\"type\":\"message_start\",\"message\":[],\"usage\":7}\n",
                "event: ping\ndata: null\n",
                "event: content_block_start\ndata: {\"type\":\"content_block_start\",\"index\":{},\"content_block\":{\"type\":\"text\",\"text\":[]}}\n",
                "event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":[],\"delta\":{\"text\":\"a\",\"partial_json\":null,\"thinking\":null}}\n",
                "event: message_delta\ndata: {\"type\":\"message_delta\",\"delta\":{\"stop_reason\":\"end_turn\"},\"usage\":[]}\n",
                "event: message_stop\ndata: {\"type\":\"message_stop\"}\n",
            )),
            Text("a"),
        ),
        (
            "A7: the whole where a stream was asked for, on many lines",
            Any("text/event-stream", b"{\n \"type\": \"message\",\n \"content\": [{\"type\": \"text\", \"text\": \"a\"}],\n \"stop_reason\": \"end_turn\"\n}\n"),
            Text("a"),
        ),
        (
            "A7: a stream where the whole was asked for",
            Any("application/json", b"event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"delta\":{\"text\":\"a\"}}\n\nevent: message_stop\ndata: {\"type\":\"message_stop\"}\n\n"),
            Text("a"),
        ),
        (
            "A7: an error on many lines",
            Any("Text/Event-Stream", b"{\n \"type\": \"error\",\n \"error\": {\"type\": \"overloaded_error\", \"message\": \"x\"}\n}"),
            Error(K::Server, "", "x"),
        ),
        (
            "A8",
            Any("application/json", b"{\"type\":\"message\",\"content\":[{\"type\":\"text\",\"text\":\"a\x1b\xff\"}],\"stop_reason\":\"end_turn\"}"),
            Text("a\u{1b}\u{fffd}"),
        ),
        (
            "A10",
            Whole(r#"{"type":"message","content":[{"type":"thinking","thinking":"42","signature":"s"}],"stop_reason":"end_turn"}"#),
            Error(K::Protocol, "", "reasoned"),
        ),
        (
            "A10",
            Whole(r#"{"type":"message","content":[{"type":"thinking","thinking":"4","signature":"s"}],"stop_reason":"max_tokens"}"#),
            Error(K::Truncated, "", "max_tokens"),
        ),
        ("nothing to say is an answer", Whole(r#"{"type":"message","content":[],"stop_reason":"end_turn"}"#), Text("")),
        (
            "B2",
            Events("event: error\ndata: boom\n\n"),
            Error(K::Server, "", "boom"),
        ),
    ]
}

#[test]
fn the_messages_api_is_read_as_leniently() {
    check(config, &rows());
}

/// A4, A5, A11: what is run, and what goes back, whole and streamed.
#[test]
fn calls_are_what_they_mean_and_ids_stand_once() {
    let done =
        r#"{"type":"message","content":[{"type":"text","text":"done"}],"stop_reason":"end_turn"}"#;
    for (input, expected) in [
        (json!(null), json!({})),
        (json!([]), json!({})),
        (json!(""), json!({})),
        (json!("null"), json!({})),
        (json!("{\"x\":1}"), json!({"x": 1})),
        (json!("\"{\\\"x\\\":1}\""), json!({"x": 1})),
        (json!({"x": 1}), json!({"x": 1})),
    ] {
        let call = json!({"type": "tool_use", "id": "a", "name": "f", "input": input});
        let message =
            json!({"type": "message", "content": [call, call], "stop_reason": "tool_use"});
        let open = |index| {
            let event =
                json!({"type": "content_block_start", "index": index, "content_block": call});
            format!("data: {event}\n\n")
        };
        let end = "data: {\"type\":\"message_delta\",\"delta\":{\"stop_reason\":\"TOOL_USE\"}}\n\ndata: {\"type\":\"message_stop\"}\n\n";
        let stream = open(0) + &open(1) + end;
        for (kind, body) in [(JSON, message.to_string()), (EVENTS, stream)] {
            let outcome = round_at(config, done, kind, &body, kind == EVENTS);
            let both = [("f".to_owned(), expected.clone()), ("f".to_owned(), expected.clone())];
            assert_eq!(outcome.ran, both, "{input}: {:?}", outcome.task.error);
            let next = outcome.next.unwrap();
            let (calls, results) =
                (&next["messages"][1]["content"], &next["messages"][2]["content"]);
            for (at, id) in ["a", "a_2"].into_iter().enumerate() {
                assert_eq!(calls[at]["id"], id, "{input}: {next}");
                assert_eq!(calls[at]["input"], expected, "{input}");
                assert_eq!(results[at]["tool_use_id"], id, "{input}");
            }
        }
    }
}
