//! The shortest useful program: one helper, one prompt, one answer. Offline.
#![allow(clippy::print_stdout, reason = "a program speaks to its user")]

use automation_assistant::{AutomationAssistantManager, Error, HelperConfig};

fn main() -> Result<(), Error> {
    let manager = AutomationAssistantManager::new(5);
    let helper = manager.spawn(HelperConfig::local().name("echo"))?;
    let task = helper.ask("Hello from this device")?;
    println!("{}", task.result.unwrap_or_default());
    Ok(())
}
