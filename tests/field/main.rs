//! Asks real servers and proxies, which `tests/field/run` starts: each test reads its endpoint from
//! the environment, and fails without. None runs with `cargo test`.
#![cfg(feature = "tls")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stdout)]

use std::sync::{Arc, Mutex};
use std::time::Duration;

use automation_assistant::{
    AutomationAssistantManager, ErrorKind, Event, EventKind, HelperConfig, HelperId, Observe,
    RateLimiter, Task, TaskError, TaskRequest,
};

/// Often enough for a race that loses one answer in ten to be seen: 88 of 100 such runs.
const REPEATS: usize = 20;

/// The wait that haproxy and Caddy ask for.
const RETRY_AFTER: Duration = Duration::from_secs(7);

/// Longest that a task may take before the test gives up.
const LONG: Duration = Duration::from_secs(60);

fn variable(name: &str) -> String {
    std::env::var(name).unwrap_or_else(|_| panic!("{name} is not set: see tests/field/run"))
}

fn config(endpoint: &str) -> HelperConfig {
    let key = std::env::var("FIELD_KEY").unwrap_or_else(|_| "sk-field".to_owned());
    trusting(HelperConfig::chatgpt().api_key(key), endpoint)
}

/// The roots of `FIELD_ROOT`, and no retries.
fn trusting(config: HelperConfig, endpoint: &str) -> HelperConfig {
    let config = config.api_endpoint(endpoint).model("m").max_prompt_bytes(8 << 20).max_retries(0);
    match std::env::var("FIELD_ROOT") {
        Ok(root) => config.root_certificates(root),
        Err(_) => config,
    }
}

fn spawn(config: HelperConfig) -> (AutomationAssistantManager, HelperId) {
    let manager = AutomationAssistantManager::new(1);
    let helper = manager.spawn_helper(config).unwrap();
    (manager, helper)
}

fn ask(
    manager: &AutomationAssistantManager,
    helper: HelperId,
    request: impl Into<TaskRequest>,
) -> Task {
    let id = manager.submit_task(helper, request).unwrap();
    manager.wait_task(helper, id, LONG).unwrap()
}

fn failure(task: &Task) -> &TaskError {
    task.error.as_ref().unwrap_or_else(|| panic!("answered: {:?}", task.result))
}

/// `FIELD_BASE/STATUS/v1` answers with that status before it has read the request.
#[test]
#[ignore = "wants a server: run by tests/field/run"]
fn early_answers() {
    use ErrorKind as K;
    let base = variable("FIELD_BASE");
    for (status, kind) in
        [(429, K::RateLimited), (413, K::InvalidRequest), (401, K::Authentication)]
    {
        let (manager, helper) = spawn(config(&format!("{base}/{status}/v1")));
        for bytes in [100 << 10, 1 << 20, 5 << 20] {
            for turn in 0..REPEATS {
                let task = ask(&manager, helper, "x".repeat(bytes));
                let error = failure(&task);
                let seen = (error.kind(), error.status(), task.attempts);
                assert_eq!(seen, (kind, Some(status), 1), "{bytes} bytes, turn {turn}: {error}");
                if status == 429 {
                    assert_eq!(error.retry_after(), Some(RETRY_AFTER), "{bytes} bytes: {error}");
                }
            }
        }
    }
}

#[test]
#[ignore = "wants a server: run by tests/field/run"]
fn client_certificate() {
    for turn in 0..REPEATS {
        let (manager, helper) = spawn(config(&variable("FIELD_BASE")).max_retries(2));
        let task = ask(&manager, helper, "p");
        let error = failure(&task);
        assert_eq!((error.kind(), task.attempts), (ErrorKind::Network, 1), "turn {turn}: {error}");
        assert!(error.message().contains("client's certificate"), "turn {turn}: {error}");
    }
}

