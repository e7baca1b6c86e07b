//! Asks the embedded engine a few questions, one of which fails, and sends the spans to the
//! collector of the environment:
//!
//! ```sh
//! OTEL_EXPORTER_OTLP_ENDPOINT=http://localhost:4318 cargo run --release --example spans
//! ```
//!
//! With `--content` prompts and answers go out too. Exits 1 where a span was not sent.

#![allow(clippy::print_stdout, reason = "a program speaks to its user")]

use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use automation_assistant::opik::TraceMode;
use automation_assistant::{
    AiBackend, Attempt, AutomationAssistantManager, CallContext, ErrorKind, HelperConfig, Reply,
    TaskError, TaskRequest, Usage,
};
use automation_assistant_otlp::{OtlpConfig, OtlpSink};

/// A model that is overloaded at first, and reports its tokens.
struct Busy;

impl AiBackend for Busy {
    fn name(&self) -> &str {
        "Busy"
    }

    fn process(&self, call: &CallContext<'_>) -> Result<Reply, TaskError> {
        let overloaded = TaskError::new(ErrorKind::Server, "overloaded: ask again");
        let mut attempt = Attempt::new(Some(&overloaded));
        attempt.http_status = Some(503);
        call.end_attempt(&attempt);
        call.begin_attempt();
        let mut usage = Usage::new(12, 34);
        usage.cached_tokens = Some(8);
        usage.reasoning_tokens = Some(21);
        Ok(Reply::new("Done.").with_model("busy-1").with_provider("openai").with_usage(usage))
    }
}

fn main() -> Result<ExitCode, automation_assistant::Error> {
    let content = std::env::args().any(|argument| argument == "--content");
    let sink = OtlpSink::new(OtlpConfig::new().content(content))?;
    let manager = AutomationAssistantManager::builder().observer(Arc::new(sink.clone())).build()?;
    let mode = if content { TraceMode::Content } else { TraceMode::Metadata };

    let echo = manager.spawn(HelperConfig::local().name("echo").trace(mode))?;
    echo.ask(TaskRequest::new("hello").context("where", "kitchen").conversation("tour"))?;

    let config = HelperConfig::local().name("busy").model("busy").trace(mode);
    let busy = manager.spawn_helper_with(config, Busy)?;
    let task = manager.submit_task(busy, "be quick")?;
    manager.wait_task(busy, task, Duration::from_secs(5))?;

    // It does not finish in its time.
    let slow =
        manager.spawn(HelperConfig::local().name("slow").custom_param("latency_ms", 5_000))?;
    slow.ask(TaskRequest::new("take your time").timeout(Duration::from_millis(50)))?;

    let stats = sink.flush(Duration::from_secs(10));
    println!("sent {} spans, dropped {}, pending {}", stats.sent, stats.dropped, stats.pending);
    if let Some(error) = stats.last_error {
        println!("{error}");
    }
    let all = stats.dropped + stats.pending == 0;
    Ok(if all { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
