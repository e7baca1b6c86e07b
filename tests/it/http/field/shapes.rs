//! The shapes of replies and streams of the Chat Completions API (`field-cases.md`, A6 to A10).

use automation_assistant::ErrorKind as K;
use serde_json::{Value, json};

use super::{Any, Error, Events, JSON, Row, Text, Whole, check_chat, once};
use crate::http::chatgpt;

/// A6: every member of another type, one by one.
#[test]
fn a_member_of_an_unexpected_type_fails_nothing() {
    let odd = [json!(null), json!([]), json!({}), json!(true), json!("x"), json!([[{}]]), json!(7)];
    let whole = json!({"id": "c", "object": "chat.completion", "created": 1, "model": "m",
        "system_fingerprint": "f", "service_tier": "s", "x_groq": {}, "base_resp": null,
        "choices": [{"index": 0, "logprobs": null, "text": null, "delta": null,
            "finish_reason": "stop", "usage": {},
            "message": {"role": "assistant", "content": "text", "refusal": null, "tool_calls": [],
                "reasoning": null, "reasoning_content": null, "reasoning_details": null,
                "extra_content": null, "annotations": [], "audio": null, "function_call": null}}],
        "usage": {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2,
            "prompt_tokens_details": {"cached_tokens": 1}, "completion_tokens_details": {}}});
    let mut tried = 0;
    let mut paths = Vec::new();
    members(&whole, "", &mut paths);
    for path in paths {
        // The text itself, what it stands in, and what says that there is none.
        let of_text = ["/choices", "/choices/0/message", "/choices/0/message/content"];
        let says_otherwise = ["/choices/0/message/tool_calls", "/choices/0/message/refusal"];
        if of_text.contains(&path.as_str()) {
            continue;
        }
        for value in &odd {
            if says_otherwise.contains(&path.as_str()) && !(value.is_null() || *value == json!([]))
            {
                continue;
            }
            let mut body = whole.clone();
            *body.pointer_mut(&path).unwrap() = value.clone();
            let task = once(chatgpt, JSON, body.to_string().as_bytes(), false);
            assert_eq!(task.result.as_deref(), Some("text"), "{path} = {value}: {:?}", task.error);
            tried += 1;
        }
    }
    assert!(tried > 100, "{tried}");
}

/// The paths of all members of an object, at any depth.
fn members(value: &Value, path: &str, paths: &mut Vec<String>) {
    match value {
        Value::Object(map) => map.iter().for_each(|(key, value)| {
            paths.push(format!("{path}/{key}"));
            members(value, &format!("{path}/{key}"), paths);
        }),
        Value::Array(list) => list.iter().enumerate().for_each(|(at, value)| {
            members(value, &format!("{path}/{at}"), paths);
        }),
        _ => {}
    }
}

