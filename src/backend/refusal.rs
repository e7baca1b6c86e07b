//! What a provider's error means, and what of its words may be told.

use std::sync::atomic::Ordering;
use std::time::SystemTime;

use serde_json::Value;

use crate::backend::failure::{Failure, Retry, is_known_code, may_retry, provider_error};
use crate::backend::http::Response;
use crate::backend::receive::read_to;
use crate::backend::reply::ErrorBody;
use crate::backend::retry::{asked_retry, asked_wait};
use crate::backend::run::Run;
use crate::backend::scrub::Scrubber;
use crate::backend::wire::Said;
use crate::task_error::ErrorKind;

/// Most of an error's body that is read: its message is cut to less anyway.
const ERROR_BYTES_MAX: usize = 16 << 10;

impl Run<'_> {
    /// What a status of refusal means, with the body that explains it.
    pub(super) fn refusal(&self, response: &mut Response<'_>) -> Failure {
        let mut body = Vec::new();
        if let Err(failure) = read_to(response, &mut body, ERROR_BYTES_MAX) {
            // The status is known; only our own end of the call matters more.
            if let ErrorKind::Cancelled | ErrorKind::Timeout = failure.error.kind() {
                return failure;
            }
        }
        let error = ErrorBody::parse(&body).unwrap_or_else(|| ErrorBody {
            // Plain text may say something; a web page is noise.
            message: std::str::from_utf8(&body)
                .ok()
                .filter(|text| !text.trim_start().starts_with('<'))
                .map(str::to_owned),
            ..ErrorBody::default()
        });
        let about_usage = error.names("stream_options") || error.names("include_usage");
        let mut failure = self.refused(response, &error, "");
        if matches!(response.status(), 400 | 422) && self.asks_usage.get() && about_usage {
            // The one field that we send without being asked to: once more without it.
            self.backend.asks_stream_usage.store(false, Ordering::Relaxed);
            failure.retry = Retry::Changed;
        }
        failure
    }

    /// The failure that a provider's error means, whatever it came with, and whatever the
    /// model had said before.
    pub(super) fn refused(
        &self,
        response: &Response<'_>,
        body: &ErrorBody,
        heard: &str,
    ) -> Failure {
        let status = response.status();
        let wait = asked_wait(|name| response.header(name), SystemTime::now());
        let asked = asked_retry(|name| response.header(name));
        let mut error = provider_error(status, body, wait);
        if let Some(id) = response.header("x-request-id").filter(|id| !self.tells_ours(id, heard)) {
            error = error.with_request_id(id);
        }
        // A code that is known means what it says, whatever the prompt was about.
        if error.code().is_some_and(|code| !is_known_code(code) && self.tells_ours(code, heard)) {
            error = error.with_code("");
        }
        if let Some(message) = &body.message {
            error = error.with_message(&self.scrub(message, heard));
        }
        let again = may_retry(status, error.kind(), asked)
            && (status != 409 || asked.is_some() || self.backend.retries_conflicts);
        let retry = match (again, wait) {
            (false, _) => Retry::Never,
            (true, Some(wait)) => Retry::After(wait),
            (true, None) => Retry::Soon,
        };
        Failure { error, retry }
    }

    /// Whether a server's word holds our key.
    pub(super) fn tells_key(&self, text: &str) -> bool {
        let mut scrubber = Scrubber::new(text);
        if let Some(key) = &self.backend.key {
            scrubber.key(key.reveal());
        }
        scrubber.found()
    }

    /// Whether a server's word holds a piece of what we sent.
    fn tells_ours(&self, text: &str, heard: &str) -> bool {
        self.marked(text, heard).found()
    }

    /// A server's words without our key and without what we sent.
    fn scrub(&self, message: &str, heard: &str) -> String {
        self.marked(message, heard).finish()
    }

    fn marked<'m>(&self, message: &'m str, heard: &str) -> Scrubber<'m> {
        let mut scrubber = Scrubber::new(message);
        if let Some(key) = &self.backend.key {
            scrubber.key(key.reveal());
        }
        let request = self.call.request();
        scrubber.text(heard);
        scrubber.text(self.call.prompt());
        scrubber.text(self.call.system_prompt().unwrap_or_default());
        for turn in &request.turns {
            scrubber.text(&turn.text);
        }
        for (key, value) in &request.context {
            scrubber.text(key);
            hide_value(&mut scrubber, value);
        }
        for tool in request.tools.iter() {
            scrubber.text(tool.description());
        }
        for said in &self.talk {
            match said {
                Said::Tool { text, .. } => scrubber.text(text),
                Said::Model { text, calls } => {
                    scrubber.text(text);
                    calls.iter().for_each(|call| scrubber.text(&call.arguments));
                }
            }
        }
        scrubber
    }
}

/// Hides every text in a JSON value. Its depth is bounded by what its maker could build.
fn hide_value(scrubber: &mut Scrubber<'_>, value: &Value) {
    match value {
        Value::String(text) => scrubber.text(text),
        Value::Array(values) => values.iter().for_each(|value| hide_value(scrubber, value)),
        Value::Object(map) => map.values().for_each(|value| hide_value(scrubber, value)),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}
