//! openai-client-rs (synchronous, ureq 2) in threads: `openai_client BASE_URL N`.

use std::sync::Arc;

use openai_client_rs::{ChatMessage, OpenAiClient};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let count: usize = arguments[1].parse()?;
    let client = Arc::new(OpenAiClient::with_base_url("sk-bench", "m", arguments[0].clone()));
    let threads: Vec<_> = (0..count)
        .map(|n| {
            let client = Arc::clone(&client);
            std::thread::spawn(move || {
                let messages = [ChatMessage::user(format!("prompt {n}"))];
                match client.chat_create(&messages, None) {
                    Ok(reply) => reply.text,
                    Err(fault) => fault.to_string(),
                }
            })
        })
        .collect();
    for thread in threads {
        println!("{}", thread.join().unwrap_or_default());
    }
    Ok(())
}
