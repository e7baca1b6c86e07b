//! The shortest useful program: one helper, one prompt, one answer. Offline.
#![allow(clippy::print_stdout, reason = "a program speaks to its user")]

use std::time::Duration;

use automation_assistant::{AutomationAssistantManager, Error, create_local_helper};

fn main() -> Result<(), Error> {
    let manager = AutomationAssistantManager::new(5);
    let helper = create_local_helper(&manager, "echo")?;
    let task = manager.submit_task(helper, "Hello from this device")?;
    let done = manager.wait_task(helper, task, Duration::from_secs(5))?;
    println!("{}", done.result.unwrap_or_default());
    Ok(())
}
