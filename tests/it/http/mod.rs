//! The HTTP backends through the public face, against scripted servers on loopback.

mod anthropic;
mod bad_server;
mod cancel;
mod environment;
mod faults;
mod field;
mod images;
mod messages;
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

use crate::support::LONG;
use crate::support::server::Server;

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
