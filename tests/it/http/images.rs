//! Pictures in requests: in each protocol's form, complete, and never quoted.

use automation_assistant::{ErrorKind, HelperConfig, OpenAiApi, RateLimiter, TaskRequest, Turn};
use serde_json::{Value, json};

use super::{KEY, ask, chatgpt, fails, failure, spawn};
use crate::support::LONG;
use crate::support::pictures::{PNG, PNG_BASE64, png_of};
use crate::support::server::{Act, Server, answer, answers};

/// An Anthropic answer.
const MESSAGE: &str = r#"{"type":"message","role":"assistant","model":"claude-x","content":
    [{"type":"text","text":"ok"}],"stop_reason":"end_turn","usage":{"input_tokens":1,"output_tokens":1}}"#;
/// A response of the Responses API.
const RESPONSE: &str = r#"{"object":"response","status":"completed","model":"m","output":
    [{"type":"message","role":"assistant","content":[{"type":"output_text","text":"ok"}]}]}"#;
const URL: &str = "https://h.example/a.png?sig=0123456789abcdef";

fn request() -> TaskRequest {
    let turns = [
        Turn::user("earlier").image_url(URL),
        Turn::assistant("a cat"),
        // Without a word of its own.
        Turn::user(" ").image_bytes("image/png", PNG.to_vec()),
        Turn::user("plain"),
    ];
    TaskRequest::new("which?").turns(turns).image_bytes("image/png", PNG.to_vec()).image_url(URL)
}

fn chat_messages() -> Value {
    let data = format!("data:image/png;base64,{PNG_BASE64}");
    let image = |url: &str| json!({"type": "image_url", "image_url": {"url": url}});
    let text = |text: &str| json!({"type": "text", "text": text});
    json!([
        {"role": "user", "content": [image(URL), text("earlier")]},
        {"role": "assistant", "content": "a cat"},
        {"role": "user", "content": [image(&data)]},
        {"role": "user", "content": "plain"},
        {"role": "user", "content": [image(&data), image(URL), text("which?")]},
    ])
}

fn responses_input() -> Value {
    let data = format!("data:image/png;base64,{PNG_BASE64}");
    let image = |url: &str| json!({"type": "input_image", "detail": "auto", "image_url": url});
    let text = |text: &str| json!({"type": "input_text", "text": text});
    let said =
        |role: &str, content: Value| json!({"type": "message", "role": role, "content": content});
    json!([
        said("user", json!([image(URL), text("earlier")])),
        said("assistant", json!("a cat")),
        said("user", json!([image(&data)])),
        said("user", json!("plain")),
        said("user", json!([image(&data), image(URL), text("which?")])),
    ])
}

fn anthropic_messages() -> Value {
    let text = |text: &str| json!({"type": "text", "text": text});
    let data = json!({"type": "image",
        "source": {"type": "base64", "media_type": "image/png", "data": PNG_BASE64}});
    let url = json!({"type": "image", "source": {"type": "url", "url": URL}});
    json!([
        {"role": "user", "content": [url, text("earlier")]},
        {"role": "assistant", "content": "a cat"},
        {"role": "user", "content": [data]},
        {"role": "user", "content": "plain"},
        {"role": "user", "content": [data, url, text("which?")]},
    ])
}

