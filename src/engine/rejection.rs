//! Classifies a provider's error, and decides which of a server's words may be shown.

use std::time::{Duration, SystemTime};

use serde_json::Value;

use crate::engine::body::READ_BYTES;
use crate::engine::conversation::Conversation;
use crate::engine::error_body::ErrorBody;
use crate::engine::failure::{Failure, Retry, kind_of, may_retry, provider_error};
use crate::engine::message;
use crate::engine::protocol::Ask;
use crate::engine::scrub::Scrubber;
use crate::http::{Fault, Response, asked_retry, asked_wait};
use crate::lenient;

/// Most of an error's body that is read. FastAPI's servers, vLLM among them, quote the whole
/// request beside their message: <https://fastapi.tiangolo.com/tutorial/handling-errors/>.
const ERROR_BYTES_MAX: usize = 256 << 10;
/// How long it is read for. The status is known; some servers send a body that never ends.
const ERROR_WAIT: Duration = Duration::from_secs(2);
/// Longest name that a server gives of itself or its model, in bytes.
const NAME_BYTES_MAX: usize = 128;

impl Conversation<'_> {
    /// Classifies a rejection by its status and body.
    // The stack that it takes is not that of every call that waits.
    #[inline(never)]
    pub(super) fn rejection(&self, response: &mut Response<'_>, ask: Option<&Ask<'_>>) -> Failure {
        response.end_by(ERROR_WAIT);
        let mut body = Vec::new();
        let mut buffer = [0; READ_BYTES];
        while body.len() < ERROR_BYTES_MAX {
            match response.read(&mut buffer) {
                Ok(amount @ 1..) => body.extend_from_slice(&buffer[..amount]),
                Err(Fault::Cancelled) => return Fault::Cancelled.into(),
                // The bytes that arrived must suffice: the status has most of the meaning.
                Ok(0) | Err(_) => break,
            }
        }
        let protocol = self.protocol();
        let error = protocol.read_error(&body);
        let mut error = error.unwrap_or_else(|| ErrorBody::of_text(&body));
        let mut failure = self.provider_failure(response, &mut error, &[]);
        if let Some(ask) = ask {
            if protocol.will_change(response.status(), &error, ask) {
                failure.retry = Retry::Changed;
            } else if self.switch(ask, response.status(), &error) {
                failure.retry = Retry::Switched;
            }
        }
        failure
    }

    /// The failure that a provider's error means, whatever it came with, and whatever the
    /// model had said before.
    pub(super) fn provider_failure(
        &self,
        response: &Response<'_>,
        body: &mut ErrorBody,
        said: &[&str],
    ) -> Failure {
        let status = response.status();
        let protocol = self.protocol();
        let header = |name: &str| response.header(name);
        let wait = asked_wait(&header, SystemTime::now()).or(body.wait);
        let asked = asked_retry(&header);
        // Without our words: a prompt that is quoted says nothing of what went wrong.
        body.message = body.message.take().map(|message| self.scrub(&message, said));
        let kind = kind_of(status, body, protocol);
        let mut error = provider_error(kind, status, body, wait);
        let request_id = response.header(protocol.request_id_header());
        if let Some(id) = request_id.filter(|id| !self.holds_ours(id, said)) {
            error = error.with_request_id(id);
        }
        // A code that is known means what it says, whatever the prompt was about.
        let shown = |code: &str| protocol.is_known_code(code) || !self.holds_ours(code, said);
        if error.code().is_some_and(|code| !shown(code)) {
            error = error.with_code("");
        }
        if let Some(message) = &body.message {
            error = error.with_message(message);
        }
        let again = may_retry(status, kind, asked)
            && (asked.is_some() || protocol.may_retry(status, kind, wait.is_some()));
        let retry = match (again, wait) {
            (false, _) => Retry::Never,
            (true, Some(wait)) => Retry::After(wait),
            (true, None) => Retry::Soon,
        };
        Failure { error, retry }
    }

    /// A name that a server gave (of a model, of who runs it), unless it can be none, or holds
    /// our key or a part of the request. A name in the helper's own configuration is its
    /// beginning as a rule.
    pub(super) fn foreign_name(&self, name: &str, said: &[&str]) -> Option<String> {
        let is_name_byte = |b: u8| b.is_ascii_alphanumeric() || b"._-:/@+#(),=".contains(&b);
        let name = name.trim();
        if name.is_empty() || name.len() > NAME_BYTES_MAX || !name.bytes().all(is_name_byte) {
            return None;
        }
        let asked = self.asked_model();
        let rest = asked.and_then(|asked| name.strip_prefix(asked)).unwrap_or(name);
        (!self.holds_key(name) && !self.holds_ours(rest, said)).then(|| name.to_owned())
    }

    fn holds_key(&self, text: &str) -> bool {
        let mut scrubber = Scrubber::new(text);
        self.backend.keys.iter().for_each(|key| scrubber.key(key.reveal()));
        scrubber.found()
    }

    /// Whether a server's word holds a part of the request.
    fn holds_ours(&self, text: &str, said: &[&str]) -> bool {
        self.marked(text, said).found()
    }

    /// A server's words without our key and without what we sent.
    fn scrub(&self, message: &str, said: &[&str]) -> String {
        let mut scrubber = self.marked(message, said);
        self.backend.keys.iter().for_each(|key| scrubber.short_key(key.reveal()));
        scrubber.finish()
    }

    fn marked<'m>(&self, message: &'m str, said: &[&str]) -> Scrubber<'m> {
        let mut scrubber = Scrubber::new(message);
        self.backend.keys.iter().for_each(|key| scrubber.key(key.reveal()));
        let request = self.call.request();
        said.iter().for_each(|text| scrubber.text(text));
        scrubber.text(self.call.system_prompt().unwrap_or_default());
        for message in message::messages(request) {
            scrubber.text(message.text());
            message.images().iter().for_each(|image| scrubber.text(&image.quotable()));
        }
        if !request.context.is_empty() {
            // As it is sent, for servers that quote all of it; then each part, for short ones.
            scrubber.text(&serde_json::to_string(&request.context).unwrap_or_default());
        }
        for (key, value) in &request.context {
            scrubber.text(key);
            hide_value(&mut scrubber, value);
        }
        request.tools.iter().for_each(|tool| scrubber.text(tool.description()));
        for round in &self.rounds {
            message::text(&round.reply).for_each(|text| scrubber.text(text));
            for opaque in round.reply.iter().filter_map(|part| part.opaque.as_deref()) {
                hide_words(&mut scrubber, &lenient::json_value(opaque).unwrap_or_default());
            }
            for call in message::calls(&round.reply) {
                scrubber.text(&call.arguments);
                // A short value goes as a whole.
                let arguments = lenient::json_value(&call.arguments).unwrap_or_default();
                hide_value(&mut scrubber, &arguments);
            }
            round.results.iter().for_each(|result| scrubber.text(&result.text));
        }
        scrubber
    }
}

/// Hides every text in a JSON value. Its depth is bounded by what its maker could build.
fn hide_value(scrubber: &mut Scrubber<'_>, value: &Value) {
    match value {
        Value::String(text) => scrubber.text(text),
        Value::Number(number) => scrubber.text(&number.to_string()),
        Value::Array(values) => values.iter().for_each(|value| hide_value(scrubber, value)),
        Value::Object(map) => map.values().for_each(|value| hide_value(scrubber, value)),
        Value::Null | Value::Bool(_) => {}
    }
}

/// Hides every text that is more than one word: what a model thought, and no name of the protocol.
fn hide_words(scrubber: &mut Scrubber<'_>, value: &Value) {
    match value {
        Value::String(text) if text.contains(' ') || !text.is_ascii() => scrubber.text(text),
        Value::Array(values) => values.iter().for_each(|value| hide_words(scrubber, value)),
        Value::Object(map) => map.values().for_each(|value| hide_words(scrubber, value)),
        _ => {}
    }
}
