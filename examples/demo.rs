//! A tour: three backends, several models of one backend, a set-up for a small device.
//!
//! `cargo run --release --example demo -- [--debrief] [--live]`
//!
//! Without `--live` nothing leaves the device: ChatGPT and Comet helpers ask a stand-in
//! server that this program starts on 127.0.0.1, and whose answers are canned. With `--live`
//! the helpers use the services that the environment names: `OPENAI_API_KEY` or `OPENAI_BASE_URL`,
//! `OPIK_API_KEY` or `OPIK_URL_OVERRIDE` (with `DEMO_COMET_MODEL`), and `DEMO_LOCAL_ENDPOINT`
//! for a model server on this device.
#![allow(clippy::print_stderr, reason = "a program speaks to its user")]

#[macro_use]
mod common {
    #[macro_use]
    pub(crate) mod say;
}
mod stand_in;

use std::env;
use std::path::Path;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use automation_assistant::device::DeviceProfile;
use automation_assistant::{
    AutomationAssistantManager, DEFAULT_AUDIT_PATH, Debrief, Error, HelperConfig, HelperId, Task,
    TaskId, TaskRequest, Telemetry,
};
use stand_in::StandIn;

/// The file that `--debrief` writes.
const REPORT: &str = "docs/debrief/latest.md";
/// Time between two lines that say that tasks still run.
const PROGRESS_EVERY: Duration = Duration::from_secs(2);
/// Longer than any task here may take (a Local model server has 300 s).
const PATIENCE: Duration = Duration::from_secs(310);

fn main() -> ExitCode {
    let mut debrief = false;
    let mut live = false;
    for argument in env::args_os().skip(1) {
        match argument.to_str() {
            Some("--debrief") => debrief = true,
            Some("--live") => live = true,
            Some("--help" | "-h") => {
                say!("usage: demo [--debrief] [--live]");
                return ExitCode::SUCCESS;
            }
            _ => {
                eprintln!("demo: unknown argument {argument:?}\nusage: demo [--debrief] [--live]");
                return ExitCode::from(2);
            }
        }
    }
    match run(live, debrief) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("demo: {}", common::say::harmless(&error.to_string()));
            ExitCode::FAILURE
        }
    }
}

fn run(live: bool, debrief: bool) -> Result<(), Box<dyn std::error::Error>> {
    say!("automation-assistant {}: a tour\n", env!("CARGO_PKG_VERSION"));
    let telemetry = Telemetry::to_file(DEFAULT_AUDIT_PATH)?;
    let stand_in = if live { None } else { Some(StandIn::start(canned)?) };
    match &stand_in {
        Some(_) => say!(
            "Nothing leaves this device: ChatGPT and Comet helpers ask a stand-in server on\n\
             127.0.0.1. The client, the protocol and the timings are real; the answers are\n\
             canned. With a key or a model server, try --live.\n"
        ),
        None => say!("Live: helpers use the keys and endpoints of the environment.\n"),
    }
    three_backends(&telemetry, stand_in.as_ref())?;
    several_models(&telemetry, stand_in.as_ref())?;
    small_device(&telemetry)?;
    drop(telemetry);
    say!("Every event is a line in {DEFAULT_AUDIT_PATH}.");
    if debrief {
        let report = Debrief::from_path(DEFAULT_AUDIT_PATH)?;
        say!("\n{report}");
        if let Some(folder) = Path::new(REPORT).parent() {
            std::fs::create_dir_all(folder)?;
        }
        std::fs::write(REPORT, report.to_markdown())?;
        say!("The same as Markdown: {REPORT}");
    } else {
        say!("For a report: cargo run --release --example demo -- --debrief");
    }
    Ok(())
}

/// Keeps a small model's answers short.
const BRIEF: &str = "Answer in one short sentence.";

/// The stand-in's answers.
fn canned(model: &str, prompt: &str) -> String {
    let topic: String = prompt.chars().take(40).collect();
    format!("[canned] {model} would now answer: {topic:?}")
}

fn set(variable: &str) -> bool {
    env::var(variable).is_ok_and(|value| !value.trim().is_empty())
}

/// A ChatGPT helper: of the stand-in, or of the server that the environment names.
fn chatgpt(stand_in: Option<&StandIn>) -> Result<HelperConfig, String> {
    match stand_in {
        Some(server) => Ok(HelperConfig::chatgpt().api_endpoint(server.openai_base())),
        None if set("OPENAI_API_KEY") || set("OPENAI_BASE_URL") => {
            // A server of the user's may be slow.
            Ok(HelperConfig::chatgpt().system_prompt(BRIEF).timeout(PATIENCE))
        }
        None => Err("set OPENAI_API_KEY, or OPENAI_BASE_URL for a server of your own".into()),
    }
}

fn comet(stand_in: Option<&StandIn>) -> Result<HelperConfig, String> {
    let config = HelperConfig::comet().model("gpt-4o-mini");
    match stand_in {
        Some(server) => Ok(config.api_endpoint(server.opik_base())),
        None if set("OPIK_API_KEY") || set("OPIK_URL_OVERRIDE") => {
            let model = env::var("DEMO_COMET_MODEL");
            Ok(model.map_or(config.clone(), |model| config.model(model)))
        }
        None => Err("set OPIK_API_KEY, or OPIK_URL_OVERRIDE for an Opik of your own".into()),
    }
}

