//! What an event of a stream holds, for every protocol alike.

use std::borrow::Cow;

use crate::engine::draft::{BadReply, Draft};
use crate::engine::error_body::ErrorBody;
use crate::engine::sse::SseEvent;
use crate::lenient::utf8;

/// The end of a stream, as an event's data.
const DONE: &[u8] = b"[done]";
/// The beginning of a word that tells of a failure.
const ERROR: &[u8] = b"error";

/// What an event says.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Payload<'e> {
    /// JSON to be read: an object or a list.
    Json(Cow<'e, str>),
    /// The stream is complete.
    Done,
    /// Nothing that matters.
    Nothing,
}

/// What an event says; what is odd about it is noted on the draft.
///
/// # Errors
///
/// The error that it says instead.
pub(crate) fn payload<'e>(
    event: &SseEvent<'e>,
    draft: &mut Draft,
) -> Result<Payload<'e>, BadReply> {
    let (is_error, data) = match *event {
        SseEvent::Data { event, data } => (event == ERROR, data.trim_ascii()),
        SseEvent::Stray(line) => match line.strip_prefix(b"error:") {
            Some(data) => (true, data.trim_ascii()),
            None => (false, line.trim_ascii()),
        },
    };
    // `[DONE]` and the like are words too.
    let is_word = |rest: &[u8]| rest.first().is_some_and(u8::is_ascii_alphabetic);
    let json = match data {
        [b'{', ..] => true,
        [b'[', rest @ ..] => !is_word(rest),
        _ => false,
    };
    let word = data.strip_prefix(b"[").unwrap_or(data);
    let says_error = word.get(..ERROR.len()).is_some_and(|word| word.eq_ignore_ascii_case(ERROR));
    if is_error || (!json && says_error) {
        return Err(error(data).into());
    }
    if json {
        let text = utf8(data);
        draft.note_oddities(u32::from(matches!(text, Cow::Owned(_))));
        return Ok(Payload::Json(text));
    }
    if data.eq_ignore_ascii_case(DONE) {
        return Ok(Payload::Done);
    }
    draft.note_oddities(u32::from(!data.is_empty()));
    Ok(Payload::Nothing)
}

/// The error that an event's data is or holds. In a stream a text alone is an error like any
/// other: whoever streams has the right address.
fn error(data: &[u8]) -> ErrorBody {
    let error = ErrorBody::parse(data).or_else(|| ErrorBody::parse_inner(data));
    let error = error.unwrap_or_else(|| ErrorBody::of_text(data));
    ErrorBody { is_bare: false, ..error }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(event: SseEvent<'_>) -> (Option<String>, u32) {
        let mut draft = Draft::new(1000);
        let said = match payload(&event, &mut draft) {
            Ok(Payload::Json(text)) => Some(text.into_owned()),
            Ok(Payload::Done) => Some("done".to_owned()),
            Ok(Payload::Nothing) => None,
            Err(BadReply::Provider(error)) => {
                assert!(!error.is_bare);
                Some(format!("error {}", error.message.unwrap_or_default()))
            }
            Err(other) => panic!("{other:?}"),
        };
        (said, draft.oddities)
    }

    #[test]
    fn json_words_and_errors_are_told_apart() {
        for (data, said, oddities) in [
            ("{\"a\":1}", Some("{\"a\":1}"), 0),
            (" [{}] ", Some("[{}]"), 0),
            ("[DONE]", Some("done"), 0),
            ("[done]", Some("done"), 0),
            ("", None, 0),
            ("ping", None, 1),
            ("null", None, 1),
            ("[heartbeat]", None, 1),
            ("42", None, 1),
            ("Error: boom", Some("error Error: boom"), 0),
            ("[ERROR] boom", Some("error [ERROR] boom"), 0),
        ] {
            let event = SseEvent::Data { event: b"", data: data.as_bytes() };
            assert_eq!(of(event), (said.map(str::to_owned), oddities), "{data}");
        }
        for data in ["boom", "\"boom\"", "{\"message\":\"boom\"}", "{\"error\":\"boom\"}"] {
            let event = SseEvent::Data { event: b"error", data: data.as_bytes() };
            assert_eq!(of(event).0.as_deref(), Some("error boom"), "{data}");
        }
        let stray = SseEvent::Stray(b"error: {\"message\":\"boom\"}");
        assert_eq!(of(stray).0.as_deref(), Some("error boom"));
        assert_eq!(of(SseEvent::Stray(b"<html>")), (None, 1));
    }
}
