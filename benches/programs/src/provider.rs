//! One request to ChatGPT or, where `OTHER` is set, to another provider at the base URL in it: a
//! provider takes the bytes that its program has beyond that of ChatGPT alone.

use std::time::Duration;

use automation_assistant::{AutomationAssistantManager, Error, HelperConfig, TaskRequest};

pub fn run(other: fn() -> HelperConfig, request: TaskRequest) -> Result<(), Error> {
    let config = match std::env::var("OTHER") {
        Ok(base) => other().api_endpoint(base).model("m"),
        Err(_) => HelperConfig::chatgpt(),
    };
    let manager = AutomationAssistantManager::new(1);
    let helper = manager.spawn_helper(config)?;
    let task = manager.submit_task(helper, request)?;
    let done = manager.wait_task(helper, task, Duration::from_secs(120))?;
    println!("{}", done.result.unwrap_or_default());
    Ok(())
}
