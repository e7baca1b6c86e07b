//! ChatGPT and Local, with its model server, over plain HTTP.

#[path = "../provider.rs"]
mod provider;

fn main() -> Result<(), automation_assistant::Error> {
    provider::run(automation_assistant::HelperConfig::local, "hello".into())
}
