//! Rate limits and budgets: who waits, who is refused, and that no call is made then.

use std::time::{Duration, Instant};

use automation_assistant::{
    AutomationAssistantManager, ErrorKind, EventKind, HelperConfig, RateLimiter, TaskRequest,
};
use serde_json::json;

use super::{ask, chatgpt, events, failure, spawn};
use crate::support::server::{Act, Server, answer, answers, delta, event};
use crate::support::{LONG, Notes, side_by_side, until};

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

/// The wait that a server asks of one helper holds for all that share its limiter.
#[test]
fn a_server_s_wait_holds_every_helper_of_the_limiter_unless_the_request_is_at_fault() {
    side_by_side([(429, true), (503, true), (529, true), (413, false)], |(status, holds)| {
        let body = r#"{"error":{"code":"rate_limit_exceeded","message":"x"}}"#;
        let body = if status == 413 { body } else { "" };
        let refusal = vec![Act::read(), Act::reply(status, "retry-after: 700\r\n", body)];
        let server = Server::start([refusal, answers("it answers")]);
        let limiter = RateLimiter::new();
        let manager = AutomationAssistantManager::new(2);
        let config = || chatgpt(&server).rate_limiter(&limiter).timeout(LONG);
        let first = manager.spawn_helper(config()).unwrap();
        let second = manager.spawn_helper(config()).unwrap();
        assert!(!ask(&manager, first, "p").is_success());
        let task = ask(&manager, second, "p");
        assert_eq!(task.is_success(), !holds, "{status}: {task:?}");
        if holds {
            let error = failure(&task);
            assert_eq!((error.kind(), task.attempts), (ErrorKind::RateLimited, 0), "{status}");
            assert!(error.retry_after().unwrap() > Duration::from_secs(600), "{status}");
        }
    });
}

/// Its prompt is 100 tokens by the estimate; so is what its server says.
#[test]
fn a_call_that_breaks_off_counts_what_the_model_has_read_and_written() {
    const BYTES: usize = 400;
    let words = || "four".repeat(BYTES / 4);
    let reasoning =
        || event(&json!({"choices": [{"delta": {"reasoning_content": words()}}]}).to_string());
    let call = json!({"index": 0, "id": "c", "function": {"name": "f", "arguments": words()}});
    let call = event(&json!({"choices": [{"delta": {"tool_calls": [call]}}]}).to_string());
    let error = r#"{"error":{"message":"x"}}"#;
    let streams = |text: String| vec![Act::read(), Act::stream_head(), Act::write(text)];
    let then = |mut script: Vec<Act>, act| {
        script.push(act);
        script
    };
    let start = json!({"type": "message_start",
        "message": {"content": [], "usage": {"input_tokens": 7, "output_tokens": 1}}});
    let said = json!({"type": "content_block_delta", "index": 0,
        "delta": {"type": "text_delta", "text": words()}});
    let anthropic = vec![Act::read(), Act::stream_head(), events(&[start, said]), Act::Reset];
    let rows = [
        ("text, then a reset", then(streams(delta(&words())), Act::Reset), 200),
        ("text, then the end", streams(delta(&words())), 200),
        ("text, then silence", then(streams(delta(&words())), Act::hold()), 200),
        ("reasoning, then an error", streams(reasoning() + &event(error)), 200),
        ("a call of a tool, then silence", then(streams(call), Act::hold()), 200),
        ("Anthropic's count of the prompt", anthropic, 107),
        ("no answer", vec![Act::read(), Act::hold()], 100),
        ("no answer, and the end", vec![Act::read()], 100),
        (
            "half an answer",
            vec![Act::read(), Act::write("HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n{")],
            100,
        ),
        ("rejected", vec![Act::read(), Act::json(400, error)], 0),
        ("rejected within a stream", streams(event(error)), 0),
        ("a reset instead of an answer", vec![Act::Reset], 100),
        ("nobody there", Vec::new(), 0),
    ];
    side_by_side(rows, |(name, script, tokens)| {
        let server = Server::start([script]);
        let limiter = RateLimiter::new();
        let config = match name.starts_with("Anthropic") {
            true => HelperConfig::anthropic().api_endpoint(server.base()).api_key("k").model("m"),
            false => chatgpt(&server),
        };
        if name == "nobody there" {
            server.finish();
        }
        let idle = Duration::from_millis(200);
        let config = config.max_retries(0).rate_limiter(&limiter).idle_timeout(idle);
        let (manager, helper) = spawn(config.first_byte_timeout(idle));
        let request = TaskRequest::new(words()).on_text(|_| {});
        assert!(!ask(&manager, helper, request).is_success(), "{name}");
        assert_eq!(limiter.tokens_spent(), tokens, "{name}");
    });
}

#[test]
fn a_cancelled_call_counts_as_one_that_broke_off() {
    let (meet, meeting) = Act::meet();
    let server = Server::start([vec![Act::read(), meet, Act::hold()]]);
    let limiter = RateLimiter::new();
    let (manager, helper) = spawn(chatgpt(&server).rate_limiter(&limiter));
    let task = manager.submit_task(helper, "12345678").unwrap();
    meeting.reached();
    meeting.go();
    assert!(manager.cancel_task(helper, task));
    until("the call is counted", || limiter.tokens_spent() == 2);
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
