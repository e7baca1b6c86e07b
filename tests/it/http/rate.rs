//! Rate limits and budgets: who waits, who is refused, and that no call is made then.

use std::time::{Duration, Instant};

use automation_assistant::{
    AutomationAssistantManager, ErrorKind, EventKind, HelperConfig, RateLimiter,
};

use super::{ask, chatgpt, failure, spawn};
use crate::support::server::{Act, Server, answer, answers};
use crate::support::{LONG, Notes};

/// Answers that report five tokens each, on one connection.
fn server(count: usize) -> Server {
    Server::start([(0..count).flat_map(|_| answers("ok")).collect()])
}

#[test]
fn a_spent_budget_refuses_before_any_call() {
    let server = server(2);
    let notes = Notes::new();
    let manager = AutomationAssistantManager::builder().observer(notes.clone()).build().unwrap();
    let helper = manager.spawn_helper(chatgpt(&server).token_budget(6)).unwrap();
    assert!(ask(&manager, helper, "one").is_success());
    assert!(ask(&manager, helper, "two").is_success());
    let task = ask(&manager, helper, "three");
    assert_eq!(failure(&task).kind(), ErrorKind::QuotaExceeded);
    assert_eq!(task.attempts, 0);
    assert_eq!(notes.of(EventKind::BackendCall).len(), 2);
    drop(manager);
    assert_eq!(server.finish().len(), 2);
}

#[test]
fn unreported_usage_is_estimated_not_free() {
    let silent = r#"{"choices":[{"message":{"content":"ok"}}]}"#;
    let server = Server::start([vec![Act::read(), Act::json(200, silent)]]);
    let limiter = RateLimiter::new().token_budget(1);
    let (manager, helper) = spawn(chatgpt(&server).rate_limiter(&limiter));
    let task = ask(&manager, helper, "0123456789");
    assert_eq!((task.is_success(), task.usage), (true, None));
    assert!(limiter.tokens_spent() >= 3);
    assert_eq!(failure(&ask(&manager, helper, "p")).kind(), ErrorKind::QuotaExceeded);
}

#[test]
fn helpers_share_a_limiter_and_a_wait_beyond_the_task_s_time_ends_it_at_once() {
    let server = server(1);
    let limiter = RateLimiter::new().requests_per_minute(1);
    let manager = AutomationAssistantManager::new(2);
    let config = || chatgpt(&server).rate_limiter(&limiter);
    let first = manager.spawn_helper(config()).unwrap();
    let second = manager.spawn_helper(config()).unwrap();
    assert!(ask(&manager, first, "p").is_success());
    let began = Instant::now();
    let task = ask(&manager, second, "p");
    assert_eq!(failure(&task).kind(), ErrorKind::RateLimited);
    let wait = failure(&task).retry_after().unwrap();
    assert!(wait > Duration::from_secs(50) && wait < Duration::from_secs(61), "{wait:?}");
    assert!(began.elapsed() < Duration::from_secs(10));
    assert_eq!(task.attempts, 0);
    drop(manager);
    assert_eq!(server.finish().len(), 1);
}

#[test]
fn a_wait_for_a_turn_is_cancelled_at_once() {
    let server = server(1);
    let config = chatgpt(&server).requests_per_minute(1).timeout(Duration::from_secs(600));
    let (manager, helper) = spawn(config);
    assert!(ask(&manager, helper, "p").is_success());
    let waiting = manager.submit_task(helper, "p").unwrap();
    let began = Instant::now();
    assert!(manager.cancel_task(helper, waiting));
    let task = manager.wait_task(helper, waiting, LONG).unwrap();
    assert_eq!(failure(&task).kind(), ErrorKind::Cancelled);
    manager.terminate_all();
    assert!(began.elapsed() < Duration::from_secs(1), "{:?}", began.elapsed());
}

#[test]
fn a_server_s_announcement_is_kept_to() {
    let headers = "x-ratelimit-remaining-requests: 0\r\nx-ratelimit-reset-requests: 200ms\r\n";
    let mut script = vec![Act::read(), Act::reply(200, headers, answer("one"))];
    script.extend(answers("two"));
    let server = Server::start([script]);
    let (manager, helper) = spawn(chatgpt(&server).rate_limiter(&RateLimiter::new()));
    let began = Instant::now();
    assert!(ask(&manager, helper, "p").is_success());
    assert!(ask(&manager, helper, "p").is_success());
    assert!(began.elapsed() >= Duration::from_millis(190), "{:?}", began.elapsed());
}

#[test]
fn a_limit_of_nothing_is_refused() {
    for config in [
        HelperConfig::chatgpt().requests_per_minute(0),
        HelperConfig::chatgpt().tokens_per_minute(0),
        HelperConfig::chatgpt().token_budget(0),
        HelperConfig::chatgpt().rate_limiter(&RateLimiter::new().token_budget(0)),
    ] {
        let manager = AutomationAssistantManager::new(1);
        let refused = manager.spawn_helper(config.api_endpoint("http://127.0.0.1:9"));
        assert!(format!("{refused:?}").contains("InvalidConfig"), "{refused:?}");
    }
}
