//! Complete replies.

use std::sync::{Arc, Mutex};

use automation_assistant::{ErrorKind, FinishReason, TaskRequest};
use serde_json::json;

use super::{call, failure, message, once, reply, response, text};
use crate::support::server::Act;

#[test]
fn messages_are_joined_and_reasoning_is_no_part_of_the_answer() {
    let output = json!([
        {"type": "reasoning", "id": "rs_1", "summary": [{"type": "summary_text", "text": "hm"}],
            "encrypted_content": "gAAA"},
        message("a"),
        {"type": "from_the_future", "x": [1]},
        message("b"),
    ]);
    let thoughts = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&thoughts);
    let request =
        TaskRequest::new("p").on_reasoning(move |text| seen.lock().unwrap().push(text.to_owned()));
    let (task, sent) = once(vec![Act::read(), reply(&response(output))], request);
    assert_eq!(task.result.as_deref(), Some("a\n\nb"));
    assert_eq!(*thoughts.lock().unwrap(), ["hm"]);
    // Wanting to see it asks for nothing.
    assert_eq!(sent[0].json().get("stream"), None);
    assert_eq!(sent[0].json().get("reasoning"), None);
}

#[test]
fn every_status_has_its_outcome() {
    use ErrorKind as K;
    let with = |change: serde_json::Value| {
        let mut whole = response(json!([message("so far")]));
        let members = whole.as_object_mut().unwrap();
        members.extend(change.as_object().unwrap().clone());
        once(vec![Act::read(), reply(&whole)], "p".into()).0
    };
    let incomplete = |reason: &str| {
        with(json!({"status": "incomplete", "incomplete_details": {"reason": reason}}))
    };
    let task = incomplete("max_output_tokens");
    assert_eq!(task.result.as_deref(), Some("so far"));
    assert_eq!(task.finish_reason, Some(FinishReason::Length));
    let task = incomplete("content_filter");
    assert_eq!(failure(&task).kind(), K::ContentFiltered);
    assert_eq!(failure(&task).partial(), Some("so far"));
    for (code, kind) in [
        ("server_error", K::Server),
        ("rate_limit_exceeded", K::RateLimited),
        ("invalid_prompt", K::InvalidRequest),
        ("bio_policy", K::ContentFiltered),
        ("image_too_large", K::InvalidRequest),
        ("credit_balance_exhausted", K::QuotaExceeded),
    ] {
        let failed = json!({"status": "failed", "error": {"code": code, "message": "words"}});
        let task = with(failed);
        assert_eq!(failure(&task).kind(), kind, "{code}");
        assert_eq!((failure(&task).code(), failure(&task).message()), (Some(code), "words"));
    }
    assert_eq!(failure(&with(json!({"status": "failed"}))).kind(), K::Server);
    assert_eq!(failure(&with(json!({"status": "cancelled"}))).kind(), K::Server);
    assert_eq!(failure(&with(json!({"status": "in_progress"}))).kind(), K::Protocol);
}

#[test]
fn refusals_and_what_is_no_response_are_no_answers() {
    let refusal = json!([{"type": "message", "content": [{"type": "refusal", "refusal": "no"}]}]);
    let (task, _) = once(vec![Act::read(), reply(&response(refusal))], "p".into());
    assert_eq!(failure(&task).kind(), ErrorKind::ContentFiltered);
    assert_eq!(failure(&task).partial(), Some("no"));
    for (body, kind) in [
        ("{}", ErrorKind::Protocol),
        (r#"{"choices":[]}"#, ErrorKind::Protocol),
        (r#"{"error":{"message":"x","code":"server_error"}}"#, ErrorKind::Server),
        (r#"{"output":[{"type":"mess"#, ErrorKind::Truncated),
        ("<html>", ErrorKind::Protocol),
    ] {
        let (task, _) = once(vec![Act::read(), Act::json(200, body)], "p".into());
        assert_eq!(failure(&task).kind(), kind, "{body}");
    }
    // A call whose arguments are cut off is not run.
    let mut cut = response(json!([call("1", "f", "{\"a\":")]));
    cut["status"] = json!("incomplete");
    cut["incomplete_details"] = json!({"reason": "max_output_tokens"});
    let (task, _) = once(vec![Act::read(), reply(&cut)], "p".into());
    assert_eq!(failure(&task).kind(), ErrorKind::Truncated);
    let (task, _) = once(vec![Act::read(), text("")], "p".into());
    assert_eq!(task.result.as_deref(), Some(""));
}
