//! The HTTP backends through the public face, against scripted servers on loopback.

mod anthropic;
mod bad_server;
mod cancel;
mod environment;
mod faults;
mod field;
mod images;
mod messages;
mod params;
mod plain;
mod rate;
mod responses;
mod retry;
mod speed;
mod stream;
#[cfg(feature = "tls")]
mod tls;
#[cfg(feature = "tls")]
mod tls_kinds;
mod tools;

use automation_assistant::{
    AutomationAssistantManager, HelperConfig, HelperId, Task, TaskError, TaskRequest,
};

use serde_json::Value;

use crate::support::LONG;
use crate::support::server::{Act, Seen, Server};

/// A key that no test may ever see again.
const KEY: &str = "sk-test-0123456789abcdef";

/// A ChatGPT helper at this server: no retries, so that one script is one call.
fn chatgpt(server: &Server) -> HelperConfig {
    HelperConfig::chatgpt().api_endpoint(server.base()).api_key(KEY).max_retries(0)
}

fn spawn(config: HelperConfig) -> (AutomationAssistantManager, HelperId) {
    let manager = AutomationAssistantManager::new(4);
    let helper = manager.spawn_helper(config).unwrap();
    (manager, helper)
}

fn ask(
    manager: &AutomationAssistantManager,
    helper: HelperId,
    request: impl Into<TaskRequest>,
) -> Task {
    let task = manager.submit_task(helper, request).unwrap();
    let task = manager.wait_task(helper, task, LONG).unwrap();
    let shown = format!("{task:?} {}", serde_json::to_string(&task).unwrap());
    assert!(!shown.contains(KEY), "a task shows the key: {shown}");
    task
}

/// The error of a task that must have failed.
fn failure(task: &Task) -> &TaskError {
    task.error.as_ref().unwrap_or_else(|| panic!("an error instead of {:?}", task.result))
}

/// Asks once and expects a failure.
fn fails(config: HelperConfig, request: impl Into<TaskRequest>) -> TaskError {
    let (manager, helper) = spawn(config);
    failure(&ask(&manager, helper, request)).clone()
}

/// Asks once at a server that plays this script; gives the task and what was sent.
fn once(
    config: fn(&Server) -> HelperConfig,
    script: Vec<Act>,
    request: TaskRequest,
) -> (Task, Vec<Seen>) {
    let server = Server::start([script]);
    let (manager, helper) = spawn(config(&server));
    let task = ask(&manager, helper, request);
    drop(manager);
    (task, server.finish())
}

/// The events of a stream, each named as its data's type.
fn events(events: &[Value]) -> Act {
    let all = events.iter().map(|data| {
        format!("event: {}\ndata: {data}\n\n", data["type"].as_str().unwrap_or_default())
    });
    Act::write(all.collect::<String>())
}

/// How a task ends whose answer is this stream.
fn streamed(config: fn(&Server) -> HelperConfig, stream: &[Value]) -> Task {
    let script = vec![Act::read(), Act::stream_head(), events(stream)];
    once(config, script, TaskRequest::new("p").on_text(|_| {})).0
}
