//! Calls one after another over a kept connection: `calls ours|bare BASE_URL TASKS` makes so many
//! and ends, for a tracer to count; `calls both BASE_URL TASKS` prints the shortest time per call
//! of many rounds, in nanoseconds, of a helper and of bare ureq by turns.

use std::time::{Duration, Instant};

use automation_assistant::{AutomationHelper, HelperConfig};
use serde_json::{Value, json};

const ROUNDS: usize = 40;
const PATIENCE: Duration = Duration::from_secs(30);
const BUFFER_BYTES: usize = 4 << 10;

type Fault = Box<dyn std::error::Error>;

fn main() -> Result<(), Fault> {
    let mut arguments = std::env::args().skip(1);
    let who = arguments.next().unwrap_or_default();
    let base = arguments.next().ok_or("calls WHO BASE_URL TASKS")?;
    let tasks: u32 = arguments.next().ok_or("calls WHO BASE_URL TASKS")?.parse()?;
    let config = HelperConfig::chatgpt().api_endpoint(&base).api_key("sk-bench").model("m");
    let helper = AutomationHelper::new(config)?;
    helper.start()?;
    let config = ureq::Agent::config_builder().proxy(None).http_status_as_error(false);
    let config = config.input_buffer_size(BUFFER_BYTES).output_buffer_size(BUFFER_BYTES);
    let agent: ureq::Agent = config.build().into();
    let url = format!("{base}/chat/completions");
    let ours = || -> Result<(), Fault> {
        let id = helper.submit_task("prompt")?;
        let task = helper.wait_task(id, PATIENCE)?;
        helper.take_task_result(id);
        if task.result.as_deref() == Some("hello") { Ok(()) } else { Err("no answer".into()) }
    };
    // A thread of its own, as a helper has.
    let (ask, asked) = crossbeam_channel::bounded::<()>(1);
    let (answer, answered) = crossbeam_channel::bounded(1);
    std::thread::spawn(move || {
        for () in asked {
            let _ = answer.send(bare_call(&agent, &url).map_err(|fault| fault.to_string()));
        }
    });
    let bare = || -> Result<(), Fault> {
        ask.send(())?;
        Ok(answered.recv()??)
    };
    match who.as_str() {
        "ours" => (0..tasks).try_for_each(|_| ours()),
        "bare" => (0..tasks).try_for_each(|_| bare()),
        _ => {
            let mut best = [Duration::MAX; 2];
            for _ in 0..ROUNDS {
                let began = Instant::now();
                (0..tasks).try_for_each(|_| ours())?;
                best[0] = best[0].min(began.elapsed());
                let began = Instant::now();
                (0..tasks).try_for_each(|_| bare())?;
                best[1] = best[1].min(began.elapsed());
            }
            println!("{} {}", (best[0] / tasks).as_nanos(), (best[1] / tasks).as_nanos());
            Ok(())
        }
    }
}

fn bare_call(agent: &ureq::Agent, url: &str) -> Result<(), Fault> {
    let body = json!({"model": "m", "messages": [{"role": "user", "content": "prompt"}]});
    let request = agent.post(url).header("content-type", "application/json");
    let mut response = request.send(body.to_string())?;
    let value: Value = serde_json::from_str(&response.body_mut().read_to_string()?)?;
    match value["choices"][0]["message"]["content"].as_str() {
        Some("hello") => Ok(()),
        _ => Err("no answer".into()),
    }
}
