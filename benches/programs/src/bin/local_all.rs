//! The Local-only program with an audit file and its report.

#[path = "../local.rs"]
mod local;

use automation_assistant::{AutomationAssistantManager, Debrief, Telemetry};

fn main() -> Result<(), automation_assistant::Error> {
    let path = std::env::var("AUDIT").unwrap_or_default();
    let telemetry = Telemetry::to_file(&path)?;
    local::run(
        AutomationAssistantManager::builder().max_helpers(16).telemetry(telemetry).build()?,
    )?;
    println!("{}", Debrief::from_path(path)?);
    Ok(())
}
