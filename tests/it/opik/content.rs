//! The content of traces, and texts that they must not have.

use std::time::Duration;

use automation_assistant::{
    AutomationAssistantManager, AutomationHelper, Debrief, ErrorKind, HelperConfig, OpikSink,
    Price, Prices, Reply, TaskError, TaskRequest, Telemetry, TraceId, TraceMode, Usage,
};
use serde_json::json;

use super::stand_in::{Opik, Say, TAKEN};
use super::{echo, flush, manager, opik, run};
use crate::support::pictures::{PNG, PNG_BASE64};
use crate::support::{FnBackend, LONG};

/// Never sent where content was not asked for.
const PLANTED: &str = "PLANTED-PROMPT-93";
const KEY: &str = "PLANTED-KEY-77";
const PLANTED_URL: &str = "https://h/PLANTED?id=1";

fn is_uuid_7(text: &str) -> bool {
    text.parse::<TraceId>().is_ok()
}

fn is_moment(text: &str) -> bool {
    let shape: String = text.chars().map(|c| if c.is_ascii_digit() { '0' } else { c }).collect();
    shape == "0000-00-00T00:00:00.000000Z"
}

#[test]
fn a_task_becomes_one_trace_with_one_span() {
    let server = Opik::willing();
    let config = opik(&server.url()).project("notes").tag("phone").workspace("w").api_key(KEY);
    let manager = manager(config);
    let helper = echo(&manager, TraceMode::Metadata);
    let id = TraceId::new();
    let request = TaskRequest::new("hi").conversation("chat 1").trace_tag("try").trace_id(id);
    let task = run(&manager, helper, request.trace_tag("phone"));
    assert_eq!(flush(&manager, LONG), (1, 0, 0));
    let asked = server.asked();
    assert_eq!(asked.len(), 2);
    assert_eq!(asked[0].line, "POST /api/v1/private/traces/batch");
    assert_eq!(asked[1].line, "POST /api/v1/private/spans/batch");
    for one in &asked {
        assert_eq!(one.header("authorization"), Some(KEY));
        assert_eq!(one.header("comet-workspace"), Some("w"));
        assert_eq!(one.header("content-type"), Some("application/json"));
        assert!(!one.text.contains(KEY) && !one.line.contains(KEY));
        assert_eq!(one.headers.matches(KEY).count(), 1);
    }
    let (trace, span) = (&server.items("traces")[0], &server.items("spans")[0]);
    assert_eq!(trace["id"], id.to_string());
    assert_eq!(trace["name"], "echo");
    assert_eq!(trace["thread_id"], "chat 1");
    assert_eq!(trace["tags"], json!(["echo", "phone", "try"]));
    assert_eq!(span["trace_id"], trace["id"]);
    assert!(is_uuid_7(span["id"].as_str().unwrap()) && span["id"] != trace["id"]);
    assert_eq!((&span["type"], &span["name"]), (&json!("llm"), &json!("Fn")));
    assert_eq!((&span["model"], &span["provider"]), (&json!("m-1"), &json!("openai")));
    let usage = json!({"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5});
    assert_eq!(span["usage"], usage);
    for item in [trace, span] {
        assert_eq!((&item["project_name"], &item["source"]), (&json!("notes"), &json!("sdk")));
        assert!(is_moment(item["start_time"].as_str().unwrap()), "{item}");
        assert!(is_moment(item["end_time"].as_str().unwrap()), "{item}");
        assert!(item["start_time"].as_str() <= item["end_time"].as_str());
        assert_eq!(item["metadata"]["task_id"], task.task_id.to_string());
        assert_eq!(item["metadata"]["reply_bytes"], 2);
        assert!(item.get("error_info").is_none() && item.get("input").is_none());
    }
}

#[test]
fn texts_are_sent_only_where_they_were_asked_for() {
    let server = Opik::willing();
    let manager = manager(opik(&server.url()));
    let request = || TaskRequest::new(PLANTED).context("secret", "PLANTED-CONTEXT");
    let system = HelperConfig::local().system_prompt("PLANTED-SYSTEM");
    for (mode, said) in [(TraceMode::Metadata, false), (TraceMode::Content, true)] {
        let before = server.asked().len();
        let helper = manager.spawn_helper(system.clone().trace(mode)).unwrap();
        run(&manager, helper, request());
        assert_eq!(flush(&manager, LONG).2, 0);
        let sent: String = server.asked()[before..].iter().map(|one| one.text.clone()).collect();
        assert!(!sent.is_empty());
        assert_eq!(sent.contains(PLANTED), said, "{mode:?}");
        assert_eq!(sent.contains("PLANTED-CONTEXT"), said, "{mode:?}");
        assert_eq!(sent.contains("PLANTED"), said, "{mode:?}");
    }
    let trace = server.items("traces").pop().unwrap();
    let input = json!({"prompt": PLANTED, "context": {"secret": "PLANTED-CONTEXT"}});
    assert_eq!(trace["input"], input);
    assert!(trace["output"]["text"].as_str().unwrap().contains(PLANTED));
    assert_eq!(server.items("spans").pop().unwrap()["input"], input);
}

/// A picture's bytes are never sent, for each outcome and mode.
#[test]
fn a_trace_with_content_describes_pictures() {
    let reply = r#"{"model":"m","choices":[{"message":{"content":"a cat"}}]}"#;
    let server = Opik::start(move |_, asked| match asked.line.ends_with("/chat/completions") {
        true => Say::Json(reply.into(), ""),
        false => TAKEN,
    });
    let manager = manager(opik(&server.url()));
    for (mode, expected) in [
        (TraceMode::Metadata, serde_json::Value::Null),
        (
            TraceMode::Content,
            json!({"prompt": "what is it?",
                "images": [{"media_type": "image/png", "bytes": PNG.len()}, {"url_bytes": 22}]}),
        ),
    ] {
        let before = server.asked().len();
        let config = HelperConfig::local().api_endpoint(server.url()).model("m").trace(mode);
        let helper = manager.spawn_helper(config).unwrap();
        let turn = automation_assistant::Turn::user("").image_url("https://h/PLANTED-TURN");
        let request = TaskRequest::new("what is it?").turns([turn]);
        let request = request.image_bytes("image/png", PNG.to_vec()).image_url(PLANTED_URL);
        assert!(run(&manager, helper, request).is_success());
        assert_eq!(flush(&manager, LONG).2, 0);
        for one in &server.asked()[before..] {
            let model = one.line.ends_with("/chat/completions");
            let quoted = [PLANTED_URL, PNG_BASE64].map(|text| one.text.contains(text));
            assert_eq!(quoted, [model; 2], "{}", one.line);
        }
        assert_eq!(server.items("traces").pop().unwrap()["input"], expected);
        assert_eq!(server.items("spans").pop().unwrap()["input"], expected);
    }
}

#[test]
fn helpers_trace_by_their_kind_unless_set_otherwise() {
    let chat = r#"{"model":"m","choices":[{"message":{"content":"hello"}}]}"#;
    let server = Opik::start(move |_, asked| match asked.line.ends_with("/chat/completions") {
        true => Say::Json(chat.into(), "x-opik-provider: anthropic\r\n"),
        false => TAKEN,
    });
    let manager = manager(opik(&server.url()).project("ours"));
    let comet = HelperConfig::comet().api_endpoint(server.url()).model("claude-x");
    let silent = [
        HelperConfig::local(),
        HelperConfig::local().api_endpoint(server.url()).model("x"),
        HelperConfig::chatgpt().api_endpoint(server.url()).api_key("k"),
        comet.clone().trace(TraceMode::Off),
    ];
    for config in silent {
        let helper = manager.spawn_helper(config).unwrap();
        run(&manager, helper, PLANTED);
        manager.terminate_helper(helper).unwrap();
    }
    assert_eq!(flush(&manager, LONG), (0, 0, 0));
    assert!(server.items("traces").is_empty());
    let helper = manager.spawn_helper(comet.project("its own")).unwrap();
    run(&manager, helper, PLANTED);
    assert_eq!(flush(&manager, LONG), (1, 0, 0));
    let span = server.items("spans").pop().unwrap();
    assert_eq!((&span["provider"], &span["model"]), (&json!("anthropic"), &json!("m")));
    assert_eq!(
        (&span["name"], &span["project_name"]),
        (&json!("Comet (claude-x)"), &json!("its own"))
    );
    let asked = server.asked();
    let ours = asked.iter().filter(|one| one.is("traces") || one.is("spans"));
    let traces: String = ours.map(|one| one.text.clone()).collect();
    assert!(!traces.contains(PLANTED));
}

#[test]
fn a_failure_is_reported_in_our_own_words() {
    let server = Opik::willing();
    let manager = manager(opik(&server.url()));
    let backend = FnBackend(|_: &automation_assistant::CallContext<'_>| {
        Err(TaskError::new(ErrorKind::Server, "the server failed")
            .with_status(503)
            .with_message(PLANTED))
    });
    let config = HelperConfig::local().trace(TraceMode::Content).model("asked-for");
    let helper = manager.spawn_helper_with(config, backend).unwrap();
    run(&manager, helper, "x");
    assert_eq!(flush(&manager, LONG), (1, 0, 0));
    for list in ["traces", "spans"] {
        let item = server.items(list).pop().unwrap();
        let error = &item["error_info"];
        assert_eq!(error["exception_type"], "server");
        assert_eq!(error["message"], "the server failed");
        assert!(error["traceback"].as_str().unwrap().contains("HTTP 503"));
        assert!(!item.to_string().contains(PLANTED));
    }
    assert_eq!(server.items("spans")[0]["model"], "asked-for");
}

#[test]
fn a_task_that_was_never_begun_leaves_no_trace() {
    let server = Opik::willing();
    let manager = manager(opik(&server.url()));
    let (backend, begun) = crate::support::patient();
    let config = HelperConfig::local().trace(TraceMode::Metadata);
    let helper = manager.spawn_helper_with(config, backend).unwrap();
    let first = manager.submit_task(helper, "one").unwrap();
    begun.recv_timeout(LONG).unwrap();
    let second = manager.submit_task(helper, "two").unwrap();
    assert!(manager.cancel_task(helper, second));
    assert!(manager.cancel_task(helper, first));
    manager.wait_task(helper, first, LONG).unwrap();
    assert_eq!(flush(&manager, LONG), (1, 0, 0));
    assert_eq!(server.items("traces")[0]["error_info"]["exception_type"], "cancelled");
}

#[test]
fn a_price_list_gives_the_cost() {
    let server = Opik::willing();
    let manager = manager(opik(&server.url()));
    let prices = Prices::new().model("m-1", Price::per_million(1.0, 10.0));
    let config = HelperConfig::local().trace(TraceMode::Metadata).prices(prices);
    let backend = FnBackend(|_: &automation_assistant::CallContext<'_>| {
        Ok(Reply::new("x").with_model("m-1").with_usage(Usage::new(1_000_000, 100_000)))
    });
    let helper = manager.spawn_helper_with(config, backend).unwrap();
    run(&manager, helper, "x");
    assert_eq!(flush(&manager, LONG), (1, 0, 0));
    assert_eq!(server.items("spans")[0]["total_estimated_cost"], 2.0);
}

