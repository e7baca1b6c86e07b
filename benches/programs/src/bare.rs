//! Bare ureq helpers: threads, a channel, JSON, and one agent that all share.
//!
//! `PROGRAM BASE_URL N [PEM] [naive]`: posts N requests at once; `naive` keeps ureq's own
//! buffers and std's stacks.

use std::sync::Arc;

use crossbeam_channel::unbounded;
use serde_json::{Value, json};

/// As small as ureq's buffers may sensibly be for a plain connection.
const BUFFER_BYTES: usize = 4 << 10;
/// As small as a stack may sensibly be for TLS.
const STACK_BYTES: usize = 256 << 10;

pub fn run() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let base = arguments.first().map_or("http://127.0.0.1:9/v1", String::as_str);
    let count = arguments.get(1).and_then(|n| n.parse().ok()).unwrap_or(1);
    let naive = arguments.iter().any(|argument| argument == "naive");
    let pem = arguments.get(2).filter(|argument| *argument != "naive");
    let config = ureq::Agent::config_builder().http_status_as_error(false).proxy(None);
    let config = match naive {
        true => config,
        false => config.input_buffer_size(BUFFER_BYTES).output_buffer_size(BUFFER_BYTES),
    };
    let agent: ureq::Agent = tls(config, pem).build().into();
    let url: Arc<str> = format!("{base}/chat/completions").into();
    let (jobs, taken) = unbounded::<String>();
    let (sender, answers) = unbounded();
    let threads: Vec<_> = (0..count)
        .map(|_| {
            let (agent, url, taken, sender) =
                (agent.clone(), url.clone(), taken.clone(), sender.clone());
            let thread = std::thread::Builder::new();
            let thread = if naive { thread } else { thread.stack_size(STACK_BYTES) };
            thread.spawn(move || {
                for prompt in taken {
                    let _ = sender.send(ask(&agent, &url, &prompt));
                }
            })
        })
        .collect();
    for n in 0..count {
        let _ = jobs.send(format!("prompt {n}"));
    }
    drop((jobs, sender));
    for answer in answers {
        println!("{answer}");
    }
    for thread in threads.into_iter().flatten() {
        let _ = thread.join();
    }
}

fn ask(agent: &ureq::Agent, url: &str, prompt: &str) -> String {
    let body = json!({"model": "m", "messages": [{"role": "user", "content": prompt}]});
    let request = agent.post(url).header("content-type", "application/json");
    match request.send(body.to_string()) {
        Ok(mut response) => {
            let text = response.body_mut().read_to_string().unwrap_or_default();
            let value: Value = serde_json::from_str(&text).unwrap_or_default();
            value["choices"][0]["message"]["content"].as_str().unwrap_or_default().to_owned()
        }
        Err(fault) => fault.to_string(),
    }
}

type Builder = ureq::config::ConfigBuilder<ureq::typestate::AgentScope>;

#[cfg(not(feature = "bare_tls"))]
fn tls(config: Builder, _: Option<&String>) -> Builder {
    config
}

#[cfg(feature = "bare_tls")]
fn tls(config: Builder, pem: Option<&String>) -> Builder {
    use ureq::tls::{PemItem, RootCerts, TlsConfig, parse_pem};
    let roots = match pem.and_then(|path| std::fs::read(path).ok()) {
        None => RootCerts::WebPki,
        Some(text) => {
            let found = parse_pem(&text).filter_map(|item| match item {
                Ok(PemItem::Certificate(certificate)) => Some(certificate),
                _ => None,
            });
            RootCerts::Specific(Arc::new(found.collect()))
        }
    };
    config.tls_config(TlsConfig::builder().root_certs(roots).build())
}
