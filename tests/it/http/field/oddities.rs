//! Accepted deviations are counted: an observer and the audit file get the number of places
//! in a server's replies that deviate from its API.

use std::sync::{Arc, Mutex};

use automation_assistant::{
    AutomationAssistantManager, Event, EventFacts, HelperConfig, Observe, OpenAiApi, TaskRequest,
};

use super::{EVENTS, JSON, reply};
use crate::http::{KEY, ask, chatgpt};
use crate::support::server::Server;

/// The counts of all calls.
#[derive(Default)]
struct Oddities(Mutex<Vec<u32>>);

impl Observe for Oddities {
    fn on_event(&self, event: &Event<'_>) {
        if let EventFacts::Call(call) = event.facts() {
            self.0.lock().unwrap().push(call.oddities);
        }
    }
}

fn responses(server: &Server) -> HelperConfig {
    chatgpt(server).openai_api(OpenAiApi::Responses)
}

fn anthropic(server: &Server) -> HelperConfig {
    let here = format!("http://{}", server.address());
    HelperConfig::anthropic().api_endpoint(here).api_key(KEY).model("m").max_retries(0)
}

type Config = fn(&Server) -> HelperConfig;

#[test]
fn oddities_are_counted_and_what_is_as_it_should_be_is_none() {
    let rows: &[(Config, &str, &str, u32)] = &[
        (chatgpt, JSON, r#"{"choices":[{"message":{"content":"a"},"finish_reason":"stop"}]}"#, 0),
        (chatgpt, JSON, r#"{"choices":[{"message":{"content":6},"finish_reason":"stop"}]}"#, 1),
        (chatgpt, JSON, r#"{"choices":[{"message":{"content":6}}],"usage":[],"model":{}}"#, 3),
        (chatgpt, JSON, r#"{"choices":[{"message":{"content":"a"}}]}data: [DONE]"#, 1),
        (chatgpt, JSON, r#"{"choices":[{"message":{"content":"a\ud83d"}}]}"#, 1),
        // Before an error too: it is the server that is off.
        (chatgpt, JSON, r#"{"choices":[{"message":{"content":6},"finish_reason":"error"}]}"#, 1),
        (
            chatgpt,
            EVENTS,
            "data: {\"choices\":[{\"delta\":{\"content\":\"a\"}}]}\n\n: ping\n\ndata: {\"choices\":[{\"delta\":{},\"finish_reason\":\"stop\"}]}\n\ndata: [DONE]\n\n",
            0,
        ),
        (
            chatgpt,
            EVENTS,
            "data: ping\n\ndata: {\"choices\":[{\"delta\":{\"content\":\"a\"},\"finish_reason\":\"stop\"}]}\n\ndata: [DONE]\n\n",
            1,
        ),
        (
            chatgpt,
            "text/plain",
            "data: {\"choices\":[{\"delta\":{\"content\":\"a\"},\"finish_reason\":\"stop\"}]}\n\ndata: [DONE]\n\n",
            1,
        ),
        (
            responses,
            JSON,
            r#"{"status":"completed","output":[{"type":"message","content":[{"text":"a"}]}]}"#,
            0,
        ),
        (
            responses,
            JSON,
            r#"{"status":"completed","output":[{"type":"message","content":"a"}]}"#,
            1,
        ),
        (
            anthropic,
            JSON,
            r#"{"type":"message","content":[{"type":"text","text":"a"}],"stop_reason":"end_turn"}"#,
            0,
        ),
        (anthropic, JSON, r#"{"type":"message","content":"a","stop_reason":"end_turn"}"#, 1),
    ];
    for (config, kind, body, count) in rows {
        let server = Server::start([reply(kind, body.as_bytes())]);
        let counted = Arc::new(Oddities::default());
        let manager = AutomationAssistantManager::builder();
        let manager = manager.observer(Arc::<Oddities>::clone(&counted)).build().unwrap();
        let helper = manager.spawn_helper(config(&server)).unwrap();
        let request = TaskRequest::new("p");
        let streams = *kind != JSON;
        ask(&manager, helper, if streams { request.on_text(|_| {}) } else { request });
        assert_eq!(*counted.0.lock().unwrap(), [*count], "{body}");
    }
}
