//! Secrets against servers that send them back, in every place where a server can.

use std::time::Duration;

use automation_assistant::{
    AutomationAssistantManager, ErrorKind, FnTool, HelperConfig, HelperId, Task, TaskRequest,
};
use serde_json::json;

use super::{
    CONTEXT, KEY, PICTURE_BASE64, PICTURE_URL, PROMPT, REPLY, SYSTEM, TOOL, TURN, Watch,
    request_with_pictures, search_debug, search_task,
};
use crate::support::LONG;
use crate::support::server::{Act, DONE, Server, answer, chunk, delta, event, stop};

/// A value of a tool's arguments that is shorter than the parts of a text that are looked for.
const PIN: &str = "PIN-0427";

/// All that was sent, in one text.
fn echo() -> String {
    format!("{KEY} {PROMPT} {CONTEXT} {SYSTEM} {TURN} {PICTURE_BASE64} {PICTURE_URL}")
}

/// One exchange after another, each on its own connection.
struct Stage {
    watch: Watch,
    server: Server,
    manager: AutomationAssistantManager,
    helper: HelperId,
}

impl Stage {
    fn new(name: &str, scripts: Vec<Vec<Act>>) -> Self {
        let watch = Watch::new(name);
        let server = Server::start(scripts);
        let manager = AutomationAssistantManager::builder()
            .telemetry(watch.telemetry.clone())
            .observer(watch.shown.clone())
            .build()
            .unwrap();
        let config = HelperConfig::chatgpt()
            .api_endpoint(server.base())
            .api_key(KEY)
            .max_retries(0)
            .max_reply_bytes(20_000);
        search_debug(&config);
        let helper = manager.spawn_helper(config).unwrap();
        Self { watch, server, manager, helper }
    }

    fn ask(&self, request: TaskRequest) -> Task {
        let id = self.manager.submit_task(self.helper, request).unwrap();
        let task = self.manager.wait_task(self.helper, id, LONG).unwrap();
        search_task(&task);
        task
    }

    fn end(self) {
        search_debug(&self.manager.get_helper(self.helper));
        drop(self.manager);
        self.server.finish();
        self.watch.search();
    }
}

/// A reply on a connection that ends with it.
fn once(status: u16, headers: &str, body: &str) -> Vec<Act> {
    vec![Act::read(), Act::reply(status, &format!("{headers}connection: close\r\n"), body)]
}

const STATUSES: &[u16] =
    &[400, 401, 402, 403, 404, 408, 409, 413, 418, 422, 429, 500, 501, 502, 503, 504, 529];

