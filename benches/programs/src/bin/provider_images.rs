//! ChatGPT with pictures over plain HTTP.

#[path = "../provider.rs"]
mod provider;

use automation_assistant::{HelperConfig, TaskRequest};

fn main() -> Result<(), automation_assistant::Error> {
    let request = TaskRequest::new("hello").image_bytes("image/png", b"\x89PNG\r\n\x1a\n".to_vec());
    provider::run(HelperConfig::chatgpt, request.image_url("https://h.example/a.png"))
}
