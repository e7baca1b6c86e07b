//! Streaming: deltas printed as they arrive, and a stop in mid-sentence.
//!
//! `cargo run --release --example streaming -- [--api chat|responses|anthropic] [--live]`
//!
//! `TaskRequest::on_text` is called with each delta as it arrives, long before the answer is
//! complete.

#[macro_use]
mod common;

use std::error::Error;
use std::io::Write;
use std::process::ExitCode;
use std::sync::mpsc::channel;
use std::time::Instant;

use automation_assistant::{AutomationAssistantManager, HelperId, TaskRequest};

/// Deltas after which the second answer is stopped.
const ENOUGH_DELTAS: usize = 5;
/// Bounds the answer of small models; enough for one that reasons a little.
const ANSWER_TOKENS_MAX: u32 = 200;
const PROMPT: &str = "Explain in three sentences why a phone gets slow when its storage is full.";

fn main() -> ExitCode {
    common::main_by_api("streaming", run)
}

fn run(choice: &common::Choice) -> Result<(), Box<dyn Error>> {
    let answers = choice.answers(canned)?;
    answers.print_source("Answers");
    say!();
    let manager = AutomationAssistantManager::new(1);
    let helper = answers
        .spawn(&manager, |config| config.name("narrator").max_output_tokens(ANSWER_TOKENS_MAX))?;
    say!("> {PROMPT}");
    whole(&manager, helper, answers.mark())?;
    say!("\n> The same again, stopped after {ENOUGH_DELTAS} deltas");
    stopped(&manager, helper, answers.mark())
}

/// Prints one answer to its end.
fn whole(
    manager: &AutomationAssistantManager,
    helper: HelperId,
    mark: &str,
) -> Result<(), Box<dyn Error>> {
    say_on!("  {mark}");
    let (send, deltas) = channel();
    let asked = Instant::now();
    // The callback runs on the helper's thread: it sends, and the main thread prints.
    let request = TaskRequest::new(PROMPT).on_text(move |text| {
        let _ = send.send((text.to_owned(), asked.elapsed()));
    });
    let task = manager.submit_task(helper, request)?;
    let (mut count, mut first) = (0, None);
    // Ends when the task has ended: its callback, and with it the sender, is dropped then.
    for (text, after) in deltas {
        first.get_or_insert(after);
        count += 1;
        say_on!("{}", text.replace('\n', "\n  "));
        // Shows each delta at once. A closed terminal is no failure.
        let _ = std::io::stdout().flush();
    }
    say!();
    let task = common::wait(manager, helper, task)?;
    if let Some(error) = task.error {
        return Err(format!("no answer: {error}").into());
    }
    say!(
        "  {count} deltas; the first after {:.0?}, the last after {:.0} ms; {}",
        first.unwrap_or_default(),
        task.latency_ms,
        task.usage.map_or("tokens not reported".to_owned(), |usage| {
            format!("{} tokens written", usage.completion_tokens)
        })
    );
    Ok(())
}

/// Prints the beginning of an answer and cancels its task.
fn stopped(
    manager: &AutomationAssistantManager,
    helper: HelperId,
    mark: &str,
) -> Result<(), Box<dyn Error>> {
    let (send, deltas) = channel();
    let request = TaskRequest::new(PROMPT).on_text(move |text| {
        let _ = send.send(text.to_owned());
    });
    let task = manager.submit_task(helper, request)?;
    let seen: String = deltas.iter().take(ENOUGH_DELTAS).collect();
    say!("{}", common::indent(&format!("{mark}{seen}…")));
    let running = manager.cancel_task(helper, task);
    let task = manager.wait_task(helper, task, common::PATIENCE)?;
    match task.error {
        Some(error) if running => say!("  {}: {error}", error.kind()),
        Some(error) => return Err(format!("no answer: {error}").into()),
        None => say!("  it was complete before it could be stopped"),
    }
    Ok(())
}

fn canned(_model: &str, _prompt: &str) -> String {
    "Flash storage writes to empty blocks, and when few are left every write has to clear some \
     first. Apps then wait for their own small files, such as caches and databases, and the \
     screen waits for the apps. Free a tenth of the storage and it is quick again."
        .to_owned()
}
