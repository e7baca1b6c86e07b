//! Judges written by others: `llmock` grades how faults are handled, `prism` refuses
//! requests that break the provider's contract. `tests/graders/run` installs and starts both
//! and runs these tests; without their addresses in the environment they say so and pass.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use automation_assistant::{
    AutomationAssistantManager, ErrorKind, FnTool, HelperConfig, HelperId, OpenAiApi, Role, Task,
    TaskRequest,
};
use serde_json::{Value, json};

use crate::support::LONG;
use crate::support::pictures::PNG;

/// The address of a judge, as `127.0.0.1:8071`, or a word on why nothing is tested.
#[allow(clippy::print_stdout)] // A skipped test must say so.
fn judge(variable: &str) -> Option<String> {
    let found = std::env::var(variable).ok();
    if found.is_none() {
        println!("skipped: {variable} names no judge; see tests/graders/run");
    }
    found
}

/// One plain request, by hand: the judge's own interface is no chat.
fn http(address: &str, method: &str, path: &str, body: &str) -> Value {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(LONG)).unwrap();
    write!(
        stream,
        "{method} {path} HTTP/1.1\r\nhost: {address}\r\ncontent-type: application/json\r\n\
         connection: close\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    )
    .unwrap();
    let mut reply = String::new();
    stream.read_to_string(&mut reply).unwrap();
    let (head, body) = reply.split_once("\r\n\r\n").unwrap();
    assert!(head.contains(" 200 ") || head.contains(" 201 "), "{method} {path}: {reply}");
    serde_json::from_str(body).unwrap_or(Value::Null)
}

struct Llmock {
    address: String,
    manager: AutomationAssistantManager,
    helper: HelperId,
    cases: u32,
}

impl Llmock {
    fn new(address: &str) -> Self {
        http(address, "POST", "/_llmock/reset", "");
        let manager = AutomationAssistantManager::new(1);
        let config = HelperConfig::chatgpt()
            .api_endpoint(format!("http://{address}/v1"))
            .idle_timeout(Duration::from_millis(700))
            .first_byte_timeout(Duration::from_secs(10));
        let helper = manager.spawn_helper(config).unwrap();
        Self { address: address.to_owned(), manager, helper, cases: 0 }
    }

    /// Asks under these faults, with a prompt of its own (the judge distinguishes calls by it).
    fn under(&mut self, faults: Value, change: impl Fn(TaskRequest) -> TaskRequest) -> Task {
        http(&self.address, "POST", "/_llmock/scenario", &json!({"behaviors": faults}).to_string());
        self.cases += 1;
        let request = change(TaskRequest::new(format!("case {} of the list", self.cases)));
        let id = self.manager.submit_task(self.helper, request).unwrap();
        self.manager.wait_task(self.helper, id, LONG).unwrap()
    }

    /// The codes of what the judge found wrong.
    fn findings(&self) -> Vec<String> {
        let verdict = http(&self.address, "GET", "/_llmock/verdict", "");
        let findings = verdict["findings"].as_array().expect("a verdict").iter();
        findings.map(|finding| finding["code"].as_str().unwrap().to_owned()).collect()
    }
}

fn plain(request: TaskRequest) -> TaskRequest {
    request
}

fn streamed(request: TaskRequest) -> TaskRequest {
    request.on_text(|_| {})
}

fn with_tool(request: TaskRequest) -> TaskRequest {
    let schema = json!({"type": "object", "properties": {"place": {"type": "string"}}});
    request.tool(FnTool::new("weather", "Returns the weather.", schema, |_| Ok("sunny".into())))
}

fn with_images(request: TaskRequest) -> TaskRequest {
    request.image_bytes("image/png", PNG.to_vec()).image_url("https://h.example/b.png")
}

fn kind(task: &Task) -> Option<ErrorKind> {
    task.error.as_ref().map(|error| error.kind())
}

