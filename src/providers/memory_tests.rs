//! The memory of a call with a picture, counted. (The counter counts the allocations of
//! one thread, so the call is made on the test's own.)
#![allow(clippy::unwrap_used)]

use std::cell::{Cell, RefCell};

use serde_json::json;

use crate::backend::{Attempt, AttemptLog, CallContext, CallSettings};
use crate::cancel::CancelSignal;
use crate::config::{DEFAULT_MAX_IMAGE_BYTES, HelperConfig};
use crate::id::{HelperId, TaskId};
use crate::providers::support_tests::{Server, build, reply};
use crate::task::{OpenAiApi, TaskRequest};

/// Buffers, headers, the request's text and its answer: about 50 KB. A picture's base64 would
/// be 7 MB.
const CALL_BYTES_MAX: u64 = 128 << 10;

struct NoLog;

impl AttemptLog for NoLog {
    fn begin(&self) {}
    fn withdraw(&self) {}
    fn end(&self, _: &Attempt<'_>) {}
}

#[test]
fn a_picture_is_never_held_as_base64() {
    let chat = json!({"choices": [{"message": {"content": "a cat"}}]});
    let text = json!([{"type": "output_text", "text": "a cat"}]);
    let response = json!({"output": [{"type": "message", "content": text}]});
    let message = json!({"type": "message", "content": [{"type": "text", "text": "a cat"}]});
    for (config, answer) in [
        (HelperConfig::chatgpt(), chat),
        (HelperConfig::chatgpt().openai_api(OpenAiApi::Responses), response),
        (HelperConfig::anthropic().model("m").api_key("k"), message),
    ] {
        let server = Server::start(vec![reply(200, &answer)]);
        let config = config.api_endpoint(server.url());
        let backend = build(&config, &[]).unwrap();

        let mut picture = vec![0x5a; DEFAULT_MAX_IMAGE_BYTES];
        picture[..8].copy_from_slice(b"\x89PNG\r\n\x1a\n");
        let request = TaskRequest::new("what is it?").image_bytes("image/png", picture);
        let cancel = CancelSignal::new();
        let call = CallContext {
            task_id: TaskId::new(HelperId::next(), 1),
            request: &request,
            settings: CallSettings {
                params: &config.custom_params,
                max_output_tokens: None,
                max_tool_rounds: 0,
                max_tool_output_bytes: 0,
            },
            system_prompt: None,
            cancel: &cancel,
            deadline: None,
            on_text: RefCell::new(None),
            sent: &crate::backend::SentText::new(usize::MAX),
            text_sent: Cell::new(false),
            first_text: Cell::new(None),
            in_callback: Cell::new(None),
            text_refused: std::cell::Cell::new(false),
            attempts: &NoLog,
        };
        let mut text = None;
        let taken = allocation_counter::measure(|| {
            text = Some(backend.process(&call).unwrap().text);
        });
        assert_eq!(text.as_deref(), Some("a cat"));
        assert!(server.finish()[0].body.len() > DEFAULT_MAX_IMAGE_BYTES * 4 / 3);
        assert!(taken.bytes_max < CALL_BYTES_MAX, "{} bytes at once", taken.bytes_max);
        // And none is taken and given back on the way.
        assert!(taken.bytes_total < 2 * CALL_BYTES_MAX, "{} bytes in all", taken.bytes_total);
    }
}
