//! async-openai on one thread: `async_openai BASE_URL N [PEM]` asks N times at once.

use async_openai::Client;
use async_openai::config::OpenAIConfig;
use async_openai::types::chat::{
    ChatCompletionRequestUserMessageArgs, CreateChatCompletionRequestArgs,
};

type Fault = Box<dyn std::error::Error>;

fn main() -> Result<(), Fault> {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let (base, count) = (&arguments[0], arguments[1].parse()?);
    let mut http = reqwest::Client::builder().no_proxy();
    if let Some(pem) = arguments.get(2) {
        let certificate = reqwest::Certificate::from_pem(&std::fs::read(pem)?)?;
        http = http.tls_certs_only([certificate]);
    }
    let config = OpenAIConfig::new().with_api_base(base).with_api_key("sk-bench");
    let client = Client::with_config(config).with_http_client(http.build()?);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let local = tokio::task::LocalSet::new();
    local.block_on(&runtime, async {
        let mut calls = Vec::new();
        for n in 0..count {
            let client = client.clone();
            calls.push(tokio::task::spawn_local(ask(client, n)));
        }
        for call in calls {
            println!("{}", call.await.unwrap_or_default());
        }
    });
    Ok(())
}

async fn ask(client: Client<OpenAIConfig>, n: usize) -> String {
    let message = ChatCompletionRequestUserMessageArgs::default()
        .content(format!("prompt {n}"))
        .build()
        .unwrap();
    let request = CreateChatCompletionRequestArgs::default()
        .model("m")
        .messages([message.into()])
        .build()
        .unwrap();
    match client.chat().create(request).await {
        Ok(reply) => reply.choices[0].message.content.clone().unwrap_or_default(),
        Err(fault) => fault.to_string(),
    }
}
