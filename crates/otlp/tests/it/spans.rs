//! The attributes of spans, and texts that they leave out.

use std::sync::Arc;

use automation_assistant::backend::{Attempt, CallContext, Reply};
use automation_assistant::limits::{Price, Prices};
use automation_assistant::opik::{TraceId, TraceMode};
use automation_assistant::{
    AutomationHelper, ErrorKind, FinishReason, HelperConfig, TaskError, TaskRequest, Usage,
};
use automation_assistant_otlp::{OtlpConfig, OtlpSink};
use serde_json::{Value, json};

use crate::Says;
use crate::collector::{Collector, LONG};

fn attribute<'a>(span: &'a Value, key: &str) -> Option<&'a Value> {
    let mut all = span["attributes"].as_array().unwrap().iter();
    all.find(|attribute| attribute["key"] == key).map(|attribute| &attribute["value"])
}

fn time(span: &Value, key: &str) -> u64 {
    span[key].as_str().unwrap().parse().unwrap()
}

/// The spans of one task, in the order of their ends.
fn ask(
    config: OtlpConfig,
    helper: HelperConfig,
    backend: Option<Backend>,
    request: TaskRequest,
) -> Vec<Value> {
    let collector = Collector::new(&[]);
    let sink = OtlpSink::new(config.endpoint(collector.url())).unwrap();
    let mut builder = AutomationHelper::builder(helper).observer(Arc::new(sink.clone()));
    if let Some(backend) = backend {
        builder = builder.backend(Says(backend));
    }
    let helper = builder.build().unwrap();
    helper.start().unwrap();
    let _ = helper.ask(request).unwrap();
    assert_eq!(sink.flush(LONG).pending, 0);
    collector.next().spans()
}

