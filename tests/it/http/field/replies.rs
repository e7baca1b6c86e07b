//! Replies and streams of the Chat Completions API (`field-cases.md`, A1, A2, A5).

use automation_assistant::ErrorKind as K;
use serde_json::json;

use super::{Any, Error, Events, JSON, Row, Text, Whole, check_chat, once};
use crate::http::chatgpt;

/// A1: numbers, words, objects and lists in a text's place.
#[test]
fn text_that_is_no_string_is_not_lost() {
    check_chat(&[
        (
            "cloudflare/ai#651",
            Events("data: {\"choices\":[{\"delta\":{\"content\":6}}]}\n\ndata: [DONE]\n\n"),
            Text("6"),
        ),
        (
            "mastra#18289",
            Whole(r#"{"choices":[{"message":{"content":1.50},"finish_reason":"stop"}]}"#),
            Text("1.50"),
        ),
        (
            "more digits than a number holds",
            Whole(r#"{"choices":[{"message":{"content":12345678901234567890.10}}]}"#),
            Text("12345678901234567890.10"),
        ),
        ("a word", Whole(r#"{"choices":[{"message":{"content":true}}]}"#), Text("true")),
        (
            "words and numbers among texts",
            Events(concat!(
                "data: {\"choices\":[{\"delta\":{\"content\":\"n = \"}}]}\n\n",
                "data: {\"choices\":[{\"delta\":{\"content\":-7}}]}\n\n",
                "data: {\"choices\":[{\"delta\":{\"content\":false}}]}\n\n",
                "data: [DONE]\n\n",
            )),
            Text("n = -7false"),
        ),
        (
            "an object with a text",
            Whole(r#"{"choices":[{"message":{"content":{"type":"text","text":"hi"}}}]}"#),
            Text("hi"),
        ),
        (
            "a text within a text",
            Events(
                "data: {\"choices\":[{\"delta\":{\"content\":{\"text\":{\"value\":\"hi\",\"annotations\":[]}}}}]}\n\ndata: [DONE]\n\n",
            ),
            Text("hi"),
        ),
        (
            "an answer in JSON, read by the server",
            Whole(r#"{"choices":[{"message":{"content":{"n": 1.0, "ok":true}}}]}"#),
            Text(r#"{"n": 1.0, "ok":true}"#),
        ),
        (
            "the same as a list",
            Whole(r#"{"choices":[{"message":{"content":[1, 2]}}]}"#),
            Text("[1, 2]"),
        ),
        (
            "parts, one of them reasoning",
            Events(
                "data: {\"choices\":[{\"delta\":{\"content\":[{\"type\":\"thinking\",\"thinking\":[{\"type\":\"text\",\"text\":\"hm\"}]},{\"type\":\"text\",\"text\":\"a\"},\"b\",{\"type\":\"text\",\"text\":3}]}}]}\n\ndata: [DONE]\n\n",
            ),
            Text("ab3"),
        ),
        (
            "parts of another spelling",
            Whole(
                r#"{"choices":[{"message":{"content":[{"type":"text","content":"a"},{"type":"output_text","text":"b"}]}}]}"#,
            ),
            Text("ab"),
        ),
    ]);
}

/// A2: a failure within a choice is a failure, whatever the words for it.
const FAILURES: &[Row] = &[
    (
        "bifrost#5425",
        Whole(
            r#"{"choices":[{"message":{"content":""},"finish_reason":"error","error":{"code":502,"message":"x"}}]}"#,
        ),
        Error(K::Server, "", "x"),
    ),
    (
        "genkit#6259",
        Events(
            "data: {\"choices\":[{\"delta\":{\"content\":\"half\"}}]}\n\ndata: {\"choices\":[{\"delta\":{\"content\":\"\"},\"finish_reason\":\"error\",\"error\":{\"code\":502,\"message\":\"x\"}}]}\n\ndata: [DONE]\n\n",
        ),
        Error(K::Server, "half", "x"),
    ),
    (
        "z.ai",
        Whole(r#"{"choices":[{"message":{"content":"half"},"finish_reason":"network_error"}]}"#),
        Error(K::Server, "half", ""),
    ),
    (
        "DeepSeek",
        Events(
            "data: {\"choices\":[{\"delta\":{\"content\":\"half\"},\"finish_reason\":\"insufficient_system_resource\"}]}\n\ndata: [DONE]\n\n",
        ),
        Error(K::Server, "half", ""),
    ),
    (
        "in capitals",
        Whole(r#"{"choices":[{"message":{"content":"half"},"finish_reason":"ERROR"}]}"#),
        Error(K::Server, "half", ""),
    ),
    (
        "beside the choices",
        Whole(
            r#"{"choices":[{"message":{"content":"half"},"finish_reason":"stop"}],"error":{"message":"x","code":429}}"#,
        ),
        Error(K::RateLimited, "half", "x"),
    ),
    (
        "within the message, as a text",
        Whole(r#"{"choices":[{"message":{"content":"half","error":"x"}}]}"#),
        Error(K::Server, "half", "x"),
    ),
    (
        "a kind of its own",
        Events(
            "data: {\"choices\":[{\"delta\":{},\"error\":{\"code\":\"context_length_exceeded\",\"message\":\"x\"}}]}\n\n",
        ),
        Error(K::ContextLengthExceeded, "", "x"),
    ),
    (
        "GLM",
        Whole(r#"{"choices":[{"message":{"content":"half"},"finish_reason":"sensitive"}]}"#),
        Error(K::ContentFiltered, "half", ""),
    ),
    (
        "Gemini",
        Events(
            "data: {\"choices\":[{\"delta\":{\"content\":\"half\"},\"finish_reason\":\"SAFETY\"}]}\n\n",
        ),
        Error(K::ContentFiltered, "half", ""),
    ),
    (
        "end_turn",
        Events(
            "data: {\"choices\":[{\"delta\":{\"content\":\"all\"},\"finish_reason\":\"end_turn\"}]}\n\n",
        ),
        Text("all"),
    ),
    (
        "STOP",
        Events(
            "data: {\"choices\":[{\"delta\":{\"content\":\"all\"},\"finish_reason\":\"STOP\"}]}\n\n",
        ),
        Text("all"),
    ),
    (
        "a reason of another type is none: the stream broke off",
        Events(
            "data: {\"choices\":[{\"delta\":{\"content\":\"half\"},\"finish_reason\":false}]}\n\n",
        ),
        Error(K::Truncated, "half", ""),
    ),
];

#[test]
fn a_failure_within_a_choice_is_one() {
    check_chat(FAILURES);
}

#[test]
fn reasons_to_stop_mean_the_same_in_every_spelling() {
    use automation_assistant::FinishReason as R;
    for (word, reason) in [
        ("stop", R::Stop),
        ("STOP", R::Stop),
        ("end_turn", R::Stop),
        ("Stop_Sequence", R::Stop),
        ("length", R::Length),
        ("max_tokens", R::Length),
        ("MAX_TOKENS", R::Length),
        ("something new", R::Other),
    ] {
        let body = json!({"choices": [{"message": {"content": "a"}, "finish_reason": word}]});
        let task = once(chatgpt, JSON, body.to_string().as_bytes(), false);
        assert_eq!(task.finish_reason, Some(reason), "{word}");
    }
}

/// Several answers in one body: the first of one reply's choices, an error for several replies.
#[test]
fn several_answers_make_no_wrong_success() {
    const SEVERAL: &str = "more than one JSON object";
    macro_rules! one {
        ($text:literal) => {
            concat!(
                "{\"choices\":[{\"message\":{\"content\":\"",
                $text,
                "\"},\"finish_reason\":\"stop\"}]}"
            )
        };
    }
    check_chat(&[
        (
            "once more, as some servers send it",
            Any(JSON, concat!(one!("A"), "\n", one!("A")).as_bytes()),
            Text("A"),
        ),
        (
            "two replies",
            Any(JSON, concat!(one!("A"), one!("B")).as_bytes()),
            Error(K::Protocol, "A", SEVERAL),
        ),
        (
            "in two lines",
            Any(JSON, concat!(one!("A"), "\n", one!("B")).as_bytes()),
            Error(K::Protocol, "A", SEVERAL),
        ),
        (
            "in a list",
            Any(JSON, concat!("[", one!("A"), ",", one!("B"), "]").as_bytes()),
            Error(K::Protocol, "A", SEVERAL),
        ),
        (
            "a call of a tool behind a text",
            Whole(concat!(
                one!("A"),
                r#"{"choices":[{"message":{"tool_calls":[{"id":"c","function":{"name":"f"}}]}}]}"#,
            )),
            Error(K::Protocol, "A", SEVERAL),
        ),
        (
            "two replies, the second choice first",
            Whole(concat!(
                r#"{"choices":[{"index":1,"message":{"content":"B"},"finish_reason":"stop"}]}"#,
                r#"{"choices":[{"index":0,"message":{"content":"A"},"finish_reason":"stop"}]}"#,
            )),
            Error(K::Protocol, "B", SEVERAL),
        ),
        (
            "choices in another order",
            Whole(
                r#"{"choices":[{"index":1,"message":{"content":"B"}},{"index":0,"message":{"content":"A"}}]}"#,
            ),
            Text("A"),
        ),
        (
            "the same in a chunk",
            Events(
                "data: {\"choices\":[{\"index\":1,\"delta\":{\"content\":\"B\"}},{\"index\":0,\"delta\":{\"content\":\"A\"},\"finish_reason\":\"stop\"}]}\n\ndata: [DONE]\n\n",
            ),
            Text("A"),
        ),
        (
            "the second choice's role first",
            Events(
                "data: {\"choices\":[{\"index\":1,\"delta\":{\"role\":\"assistant\",\"content\":\"\"}}]}\n\ndata: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"A\"},\"finish_reason\":\"stop\"}]}\n\ndata: {\"choices\":[{\"index\":1,\"delta\":{\"content\":\"B\"}}]}\n\ndata: [DONE]\n\n",
            ),
            Text("A"),
        ),
    ]);
}

/// A body within the bound that is no answer is not called too large.
#[test]
fn what_is_smaller_than_the_bound_is_not_called_too_large() {
    for (body, stream) in [("[", false), ("{\"a\":", true), (" ", false), ("x", true)] {
        let body = body.repeat((3 << 20) / body.len());
        let error = once(chatgpt, JSON, body.as_bytes(), stream).error.unwrap();
        assert!(matches!(error.kind(), K::Protocol | K::Truncated), "{error}");
    }
}

/// A5: characters in two halves.
#[test]
fn halves_of_characters_meet() {
    check_chat(&[
        (
            "serde-rs/json#827",
            Events(
                "data: {\"choices\":[{\"delta\":{\"content\":\"a\\ud83d\"}}]}\n\ndata: {\"choices\":[{\"delta\":{\"content\":\"\\ude00b\"}}]}\n\ndata: [DONE]\n\n",
            ),
            Text("a\u{1f600}b"),
        ),
        (
            "with a chunk between them",
            Events(
                "data: {\"choices\":[{\"delta\":{\"content\":\"\\ud83d\"}}]}\n\n: ping\n\ndata: {\"choices\":[{\"delta\":{\"content\":null}}]}\n\ndata: {\"choices\":[{\"delta\":{\"content\":\"\\ude00\\ud83d\\ude01\"}}]}\n\ndata: [DONE]\n\n",
            ),
            Text("\u{1f600}\u{1f601}"),
        ),
        (
            "openclaw#115536",
            Whole(r#"{"choices":[{"message":{"content":"a\ud83d b"}}]}"#),
            Text("a\u{fffd} b"),
        ),
        (
            "a second half alone, and a first at the end",
            Events(
                "data: {\"choices\":[{\"delta\":{\"content\":\"\\ude00x\\ud83d\"}}]}\n\ndata: [DONE]\n\n",
            ),
            Text("\u{fffd}x\u{fffd}"),
        ),
        (
            "both within one text",
            Whole(
                r#"{"id":"\ud800","choices":[{"message":{"content":"\ud83d\ude00\ud83d\ud83d\ude01"}}]}"#,
            ),
            Text("\u{1f600}\u{fffd}\u{1f601}"),
        ),
    ]);
}
