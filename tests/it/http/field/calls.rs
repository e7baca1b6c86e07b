//! Tool calls as servers mark them, and what must go back with their results (`field-cases.md`,
//! A3 to A5, A11).

use std::sync::{Arc, Mutex};

use automation_assistant::{FnTool, HelperConfig, Task, TaskRequest};
use serde_json::{Value, json};

use super::{EVENTS, JSON};
use crate::http::{ask, chatgpt, spawn};
use crate::support::server::{Act, Server, answer};

/// The arguments of the tools' calls, and the next request.
pub(super) struct Outcome {
    pub(super) ran: Vec<(String, Value)>,
    pub(super) task: Task,
    pub(super) next: Option<Value>,
}

fn round(kind: &str, body: &str, stream: bool) -> Outcome {
    round_at(chatgpt, &answer("done"), kind, body, stream)
}

/// Plays this reply, then the last one.
pub(super) fn round_at(
    config: fn(&Server) -> HelperConfig,
    last: &str,
    kind: &str,
    body: &str,
    stream: bool,
) -> Outcome {
    let first = Act::reply(200, &format!("content-type: {kind}\r\n"), body);
    let server = Server::start([vec![Act::read(), first, Act::read(), Act::json(200, last)]]);
    let (manager, helper) = spawn(config(&server));
    let ran = Arc::new(Mutex::new(Vec::new()));
    let mut request = TaskRequest::new("p");
    for name in ["f", "g", "get_weather"] {
        let ran = Arc::clone(&ran);
        request = request.tool(FnTool::new(name, "", json!({}), move |arguments| {
            ran.lock().unwrap().push((name.to_owned(), arguments.clone()));
            Ok("ok".to_owned())
        }));
    }
    if stream {
        request = request.on_text(|_| {});
    }
    let task = ask(&manager, helper, request);
    drop(manager);
    let next = server.seen().get(1).map(|seen| seen.json());
    let ran = ran.lock().unwrap().clone();
    Outcome { ran, task, next }
}

