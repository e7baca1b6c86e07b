//! The shortest useful program: one helper, one prompt, one answer. Offline.

use std::io::Write;

use automation_assistant::{AutomationAssistantManager, HelperConfig};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let manager = AutomationAssistantManager::new(5);
    let helper = manager.spawn(HelperConfig::local().name("echo"))?;
    let task = helper.ask("Hello from this device")?;
    writeln!(std::io::stdout(), "{}", task.result.unwrap_or_default())?;
    Ok(())
}