fn local(stand_in: Option<&StandIn>) -> HelperConfig {
    match env::var("DEMO_LOCAL_ENDPOINT") {
        Ok(url) if stand_in.is_none() => {
            HelperConfig::local().api_endpoint(url).system_prompt(BRIEF)
        }
        _ => HelperConfig::local(),
    }
}

fn three_backends(telemetry: &Telemetry, stand_in: Option<&StandIn>) -> Result<(), Error> {
    say!("== 1. Three backends, one program ==");
    let manager = AutomationAssistantManager::builder().telemetry(telemetry.clone()).build()?;
    let mut asked = Vec::new();
    let configs = [
        ("writer", chatgpt(stand_in)),
        ("tracker", comet(stand_in)),
        ("offline", Ok(local(stand_in))),
    ];
    for (name, config) in configs {
        let helper = config.and_then(|config| {
            manager.spawn_helper(config.name(name)).map_err(|error| error.to_string())
        });
        match helper {
            Ok(helper) => {
                let request = TaskRequest::new("Name one way to save battery on a phone.")
                    .context("device", "phone");
                asked.push((helper, manager.submit_task(helper, request)?));
            }
            Err(why) => say!("  {name}: left out: {why}"),
        }
    }
    collect(&manager, asked)?;
    say!("  status:");
    for report in manager.get_all_helpers_status() {
        say!(
            "    {} {:<8} {:<28} {:<11} done {}",
            report.helper_id,
            report.name,
            report.backend,
            report.status,
            report.completed_tasks
        );
    }
    say!();
    Ok(())
}

fn several_models(telemetry: &Telemetry, stand_in: Option<&StandIn>) -> Result<(), Error> {
    say!("== 2. One backend, several models ==");
    let manager = AutomationAssistantManager::builder().telemetry(telemetry.clone()).build()?;
    let mut asked = Vec::new();
    // A server of the user's may have one model only, and names it itself.
    for model in ["gpt-4o-mini", "gpt-4o"] {
        let helper = chatgpt(stand_in).and_then(|config| {
            let config = config.name(format!("with {model}")).model(model);
            manager.spawn_helper(config).map_err(|error| error.to_string())
        });
        match helper {
            Ok(helper) => {
                for prompt in ["What is a mutex?", "What is a channel?"] {
                    asked.push((helper, manager.submit_task(helper, prompt)?));
                }
            }
            Err(why) => say!("  {model}: left out: {why}"),
        }
    }
    for name in ["echo 1", "echo 2"] {
        let config = HelperConfig::local().name(name).custom_param("latency_ms", 30);
        let helper = manager.spawn_helper(config)?;
        asked.push((helper, manager.submit_task(helper, "Are you there?")?));
    }
    collect(&manager, asked)?;
    say!();
    Ok(())
}

fn small_device(telemetry: &Telemetry) -> Result<(), Error> {
    say!("== 3. Set up for this device ==");
    let profile = DeviceProfile::detect();
    say!("  {profile}");
    let manager = AutomationAssistantManager::builder()
        .max_helpers(profile.max_helpers())
        .telemetry(telemetry.clone())
        .build()?;
    let config = profile.apply(HelperConfig::local().name("frugal"));
    let helper = manager.spawn_helper(config)?;
    let mut asked = Vec::new();
    for n in 1..=5 {
        asked.push((helper, manager.submit_task(helper, format!("Chore {n}"))?));
    }
    collect(&manager, asked)?;
    say!();
    Ok(())
}

/// Prints each answer as it completes, and a line at intervals while tasks run.
fn collect(
    manager: &AutomationAssistantManager,
    mut asked: Vec<(HelperId, TaskId)>,
) -> Result<(), Error> {
    let began = Instant::now();
    while !asked.is_empty() {
        match manager.wait_any(&asked, PROGRESS_EVERY) {
            Ok(task) => {
                asked.retain(|(_, id)| *id != task.task_id);
                show(manager, &task);
            }
            Err(Error::WaitTimedOut { .. }) if began.elapsed() < PATIENCE => {
                say!("  … {} still running after {:.0?}", asked.len(), began.elapsed());
            }
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

fn show(manager: &AutomationAssistantManager, task: &Task) {
    let helper = manager.get_helper(task.helper_id);
    let backend = helper.as_ref().map_or("?", |helper| helper.backend_name());
    match (&task.result, &task.error) {
        (Some(text), _) => {
            say!("  {backend} ({:.1} ms)", task.latency_ms);
            say!("    {}", text.trim().replace('\n', "\n    "));
            if let Some(usage) = task.usage {
                let model = task.model.as_deref().unwrap_or("model not reported");
                say!(
                    "    {model}: {} tokens read, {} written",
                    usage.prompt_tokens,
                    usage.completion_tokens
                );
            }
        }
        (None, Some(error)) => say!("  {backend}: failed: {error}"),
        (None, None) => {}
    }
}
