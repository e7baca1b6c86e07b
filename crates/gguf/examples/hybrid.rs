//! The model inside the program first; the cloud where there is one, for what it cannot answer
//! (a prompt that is too long for it, a device without the memory, too little time).
//!
//! `hybrid [MODEL.gguf] "PROMPT"`. The cloud is `OPENAI_API_KEY` (and `OPENAI_BASE_URL`), built
//! with `--features cloud`; without either, this model is alone. The model may also be named by
//! `GGUF_MODEL`. The answer is printed on standard output, who gave it on standard error.
#![allow(clippy::print_stdout, clippy::print_stderr)]

use std::error::Error;
use std::process::ExitCode;
use std::time::Duration;

use automation_assistant::together::{Fallback, Together};
use automation_assistant::{
    AutomationAssistantManager, Error as LibraryError, HelperId, TaskRequest, create_chatgpt_helper,
};
use automation_assistant_gguf::create_gguf_helper;

/// For all helpers together.
const DEADLINE: Duration = Duration::from_secs(300);
const USAGE: &str = "usage: hybrid [MODEL.gguf] \"PROMPT\"";

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("hybrid: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1).collect::<Vec<_>>().into_iter();
    let prompt = arguments.next_back().ok_or(USAGE)?;
    let named = arguments.next().or_else(|| std::env::var("GGUF_MODEL").ok());
    let manager = AutomationAssistantManager::new(2);

    let mut helpers = Vec::new();
    match create_gguf_helper(&manager, "inside", named.ok_or(USAGE)?) {
        Ok(helper) => helpers.push(helper),
        // Too little memory, for example: the cloud is left.
        Err(error) => eprintln!("[no model inside: {error}]"),
    }
    helpers.extend(cloud(&manager)?);
    if helpers.is_empty() {
        return Err("neither a model nor a cloud (OPENAI_API_KEY, --features cloud)".into());
    }

    let request = TaskRequest::new(prompt).max_output_tokens(512);
    let together = Together::new(&manager).deadline(DEADLINE);
    let report = Fallback::new(helpers).run(&together, &request)?;
    let name = |id| manager.get_helper(id).map_or_else(String::new, |h| h.backend_name().into());
    for tried in &report.tried {
        eprintln!("[{}: {}]", name(tried.helper_id), tried.why);
    }
    let text = report.text().ok_or("no helper answered")?;
    eprintln!("[{}]", report.helper().map_or_else(String::new, name));
    println!("{text}");
    Ok(())
}

/// The cloud's helper, where there is one.
fn cloud(manager: &AutomationAssistantManager) -> Result<Option<HelperId>, LibraryError> {
    match create_chatgpt_helper(manager, "cloud", "gpt-4o-mini") {
        Ok(helper) => Ok(Some(helper)),
        // No key; or built without `--features cloud`.
        Err(LibraryError::MissingKey { .. } | LibraryError::Unsupported { .. }) => Ok(None),
        Err(error) => Err(error),
    }
}