/// A server's answer, the member of a request that holds its messages, and its content.
type Row = (String, &'static str, Value);

#[test]
fn every_protocol_writes_pictures_in_its_own_form() {
    let chat: fn() -> Row = || (answer("ok"), "messages", chat_messages());
    let responses: fn() -> Row = || (RESPONSE.to_owned(), "input", responses_input());
    let anthropic: fn() -> Row = || (MESSAGE.to_owned(), "messages", anthropic_messages());
    let local = || HelperConfig::local().model("m");
    let rows = [
        (HelperConfig::chatgpt(), chat),
        (HelperConfig::chatgpt().openai_api(OpenAiApi::Responses), responses),
        (HelperConfig::comet().model("openai/m"), chat),
        (local(), chat),
        (local().openai_api(OpenAiApi::Responses), responses),
        (HelperConfig::anthropic().model("claude-x"), anthropic),
    ];
    for (config, expected) in rows {
        let (reply, key, messages) = expected();
        let server = Server::start([vec![Act::read(), Act::json(200, &reply)]]);
        let (manager, helper) = spawn(config.api_endpoint(server.base()).api_key(KEY));
        let task = ask(&manager, helper, request());
        assert_eq!(task.result.as_deref(), Some("ok"), "{:?}", task.error);
        drop(manager);
        let seen = &server.finish()[0];
        assert_eq!(seen.json()[key], messages);
        assert_eq!(seen.header("content-length"), Some(&*seen.body.len().to_string()));
        assert_eq!(seen.header("transfer-encoding"), None);
    }
}

#[test]
fn pictures_go_along_when_the_server_names_the_other_api() {
    let instead = r#"{"error":{"message":"Use /v1/responses.","type":"invalid_request_error"}}"#;
    let acts = vec![Act::read(), Act::json(400, instead), Act::read(), Act::json(200, RESPONSE)];
    let server = Server::start([acts]);
    let (manager, helper) = spawn(chatgpt(&server));
    assert_eq!(ask(&manager, helper, request()).result.as_deref(), Some("ok"));
    drop(manager);
    let seen = server.finish();
    assert_eq!(seen[0].json()["messages"], chat_messages());
    assert_eq!(seen[1].json()["input"], responses_input());
}

/// Bytes of base64 as another program would read them.
fn decoded(text: &str) -> Vec<u8> {
    let letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let (mut bits, mut count, mut out) = (0_u32, 0, Vec::new());
    for letter in text.trim_end_matches('=').chars() {
        bits = bits << 6 | letters.find(letter).unwrap() as u32;
        count += 6;
        if count >= 8 {
            count -= 8;
            out.push((bits >> count) as u8);
        }
    }
    out
}

#[test]
fn a_large_picture_arrives_whole_each_time_it_is_sent() {
    let picture = png_of(1_000_001);
    // Refused; then on the kept connection, which may break in the midst of it, and is then
    // counted as a call; then on a new one.
    let first = vec![Act::read(), Act::json(503, "{}"), Act::Reset];
    let server = Server::start([first, answers("seen")]);
    let (manager, helper) = spawn(chatgpt(&server).max_retries(2));
    let request = TaskRequest::new("p").image_bytes("image/png", picture.clone());
    let task = ask(&manager, helper, request);
    assert_eq!(task.result.as_deref(), Some("seen"), "{:?}", task.error);
    assert!((2..=3).contains(&task.attempts), "{}", task.attempts);
    drop(manager);
    let seen = server.finish();
    assert_eq!(seen.len(), 2);
    for sent in seen {
        let json = sent.json();
        let url = json["messages"][0]["content"][0]["image_url"]["url"].as_str().unwrap();
        let data = url.strip_prefix("data:image/png;base64,").unwrap();
        assert!(decoded(data) == picture, "the picture is another");
    }
}

#[test]
fn a_rejection_is_typed_and_quotes_no_picture() {
    let picture = || TaskRequest::new("p").image_bytes("image/png", PNG.to_vec()).image_url(URL);
    let quotes = [
        format!("Invalid image: data:image/png;base64,{PNG_BASE64}"),
        format!("Invalid image: {}…", &PNG_BASE64[..20]),
        format!("Error while downloading {URL}."),
    ];
    for quote in quotes {
        let body = json!({"error": {"message": quote, "type": "invalid_request_error",
            "param": null, "code": "invalid_image"}});
        let server = Server::start([vec![Act::read(), Act::json(400, &body.to_string())]]);
        let error = fails(chatgpt(&server), picture());
        assert_eq!(error.kind(), ErrorKind::InvalidRequest);
        let shown = format!("{error} {error:?} {}", error.message());
        assert!(shown.contains("[redacted]"), "{shown}");
        assert!(!shown.contains("iVBORw0KGgoA") && !shown.contains("0123456789ab"), "{shown}");
    }
    // A model that cannot see.
    let blind = r#"{"error":{"code":500,"message":"image input is not supported - hint: if this is unexpected, you may need to provide the mmproj","type":"server_error"}}"#;
    let server = Server::start([vec![Act::read(), Act::json(500, blind)]]);
    let error = fails(chatgpt(&server), picture());
    assert_eq!(error.kind(), ErrorKind::Server);
    assert!(error.message().contains("image input is not supported"), "{error}");
}

#[test]
fn sending_a_picture_is_cancelled_at_once() {
    let (reached, meeting) = Act::meet();
    let (close, closed) = Act::await_close();
    // The head is read, the rest is not: what the socket does not take waits in the client.
    let server = Server::start([vec![Act::Take(100), reached, close], answers("next")]);
    let (manager, helper) = spawn(chatgpt(&server).max_image_bytes(32 << 20));
    let request = TaskRequest::new("p").image_bytes("image/png", png_of(20 << 20));
    let id = manager.submit_task(helper, request).unwrap();
    meeting.reached();
    assert!(manager.cancel_task(helper, id));
    let task = manager.wait_task(helper, id, LONG).unwrap();
    assert_eq!(failure(&task).kind(), ErrorKind::Cancelled);
    // The helper's only thread is free again.
    assert_eq!(ask(&manager, helper, "p").result.as_deref(), Some("next"));
    meeting.go();
    closed.recv_timeout(LONG).unwrap();
}

#[test]
fn a_picture_counts_a_thousand_tokens_until_the_provider_reports() {
    let silent = r#"{"choices":[{"message":{"content":"ok"}}]}"#;
    let server = Server::start([vec![
        Act::read(),
        Act::json(200, silent),
        Act::read(),
        Act::json(200, &answer("reported")),
    ]]);
    let limiter = RateLimiter::new().token_budget(1_000_000);
    let (manager, helper) = spawn(chatgpt(&server).rate_limiter(&limiter));
    assert!(ask(&manager, helper, request()).is_success());
    let guessed = limiter.tokens_spent();
    assert!((4000..4100).contains(&guessed), "{guessed}");
    assert!(ask(&manager, helper, request()).is_success());
    assert_eq!(limiter.tokens_spent(), guessed + 5);
}
