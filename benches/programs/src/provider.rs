//! One question to ChatGPT or, where `OTHER` is set, to another provider at `BASE_URL`: what a
//! provider takes is what its program takes more than ChatGPT's alone.

use std::time::Duration;

use automation_assistant::{AutomationAssistantManager, Error, HelperConfig};

pub fn run(other: fn() -> HelperConfig) -> Result<(), Error> {
    let config = match std::env::var("OTHER") {
        Ok(base) => other().api_endpoint(base).model("m"),
        Err(_) => HelperConfig::chatgpt(),
    };
    let manager = AutomationAssistantManager::new(1);
    let helper = manager.spawn_helper(config)?;
    let task = manager.submit_task(helper, "hello")?;
    let done = manager.wait_task(helper, task, Duration::from_secs(120))?;
    println!("{}", done.result.unwrap_or_default());
    Ok(())
}