/// A6: chunks that are none.
#[test]
fn chunks_that_are_none_are_skipped() {
    check_chat(&[
        (
            "pi#2466",
            Events(
                "data: null\n\ndata: {\"choices\":[{\"delta\":{\"content\":\"a\"}}],\"usage\":[]}\n\ndata: ping\n\ndata: []\n\ndata: [DONE]\n\n",
            ),
            Text("a"),
        ),
        (
            "words of all kinds",
            Events(
                "data: OPENROUTER PROCESSING\n\ndata: 42\n\ndata: \"word\"\n\ndata: [heartbeat]\n\ndata: {}\n\ndata: {\"choices\":null}\n\ndata: {\"choices\":{}}\n\ndata: {\"choices\":[null,7,\"x\",[]]}\n\ndata: {\"choices\":[{\"delta\":{\"content\":\"a\",\"tool_calls\":{}},\"finish_reason\":\"stop\"}]}\n\n",
            ),
            Text("a"),
        ),
        (
            "a list of chunks holds text like any other",
            Events(
                "data: [{\"choices\":[{\"delta\":{\"content\":\"a\"}}]},null,{\"choices\":[{\"delta\":{\"content\":\"b\"}}]}]\n\ndata: [DONE]\n\n",
            ),
            Text("ab"),
        ),
        (
            "delta of another type",
            Events(
                "data: {\"choices\":[{\"delta\":[]}]}\n\ndata: {\"choices\":[{\"delta\":\"x\"}]}\n\ndata: {\"choices\":[{\"delta\":{\"content\":\"a\"}}]}\n\ndata: [DONE]\n\n",
            ),
            Text("a"),
        ),
        (
            "a status that names a failure is one",
            Events(
                "data: {\"choices\":[{\"delta\":{\"content\":\"half\"}}]}\n\ndata: [ERROR] boom\n\ndata: [DONE]\n\n",
            ),
            Error(K::Server, "half", "boom"),
        ),
        (
            "half a chunk is text that was lost",
            Events(
                "data: {\"choices\":[{\"delta\":{\"content\":\"half\"}}]}\n\ndata: {\"choices\":[{\"delta\":{\"content\":\"lo\n\ndata: [DONE]\n\n",
            ),
            Error(K::Protocol, "half", ""),
        ),
        (
            "nothing but words",
            Events("data: ping\n\ndata: [DONE]\n\n"),
            Error(K::Protocol, "", "no text"),
        ),
        (
            "an only answer whose index is another",
            Events(
                "data: {\"choices\":[{\"index\":1,\"delta\":{\"content\":\"a\"}}]}\n\ndata: {\"choices\":[{\"index\":1,\"delta\":{\"content\":\"b\"},\"finish_reason\":\"stop\"}]}\n\n",
            ),
            Text("ab"),
        ),
    ]);
}

const CHUNKS: &[u8] = b"data: {\"choices\":[{\"delta\":{\"content\":\"a\"}}]}\n\ndata: {\"choices\":[{\"delta\":{\"content\":\"b\"},\"finish_reason\":\"stop\"}]}\n\ndata: [DONE]\n\n";

/// A7: streams and whole replies that are taken for each other.
const MISTAKEN: &[Row] = &[
    (
        "9router#3492",
        Any(JSON, b"{\"choices\":[{\"message\":{\"content\":\"a\"}}]}data: [DONE]"),
        Text("a"),
    ),
    (
        "the same on a line of its own",
        Any(JSON, b"{\"choices\":[{\"message\":{\"content\":\"a\"}}]}\n\ndata: [DONE]\n\n"),
        Text("a"),
    ),
    ("QwenPaw#468", Any(JSON, CHUNKS), Text("ab")),
    ("another type", Any("text/plain; charset=utf-8", CHUNKS), Text("ab")),
    ("another letter case", Any("Text/Event-Stream; charset=UTF-8", CHUNKS), Text("ab")),
    (
        "a comment first",
        Any(JSON, b": hello\n\ndata: {\"choices\":[{\"delta\":{\"content\":\"a\"},\"finish_reason\":\"stop\"}]}\n\n"),
        Text("a"),
    ),
    (
        "an event first",
        Any("", b"event: message\ndata: {\"choices\":[{\"delta\":{\"content\":\"a\"},\"finish_reason\":\"stop\"}]}\n\n"),
        Text("a"),
    ),
    (
        "an id first",
        Any("application/octet-stream", b"id: 1\r\ndata: {\"choices\":[{\"delta\":{\"content\":\"a\"},\"finish_reason\":\"stop\"}]}\r\n\r\n"),
        Text("a"),
    ),
    (
        "eventsource-parser#31",
        Events("data: {\"choices\":[{\"delta\":{\"content\":\"a\"}}]}\ndata: {\"choices\":[{\"delta\":{\"content\":\"}b\"}}]}\ndata: [DONE]\n"),
        Text("a}b"),
    ),
    (
        "a whole reply in a stream's place, on many lines",
        Any("text/event-stream", b"{\n  \"choices\": [\n    {\n      \"message\": {\"content\": \"a\"},\n\n      \"finish_reason\": \"stop\"\n    }\n  ]\n}\n"),
        Text("a"),
    ),
    (
        "an error in a stream's place, on many lines",
        Any("text/event-stream", b"{\n  \"error\": {\n    \"message\": \"x\",\n    \"code\": 429\n  }\n}\n"),
        Error(K::RateLimited, "", "x"),
    ),
    (
        "chunks without their format",
        Any(JSON, b"{\"choices\":[{\"delta\":{\"content\":\"a\"}}]}\r\n{\"choices\":[{\"delta\":{\"content\":\"b\"},\"finish_reason\":\"stop\"}]}\r\n"),
        Text("ab"),
    ),
    (
        "a list of chunks",
        Any(JSON, b"[{\"choices\":[{\"delta\":{\"content\":\"a\"}}]},\n{\"choices\":[{\"delta\":{\"content\":\"b\"},\"finish_reason\":\"stop\"}]}]"),
        Text("ab"),
    ),
    (
        "a page in a stream's place",
        Any("text/event-stream", b"<!DOCTYPE html><html><body>gateway"),
        Error(K::Protocol, "", "web page"),
    ),
    (
        "a stream that breaks off is no whole reply either",
        Any(JSON, b"data: {\"choices\":[{\"delta\":{\"content\":\"half\"}}]}\n\n"),
        Error(K::Truncated, "half", ""),
    ),
    (
        "more than a reply, and nothing known",
        Any(JSON, b"{\"choices\":[{\"message\":{\"content\":\"a\"}}]} and more"),
        Error(K::Protocol, "a", ""),
    ),
];