#[test]
fn the_first_delta_is_timed() {
    let server = Opik::willing();
    let manager = manager(opik(&server.url()));
    let config = HelperConfig::local().trace(TraceMode::Metadata);
    let helper = manager.spawn_helper(config).unwrap();
    run(&manager, helper, TaskRequest::new("x").on_text(|_| {}));
    assert_eq!(flush(&manager, LONG).0, 1);
    let trace = server.items("traces").pop().unwrap();
    let (first, all) = (trace["ttft"].as_f64().unwrap(), &trace["metadata"]["latency_ms"]);
    assert!(first >= 0.0 && first <= all.as_f64().unwrap());
}

#[test]
fn too_long_texts_are_left_out_and_their_length_sent() {
    let server = Opik::willing();
    let manager = manager(opik(&server.url()));
    let helper = echo(&manager, TraceMode::Content);
    run(&manager, helper, "x".repeat(200_000));
    assert_eq!(flush(&manager, LONG), (1, 0, 0));
    let trace = server.items("traces").pop().unwrap();
    assert!(trace.get("input").is_none());
    assert_eq!(trace["metadata"]["content_left_out_bytes"], 400_000);
}

#[test]
fn the_fate_of_traces_is_in_telemetry_and_debrief() {
    let folder = crate::telemetry::Folder::new("opik-audit");
    let path = folder.join("audit.jsonl");
    let server = Opik::start(|number, _| match number {
        0 => Say::Status(503, ""),
        _ => TAKEN,
    });
    let telemetry = Telemetry::to_file(&path).unwrap();
    let manager = AutomationAssistantManager::builder()
        .telemetry(telemetry)
        .opik(opik(&server.url()).api_key(KEY))
        .build()
        .unwrap();
    let helper = echo(&manager, TraceMode::Content);
    run(&manager, helper, PLANTED);
    assert_eq!(flush(&manager, LONG), (1, 0, 0));
    drop(manager);
    let text = std::fs::read_to_string(&path).unwrap();
    assert!(!text.contains(PLANTED) && !text.contains(KEY));
    let debrief = Debrief::from_path(&path).unwrap();
    assert_eq!(debrief.to_json()["trace_export"], json!({"sent": 1, "dropped": 0, "retried": 1}));
}

