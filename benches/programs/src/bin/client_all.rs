//! Everything: three backends, TLS, an audit file and its report (`AUDIT`).

#[path = "../client.rs"]
mod client;

use automation_assistant::{AutomationAssistantManager, Debrief, Telemetry};

fn main() -> Result<(), automation_assistant::Error> {
    let path = std::env::var_os("AUDIT").unwrap_or_default();
    let telemetry = Telemetry::to_file(&path)?;
    let builder = AutomationAssistantManager::builder().max_helpers(64);
    client::run(&builder.telemetry(telemetry).build()?)?;
    println!("{}", Debrief::from_path(&path)?);
    Ok(())
}
