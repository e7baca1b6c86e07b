//! A key, a prompt, a context, instructions and a reply are planted, then everything that the
//! library emits is searched for them: `Debug` and `Display` of every type, errors, events,
//! the audit file, the debrief in every form, status reports, traces, environments of children.
//!
//! The one place where texts belong is a finished [`Task`] and its JSON, which their owner
//! asked for; and even there the key must not stand.

mod children;
mod core;
#[cfg(feature = "http")]
mod http;
#[cfg(feature = "http")]
mod injection;
#[cfg(feature = "http")]
mod quotes;
#[cfg(feature = "http")]
mod traces;

use std::fmt::Debug;
use std::sync::{Arc, Mutex};

use automation_assistant::{Debrief, Event, Observe, Task, TaskRequest, Telemetry};

use crate::telemetry::Folder;

pub const KEY: &str = "sk-7f3a9c51e2d84b60aa17";
/// Without spaces, so that it could pass for a code or an id.
pub const PROMPT: &str = "prompt-c4d1906be7724f0395";
pub const CONTEXT: &str = "context-58e20f7d1b3a46c98d";
pub const SYSTEM: &str = "system-9d02b8c6f41e4ea7b3";
pub const TURN: &str = "turn-e6b7305a9c8d4f12b0";
pub const REPLY: &str = "reply-2a91f8e0d7c34b56ab";
pub const TOOL: &str = "tool-b35c70f1e9824ad6c7";

/// A picture's bytes after the mark of a PNG, the whole of it as base64, and a picture's URL.
pub const PICTURE: &str = "picture-4f1d8c07ea92b365d8";
pub const PICTURE_BASE64: &str = "iVBORw0KGgpwaWN0dXJlLTRmMWQ4YzA3ZWE5MmIzNjVkOA==";
pub const PICTURE_URL: &str = "https://url-71c2e95ab3.example/d04f86.png?sig=a8b3907e5f";

const SECRETS: &[&str] =
    &[KEY, PROMPT, CONTEXT, SYSTEM, TURN, REPLY, TOOL, PICTURE, PICTURE_BASE64, PICTURE_URL];
/// A part of a secret this long reveals it.
const PART_BYTES: usize = 10;

/// Fails if any part of a secret is in the text.
#[track_caller]
pub fn search(what: &str, text: &str) {
    let folded = text.to_lowercase();
    for secret in SECRETS {
        for part in secret.to_lowercase().as_bytes().windows(PART_BYTES) {
            let part = std::str::from_utf8(part).unwrap();
            assert!(!folded.contains(part), "{what} holds {part:?} of {secret:?}: {text}");
        }
    }
}

#[track_caller]
pub fn search_debug(value: &impl Debug) {
    search("Debug", &format!("{value:?} {value:#?}"));
}

/// Searches all that a finished task shows to those who did not ask for its texts.
#[track_caller]
pub fn search_task(task: &Task) {
    search_debug(task);
    let json = serde_json::to_string(task).unwrap();
    assert!(!json.contains(&KEY[3..]), "the task's JSON holds the key: {json}");
    let Some(error) = &task.error else { return };
    search_debug(error);
    search("Display", &error.to_string());
    search("message", error.message());
    search("summary", error.summary());
    search("code", error.code().unwrap_or_default());
    search("request id", error.request_id().unwrap_or_default());
}

/// A request with something planted wherever a text goes.
pub fn request() -> TaskRequest {
    let request = TaskRequest::new(PROMPT)
        .context("fact", CONTEXT)
        .context("deep", serde_json::json!([{"a": CONTEXT}]))
        .system_prompt(SYSTEM)
        .turn(automation_assistant::Role::User, TURN);
    search_debug(&request);
    request
}

/// The same with pictures, for backends that see.
#[cfg(feature = "http")]
pub fn request_with_pictures() -> TaskRequest {
    let bytes = [b"\x89PNG\r\n\x1a\n", PICTURE.as_bytes()].concat();
    let turn = automation_assistant::Turn::user("").image_bytes("image/png", bytes.clone());
    search_debug(&turn);
    let request = request().turns([turn]).image_bytes("image/png", bytes).image_url(PICTURE_URL);
    search_debug(&request);
    request
}

/// Keeps what every event shows of itself.
#[derive(Default)]
pub struct Shown(Mutex<String>);

impl Observe for Shown {
    fn on_event(&self, event: &Event<'_>) {
        let mut shown = self.0.lock().unwrap();
        shown.push_str(&format!("{event:?} {event:#?}\n"));
    }
}

/// Those who watch: an audit file and everything that events show.
pub struct Watch {
    folder: Folder,
    pub shown: Arc<Shown>,
    pub telemetry: Telemetry,
}

impl Watch {
    pub fn new(name: &str) -> Self {
        let folder = Folder::new(&format!("secrets-{name}"));
        let telemetry = Telemetry::to_file(folder.join("audit.jsonl")).unwrap();
        Self { folder, shown: Arc::default(), telemetry }
    }

    /// Searches all that was written, in every form; call it when the manager is gone.
    #[track_caller]
    pub fn search(self) {
        search_debug(&self.telemetry);
        drop(self.telemetry);
        let path = self.folder.join("audit.jsonl");
        let lines = std::fs::read_to_string(&path).unwrap();
        assert!(lines.contains("task_complete"), "nothing was logged: {lines}");
        search("the audit file", &lines);
        search("events", &self.shown.0.lock().unwrap());
        let debrief = Debrief::from_path(&path).unwrap();
        search_debug(&debrief);
        search("the console report", &debrief.to_string());
        search("the text report", &debrief.to_text());
        search("the markdown report", &debrief.to_markdown());
        search("the JSON report", &debrief.to_json().to_string());
    }
}