#[test]
fn a_sink_serves_a_helper_without_a_manager() {
    let server = Opik::willing();
    let sink = OpikSink::new(opik(&server.url())).unwrap();
    let helper = AutomationHelper::builder(HelperConfig::local().trace(TraceMode::Metadata))
        .observer(std::sync::Arc::new(sink.clone()))
        .build()
        .unwrap();
    helper.start().unwrap();
    let id = TraceId::new();
    let task = helper.submit_task(TaskRequest::new("x").trace_id(id)).unwrap();
    helper.wait_task(task, LONG).unwrap();
    assert!(sink.score(id, "good", 0.75));
    for beyond in [f64::NAN, f64::INFINITY, 1e9, -1e9, f64::MIN] {
        assert!(!sink.score(id, "good", beyond), "{beyond}");
    }
    assert!(!sink.score(id, " ", 1.0));
    drop(helper);
    // The last handle sends what is left.
    drop(sink);
    assert_eq!(server.items("traces")[0]["id"], id.to_string());
    let asked = server.asked().pop().unwrap();
    assert_eq!(asked.line, "PUT /api/v1/private/traces/feedback-scores");
    let score = json!({"id": id.to_string(), "name": "good", "value": 0.75, "source": "sdk"});
    assert_eq!(asked.items("scores"), [score]);
}