type Backend = fn(&CallContext<'_>) -> Result<Reply, TaskError>;

fn retried(call: &CallContext<'_>) -> Result<Reply, TaskError> {
    let failed = TaskError::new(ErrorKind::Server, "overloaded").with_message("SERVER SAID");
    let mut attempt = Attempt::new(Some(&failed));
    attempt.http_status = Some(503);
    call.end_attempt(&attempt);
    call.begin_attempt();
    let usage = Usage::new(3, 4);
    Ok(Reply::new("THE ANSWER")
        .with_model("m-1")
        .with_provider("openai")
        .with_usage(usage)
        .with_finish_reason(FinishReason::Length))
}

#[test]
fn a_task_is_a_span_of_the_conventions_and_each_call_its_child() {
    let id = TraceId::new();
    let request = TaskRequest::new("THE PROMPT").trace_id(id).conversation("c1");
    let prices = Prices::new().model("m-1", Price::per_million(1.0, 2.0));
    let helper = HelperConfig::local().name("notes").model("m").prices(prices);
    let spans = ask(OtlpConfig::new(), helper, Some(retried), request);
    let [first, last, task] = &spans[..] else { panic!("{spans:?}") };

    for span in &spans {
        assert_eq!(span["traceId"], id.to_string().replace('-', ""));
        assert!(time(span, "startTimeUnixNano") <= time(span, "endTimeUnixNano"));
        assert_eq!(
            attribute(span, "automation_assistant.helper.name").unwrap()["stringValue"],
            "notes"
        );
    }
    for (call, number) in [(first, "1"), (last, "2")] {
        assert_eq!(call["parentSpanId"], task["spanId"]);
        assert!(time(task, "startTimeUnixNano") <= time(call, "startTimeUnixNano"));
        assert!(time(call, "endTimeUnixNano") <= time(task, "endTimeUnixNano"));
        assert_eq!((&call["name"], &call["kind"]), (&json!("backend_call"), &json!(1)));
        assert_eq!(attribute(call, "automation_assistant.attempt").unwrap()["intValue"], number);
        assert_eq!(attribute(call, "gen_ai.usage.input_tokens"), None, "once, on the task");
    }
    assert_ne!(first["spanId"], last["spanId"]);
    assert_eq!(first["status"], json!({ "code": 2, "message": "overloaded" }));
    assert_eq!(attribute(first, "error.type").unwrap()["stringValue"], "server");
    assert_eq!(attribute(first, "http.response.status_code").unwrap()["intValue"], "503");
    assert!(last.get("status").is_none() && attribute(last, "error.type").is_none());

    assert!(task.get("parentSpanId").is_none() && task.get("status").is_none());
    assert_eq!((&task["name"], &task["kind"]), (&json!("chat m"), &json!(3)));
    let texts = [
        ("gen_ai.operation.name", "chat"),
        ("gen_ai.provider.name", "openai"),
        ("gen_ai.request.model", "m"),
        ("gen_ai.response.model", "m-1"),
        ("gen_ai.conversation.id", "c1"),
    ];
    for (key, expect) in texts {
        assert_eq!(attribute(task, key).unwrap()["stringValue"], expect, "{key}");
    }
    let counts = [
        ("gen_ai.usage.input_tokens", "3"),
        ("gen_ai.usage.output_tokens", "4"),
        ("automation_assistant.attempts", "2"),
        ("automation_assistant.prompt_bytes", "10"),
        ("automation_assistant.reply_bytes", "10"),
    ];
    for (key, expect) in counts {
        assert_eq!(attribute(task, key).unwrap()["intValue"], expect, "{key}");
    }
    let reasons = &attribute(task, "gen_ai.response.finish_reasons").unwrap()["arrayValue"];
    assert_eq!(reasons["values"], json!([{ "stringValue": "length" }]));
    assert!(attribute(task, "automation_assistant.cost").unwrap()["doubleValue"].is_f64());
    let all = format!("{spans:?}");
    for word in ["THE PROMPT", "THE ANSWER", "SERVER SAID"] {
        assert!(!all.contains(word), "{word}");
    }
}

#[test]
fn an_echo_has_no_server_and_a_failure_has_its_kind() {
    let local = HelperConfig::local();
    let spans = ask(OtlpConfig::new(), local.clone(), None, "x".into());
    let [_, task] = &spans[..] else { panic!("{spans:?}") };
    assert_eq!((&task["name"], &task["kind"]), (&json!("chat local-mock"), &json!(1)));
    assert_eq!(attribute(task, "gen_ai.provider.name").unwrap()["stringValue"], "local");
    let [trace, span] = ["traceId", "spanId"].map(|key| task[key].as_str().unwrap().len());
    assert_eq!((trace, span), (32, 16));

    let fails: Backend = |_| Err(TaskError::new(ErrorKind::NotFound, "no model").with_status(404));
    let spans = ask(OtlpConfig::new(), local, Some(fails), "x".into());
    let [call, task] = &spans[..] else { panic!("{spans:?}") };
    for span in [call, task] {
        assert_eq!(attribute(span, "error.type").unwrap()["stringValue"], "not_found");
        assert_eq!(span["status"]["code"], 2);
    }
    assert_eq!(task["name"], "chat", "no model was named");
    assert_eq!(attribute(task, "gen_ai.provider.name").unwrap()["stringValue"], "_OTHER");
}

#[test]
fn content_goes_out_where_the_sink_and_the_helper_both_allow_it() {
    let request = || TaskRequest::new("THE PROMPT").context("k", "THE CONTEXT");
    for (sink, helper, expect) in [
        (true, TraceMode::Content, true),
        (true, TraceMode::Metadata, false),
        (true, TraceMode::Off, false),
        (false, TraceMode::Content, false),
    ] {
        let config = HelperConfig::local().trace(helper);
        let spans = ask(OtlpConfig::new().content(sink), config, Some(retried), request());
        let all = format!("{spans:?}");
        for word in ["THE PROMPT", "THE CONTEXT", "THE ANSWER"] {
            assert_eq!(all.contains(word), expect, "{word} {sink} {helper}");
        }
    }
    let config = HelperConfig::local().trace(TraceMode::Content);
    let content = OtlpConfig::new().content(true);
    let spans = ask(content.clone(), config.clone(), Some(retried), request());
    let message = |key: &str| -> Value {
        let text = attribute(spans.last().unwrap(), key).unwrap()["stringValue"].as_str().unwrap();
        serde_json::from_str(text).unwrap()
    };
    let part = |text: &str| json!([{ "type": "text", "content": text }]);
    assert_eq!(
        message("gen_ai.input.messages"),
        json!([{ "role": "user", "parts": part("THE PROMPT") }])
    );
    let answer =
        json!([{ "role": "assistant", "parts": part("THE ANSWER"), "finish_reason": "length" }]);
    assert_eq!(message("gen_ai.output.messages"), answer);

    let partial: Backend =
        |_| Err(TaskError::new(ErrorKind::Truncated, "broke off").with_partial("HALF"));
    let spans = ask(content.clone(), config.clone(), Some(partial), request());
    let text = attribute(&spans[1], "gen_ai.output.messages").unwrap()["stringValue"].to_string();
    assert!(text.contains("HALF") && text.contains("error"), "{text}");

    // Each of these bytes is six in JSON, and seven in JSON within JSON.
    for long in ["x".repeat(256 << 10), "\u{1}".repeat(100 << 10)] {
        let request = TaskRequest::new(long.as_str()).context("k", "v");
        let spans = ask(content.clone(), config.clone(), Some(retried), request);
        let task = spans.last().unwrap();
        for name in
            ["gen_ai.input.messages", "gen_ai.output.messages", "automation_assistant.context"]
        {
            assert_eq!(attribute(task, name), None, "{name}");
        }
        let length = long.len() + r#"{"k":"v"}"#.len() + "THE ANSWER".len();
        let left_out = attribute(task, "automation_assistant.content_left_out_bytes").unwrap();
        assert_eq!(left_out["intValue"], length.to_string());
    }
}

#[test]
fn texts_that_others_choose_are_cut_and_stay_text() {
    let hostile: Backend = |_| {
        let model = format!("\"}}]}}\u{202e}\u{0}{}é", "x".repeat((1 << 10) - 9));
        Ok(Reply::new("ok").with_model(model).with_provider("\r\n"))
    };
    let spans = ask(OtlpConfig::new(), HelperConfig::local(), Some(hostile), "x".into());
    let [_, task] = &spans[..] else { panic!("{spans:?}") };
    let model = attribute(task, "gen_ai.response.model").unwrap()["stringValue"].as_str().unwrap();
    assert!(model.starts_with("\"}]}\u{202e}\u{0}x") && model.len() == (1 << 10) - 1, "{model}");
}

#[test]
fn a_task_that_never_ran_has_a_span_too() {
    let collector = Collector::new(&[]);
    let sink = OtlpSink::new(OtlpConfig::new().endpoint(collector.url())).unwrap();
    let helper = AutomationHelper::builder(HelperConfig::local())
        .observer(Arc::new(sink.clone()))
        .build()
        .unwrap();
    let id = helper.submit_task("x").unwrap();
    assert!(helper.cancel_task(id));
    sink.flush(LONG);
    let spans = collector.next().spans();
    let [task] = &spans[..] else { panic!("{spans:?}") };
    assert_eq!(task["startTimeUnixNano"], task["endTimeUnixNano"]);
    assert_eq!(attribute(task, "error.type").unwrap()["stringValue"], "cancelled");
    assert_eq!(attribute(task, "automation_assistant.attempts").unwrap()["intValue"], "0");
}