/// Connections that the server closes after a second of rest, by helpers that rest as long.
#[test]
#[ignore = "wants a server: run by tests/field/run"]
fn kept_connections() {
    const HELPERS: usize = 12;
    const ROUNDS: u64 = 8;
    let base = variable("FIELD_BASE");
    let manager = AutomationAssistantManager::new(HELPERS);
    let config = config(&base).max_retries(2);
    let helpers: Vec<_> =
        (0..HELPERS).map(|_| manager.spawn_helper(config.clone()).unwrap()).collect();
    let mut attempts = 0;
    for round in 0..ROUNDS {
        let tasks: Vec<_> = helpers
            .iter()
            .map(|helper| (*helper, manager.submit_task(*helper, "p").unwrap()))
            .collect();
        for (helper, id) in tasks {
            let task = manager.wait_task(helper, id, LONG).unwrap();
            assert!(task.is_success(), "round {round}: {:?}", task.error);
            attempts += task.attempts;
        }
        // The pace is what is tested: 985 to 1,020 ms, around the server's own second.
        std::thread::sleep(Duration::from_millis(985 + 5 * round));
    }
    println!("FIELD tasks={} attempts={attempts}", HELPERS as u64 * ROUNDS);
}

/// The route of a request, as the server reports it.
#[test]
#[ignore = "wants a server: run by tests/field/run"]
fn way() {
    // Plain http with a key would never go through a proxy.
    let (manager, helper) = spawn(trusting(HelperConfig::local(), &variable("FIELD_BASE")));
    let task = ask(&manager, helper, "p");
    let answer = task.result.clone().unwrap_or_else(|| panic!("{:?}", task.error));
    let expected = variable("FIELD_WAY");
    assert!(answer.contains(&expected), "{expected:?} expected, came {answer:?}");
}

/// `FIELD_BASE` fails so; `FIELD_KIND`, `FIELD_WORD`: what the error says.
#[test]
#[ignore = "wants a server: run by tests/field/run"]
fn named_error() {
    for stream in [false, true] {
        let (manager, helper) =
            spawn(config(&variable("FIELD_BASE")).model(variable("FIELD_MODEL")));
        let request = TaskRequest::new("p");
        let task = ask(&manager, helper, if stream { request.on_text(|_| ()) } else { request });
        let error = failure(&task);
        let shown = format!("stream {stream}: {} {error} {:?}", error.kind(), error.message());
        assert_eq!(error.kind().as_str(), variable("FIELD_KIND"), "{shown}");
        assert!(error.message().contains(&variable("FIELD_WORD")), "{shown}");
    }
}

/// For a tracer to count what is sent: `FIELD_TASKS` of `FIELD_BYTES` each.
#[test]
#[ignore = "wants a server: run by tests/field/run"]
fn asks() {
    let (manager, helper) = spawn(config(&variable("FIELD_BASE")));
    let bytes = variable("FIELD_BYTES").parse().unwrap();
    for _ in 0..variable("FIELD_TASKS").parse().unwrap() {
        let task = ask(&manager, helper, "x".repeat(bytes));
        assert!(task.is_success(), "{:?}", task.error);
    }
}

/// Backend calls, as observers get them.
#[derive(Default)]
struct Calls(Mutex<u32>);

impl Observe for Calls {
    fn on_event(&self, event: &Event<'_>) {
        if event.kind() == EventKind::BackendCall {
            *self.0.lock().unwrap() += 1;
        }
    }
}

/// The server closes every connection upon its second request, without an answer.
#[test]
#[ignore = "wants a server: run by tests/field/run"]
fn counted() {
    let calls = Arc::new(Calls::default());
    // Permits for exactly the tasks below: an uncounted request would leave one more.
    let limiter = RateLimiter::new().requests_per_minute(7);
    let manager = AutomationAssistantManager::builder().observer(calls.clone()).build().unwrap();
    let mut attempts = 0;
    // One answered and one closed; then answered, and closed and repeated, and so on.
    for (retries, tasks, expected) in [(0, 2, 2), (2, 3, 5)] {
        let config = config(&variable("FIELD_BASE")).max_retries(retries).rate_limiter(&limiter);
        let helper = manager.spawn_helper(config).unwrap();
        let asked = (0..tasks).map(|_| ask(&manager, helper, "p").attempts).sum::<u32>();
        assert_eq!(asked, expected, "{retries} retries");
        attempts += asked;
    }
    let helper =
        manager.spawn_helper(config(&variable("FIELD_BASE")).rate_limiter(&limiter)).unwrap();
    let task = ask(&manager, helper, TaskRequest::new("p").timeout(Duration::from_millis(500)));
    assert_eq!(task.attempts, 0, "the limiter has counted less: {:?}", task.error);
    assert_eq!(*calls.0.lock().unwrap(), attempts);
    println!("FIELD attempts={attempts}");
}
