//! How tasks end: cancelled, out of time, too long, broken off.

use std::ops::ControlFlow;
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use automation_assistant::{ErrorKind, FinishReason, Task, TaskRequest};
use automation_assistant_gguf::GgufBackend;

use crate::support::{Helper, LONG, ask, backend, config, long_prompt, model, watched};

/// How soon a call must be back.
const PROMPT: Duration = Duration::from_millis(250);
/// A long prompt is in the midst of its batches then.
const IN_MIDST: Duration = Duration::from_millis(300);
/// The machine may be busy in one try, not in all.
const TRIES: usize = 3;

fn kind(task: &Task) -> ErrorKind {
    task.error.as_ref().expect("the task must fail").kind()
}

/// Runs a request, ends it by `end`, and returns how long after that the thread was free.
fn freed_after(
    request: TaskRequest,
    started: Option<&Receiver<()>>,
    works_for: Duration,
    end: impl Fn(&Helper, automation_assistant::TaskId) -> Instant,
) -> (Task, Duration) {
    let (backend, begins, returns) = watched(backend());
    let helper = Helper::new(config(), backend);
    let task = helper.manager.submit_task(helper.id, request).unwrap();
    begins.recv_timeout(LONG).unwrap();
    if let Some(started) = started {
        started.recv_timeout(LONG).unwrap();
    }
    let early = returns.recv_timeout(works_for);
    assert!(early.is_err(), "it must still be running");
    let ended = end(&helper, task);
    let free = returns.recv_timeout(LONG).unwrap();
    let task = helper.manager.wait_task(helper.id, task, LONG).unwrap();
    (task, free.saturating_duration_since(ended))
}

fn cancel(helper: &Helper, task: automation_assistant::TaskId) -> Instant {
    let now = Instant::now();
    assert!(helper.manager.cancel_task(helper.id, task));
    now
}

#[test]
fn cancel_frees_the_thread_within_a_batch_of_the_prompt() {
    let freed = (0..TRIES).map(|_| {
        // Some seconds of work.
        let (task, freed) =
            freed_after(TaskRequest::new(long_prompt(1800)), None, IN_MIDST, cancel);
        assert_eq!(kind(&task), ErrorKind::Cancelled);
        freed
    });
    let freed = freed.min().unwrap();
    println!("cancelled in the prompt, free after {freed:?}");
    assert!(freed < PROMPT, "{freed:?}");
}

/// A request whose answer goes on for long, and a sign of its first text.
fn endless() -> (TaskRequest, Receiver<()>) {
    let (first, texts) = channel();
    // This one loops to the end of the context.
    let request = TaskRequest::new("What is the capital of France?").on_text(move |_| {
        let _ = first.send(());
    });
    (request, texts)
}

#[test]
fn cancel_frees_the_thread_within_a_token_of_the_answer() {
    let freed = (0..TRIES).map(|_| {
        let (request, texts) = endless();
        let (task, freed) = freed_after(request, Some(&texts), Duration::ZERO, cancel);
        assert_eq!(kind(&task), ErrorKind::Cancelled);
        freed
    });
    let freed = freed.min().unwrap();
    println!("cancelled in the answer, free after {freed:?}");
    assert!(freed < PROMPT, "{freed:?}");
}

#[test]
fn a_deadline_ends_prompt_and_answer() {
    // Enough for some batches; enough for some text.
    for (in_prompt, time) in [(true, 400), (false, 2000)] {
        let time = Duration::from_millis(time);
        let late = (0..TRIES).map(|_| {
            let request = match in_prompt {
                true => TaskRequest::new(long_prompt(1800)),
                false => endless().0,
            };
            let begun = |_: &Helper, _| Instant::now();
            let (task, took) = freed_after(request.timeout(time), None, Duration::ZERO, begun);
            assert_eq!(kind(&task), ErrorKind::Timeout);
            let partial = task.error.as_ref().unwrap().partial().map(str::len);
            assert_eq!(partial.is_some(), !in_prompt, "{partial:?}");
            took.saturating_sub(time)
        });
        let late = late.min().unwrap();
        println!("in the prompt: {in_prompt}, {late:?} after the deadline");
        assert!(late < PROMPT, "{late:?}");
    }
}

#[test]
fn a_text_callback_can_break_off() {
    let mut texts = 0;
    let request =
        TaskRequest::new("Write two sentences about the sea.").on_text_control(move |_| {
            texts += 1;
            if texts < 5 { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
        });
    let task = ask(request);
    assert_eq!(kind(&task), ErrorKind::Cancelled);
    assert!(!task.error.unwrap().partial().unwrap().is_empty());
}

#[test]
fn a_prompt_that_fills_the_context_is_an_error_with_both_numbers() {
    let small = GgufBackend::builder(model()).threads(1).context_tokens(128).build().unwrap();
    assert_eq!(small.context_tokens(), 128);
    let helper = Helper::new(config(), small);
    let task = helper.ask(long_prompt(300));
    assert_eq!(kind(&task), ErrorKind::ContextLengthExceeded);
    let words = task.error.unwrap().to_string();
    let numbers: Vec<usize> =
        words.split(|c: char| !c.is_ascii_digit()).filter_map(|n| n.parse().ok()).collect();
    assert!(numbers[0] > 250 && numbers[1] == 128, "{words}");
    // A prompt that fits is answered up to the last token of the context.
    let task = helper.ask("What is the capital of France?");
    assert_eq!(task.finish_reason, Some(FinishReason::Length));
    assert_eq!(task.usage.unwrap().total_tokens, 128 + 1);
    // The model's own length is never exceeded.
    let large = GgufBackend::builder(model()).context_tokens(1 << 20).batch_tokens(8);
    assert_eq!(large.build().unwrap().context_tokens(), 8192);
}

#[test]
fn a_panic_in_a_callback_leaves_the_context_usable() {
    let helper = Helper::new(config(), backend());
    let request = TaskRequest::new("Say hello.").on_text(|_| panic!("on purpose"));
    assert_eq!(kind(&helper.ask(request)), ErrorKind::Panicked);
    let task = helper.ask("What is the capital of France? Answer in one sentence.");
    assert_eq!(task.result.as_deref(), Some("The capital of France is Paris."));
}

#[test]
fn a_parameter_that_cannot_be_is_rejected_by_name() {
    let task = ask(TaskRequest::new("hi").custom_param("temperature", "hot"));
    assert_eq!(kind(&task), ErrorKind::InvalidRequest);
    assert!(task.error.unwrap().to_string().contains("temperature"));
}
