//! A custom backend: any code that can answer, here a factoriser, becomes a helper
//! with a queue, cancel, deadlines, streaming and telemetry.
//!
//! `cargo run --release --no-default-features --example custom_backend`
//!
//! Nothing is canned: every answer is computed, and no model is asked.

#[macro_use]
mod common;

use std::error::Error;
use std::process::ExitCode;
use std::sync::mpsc::channel;
use std::time::Duration;

use automation_assistant::{
    AiBackend, AutomationAssistantManager, CallContext, ErrorKind, FinishReason, HelperConfig,
    Reply, Task, TaskError, TaskRequest,
};

/// Divisions between two checks of the cancel signal and the clock: a few milliseconds.
const DIVISIONS_PER_LOOK: u64 = 1 << 18;
/// Longer than any task here may take.
const PATIENCE: Duration = Duration::from_secs(20);
/// Three times the prime 2^61 - 1: the first factor is found at once, the rest takes long.
const HARD: &str = "6917529027641081853";

/// Factors the number in the prompt by trial division, in the calling thread.
struct Factoriser;

impl AiBackend for Factoriser {
    fn name(&self) -> &str {
        "Factoriser"
    }

    fn process(&self, call: &CallContext<'_>) -> Result<Reply, TaskError> {
        let number: u64 = call.prompt().trim().parse().map_err(|_| {
            // The message must not repeat the prompt: errors go into logs.
            TaskError::new(ErrorKind::InvalidRequest, "the prompt is no number below 2^64")
        })?;
        let mut factors: Vec<String> = Vec::new();
        let mut rest = number;
        let mut divisor = 2;
        while divisor <= rest / divisor {
            if rest.is_multiple_of(divisor) {
                rest /= divisor;
                factors.push(divisor.to_string());
                // A delta for `on_text`; fails once the task is cancelled.
                call.send_text(&format!("{divisor} "))?;
                continue;
            }
            divisor += if divisor == 2 { 1 } else { 2 };
            if divisor / 2 % DIVISIONS_PER_LOOK == 0 {
                // Checks the cancel signal and the deadline at intervals.
                call.check()?;
            }
        }
        factors.push(rest.to_string());
        call.send_text(&rest.to_string())?;
        let text = format!("{number} = {}", factors.join(" * "));
        Ok(Reply::new(text).with_model("trial-division").with_finish_reason(FinishReason::Stop))
    }
}

fn main() -> ExitCode {
    common::main("custom_backend", run)
}

fn run() -> Result<(), Box<dyn Error>> {
    let manager = AutomationAssistantManager::new(1);
    let config = HelperConfig::local().name("factoriser").timeout(PATIENCE);
    let helper = manager.spawn_with(config, Factoriser)?;

    say!("1. It answers like any other helper");
    for prompt in ["360", "600851475143", "one hundred"] {
        show(&helper.ask(prompt)?);
    }

    say!("\n2. A running task is cancelled: its text stops, its thread is free again");
    let (sender, receiver) = channel();
    let request = TaskRequest::new(HARD).on_text(move |text| {
        // The receiver may be gone: then the program is ending.
        let _ = sender.send(text.trim().to_owned());
    });
    let task = helper.submit_task(request)?;
    say!("  first factor of {HARD}: {}", receiver.recv_timeout(PATIENCE)?);
    say!("  cancelled while it ran: {}", helper.cancel_task(task));
    show(&helper.wait_task(task, PATIENCE)?);

    say!("\n3. A deadline ends the work in time");
    let request = TaskRequest::new(HARD).deadline(Duration::from_millis(100));
    show(&helper.ask(request)?);

    say!("\n4. The helper is as good as new");
    show(&helper.ask("1001")?);
    for report in manager.get_all_helpers_status() {
        say!(
            "  {} ({}): {}, {} tasks done, {} of them failed or cancelled",
            report.name,
            report.backend,
            report.status,
            report.completed_tasks,
            report.failed_tasks
        );
    }
    Ok(())
}

fn show(task: &Task) {
    match (&task.result, &task.error) {
        (Some(text), _) => say!("  {text}   ({:.1} ms)", task.latency_ms),
        (None, Some(error)) => say!("  {}: {error}", error.kind()),
        (None, None) => {}
    }
}
