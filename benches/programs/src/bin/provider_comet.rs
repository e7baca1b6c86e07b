//! ChatGPT and Comet over plain HTTP.

#[path = "../provider.rs"]
mod provider;

fn main() -> Result<(), automation_assistant::Error> {
    provider::run(automation_assistant::HelperConfig::comet, "hello".into())
}
