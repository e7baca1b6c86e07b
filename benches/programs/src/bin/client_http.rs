//! Three backends over plain HTTP.

#[path = "../client.rs"]
mod client;

fn main() -> Result<(), automation_assistant::Error> {
    client::run(&automation_assistant::AutomationAssistantManager::new(64))
}
