//! The Local-only program, and the report of the audit file that stands in `AUDIT`, with its page.

#[path = "../local.rs"]
mod local;

use automation_assistant::{AutomationAssistantManager, Debrief};

fn main() -> Result<(), automation_assistant::Error> {
    local::run(AutomationAssistantManager::new(16))?;
    let path = std::env::var("AUDIT").unwrap_or_default();
    let debrief = Debrief::from_path(path)?;
    println!("{debrief}\n{}", debrief.to_html());
    Ok(())
}
