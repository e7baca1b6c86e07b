//! An experiment: the same prompts to several helpers, scored, as one table, and side by side
//! in Opik where one is configured.
//!
//! `cargo run --release --example experiment`
//!
//! By default nothing leaves the device: a ChatGPT and a Comet helper ask a
//! stand-in server on 127.0.0.1, whose answers are canned. `OPENAI_API_KEY`,
//! `OPENAI_BASE_URL` or `DEMO_LOCAL_ENDPOINT` bring in real models. The traces go to the Opik
//! that `OPIK_URL_OVERRIDE` (an Opik of your own), `OPIK_API_KEY` (Comet's cloud) or
//! `~/.opik.config` names; without one the table is all.

#[macro_use]
mod common;

use std::env;
use std::process::ExitCode;
use std::time::Duration;

use automation_assistant::experiment::Experiment;
use automation_assistant::opik::{OpikConfig, TraceMode};
use automation_assistant::{AutomationAssistantManager, HelperConfig, Task};

/// Questions, each with the text that a right answer contains.
const QUESTIONS: [(&str, &str); 3] = [
    ("What is the capital of France? Answer with one word.", "Paris"),
    ("What is 17 + 25? Answer with the number only.", "42"),
    ("Which gas do plants take from the air? Answer in a few words.", "carbon dioxide"),
];
/// A brief answer has at most so many characters.
const BRIEF_CHARS: usize = 60;
/// How long the program waits for Opik at its end.
const FLUSH: Duration = Duration::from_secs(5);

fn main() -> ExitCode {
    common::main("experiment", run)
}

fn run() -> Result<(), Box<dyn std::error::Error>> {
    let mut builder = AutomationAssistantManager::builder();
    let opik = OpikConfig::found()?;
    let traced = opik.is_some();
    if let Some(opik) = opik {
        builder = builder.opik(opik.tag("example"));
    }
    let manager = builder.build()?;

    #[cfg(feature = "http")]
    let stand_in = common::stand_in::StandIn::start(canned)?;
    let mut helpers = vec![("embedded echo", HelperConfig::local())];
    #[cfg(feature = "http")]
    helpers.extend([
        (
            "canned ChatGPT",
            // A key of this program: the stand-in must never see a real one.
            HelperConfig::chatgpt().api_endpoint(stand_in.openai_base()).api_key("stand-in"),
        ),
        (
            "canned Comet",
            HelperConfig::comet()
                .api_endpoint(stand_in.opik_base())
                .api_key("stand-in")
                .model("gpt-4o-mini"),
        ),
    ]);
    if set("OPENAI_API_KEY") || set("OPENAI_BASE_URL") {
        helpers.push(("ChatGPT", HelperConfig::chatgpt()));
    }
    if let Ok(url) = env::var("DEMO_LOCAL_ENDPOINT") {
        let server = HelperConfig::local().api_endpoint(url).custom_param("max_tokens", 40);
        helpers.push(("local, cool", server.clone().custom_param("temperature", 0.0)));
        helpers.push(("local, warm", server.custom_param("temperature", 1.0)));
    }

    let mut experiment = Experiment::new("capitals and sums")
        .prompts(QUESTIONS.map(|(question, _)| question))
        .score("right", right)
        .score("brief", brief);
    for (name, config) in helpers {
        // The prompts of this example are no secret: Opik shows them with the answers.
        let config = config.name(name).trace(TraceMode::Content);
        experiment = experiment.helper(manager.spawn_helper(config)?);
    }
    let report = experiment.run(&manager)?;
    say!("{report}");

    match manager.opik().filter(|_| traced).cloned() {
        Some(sink) => {
            sink.flush(FLUSH);
            // Dropping the manager ends the tasks that still wait.
            drop(manager);
            let stats = sink.stats();
            say!(
                "Opik: {} traces and scores sent, {} dropped (tag \"{}\").",
                stats.sent,
                stats.dropped,
                report.name
            );
            if let Some(why) = stats.last_error.filter(|_| stats.dropped > 0) {
                say!("The last failure: {why}.");
            }
        }
        None => say!(
            "Nothing was sent: no Opik is configured. Set OPIK_URL_OVERRIDE (an Opik of your \
             own, such as\nhttp://localhost:5173/api) or OPIK_API_KEY (Comet's cloud), and run \
             this again."
        ),
    }
    Ok(())
}

/// Whether the answer contains the text of a right one.
fn right(task: &Task) -> f64 {
    let answer = task.result.as_deref().unwrap_or_default().to_lowercase();
    let expected = QUESTIONS.iter().find(|(question, _)| task.prompt == *question);
    f64::from(expected.is_some_and(|(_, part)| answer.contains(&part.to_lowercase())))
}

fn brief(task: &Task) -> f64 {
    f64::from(task.result.as_ref().is_some_and(|text| text.chars().count() <= BRIEF_CHARS))
}

/// The stand-in's answers: one of the three is wrong.
#[cfg(feature = "http")]
fn canned(_model: &str, prompt: &str) -> String {
    match QUESTIONS.iter().position(|(question, _)| prompt.ends_with(question)) {
        Some(0) => "Paris.".into(),
        Some(1) => "17 + 25 is 41.".into(),
        _ => "Carbon dioxide, which they turn into sugar with the help of sunlight.".into(),
    }
}

fn set(variable: &str) -> bool {
    env::var(variable).is_ok_and(|value| !value.trim().is_empty())
}