#[test]
fn streams_and_whole_replies_are_read_for_each_other() {
    check_chat(MISTAKEN);
}

/// A8: bytes that JSON does not allow.
#[test]
fn bytes_that_json_forbids_are_read_where_their_meaning_is_plain() {
    check_chat(&[
        (
            "pi#4446",
            Any(JSON, b"{\"choices\":[{\"message\":{\"content\":\"a\x1b[1mb\x01\"},\"finish_reason\":\"stop\"}]}"),
            Text("a\u{1b}[1mb\u{1}"),
        ),
        (
            "a tab",
            Events("data: {\"choices\":[{\"delta\":{\"content\":\"a\tb\"}}]}\n\ndata: [DONE]\n\n"),
            Text("a\tb"),
        ),
        (
            "ragflow#15266",
            Any(JSON, b"{\"choices\":[{\"logprobs\":{\"x\":[NaN,-Infinity]},\"message\":{\"content\":\"a\"},\"finish_reason\":\"stop\"}],\"usage\":{\"prompt_tokens\":NaN}}"),
            Text("a"),
        ),
        (
            "llama.cpp#28926",
            Any(JSON, b"{\"choices\":[{\"message\":{\"content\":\"a\xf0\x9f\x98b\"},\"finish_reason\":\"stop\"}]}"),
            Text("a\u{fffd}b"),
        ),
        (
            "the same in a stream",
            Any("text/event-stream", b"data: {\"choices\":[{\"delta\":{\"content\":\"\xffa\"},\"finish_reason\":\"stop\"}]}\n\n"),
            Text("\u{fffd}a"),
        ),
        (
            "a comma too many",
            Any(JSON, b"{\"choices\":[{\"message\":{\"content\":\"a\",},\"finish_reason\":\"stop\"},],}"),
            Text("a"),
        ),
        (
            "a mark of the byte order",
            Any(JSON, b"\xef\xbb\xbf{\"choices\":[{\"message\":{\"content\":\"a\"},\"finish_reason\":\"stop\"}]}"),
            Text("a"),
        ),
        (
            "no JSON by any means",
            Any(JSON, b"{\"choices\":[{\"message\":{\"content\": hello}}]}"),
            Error(K::Protocol, "", ""),
        ),
    ]);
}

