//! The sink against a collector on loopback.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod collector;
mod delivery;
mod spans;

use std::sync::Arc;

use automation_assistant::backend::{CallContext, Reply};
use automation_assistant::{
    AiBackend, AutomationAssistantManager, AutomationHelper, HelperConfig, TaskError,
};
use automation_assistant_otlp::{OtlpConfig, OtlpSink};

/// Answers with what a closure says.
struct Says<F>(F);

impl<F> AiBackend for Says<F>
where
    F: Fn(&CallContext<'_>) -> Result<Reply, TaskError> + Send + Sync,
{
    fn name(&self) -> &str {
        "Says"
    }

    fn process(&self, call: &CallContext<'_>) -> Result<Reply, TaskError> {
        (self.0)(call)
    }
}

/// A manager watched by the sink, and its helper of the embedded engine. Each task is two spans.
fn echo(sink: &OtlpSink) -> (AutomationAssistantManager, AutomationHelper) {
    let manager =
        AutomationAssistantManager::builder().observer(Arc::new(sink.clone())).build().unwrap();
    let helper = manager.spawn(HelperConfig::local()).unwrap();
    (manager, helper)
}

fn sink(url: &str) -> OtlpSink {
    OtlpSink::new(OtlpConfig::new().endpoint(url)).unwrap()
}
