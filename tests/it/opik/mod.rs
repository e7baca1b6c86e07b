//! Traces on their way to Opik.

mod configured;
mod content;
mod delivery;
mod experiment;
mod idle;
mod prism;
mod spool;
pub mod stand_in;

use std::time::Duration;

use automation_assistant::{
    AutomationAssistantManager, HelperConfig, HelperId, OpikConfig, Reply, Task, TaskRequest,
    TraceMode, Usage,
};

use crate::support::{FnBackend, LONG};

/// A configuration that looks neither into the environment nor into the user's files.
pub fn opik(url: &str) -> OpikConfig {
    OpikConfig::new().look_up(false).url(url)
}

/// A manager that traces to this Opik.
pub fn manager(config: OpikConfig) -> AutomationAssistantManager {
    AutomationAssistantManager::builder().opik(config).build().unwrap()
}

/// A helper that traces and answers with the prompt, a model and a usage.
pub fn echo(manager: &AutomationAssistantManager, mode: TraceMode) -> HelperId {
    let backend = FnBackend(|call: &automation_assistant::CallContext<'_>| {
        let reply = Reply::new(call.prompt()).with_model("m-1").with_usage(Usage::new(3, 2));
        Ok(reply.with_provider("openai"))
    });
    let config = HelperConfig::local().name("echo").trace(mode).queue_capacity(1024);
    manager.spawn_helper_with(config, backend).unwrap()
}

/// Has a task done.
pub fn run(
    manager: &AutomationAssistantManager,
    helper: HelperId,
    request: impl Into<TaskRequest>,
) -> Task {
    let id = manager.submit_task(helper, request).unwrap();
    manager.wait_task(helper, id, LONG).unwrap()
}

/// Has so many tasks done.
pub fn run_many(manager: &AutomationAssistantManager, helper: HelperId, tasks: usize) {
    let ids: Vec<_> =
        (0..tasks).map(|n| manager.submit_task(helper, format!("task {n}")).unwrap()).collect();
    for id in ids {
        assert!(manager.wait_task(helper, id, LONG).unwrap().is_success());
    }
}

/// The counts of a flush: sent, dropped, pending.
pub fn flush(manager: &AutomationAssistantManager, timeout: Duration) -> (u64, u64, u64) {
    let report = manager.opik().unwrap().flush(timeout);
    (report.sent, report.dropped, report.pending)
}
