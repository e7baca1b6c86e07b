//! Three backends, TLS and an audit file (`AUDIT`).

#[path = "../client.rs"]
mod client;

use automation_assistant::{AutomationAssistantManager, Telemetry};

fn main() -> Result<(), automation_assistant::Error> {
    let builder = AutomationAssistantManager::builder().max_helpers(64);
    let Some(path) = std::env::var_os("AUDIT") else {
        return client::run(&builder.build()?);
    };
    client::run(&builder.telemetry(Telemetry::to_file(&path)?).build()?)
}
