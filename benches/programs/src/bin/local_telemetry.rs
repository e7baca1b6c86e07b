//! The Local-only program with an audit file, whose path stands in `AUDIT`.

#[path = "../local.rs"]
mod local;

use automation_assistant::{AutomationAssistantManager, Telemetry};

fn main() -> Result<(), automation_assistant::Error> {
    let path = std::env::var("AUDIT").unwrap_or_default();
    let telemetry = Telemetry::to_file(path)?;
    local::run(AutomationAssistantManager::builder().max_helpers(16).telemetry(telemetry).build()?)
}
