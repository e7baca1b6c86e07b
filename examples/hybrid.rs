//! The cloud with a local fallback: one question, two helpers.
//!
//! `cargo run --release --example hybrid`
//!
//! A `Fallback` asks the cloud and, if that cannot answer, the helper on this device. After a
//! failure that will repeat the cloud is left out for a while; then one task tries it again.
//! Without a configured cloud a stand-in takes its place, and the program disconnects and
//! reconnects it. On the device a model server (`DEMO_LOCAL_ENDPOINT`) answers, or the embedded
//! engine, which only echoes.

#[macro_use]
mod common;

use std::error::Error;
use std::process::ExitCode;
use std::time::Duration;

use automation_assistant::together::{Fallback, FallbackReport, Together, WhyNot};
use automation_assistant::{
    AutomationAssistantManager, ErrorKind, Task, TaskRequest, create_local_helper,
};

/// First pause of a cloud that failed; short for the example's sake.
const PAUSE: Duration = Duration::from_secs(1);
/// Most requests until the cloud answers again.
const TRIES_MAX: usize = 5;
const QUESTION: &str = "Give one tip for making a phone's battery last longer.";

fn main() -> ExitCode {
    common::main("hybrid", run)
}

fn run() -> Result<(), Box<dyn Error>> {
    let cloud = common::Answers::find_cloud(canned)?;
    cloud.print_source("The cloud's answers");
    let manager = AutomationAssistantManager::new(2);
    let far = cloud.spawn(&manager, |config| config.name("cloud"))?;
    let near = match common::local_server() {
        Some((config, description)) if cfg!(feature = "http") => {
            say!("This device's answers: {description}");
            manager.spawn_helper(config.name("device").custom_param("max_tokens", 60))?
        }
        _ => {
            let how = match cfg!(feature = "http") {
                true => "DEMO_LOCAL_ENDPOINT names a model server",
                false => "a model server needs the cargo feature \"http\"",
            };
            let description = format!("from the embedded engine, which only echoes; {how}.");
            say!("{}", common::wrap(&description, "This device's answers: ", ""));
            create_local_helper(&manager, "device")?
        }
    };
    let fallback = Fallback::new([far, near]).cool_down(PAUSE, PAUSE * 2);
    let together = Together::new(&manager).deadline(common::PATIENCE);
    let ask = || -> Result<FallbackReport, Box<dyn Error>> {
        let report = fallback.run(&together, &TaskRequest::new(QUESTION))?;
        show(&manager, &report, cloud.mark());
        Ok(report)
    };

    say!("\n> {QUESTION}");
    if cloud.set_offline(true) {
        say!("\n1. The network is cut off");
        ask()?;
        say!("\n2. The same question again");
        ask()?;
        cloud.set_offline(false);
        say!("\n3. The network is back");
    }
    let mut answered = false;
    for _ in 0..TRIES_MAX {
        let report = ask()?;
        answered = report.task.is_some();
        if report.helper() == Some(far) {
            break;
        }
        let pause = report.tried.iter().find_map(|tried| match tried.why {
            WhyNot::CoolingDown(left) => Some(left),
            _ => None,
        });
        let Some(pause) = pause else { break };
        say!("  ({} later)", common::spoken(pause));
        std::thread::sleep(pause);
    }
    if answered { Ok(()) } else { Err("neither the cloud nor this device answers".into()) }
}

fn show(manager: &AutomationAssistantManager, report: &FallbackReport, mark: &str) {
    let name = |id| manager.get_helper(id).map_or("?".to_owned(), |helper| helper.name().into());
    for tried in &report.tried {
        let why = match &tried.why {
            WhyNot::CoolingDown(left) if left.is_zero() => "left out; just being tried".to_owned(),
            WhyNot::CoolingDown(left) => format!("left out for {} more", common::spoken(*left)),
            WhyNot::Failed(task) => format!("{} ({})", failure(task), took(task)),
            WhyNot::Refused(error) => format!("takes no task: {error}"),
            other => other.as_str().to_owned(),
        };
        say!("{}", common::wrap(&why, &format!("  {:<7} ", name(tried.helper_id)), "          "));
    }
    match &report.task {
        Some(task) => {
            let name = name(task.helper_id);
            let mark = if name == "cloud" { mark } else { "" };
            let text = task.result.as_deref().unwrap_or_default();
            say!("  {name:<7} answers ({}):", took(task));
            say!("{}", common::indent(&format!("{mark}{text}")));
        }
        None => say!("  nobody answers"),
    }
}

fn took(task: &Task) -> String {
    common::spoken(Duration::from_secs_f64(task.latency_ms.max(0.0) / 1e3))
}

/// The cause of a failure, in a few words for the usual cases.
fn failure(task: &Task) -> String {
    let Some(error) = &task.error else { return "gives no answer".to_owned() };
    match error.kind() {
        ErrorKind::Network => "cannot be reached".to_owned(),
        ErrorKind::Timeout => "gives no answer in time".to_owned(),
        ErrorKind::Authentication => "refuses the key".to_owned(),
        ErrorKind::RateLimited => "asks to slow down".to_owned(),
        ErrorKind::QuotaExceeded => "has no quota left".to_owned(),
        _ => error.to_string(),
    }
}

fn canned(_model: &str, _prompt: &str) -> String {
    "Lower the screen's brightness first: of all parts it draws the most.".to_owned()
}
