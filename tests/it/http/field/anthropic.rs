//! The same kinds on the Messages API (`field-cases.md`, A1, A2, A5 to A8, A10).

use automation_assistant::{ErrorKind as K, HelperConfig};

use super::{Any, Error, Events, Row, Text, Whole, check};
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
