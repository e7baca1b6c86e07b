//! The HTTP programs: `PROGRAM BASE_URL N [PEM]` asks N helpers of one slot each at
//! once, and waits for all answers. `BACKEND` chooses `chatgpt` (default), `comet`, `local`.

use std::time::Duration;

use automation_assistant::{AutomationAssistantManager, Error, HelperConfig};

/// Longer than any measurement takes: the server is silent on purpose.
const PATIENCE: Duration = Duration::from_secs(120);
/// A stack no other mapping of the process has, so that it can be found in smaps.
const STACK_BYTES: usize = (1 << 20) + (68 << 10);

pub fn config() -> (HelperConfig, usize) {
    let mut arguments = std::env::args().skip(1);
    let base = arguments.next().unwrap_or_else(|| "http://127.0.0.1:9/v1".to_owned());
    let count = arguments.next().and_then(|n| n.parse().ok()).unwrap_or(1);
    let config = match std::env::var("BACKEND").as_deref() {
        Ok("comet") => HelperConfig::comet(),
        Ok("local") => HelperConfig::local(),
        _ => HelperConfig::chatgpt(),
    };
    let config = config.api_endpoint(base).api_key("sk-bench").model("m");
    let config = config.timeout(PATIENCE).stack_bytes(STACK_BYTES);
    match arguments.next() {
        Some(pem) => (config.root_certificates(pem), count),
        None => (config, count),
    }
}

pub fn run(manager: &AutomationAssistantManager) -> Result<(), Error> {
    let (config, count) = config();
    let mut tasks = Vec::with_capacity(count);
    for n in 0..count {
        let helper = manager.spawn_helper(config.clone())?;
        tasks.push((helper, manager.submit_task(helper, format!("prompt {n}"))?));
    }
    for (helper, task) in tasks {
        let done = manager.wait_task(helper, task, PATIENCE)?;
        match (done.result, done.error) {
            (Some(text), _) => println!("{text}"),
            (None, error) => println!("{}", error.map(|e| e.to_string()).unwrap_or_default()),
        }
    }
    if std::env::var_os("REST").is_some() {
        println!("READY");
        let _ = std::io::Read::read(&mut std::io::stdin(), &mut [0]);
    }
    Ok(())
}
