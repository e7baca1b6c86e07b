//! A pipeline whose stages get the previous result: redact, sum up, write the answer.
//!
//! `cargo run --release --example pipeline`
//!
//! The first stage is a custom backend: it takes addresses and numbers out of
//! a customer's letter, on this device, so that no model ever sees them. The others are a
//! model's.

#[macro_use]
mod common;

use std::error::Error;
use std::process::ExitCode;

use automation_assistant::together::{Stage, Together};
use automation_assistant::{
    AiBackend, AutomationAssistantManager, CallContext, HelperConfig, Reply, TaskError, TaskRequest,
};

const LETTER: &str = "Hello, since Tuesday the router (bought 3 weeks ago) drops the Wi-Fi every \
     evening at eight. I restarted it twice. Please call +49 30 5550123 or write to \
     j.doe@example.com, my account is 4401-778-120. I need it for work! Jo Doe";

/// Digits in a row, blanks and dashes between them left out, that make a number private.
const PRIVATE_DIGITS: usize = 6;

/// Takes e-mail addresses and long numbers out of a text.
struct Redactor;

impl AiBackend for Redactor {
    fn name(&self) -> &str {
        "Redactor (rules)"
    }

    fn process(&self, call: &CallContext<'_>) -> Result<Reply, TaskError> {
        Ok(Reply::new(redact(call.prompt())))
    }
}

fn redact(text: &str) -> String {
    let mut out: Vec<String> = Vec::new();
    // A number may be spread over words, as telephone numbers are.
    let mut number: Vec<&str> = Vec::new();
    let close = |number: &mut Vec<&str>, out: &mut Vec<String>| {
        let digits = number.iter().flat_map(|word| word.chars()).filter(char::is_ascii_digit);
        if digits.count() >= PRIVATE_DIGITS {
            out.push("[number]".to_owned());
        } else {
            out.extend(number.iter().map(|&word| word.to_owned()));
        }
        number.clear();
    };
    for word in text.split_whitespace() {
        let bare = word.trim_matches(|c: char| ",.;:()!?".contains(c));
        if !bare.is_empty() && bare.chars().all(|c| c.is_ascii_digit() || "+-/".contains(c)) {
            number.push(word);
            continue;
        }
        close(&mut number, &mut out);
        out.push(if bare.contains('@') { word.replace(bare, "[e-mail]") } else { word.to_owned() });
    }
    close(&mut number, &mut out);
    out.join(" ")
}

fn main() -> ExitCode {
    common::main("pipeline", run)
}

fn run() -> Result<(), Box<dyn Error>> {
    let answers = common::Answers::find(canned)?;
    answers.print_source("Answers");
    say!();
    let manager = AutomationAssistantManager::new(3);
    let redactor = manager.spawn_helper_with(HelperConfig::local().name("redactor"), Redactor)?;
    let analyst = answers.spawn(&manager, |config| {
        config.name("analyst").custom_param("max_tokens", 60).custom_param("temperature", 0)
    })?;
    let writer = answers.spawn(&manager, |config| {
        config.name("writer").custom_param("max_tokens", 120).custom_param("temperature", 0)
    })?;
    say!("The letter\n{}\n", common::indent(LETTER));

    // Only the first stage is given the letter; the others find `previous_result` in their
    // context. One deadline holds for all three.
    let stages = vec![
        Stage::new(redactor, LETTER),
        Stage::new(
            analyst,
            TaskRequest::new("Sum up the customer's letter in previous_result in one sentence."),
        ),
        Stage::new(
            writer,
            TaskRequest::new(
                "Answer the customer whose problem previous_result states: one thing to try.",
            ),
        ),
    ];
    let names = ["redactor", "analyst", "writer"];
    let pipeline = Together::new(&manager).deadline(common::PATIENCE).pipeline(stages)?;
    for (at, (task, name)) in pipeline.tasks.iter().zip(names).enumerate() {
        let mark = if name == "redactor" { "" } else { answers.mark() };
        let text = match (&task.result, &task.error) {
            (Some(text), _) => format!("{mark}{text}"),
            (None, Some(error)) => format!("failed: {error}"),
            (None, None) => String::new(),
        };
        let seen = match task.context.get("previous_result").and_then(|value| value.as_str()) {
            Some(before) => format!(", saw {} bytes of the stage before", before.len()),
            None => String::new(),
        };
        say!("{}. {name} ({:.1} ms{seen})", at + 1, task.latency_ms);
        say!("{}\n", common::indent(&text));
    }
    if pipeline.result().is_some() {
        return Ok(());
    }
    let why = pipeline.stopped_by.map_or("a stage failed".to_owned(), |error| error.to_string());
    Err(format!("{why}; the stages after it were not asked").into())
}

fn canned(_model: &str, prompt: &str) -> String {
    if prompt.starts_with("Sum up") {
        "A three-week-old router loses the Wi-Fi every evening at eight, and restarts did not \
         help."
    } else {
        "Thank you for writing, and sorry for the trouble. Evenings are when nearby \
         networks are busiest: please set the router to a fixed 5 GHz channel and see whether \
         tonight goes better. If not, we will send you another one."
    }
    .to_owned()
}