fn whole(message: &str) -> Outcome {
    let body = format!(r#"{{"choices":[{{"message":{message},"finish_reason":"tool_calls"}}]}}"#);
    round(JSON, &body, false)
}

fn streamed(deltas: &[&str]) -> Outcome {
    let chunk = |delta: &&str| format!("data: {{\"choices\":[{{\"delta\":{delta}}}]}}\n\n");
    let body: String = deltas.iter().map(chunk).collect();
    round(EVENTS, &format!("{body}data: [DONE]\n\n"), true)
}

/// The names and arguments of calls.
type Ran = &'static [(&'static str, &'static str)];

/// A4: one call, or two, however the deltas are numbered.
const DELTAS: &[(&str, &[&str], Ran)] = &[
    (
        "lmstudio-bug-tracker#830: a new id for each delta",
        &[
            r#"{"tool_calls":[{"index":0,"id":"1","function":{"name":"f","arguments":""}}]}"#,
            r#"{"tool_calls":[{"index":0,"id":"2","function":{"arguments":"{\"x\":"}}]}"#,
            r#"{"tool_calls":[{"index":0,"id":"3","function":{"arguments":"1}"}}]}"#,
        ],
        &[("f", r#"{"x":1}"#)],
    ),
    (
        "the same without an index",
        &[
            r#"{"tool_calls":[{"id":"1","function":{"name":"f","arguments":"{\"x\":"}}]}"#,
            r#"{"tool_calls":[{"id":"2","function":{"arguments":"1}"}}]}"#,
        ],
        &[("f", r#"{"x":1}"#)],
    ),
    (
        "hermes-agent#62940: index 0 and no id for both",
        &[
            r#"{"tool_calls":[{"index":0,"id":"","function":{"name":"f","arguments":"{\"x\":1}"}}]}"#,
            r#"{"tool_calls":[{"index":0,"id":"","function":{"name":"f","arguments":"{\"x\":2}"}}]}"#,
        ],
        &[("f", r#"{"x":1}"#), ("f", r#"{"x":2}"#)],
    ),
    (
        "gcli2api#406: the name in the id's place",
        &[
            r#"{"tool_calls":[{"index":0,"id":"f","function":{"name":"f","arguments":"{\"x\":1}"}}]}"#,
            r#"{"tool_calls":[{"index":0,"id":"f","function":{"name":"f","arguments":"{\"x\":2}"}}]}"#,
            r#"{"tool_calls":[{"index":0,"id":"g","function":{"name":"g","arguments":"{}"}}]}"#,
        ],
        &[("f", r#"{"x":1}"#), ("f", r#"{"x":2}"#), ("g", "{}")],
    ),
    (
        "neither index nor id",
        &[
            r#"{"tool_calls":[{"function":{"name":"f","arguments":"{\"x\":1}"}}]}"#,
            r#"{"tool_calls":[{"function":{"name":"g","arguments":"{"}}]}"#,
            r#"{"tool_calls":[{"function":{"arguments":"}"}}]}"#,
        ],
        &[("f", r#"{"x":1}"#), ("g", "{}")],
    ),
    (
        "a name in several deltas",
        &[
            r#"{"tool_calls":[{"index":0,"id":"a","function":{"name":"get_"}}]}"#,
            r#"{"tool_calls":[{"index":0,"function":{"name":"weather"}}]}"#,
            r#"{"tool_calls":[{"index":0,"function":{"arguments":"{}"}}]}"#,
        ],
        &[("get_weather", "{}")],
    ),
    (
        "an empty object where the arguments are still to come",
        &[
            r#"{"tool_calls":[{"index":0,"id":"a","function":{"name":"f","arguments":"{}"}}]}"#,
            r#"{"tool_calls":[{"index":0,"function":{"arguments":"{\"x\":1}"}}]}"#,
        ],
        &[("f", r#"{"x":1}"#)],
    ),
    (
        "a call without a function beside text",
        &[
            r#"{"content":"words","tool_calls":[{"index":0,"id":"a","type":"function"}]}"#,
            r#"{"tool_calls":[{"index":1,"id":"b","function":{"name":"g","arguments":"{}"}}]}"#,
        ],
        &[("g", "{}")],
    ),
    (
        "halves of a character in the arguments (A5)",
        &[
            r#"{"tool_calls":[{"index":0,"id":"a","function":{"name":"f","arguments":"{\"x\":\"\ud83d"}}]}"#,
            r#"{"tool_calls":[{"index":0,"function":{"arguments":"\ude00\\ud83d\"}"}}]}"#,
        ],
        &[("f", "{\"x\":\"\u{1f600}\u{fffd}\"}")],
    ),
    (
        "control characters in the arguments (A8)",
        &[
            r#"{"tool_calls":[{"index":0,"id":"a","function":{"name":"f","arguments":"{\"x\":\"a\nb\"}"}}]}"#,
        ],
        &[("f", r#"{"x":"a\nb"}"#)],
    ),
];

#[test]
fn calls_are_assembled_and_distinguished() {
    for (what, deltas, expected) in DELTAS {
        let outcome = streamed(deltas);
        let ran: Vec<_> =
            outcome.ran.iter().map(|(name, with)| (name.as_str(), with.to_string())).collect();
        let expected: Vec<_> =
            expected.iter().map(|(name, with)| (*name, (*with).to_owned())).collect();
        assert_eq!(ran, expected, "{what}: {:?}", outcome.task.error);
        assert_eq!(outcome.task.result.as_deref(), Some("done"), "{what}");
        paired(&outcome.next.unwrap(), expected.len(), what);
    }
}

/// Each call has an id of its own, arguments that are a JSON object, and its result.
fn paired(request: &Value, calls: usize, what: &str) {
    let messages = request["messages"].as_array().unwrap();
    let wanted = messages.iter().find_map(|message| message["tool_calls"].as_array()).unwrap();
    assert_eq!(wanted.len(), calls, "{what}");
    let mut ids: Vec<_> = wanted.iter().map(|call| call["id"].as_str().unwrap()).collect();
    let results: Vec<_> =
        messages.iter().filter_map(|message| message["tool_call_id"].as_str()).collect();
    assert_eq!(ids, results, "{what}");
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), calls, "{what}: {request}");
    for call in wanted {
        let arguments = call["function"]["arguments"].as_str().unwrap();
        let arguments: Value = serde_json::from_str(arguments).unwrap();
        assert!(arguments.is_object(), "{what}");
    }
}

/// A4 and A11, whole: ids that stand twice, arguments that are no object but mean one.
#[test]
fn arguments_that_mean_an_object_are_one_and_ids_stand_once() {
    for (arguments, expected) in [
        (r#""null""#, "{}"),
        (r#""[]""#, "{}"),
        (r#""""#, "{}"),
        ("null", "{}"),
        ("[]", "{}"),
        (r#""\"{\\\"x\\\":1}\"""#, r#"{"x":1}"#),
        (r#""\"null\"""#, "{}"),
        (r#"{"x": 1.50}"#, r#"{"x":1.5}"#),
        (r#""{\"x\":1,}""#, r#"{"x":1}"#),
    ] {
        let call = |id: &str| {
            format!(r#"{{"id":"{id}","function":{{"name":"f","arguments":{arguments}}}}}"#)
        };
        let message = format!(r#"{{"content":null,"tool_calls":[{},{}]}}"#, call("a"), call("a"));
        let outcome = whole(&message);
        let expected: Value = serde_json::from_str(expected).unwrap();
        let both = [("f".to_owned(), expected.clone()), ("f".to_owned(), expected)];
        assert_eq!(outcome.ran, both, "vllm#43851: {arguments}");
        paired(&outcome.next.unwrap(), 2, arguments);
    }
}

/// A call that cannot be run is reported to the model; a malformed call is none.
#[test]
fn a_call_without_a_function_is_none() {
    for calls in
        ["[{}]", r#"[{"id":"a","type":"function"}]"#, r#"[{"function":{}}]"#, "[null,7]", "{}"]
    {
        let outcome = whole(&format!(r#"{{"content":"words","tool_calls":{calls}}}"#));
        assert_eq!(outcome.task.result.as_deref(), Some("words"), "{calls}");
    }
}

/// A3: signatures and reasoning go back as they came.
#[test]
fn what_a_server_wants_back_goes_back() {
    let call = r#"{"id":"1","function":{"name":"f","arguments":"{}"},"extra_content":{"google":{"thought_signature":"s/+=","n":1.50}}}"#;
    let whole = whole(&format!(
        r#"{{"content":null,"reasoning_content":"hm\n1","reasoning_details":[{{"type":"reasoning.encrypted","data":"d","index":0}}],"tool_calls":[{call}]}}"#
    ));
    let streamed_whole = streamed(&[
        r#"{"reasoning_content":"hm\n","reasoning_details":[{"type":"reasoning.encrypted","data":"d","index":0}]}"#,
        r#"{"reasoning_content":"1"}"#,
        &format!(r#"{{"tool_calls":[{call}]}}"#),
    ]);
    let streamed_deltas = streamed(&[
        r#"{"reasoning_content":"hm\n1","reasoning_details":[{"type":"reasoning.encrypted","data":"d","index":0}]}"#,
        r#"{"tool_calls":[{"index":0,"id":"1","function":{"name":"f","arguments":"{}"}}]}"#,
        r#"{"tool_calls":[{"extra_content":{"google":{"thought_signature":"s/+=","n":1.50}}}]}"#,
    ]);
    for (what, outcome) in [
        ("openhuman#3548, pi#3234, whole", whole),
        ("continue#10193, streamed", streamed_whole),
        ("a delta without an index", streamed_deltas),
    ] {
        let next = outcome.next.unwrap_or_else(|| panic!("{what}: {:?}", outcome.task.error));
        let message = &next["messages"][1];
        assert_eq!(message["reasoning_content"], "hm\n1", "{what}");
        let details = json!([{"type": "reasoning.encrypted", "data": "d", "index": 0}]);
        assert_eq!(message["reasoning_details"], details, "{what}");
        let extra = json!({"google": {"thought_signature": "s/+=", "n": 1.5}});
        assert_eq!(message["tool_calls"][0]["extra_content"], extra, "{what}");
        assert_eq!(outcome.ran.len(), 1, "{what}");
    }
}

/// A3: also with a call that had to be changed, and with reasoning in several deltas.
#[test]
fn a_changed_call_keeps_what_its_server_wants_back() {
    let outcome = streamed(&[
        r#"{"reasoning_details":[{"type":"reasoning.text","text":"a","index":0,"signature":null}]}"#,
        r#"{"reasoning_details":[{"type":"reasoning.text","text":"b","index":0,"signature":"s"}]}"#,
        r#"{"content":"words","tool_calls":[{"index":0,"id":"","function":{"name":"f","arguments":"null"},"extra_content":{"google":{"thought_signature":"s"}}}]}"#,
    ]);
    let next = outcome.next.unwrap();
    let message = &next["messages"][1];
    assert_eq!(message["content"], "words");
    let details = json!([{"type": "reasoning.text", "text": "ab", "index": 0, "signature": "s"}]);
    assert_eq!(message["reasoning_details"], details);
    let call = &message["tool_calls"][0];
    assert_eq!(call["extra_content"]["google"]["thought_signature"], "s");
    assert_eq!(call["function"]["arguments"], "{}");
    assert!(!call["id"].as_str().unwrap().is_empty());
}
