//! genai on one thread: `genai BASE_URL N [PEM]` asks N times at once.

use genai::adapter::AdapterKind;
use genai::chat::{ChatMessage, ChatRequest};
use genai::resolver::{AuthData, Endpoint, ServiceTargetResolver};
use genai::{Client, ModelIden, ServiceTarget};

type Fault = Box<dyn std::error::Error>;

fn main() -> Result<(), Fault> {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let (base, count): (_, usize) = (format!("{}/", arguments[0]), arguments[1].parse()?);
    let mut http = reqwest::Client::builder().no_proxy();
    if let Some(pem) = arguments.get(2) {
        let certificate = reqwest::Certificate::from_pem(&std::fs::read(pem)?)?;
        http = http.tls_certs_only([certificate]);
    }
    let resolver = ServiceTargetResolver::from_resolver_fn(
        move |target: ServiceTarget| -> Result<ServiceTarget, genai::resolver::Error> {
            Ok(ServiceTarget {
                endpoint: Endpoint::from_owned(base.clone()),
                auth: AuthData::from_single("sk-bench"),
                model: ModelIden::new(AdapterKind::OpenAI, target.model.model_name),
            })
        },
    );
    let client = Client::builder()
        .with_service_target_resolver(resolver)
        .with_reqwest(http.build()?)
        .build()?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let mut calls = Vec::new();
        for n in 0..count {
            let client = client.clone();
            calls.push(tokio::spawn(async move {
                let request = ChatRequest::new(vec![ChatMessage::user(format!("prompt {n}"))]);
                match client.exec_chat("m", request, None).await {
                    Ok(reply) => reply.first_text().unwrap_or_default().to_owned(),
                    Err(fault) => fault.to_string(),
                }
            }));
        }
        for call in calls {
            println!("{}", call.await.unwrap_or_default());
        }
    });
    Ok(())
}
