//! The Local-only program, and a report of the audit file that stands in `AUDIT`.

#[path = "../local.rs"]
mod local;

use automation_assistant::{AutomationAssistantManager, Debrief};

fn main() -> Result<(), automation_assistant::Error> {
    local::run(AutomationAssistantManager::new(16))?;
    let path = std::env::var("AUDIT").unwrap_or_default();
    println!("{}", Debrief::from_path(path)?);
    Ok(())
}
