//! Coordinated calls, with helpers that are slow, fail, panic or are cancelled.

mod batch;
mod call;
mod fallback;
mod fan_out;
mod late;
mod messages;
mod pipeline;
mod progress;
mod within;

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use automation_assistant::{
    Answer, AutomationAssistantManager, CallContext, CancelHandle, Error, ErrorKind, Event,
    EventKind, Fact, Fallback, HelperConfig, HelperId, Observe, Reply, Speech, Stage, Task,
    TaskError, TaskRequest, Together, Want, WhyNot, create_local_helper,
};

use crate::support::{FnBackend, GateKeeper, LONG, Notes, gate, patient};

pub fn manager() -> AutomationAssistantManager {
    AutomationAssistantManager::new(10)
}

pub fn spawn(
    manager: &AutomationAssistantManager,
    name: &str,
    work: impl Fn(&CallContext<'_>) -> Result<Reply, TaskError> + Send + Sync + 'static,
) -> HelperId {
    manager.spawn_helper_with(HelperConfig::local().name(name), FnBackend(work)).unwrap()
}

pub fn echo(manager: &AutomationAssistantManager, name: &'static str) -> HelperId {
    spawn(manager, name, move |call| Ok(Reply::new(format!("{name}: {}", call.prompt()))))
}

pub fn failing(manager: &AutomationAssistantManager, kind: ErrorKind) -> HelperId {
    spawn(manager, "failing", move |_| Err(TaskError::new(kind, "planted")))
}

pub fn panicking(manager: &AutomationAssistantManager) -> HelperId {
    spawn(manager, "panicking", |_| panic!("planted"))
}

/// One that waits to be cancelled.
pub fn slow(manager: &AutomationAssistantManager) -> (HelperId, Receiver<String>) {
    let (backend, begun) = patient();
    let config = HelperConfig::local().name("slow");
    (manager.spawn_helper_with(config, backend).unwrap(), begun)
}

/// One that waits for a word.
pub fn gated(manager: &AutomationAssistantManager, queue: usize) -> (HelperId, GateKeeper) {
    let (backend, keeper) = gate();
    let config = HelperConfig::local().name("gated").queue_capacity(queue);
    (manager.spawn_helper_with(config, backend).unwrap(), keeper)
}

pub fn kind_of(task: &Task) -> ErrorKind {
    task.error.as_ref().unwrap().kind()
}

/// How each request ended: its text, its error, or why there was no task.
pub fn ends(answers: &[Answer]) -> Vec<String> {
    let end = |answer: &Answer| match &answer.outcome {
        Ok(task) => task.result.clone().unwrap_or_else(|| kind_of(task).as_str().to_owned()),
        Err(Error::NotAsked { why, .. }) => format!("not asked: {why}"),
        Err(error) => format!("{error:?}"),
    };
    answers.iter().map(end).collect()
}

pub fn requests(count: usize) -> Vec<TaskRequest> {
    (0..count).map(|n| TaskRequest::new(n.to_string())).collect()
}

/// Runs a call, and raises its handle once its slow helper has begun.
pub fn cancelled_midway<T: Send>(
    begun: &Receiver<String>,
    handle: &CancelHandle,
    call: impl FnOnce() -> T + Send,
) -> T {
    std::thread::scope(|scope| {
        let call = scope.spawn(call);
        begun.recv_timeout(LONG).unwrap();
        handle.cancel();
        call.join().unwrap()
    })
}
