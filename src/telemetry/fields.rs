//! The fields of an event's line.

use super::line::{Line, key};
use crate::event::{CallFacts, Event, EventFacts, EventKind, TaskFacts};
use crate::task::Usage;
use crate::task_error::TaskError;

/// Whether the debrief counts events of this kind: their lines always have latency and success.
fn is_counted(kind: EventKind) -> bool {
    matches!(kind, EventKind::HelperSpawn | EventKind::BackendCall | EventKind::TaskComplete)
}

/// Costs are written in billionths of the price list's unit.
const NANO_PER_UNIT: f64 = 1e9;

/// Adds the event's values.
pub(super) fn write_fields(line: &mut Line, event: &Event<'_>) {
    if let Some(id) = event.helper_id {
        line.helper_id(key!("helper_id"), id);
    }
    let counted = is_counted(event.kind);
    if counted || !event.backend.is_empty() {
        line.text(key!("backend"), event.backend);
    }
    if counted || !event.latency.is_zero() {
        line.millis(key!("latency_ms"), event.latency);
    }
    if counted || !event.success {
        line.flag(key!("success"), event.success);
    }
    if let Some(id) = event.task_id {
        line.task_id(key!("task_id"), id);
    }
    if let Some(error) = event.error {
        write_error(line, error);
    }
    let error_status = event.error.and_then(TaskError::status);
    match event.facts {
        EventFacts::Call(call) => write_call(line, &call, error_status),
        EventFacts::Task(end) => write_task(line, &end, error_status),
        EventFacts::Named(facts) => {
            write_status(line, error_status);
            facts.iter().for_each(|&(name, fact)| line.fact(name, fact));
        }
    }
}

fn write_status(line: &mut Line, status: Option<u16>) {
    if let Some(status) = status {
        line.count(key!("http_status"), u64::from(status));
    }
}

fn write_call(line: &mut Line, call: &CallFacts<'_>, error_status: Option<u16>) {
    write_status(line, call.http_status.or(error_status));
    line.count(key!("attempt"), u64::from(call.attempt));
    if let Some(usage) = call.usage {
        write_usage(line, usage);
    }
    if let Some(time) = call.first_byte {
        line.millis(key!("first_byte_ms"), time);
    }
    if let Some(time) = call.waited {
        line.millis(key!("waited_ms"), time);
    }
    if let Some(api) = call.api {
        line.name(key!("api"), api.as_str());
    }
    if call.oddities > 0 {
        line.count(key!("oddities"), u64::from(call.oddities));
    }
}

fn write_task(line: &mut Line, end: &TaskFacts<'_>, error_status: Option<u16>) {
    let task = end.task;
    write_status(line, error_status);
    line.count(key!("attempt"), u64::from(task.attempts));
    if let Some(usage) = &task.usage {
        write_usage(line, usage);
    }
    if let Some(cost) = task.cost {
        // As an integer: six decimals would lose the cost of a short task.
        line.count(key!("cost_nano"), (cost * NANO_PER_UNIT).round() as u64);
    }
    line.millis(key!("queue_ms"), end.queue);
    if task.echoed {
        line.flag(key!("echoed"), true);
    }
}

fn write_error(line: &mut Line, error: &TaskError) {
    // Never the provider's message: it may quote prompt or key.
    line.text(key!("error"), error.summary());
    line.name(key!("error_kind"), error.kind().as_str());
    if let Some(code) = error.code() {
        line.text(key!("error_code"), code);
    }
}

fn write_usage(line: &mut Line, usage: &Usage) {
    line.count(key!("prompt_tokens"), usage.prompt_tokens);
    line.count(key!("completion_tokens"), usage.completion_tokens);
    if let Some(tokens) = usage.cached_tokens {
        line.count(key!("cached_tokens"), tokens);
    }
    if let Some(tokens) = usage.reasoning_tokens {
        line.count(key!("reasoning_tokens"), tokens);
    }
}