#[test]
fn refusals_that_quote_the_request_are_reported_without_it() {
    let echo = echo();
    let quoted = serde_json::to_string(&echo).unwrap();
    let bodies = [
        format!(r#"{{"error":{{"message":{quoted},"type":{quoted},"code":{quoted}}}}}"#),
        format!(
            r#"{{"error":{{"message":"m","type":"{KEY}","code":"{PROMPT}","param":"{KEY}"}}}}"#
        ),
        format!(r#"{{"error":{{"message":"m","type":"{CONTEXT}","code":"{KEY}"}}}}"#),
        format!(r#"{{"error":{{"message":"m","type":"t","code":"{SYSTEM}"}}}}"#),
        format!(r#"{{"error":{quoted}}}"#),
        format!(r#"{{"message":{quoted},"code":"{TURN}","details":{quoted}}}"#),
        format!(r#"{{"errors":[{quoted}],"detail":{quoted}}}"#),
        format!(r#"{{"detail":[{{"msg":{quoted},"input":{quoted}}}]}}"#),
        echo.clone(),
        echo.to_uppercase(),
        format!("<html>{echo}</html>"),
        format!(r#"{{"error":{{"message":"{echo}"#),
        format!("{}{KEY}", "x".repeat(500)),
    ];
    let mut scripts = Vec::new();
    for status in STATUSES {
        for (n, body) in bodies.iter().enumerate() {
            // Not in every place at once: one that is refused whole would hide the others.
            let header = match n % 4 {
                0 => format!("x-request-id: {KEY}\r\nretry-after: {KEY}\r\n"),
                1 => format!("x-request-id: {PROMPT}\r\nretry-after: {PROMPT}\r\n"),
                2 => format!("x-request-id: {CONTEXT}\r\ncontent-type: {KEY}\r\n"),
                _ => format!("x-should-retry: {KEY}\r\nserver: {KEY}\r\n"),
            };
            scripts.push(once(*status, &header, body));
        }
    }
    let calls = scripts.len();
    let stage = Stage::new("refusals", scripts);
    for _ in 0..calls {
        assert!(stage.ask(request_with_pictures()).error.is_some());
    }
    stage.end();
}

#[test]
fn unusable_answers_are_reported_without_their_content() {
    let (echo, reply) = (echo(), REPLY);
    let quoted = serde_json::to_string(&echo).unwrap();
    let head = "HTTP/1.1 200 OK\r\n";
    let raw = |text: String| vec![Act::read(), Act::write(text)];
    let scripts = vec![
        once(200, "", &format!(r#"{{"error":{{"message":{quoted},"code":"{KEY}"}}}}"#)),
        once(200, "", &format!(r#"{{"error":{quoted}}}"#)),
        once(200, "", &format!(r#"{{"message":{quoted},"code":401}}"#)),
        once(200, "", &format!("{echo} {reply}")),
        once(200, "", &format!("<html>{echo}</html>")),
        once(200, "", &format!(r#"{{"choices":[{{"message":{{"content":"{reply}"#)),
        once(200, "", &format!(r#"{{"choices":{quoted}}}"#)),
        once(200, "", &format!(r#"{{"choices":[{quoted}]}}"#)),
        once(200, "", &answer(&reply.repeat(2000))),
        once(200, &format!("content-encoding: {KEY}\r\n"), &answer(reply)),
        once(302, &format!("location: http://127.0.0.1:1/{KEY}\r\n"), &echo),
        once(
            200,
            "",
            r#"{"choices":[{"message":{"refusal":"REPLY"}}]}"#.replace("REPLY", reply).as_str(),
        ),
        once(
            200,
            "",
            &format!(
                r#"{{"choices":[{{"finish_reason":"content_filter",
                    "message":{{"content":"{reply}"}}}}]}}"#
            ),
        ),
        raw(format!("{KEY} {PROMPT}\r\n\r\n")),
        raw(format!("{head}{KEY}: {KEY}\r\n{PROMPT}\r\n\r\n")),
        raw(format!("{head}content-length: {KEY}\r\n\r\n{echo}")),
        raw(format!("{head}transfer-encoding: chunked\r\n\r\n{KEY}\r\n{echo}")),
        raw(format!("{head}content-length: 9999\r\n\r\n{reply}")),
        raw(String::new()),
        vec![Act::Reset],
    ];
    let calls = scripts.len();
    let stage = Stage::new("answers", scripts);
    for call in 0..calls {
        let task = stage.ask(request_with_pictures());
        assert!(task.error.is_some(), "call {call}: {task:?}");
    }
    stage.end();
}

#[test]
fn answers_are_shown_to_their_owner_alone() {
    let calls = json!({"choices": [{"message": {"content": REPLY, "tool_calls": [
        {"id": KEY, "function": {"name": "good", "arguments": format!("{{\"a\":\"{TOOL}\",\"pin\":\"{PIN}\"}}")}},
        {"id": "2", "function": {"name": "bad", "arguments": "{}"}},
        {"id": "3", "function": {"name": PROMPT, "arguments": TOOL}},
    ]}}]});
    let after_tools = json!({"error": {"message": format!("did not like {TOOL}, {PIN} and {REPLY}"), "code": TOOL}});
    let odd = json!({"model": KEY, "id": KEY, "system_fingerprint": KEY, "choices": [
        {"finish_reason": PROMPT, "message": {"role": KEY, "content": REPLY}}],
        "usage": {"prompt_tokens": 1, "completion_tokens": 1}});
    let mut with_tools = vec![Act::read(), Act::json(200, &calls.to_string())];
    with_tools.extend(once(400, "", &after_tools.to_string()));
    let scripts = vec![
        once(200, "", &answer(REPLY)),
        once(200, "", &odd.to_string()),
        once(200, "", &format!("{{\"model\":\"{KEY}\",{}", &answer(REPLY)[1..])),
        with_tools,
    ];
    let stage = Stage::new("owner", scripts);
    assert_eq!(stage.ask(request_with_pictures()).result.as_deref(), Some(REPLY));
    assert_eq!(stage.ask(request_with_pictures()).result.as_deref(), Some(REPLY));
    assert_eq!(stage.ask(request_with_pictures()).result.as_deref(), Some(REPLY));
    let request = request_with_pictures()
        .tool(FnTool::new("good", TOOL, json!({}), |_| Ok(TOOL.to_owned())))
        .tool(FnTool::new("bad", TOOL, json!({}), |_| panic!("{TOOL}")));
    let error = stage.ask(request).error.unwrap().to_string();
    assert!(error.contains("did not like") && !error.contains(PIN), "{error}");
    stage.end();
}

#[test]
fn broken_streams_are_reported_without_their_content() {
    let quoted = serde_json::to_string(&echo()).unwrap();
    let said = delta(REPLY);
    let ends = [
        event(&format!(r#"{{"error":{{"message":{quoted},"code":"{KEY}"}}}}"#)),
        format!("event: error\ndata: {{\"message\":{quoted},\"code\":\"{PROMPT}\"}}\n\n"),
        format!("error: {{\"message\":{quoted},\"type\":\"{CONTEXT}\"}}\n\n"),
        format!("data: {KEY} {PROMPT}\n\n"),
        event(&format!(r#"{{"choices":[{{"finish_reason":"{KEY}"}}]}}"#)),
        event(r#"{"choices":[{"finish_reason":"content_filter"}]}"#),
        event(&format!(r#"{{"model":"{KEY}","choices":[]}}"#)),
        format!("{}{DONE}", stop()),
        String::new(),
    ];
    let stream =
        |end: &String| vec![Act::read(), Act::stream_head(), Act::write(said.clone() + end)];
    let mut scripts: Vec<_> = ends.iter().map(stream).collect();
    // A stream that is cut in the middle of a chunk, and one that is too large.
    scripts.push(vec![Act::read(), Act::chunked_head(), chunk(&said), Act::write("ff\r\n")]);
    scripts.push(vec![Act::read(), Act::stream_head(), Act::Flood(said.clone().into_bytes())]);
    let calls = scripts.len();
    let stage = Stage::new("streams", scripts);
    for _ in 0..calls {
        stage.ask(request_with_pictures().on_text(|_| {}));
    }
    stage.end();
}

#[test]
fn tasks_that_run_out_of_time_or_are_cancelled_give_nothing_away() {
    let hold = || vec![Act::read(), Act::stream_head(), Act::write(delta(REPLY)), Act::hold()];
    let stage = Stage::new("time", vec![hold(), hold()]);
    let late =
        stage.ask(request_with_pictures().on_text(|_| {}).timeout(Duration::from_millis(100)));
    assert_eq!(late.error.unwrap().kind(), ErrorKind::Timeout);
    let (sender, receiver) = std::sync::mpsc::channel();
    let request = request_with_pictures().on_text(move |_| sender.send(()).unwrap());
    let id = stage.manager.submit_task(stage.helper, request).unwrap();
    receiver.recv_timeout(LONG).unwrap();
    assert!(stage.manager.cancel_task(stage.helper, id));
    search_task(&stage.manager.wait_task(stage.helper, id, LONG).unwrap());
    stage.end();
}