/// A9: usage, wherever it stands.
#[test]
fn usage_is_counted_wherever_it_stands() {
    let usage = r#"{"prompt_tokens":5,"completion_tokens":7}"#;
    let zero = r#"{"prompt_tokens":0,"completion_tokens":0,"total_tokens":0}"#;
    let rows = [
        format!(r#"{{"choices":[{{"delta":{{}},"finish_reason":"stop","usage":{usage}}}]}}"#),
        format!(r#"{{"choices":[{{"delta":{{"usage":{usage}}},"finish_reason":"stop"}}]}}"#),
        format!(r#"{{"choices":[],"x_groq":{{"id":"x","usage":{usage}}}}}"#),
        r#"{"choices":[],"usage":{"prompt_tokens":"5","completion_tokens":"7.0"}}"#.to_owned(),
        r#"{"choices":[],"usage":{"input_tokens":5,"output_tokens":7}}"#.to_owned(),
        format!(r#"{{"choices":[],"usage":{usage}}}"#),
    ];
    for row in rows {
        // A count of nothing after a real one does not replace it.
        let stream = format!(
            "data: {{\"choices\":[{{\"delta\":{{\"content\":\"a\"}}}}]}}\n\ndata: {row}\n\n\
             data: {{\"choices\":[],\"usage\":{zero}}}\n\ndata: [DONE]\n\n"
        );
        let task = once(chatgpt, super::EVENTS, stream.as_bytes(), true);
        let counted = task.usage.map(|usage| (usage.prompt_tokens, usage.completion_tokens));
        assert_eq!(counted, Some((5, 7)), "pi#2017: {row}");
    }
    let whole = format!(
        r#"{{"choices":[{{"message":{{"content":"a"}},"usage":{usage}}}],"usage":{zero}}}"#
    );
    let task = once(chatgpt, JSON, whole.as_bytes(), false);
    assert_eq!(task.usage.unwrap().total_tokens, 12, "{whole}");
}

/// A10: reasoning is no answer, and nothing is none.
#[test]
fn an_answer_that_is_only_reasoned_is_an_error() {
    check_chat(&[
        (
            "ollama#15288",
            Whole(
                r#"{"choices":[{"message":{"content":null,"reasoning":"42"},"finish_reason":"stop"}]}"#,
            ),
            Error(K::Protocol, "", "reasoned"),
        ),
        (
            "mellea#1060",
            Whole(
                r#"{"choices":[{"message":{"content":"","reasoning_content":"42"},"finish_reason":"stop"}]}"#,
            ),
            Error(K::Protocol, "", "reasoned"),
        ),
        (
            "OpenRouter",
            Whole(
                r#"{"choices":[{"message":{"content":null,"reasoning_details":[{"type":"reasoning.text","text":"42"}]},"finish_reason":"stop"}]}"#,
            ),
            Error(K::Protocol, "", "reasoned"),
        ),
        (
            "in a stream",
            Events(
                "data: {\"choices\":[{\"delta\":{\"content\":\"\",\"reasoning\":\"4\"}}]}\n\ndata: {\"choices\":[{\"delta\":{\"reasoning\":\"2\"},\"finish_reason\":\"stop\"}]}\n\ndata: [DONE]\n\n",
            ),
            Error(K::Protocol, "", "reasoned"),
        ),
        (
            "the limit was spent on it",
            Whole(
                r#"{"choices":[{"message":{"content":"","reasoning_content":"4"},"finish_reason":"length"}]}"#,
            ),
            Error(K::Truncated, "", "max_tokens"),
        ),
        (
            "9router#2727: neither",
            Whole(r#"{"choices":[{"message":{"content":null},"finish_reason":"stop"}]}"#),
            Error(K::Protocol, "", "no text"),
        ),
        (
            "an empty text is an answer",
            Whole(r#"{"choices":[{"message":{"content":""},"finish_reason":"stop"}]}"#),
            Text(""),
        ),
        (
            "reasoning before an answer",
            Events(
                "data: {\"choices\":[{\"delta\":{\"reasoning_content\":\"hm\"}}]}\n\ndata: {\"choices\":[{\"delta\":{\"content\":\"42\"}}]}\n\ndata: [DONE]\n\n",
            ),
            Text("42"),
        ),
        (
            "ai-gateway#1222",
            Whole(
                r#"{"choices":[{"message":{"content":"42","reasoning_content":{"text":"hm"}}}]}"#,
            ),
            Text("42"),
        ),
    ]);
}