#[test]
fn llmock_finds_nothing_wrong() {
    let Some(address) = judge("AUTOMATION_ASSISTANT_LLMOCK") else { return };
    let mut llmock = Llmock::new(&address);
    for status in [408, 409, 429, 500, 502, 503, 504, 529] {
        let task = llmock.under(json!([{"type": "fail", "status": status, "times": 2}]), plain);
        assert_eq!((kind(&task), task.attempts), (None, 3), "{status}");
    }
    for wait in [0.3, 1.0] {
        let fault = json!([{"type": "fail", "status": 429, "retry_after": wait, "times": 1}]);
        for change in [plain, streamed] {
            let task = llmock.under(fault.clone(), change);
            assert_eq!((kind(&task), task.attempts), (None, 2));
        }
    }
    let refusals = [
        (400, ErrorKind::InvalidRequest),
        (401, ErrorKind::Authentication),
        (403, ErrorKind::PermissionDenied),
        (404, ErrorKind::NotFound),
        (422, ErrorKind::InvalidRequest),
    ];
    for (status, expected) in refusals {
        let task = llmock.under(json!([{"type": "fail", "status": status, "times": 1}]), plain);
        assert_eq!((kind(&task), task.attempts), (Some(expected), 1), "{status}");
    }
    // Broken before the first word: tried again.
    for fault in ["disconnect", "truncate"] {
        let faults = json!([{"type": "stream_fault", "kind": fault, "after_chunks": 0}]);
        let task = llmock.under(faults, streamed);
        assert_eq!((kind(&task), task.attempts), (None, 2), "{fault}");
    }
    let stall = json!([{"type": "stream_fault", "kind": "stall", "after_chunks": 3,
        "stall_seconds": 5}]);
    let task = llmock.under(stall, streamed);
    assert_eq!(kind(&task), Some(ErrorKind::Timeout));
    assert!(task.error.unwrap().partial().is_some());
    let slow = json!([{"type": "slow_first_token", "seconds": 1}]);
    assert_eq!(kind(&llmock.under(slow, streamed)), None);
    let delay = json!([{"type": "delay", "seconds": 1}]);
    assert_eq!(kind(&llmock.under(delay, plain)), None);
    let reply = json!([{"type": "reply", "text": "\u{e4} \u{1F600} \"x\""}]);
    for change in [plain, streamed] {
        let task = llmock.under(reply.clone(), change);
        assert_eq!(task.result.as_deref(), Some("\u{e4} \u{1F600} \"x\""));
    }
    for fault in ["malformed_arguments", "unknown_tool"] {
        for stream in [false, true] {
            let faults = json!([{"type": "tool_fault", "kind": fault}]);
            let change =
                |request| if stream { streamed(with_tool(request)) } else { with_tool(request) };
            let task = llmock.under(faults, change);
            assert_eq!(kind(&task), None, "{fault}");
            assert!(task.attempts >= 2);
        }
    }
    assert_eq!(llmock.findings(), Vec::<String>::new());
}

/// Where the judge's rules and ours differ, on purpose.
#[test]
fn llmock_s_other_findings_are_our_choices() {
    let Some(address) = judge("AUTOMATION_ASSISTANT_LLMOCK_CHOICES") else { return };
    let mut llmock = Llmock::new(&address);
    // A spent budget is a 429 that no retry mends; the judge looks at the status alone.
    let quota = json!([{"type": "fail", "status": 429, "code": "insufficient_quota"}]);
    let task = llmock.under(quota, plain);
    assert_eq!((kind(&task), task.attempts), (Some(ErrorKind::QuotaExceeded), 1));
    // Once text was handed to the user, the task fails and keeps it: a retry would say
    // everything twice. The judge sees only that nobody asked again.
    let cases = [
        ("truncate", ErrorKind::Truncated),
        ("disconnect", ErrorKind::Truncated),
        ("malformed", ErrorKind::Protocol),
    ];
    for (fault, expected) in cases {
        let faults = json!([{"type": "stream_fault", "kind": fault, "after_chunks": 3}]);
        let task = llmock.under(faults, streamed);
        assert_eq!((kind(&task), task.attempts), (Some(expected), 1), "{fault}");
        assert!(task.error.unwrap().partial().is_some(), "{fault}");
    }
    let mut findings = llmock.findings();
    findings.sort();
    let expected = ["gave_up", "gave_up", "malformed_chunk_ignored", "truncated_stream_accepted"];
    assert_eq!(findings, expected);
}

/// An API with a contract: prism's address, a helper with nothing set and one with all that its
/// configuration can ask for, and a parameter with a value of the wrong type.
struct Contract {
    variable: &'static str,
    config: fn() -> HelperConfig,
    full: fn(HelperConfig) -> HelperConfig,
    wrong: &'static str,
}

const CHAT: Contract = Contract {
    variable: "AUTOMATION_ASSISTANT_PRISM",
    config: || HelperConfig::chatgpt().openai_api(OpenAiApi::ChatCompletions),
    full: |config| {
        config
            .organization("org-1")
            .project("proj-1")
            .custom_param("temperature", 0.7)
            .custom_param("max_completion_tokens", 100)
            .custom_param("seed", 7)
            .custom_param("stop", json!(["\n"]))
    },
    wrong: "temperature",
};

const RESPONSES: Contract = Contract {
    variable: "AUTOMATION_ASSISTANT_PRISM_RESPONSES",
    config: || HelperConfig::chatgpt().openai_api(OpenAiApi::Responses),
    full: |config| {
        config
            .organization("org-1")
            .project("proj-1")
            .max_output_tokens(100)
            .reasoning_effort("low")
            .prompt_cache_key("key-1")
            .custom_param("reasoning", json!({"summary": "auto"}))
            .custom_param("metadata", json!({"k": "v"}))
    },
    wrong: "max_tool_calls",
};

