//! Everything: three backends, TLS, an audit file and its report (`AUDIT`).

#[path = "../client.rs"]
mod client;

use automation_assistant::{AutomationAssistantManager, Debrief, Telemetry};

fn main() -> Result<(), automation_assistant::Error> {
    let builder = AutomationAssistantManager::builder().max_helpers(64);
    let Some(path) = std::env::var_os("AUDIT") else {
        return client::run(&builder.build()?);
    };
    let telemetry = Telemetry::to_file(&path)?;
    client::run(&builder.telemetry(telemetry).build()?)?;
    println!("{}", Debrief::from_path(&path)?);
    Ok(())
}
