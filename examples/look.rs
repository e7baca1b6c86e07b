//! Asks a model that accepts pictures about a picture.
//!
//! `cargo run --release --example look -- [--live] [FILE]`
//!
//! Without a file the program draws a picture itself. Offline, a stand-in server on 127.0.0.1
//! takes the place of the model; it decodes the picture that arrives, and reports its size and
//! main colours (of a PNG without compression, such as the drawn one). With `--live` a real
//! model is asked: `DEMO_LOCAL_ENDPOINT`, or `OPENAI_API_KEY` or `OPENAI_BASE_URL`.

#[macro_use]
mod common;
#[path = "look/png.rs"]
mod png;

use std::env;
use std::error::Error;
use std::ffi::{OsStr, OsString};
use std::process::ExitCode;

use automation_assistant::{AutomationAssistantManager, HelperId, TaskRequest};

const QUESTION: &str = "What is on this picture? Answer in one sentence.";

fn main() -> ExitCode {
    let (mut live, mut file) = (false, None);
    for argument in env::args_os().skip(1) {
        match argument.to_str() {
            Some("--live") => live = true,
            Some(option) if option.starts_with('-') => return unknown(&argument),
            _ if file.is_some() => return unknown(&argument),
            _ => file = Some(argument),
        }
    }
    common::end("look", run(live, file))
}

fn unknown(argument: &OsStr) -> ExitCode {
    common::other_argument(argument, "look", "look [--live] [FILE]  (one file at most)")
}

fn run(live: bool, file: Option<OsString>) -> Result<(), Box<dyn Error>> {
    let request = TaskRequest::new(QUESTION);
    let request = match &file {
        Some(path) => request.image_file(path)?,
        None => request.image_bytes("image/png", png::draw(64, 48, landscape)),
    };
    let bytes = request.images().iter().filter_map(|image| image.bytes()).map(<[u8]>::len).sum();
    let shown = file.map_or("a picture drawn here".into(), |path| path.display().to_string());
    let manager = AutomationAssistantManager::new(1);
    // The stand-in stops when it is dropped.
    let (helper, mark, _server) = eyes(&manager, live)?;
    say!("> {QUESTION}");
    say!("  ({shown}, {})", size(bytes));
    let id = manager.submit_task(helper, request)?;
    let task = common::wait(&manager, helper, id)?;
    if let Some(error) = task.error {
        return Err(format!("no answer: {error}").into());
    }
    say!("{}", common::indent(&format!("{mark}{}", task.result.unwrap_or_default())));
    if let Some(usage) = task.usage {
        say!("  {} tokens read, {} written", usage.prompt_tokens, usage.completion_tokens);
    }
    Ok(())
}

fn size(bytes: usize) -> String {
    format!("{:.1} KB", bytes as f64 / 1e3)
}

/// A sun over a meadow.
fn landscape(x: u32, y: u32) -> [u8; 3] {
    let from_sun = x.abs_diff(46).pow(2) + y.abs_diff(14).pow(2);
    match (from_sun, y) {
        (0..=64, _) => [250, 220, 60],
        (_, 0..32) => [70, 130, 225],
        _ => [50, 150, 60],
    }
}

/// The helper that sees the picture, the mark of its answers, and the server to keep running.
#[cfg(feature = "http")]
fn eyes(
    manager: &AutomationAssistantManager,
    live: bool,
) -> Result<(HelperId, &'static str, Option<common::stand_in::StandIn>), Box<dyn Error>> {
    use automation_assistant::HelperConfig;
    if live {
        let Some((config, description)) = common::local_server().or_else(common::openai) else {
            return Err(
                "--live needs DEMO_LOCAL_ENDPOINT, OPENAI_API_KEY or OPENAI_BASE_URL".into()
            );
        };
        say!("{}\n", common::wrap(&description, "Answers: ", ""));
        return Ok((manager.spawn_helper(config)?, "", None));
    }
    let server = common::stand_in::StandIn::start_seeing(canned, png::describe)?;
    let description = "a stand-in server on 127.0.0.1, which really decodes the picture. For a model's \
                own words: --live.";
    say!("{}\n", common::wrap(description, "Answers: ", ""));
    let config = HelperConfig::chatgpt().model("stand-in").api_key("none");
    let helper = manager.spawn_helper(config.api_endpoint(server.openai_base()))?;
    Ok((helper, "[canned] ", Some(server)))
}

/// The stand-in's answer: after the question one line for each picture.
#[cfg(feature = "http")]
fn canned(_: &str, prompt: &str) -> String {
    let seen: Vec<_> = prompt.lines().skip(1).collect();
    format!("I see {}.", seen.join(", and "))
}

/// Without HTTP the program reads the picture itself, as a custom backend that accepts pictures.
#[cfg(not(feature = "http"))]
fn eyes(
    manager: &AutomationAssistantManager,
    live: bool,
) -> Result<(HelperId, &'static str, ()), Box<dyn Error>> {
    use automation_assistant::backend::{CallContext, Reply};
    use automation_assistant::{AiBackend, HelperConfig, TaskError};
    struct Eyes;
    impl AiBackend for Eyes {
        fn name(&self) -> &str {
            "Eyes"
        }
        fn process(&self, call: &CallContext<'_>) -> Result<Reply, TaskError> {
            let seen = call.request().images().iter().filter_map(|image| image.bytes());
            let seen: Vec<_> = seen.map(png::describe).collect();
            Ok(Reply::new(format!("I see {}.", seen.join(", and "))))
        }
        fn accepts_images(&self) -> bool {
            true
        }
    }
    if live {
        return Err("--live needs the cargo feature \"http\"".into());
    }
    let description = "the program itself, for this build lacks the cargo feature \"http\".";
    say!("{}\n", common::wrap(description, "Answers: ", ""));
    Ok((manager.spawn_helper_with(HelperConfig::local(), Eyes)?, "[canned] ", ()))
}