const MESSAGES: Contract = Contract {
    variable: "AUTOMATION_ASSISTANT_PRISM_MESSAGES",
    config: || HelperConfig::anthropic().model("claude-sonnet-5"),
    full: |config| {
        config
            .max_output_tokens(2000)
            .reasoning_effort("low")
            .custom_param("stop_sequences", json!(["\n\n"]))
            .custom_param("cache_control", json!({"type": "ephemeral"}))
    },
    wrong: "temperature",
};

impl Contract {
    fn config(&self, address: &str) -> HelperConfig {
        (self.config)()
            .api_endpoint(format!("http://{address}"))
            .api_key("sk-contract")
            .max_retries(0)
    }
}

/// Asks once with a helper of its own: the contract's headers announce pauses.
fn ask(config: HelperConfig, request: TaskRequest) -> Task {
    let manager = AutomationAssistantManager::new(1);
    let helper = manager.spawn_helper(config).unwrap();
    let id = manager.submit_task(helper, request).unwrap();
    manager.wait_task(helper, id, LONG).unwrap()
}

/// Every request that can be built, against the contract: prism answers what it accepts with
/// the contract's own examples, and refuses the rest with 422.
fn accepts_every_request(contract: &Contract) {
    let Some(address) = judge(contract.variable) else { return };
    let bare = contract.config(&address);
    let full = (contract.full)(bare.clone().system_prompt("be brief"));
    let schema = json!({"type": "object", "properties": {"n": {"type": "number"}},
        "required": ["n"], "additionalProperties": false});
    type Change = fn(TaskRequest) -> TaskRequest;
    let changes: [Change; 4] = [plain, streamed, with_tool, with_images];
    for config in [bare.clone(), full] {
        for change in changes {
            for with_schema in [false, true] {
                let mut request = TaskRequest::new("how many?")
                    .context("battery", json!({"percent": 12, "states": ["low", null]}))
                    .turn(Role::User, "hello")
                    .turn(Role::Assistant, "hello");
                if with_schema {
                    request = request.reply_schema("count", schema.clone());
                }
                let task = ask(config.clone(), change(request));
                // The only stream in the contract of Messages calls a tool that was not offered.
                let accepted = matches!(kind(&task), None | Some(ErrorKind::Unsupported));
                assert!(accepted, "{}: {:?}", contract.variable, task.error);
            }
        }
    }
    // The judge does refuse: these requests are bad, and the test would notice.
    for (name, value) in [(contract.wrong, json!("hot")), ("no_such_field", json!(1))] {
        let task = ask(bare.clone(), TaskRequest::new("p").custom_param(name, value));
        assert_eq!(kind(&task), Some(ErrorKind::InvalidRequest), "{name}: {:?}", task.result);
    }
}

#[test]
fn prism_accepts_every_request_of_chat() {
    accepts_every_request(&CHAT);
}

#[test]
fn prism_accepts_every_request_of_responses() {
    accepts_every_request(&RESPONSES);
}

#[test]
fn prism_accepts_every_request_of_messages() {
    accepts_every_request(&MESSAGES);
}

/// Asked for it in the query, prism answers with the contract's example of a tool call, again
/// and again: what goes back each time, thoughts and results, keeps to the contract.
#[test]
fn prism_accepts_tool_rounds_of_responses_and_messages() {
    for (contract, example) in [(RESPONSES, "tool_call"), (MESSAGES, "tool_use")] {
        let Some(address) = judge(contract.variable) else { return };
        let schema = json!({"type": "object", "properties": {"city": {"type": "string"}}});
        let time = FnTool::new("get_time", "Returns the time.", schema, |_| Ok("12:00".into()));
        let config = contract.config(&address);
        let config = config.api_endpoint(format!("http://{address}?__example={example}"));
        let task = ask(config, TaskRequest::new("what time is it?").tool(time));
        let error = task.error.unwrap();
        assert!(error.summary().contains("max_tool_rounds"), "{}: {error}", contract.variable);
        assert!(task.attempts > 2, "{}", task.attempts);
    }
}

/// Requests after a tool call keep to the contract too: prism stands
/// between us and a server that calls tools.
#[test]
fn prism_accepts_what_follows_a_tool_call() {
    let Some(address) = judge("AUTOMATION_ASSISTANT_PRISM_PROXY") else { return };
    let manager = AutomationAssistantManager::new(1);
    let config = HelperConfig::chatgpt()
        .api_endpoint(format!("http://{address}"))
        .api_key("sk-contract")
        .max_retries(0);
    let helper = manager.spawn_helper(config).unwrap();
    let id = manager.submit_task(helper, with_tool(TaskRequest::new("weather?"))).unwrap();
    let task = manager.wait_task(helper, id, LONG).unwrap();
    assert_eq!((kind(&task), task.attempts), (None, 2), "{:?}", task.error);
}
