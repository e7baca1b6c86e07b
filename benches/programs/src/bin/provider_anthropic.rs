//! ChatGPT and Anthropic over plain HTTP.

#[path = "../provider.rs"]
mod provider;

fn main() -> Result<(), automation_assistant::Error> {
    provider::run(automation_assistant::HelperConfig::anthropic, "hello".into())
}