#[test]
fn invalid_settings_are_refused_at_build() {
    let build = |config| AutomationAssistantManager::builder().opik(config).build();
    let here = "http://127.0.0.1:9/api";
    for config in [
        opik("nonsense"),
        opik(here).queue_items(0),
        opik(here).queue_bytes(1),
        opik(here).tag("\n"),
        opik("http://h.example/api").api_key(KEY),
    ] {
        assert!(!format!("{config:?}").contains(KEY));
        let why = format!("{:?}", build(config).unwrap_err());
        assert!(why.contains("InvalidConfig") && !why.contains(KEY), "{why}");
    }
    let json = |mode| format!(r#"{{"backend_type": "local", "trace": "{mode}"}}"#);
    let fault = serde_json::from_str::<HelperConfig>(&json("all")).unwrap_err().to_string();
    assert!(fault.contains("content"), "{fault}");
    let config: HelperConfig = serde_json::from_str(&json("content")).unwrap();
    assert!(format!("{config:?}").contains("trace: Content"));
    let manager = manager(opik(here));
    let helper = echo(&manager, TraceMode::Off);
    for request in [
        TaskRequest::new("x").trace_tag(""),
        TaskRequest::new("x").conversation("a\nb"),
        (0..21).fold(TaskRequest::new("x"), |request, n| request.trace_tag(n.to_string())),
    ] {
        assert!(manager.submit_task(helper, request).is_err());
    }
    assert_eq!(flush(&manager, Duration::ZERO), (0, 0, 0));
}
