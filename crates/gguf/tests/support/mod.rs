//! Shared by the tests: the model, and helpers that run it.
#![allow(dead_code)]

use std::path::PathBuf;
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use automation_assistant::{
    AiBackend, AutomationAssistantManager, BackendType, CallContext, HelperConfig, HelperId, Reply,
    Task, TaskError, TaskRequest,
};
use automation_assistant_gguf::GgufBackend;

/// Longer than any task of these tests takes on a busy machine.
pub const LONG: Duration = Duration::from_secs(300);

/// SmolLM2-135M-Instruct, Q4_1.
pub fn model() -> PathBuf {
    let path = std::env::var_os("GGUF_MODEL");
    path.expect("GGUF_MODEL must name SmolLM2-135M-Instruct.Q4_1.gguf: see README.md").into()
}

/// One copy of the weights for all tests, with one thread a call: its answers are the same
/// everywhere.
pub fn backend() -> GgufBackend {
    static BACKEND: OnceLock<GgufBackend> = OnceLock::new();
    BACKEND.get_or_init(fresh_backend).clone()
}

/// One with contexts that no other test uses.
pub fn fresh_backend() -> GgufBackend {
    GgufBackend::builder(model()).threads(1).build().unwrap()
}

pub fn config() -> HelperConfig {
    HelperConfig::new(BackendType::Custom).timeout(LONG)
}

/// A manager with one helper.
pub struct Helper {
    pub manager: AutomationAssistantManager,
    pub id: HelperId,
}

impl Helper {
    pub fn new(config: HelperConfig, backend: impl AiBackend + 'static) -> Self {
        let manager = AutomationAssistantManager::new(1);
        let id = manager.spawn_helper_with(config, backend).unwrap();
        Self { manager, id }
    }

    pub fn ask(&self, request: impl Into<TaskRequest>) -> Task {
        let task = self.manager.submit_task(self.id, request).unwrap();
        self.manager.wait_task(self.id, task, LONG).unwrap()
    }
}

/// Runs one request on the shared weights.
pub fn ask(request: impl Into<TaskRequest>) -> Task {
    Helper::new(config(), backend()).ask(request)
}

/// The answer of a task that must have one.
pub fn answer(request: impl Into<TaskRequest>) -> String {
    let task = ask(request);
    assert!(task.error.is_none(), "{:?}", task.error);
    task.result.unwrap()
}

/// A backend that reports when a call begins and when its thread is free again.
pub struct Watched {
    inner: GgufBackend,
    began: Sender<()>,
    returned: Sender<Instant>,
}

/// The watched backend, and its reports.
pub fn watched(
    inner: GgufBackend,
) -> (Watched, std::sync::mpsc::Receiver<()>, std::sync::mpsc::Receiver<Instant>) {
    let ((began, begins), (returned, returns)) = (channel(), channel());
    (Watched { inner, began, returned }, begins, returns)
}

impl AiBackend for Watched {
    fn name(&self) -> &str {
        self.inner.name()
    }

    fn process(&self, call: &CallContext<'_>) -> Result<Reply, TaskError> {
        let _ = self.began.send(());
        let outcome = self.inner.process(call);
        let _ = self.returned.send(Instant::now());
        outcome
    }
}

/// A text of about this many tokens.
pub fn long_prompt(tokens: usize) -> String {
    const SENTENCE: &str = "The quick brown fox jumps over the lazy dog near the river bank. ";
    const TOKENS: usize = 14;
    SENTENCE.repeat(tokens / TOKENS)
}

/// Gathers deltas.
pub fn gathering() -> (Arc<std::sync::Mutex<Vec<String>>>, impl FnMut(&str) + Send + 'static) {
    let deltas = Arc::new(std::sync::Mutex::new(Vec::new()));
    let sink = deltas.clone();
    (deltas, move |text: &str| sink.lock().unwrap().push(text.to_owned()))
}
