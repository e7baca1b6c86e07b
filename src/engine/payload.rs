//! The content of a stream's event, for every protocol alike.

use std::borrow::Cow;

use crate::engine::draft::{BadReply, Draft};
use crate::engine::error_body::{ErrorBody, ErrorField};
use crate::engine::sse::SseEvent;
use crate::lenient::{Lenient, Parsed, Text, read, utf8};

/// The end of a stream, as an event's data.
const DONE: &[u8] = b"[done]";
/// The beginning of a word that names a failure.
const ERROR: &[u8] = b"error";
/// Said of a body of several complete replies.
pub(crate) const SEVERAL: &str = "the server's answer is more than one JSON object";

/// The content of an event.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Payload<'e> {
    /// JSON to be read: an object or a list.
    Json(Cow<'e, str>),
    /// The stream is complete.
    Done,
    /// Nothing that matters.
    Nothing,
}

/// The content of an event; deviations are counted on the draft.
///
/// # Errors
///
/// The error in the event.
pub(crate) fn payload<'e>(
    event: &SseEvent<'e>,
    draft: &mut Draft,
) -> Result<Payload<'e>, BadReply> {
    let (is_error, data) = match *event {
        SseEvent::Data { event, data } => (event == ERROR, data.trim_ascii()),
        SseEvent::Unframed(line) => match line.strip_prefix(b"error:") {
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
    let says_error = || {
        let word = data.strip_prefix(b"[").unwrap_or(data).get(..ERROR.len());
        word.is_some_and(|word| word.eq_ignore_ascii_case(ERROR))
    };
    if is_error || (!json && says_error()) {
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

/// Reads a complete reply, which is one object; whether nothing but `[DONE]` follows it, with
/// which some servers end a whole reply as they end a stream, is odd.
///
/// # Errors
///
/// The error in the body, or its deviation from one object.
pub(crate) fn whole<'b, T: Lenient>(
    body: &'b [u8],
    draft: &mut Draft,
) -> Result<(Cow<'b, str>, T), BadReply> {
    let text = utf8(body);
    let Parsed { value, rest, oddities } = one(&text, body)?;
    draft.note_oddities(oddities + u32::from(matches!(text, Cow::Owned(_))));
    if !rest.is_empty() {
        let rest = rest.trim_start_matches("data:").trim();
        if !rest.as_bytes().eq_ignore_ascii_case(DONE) {
            return Err(BadReply::protocol(SEVERAL));
        }
        draft.note_oddities(1);
    }
    Ok((text, value))
}

/// Reads the object that this text begins with, which came as these bytes.
///
/// # Errors
///
/// The deviation of the text from one object.
pub(crate) fn one<'t, T: Lenient>(text: &'t str, bytes: &[u8]) -> Result<Parsed<'t, T>, BadReply> {
    if !text.trim_start_matches('\u{feff}').trim_start().starts_with('{') {
        let is_json = read::<Text>(text).is_ok_and(|found| found.rest.is_empty());
        if is_json {
            return Err(BadReply::foreign());
        }
    }
    read(text).map_err(|fault| BadReply::unreadable(bytes, fault))
}

/// An event's name, its JSON, and what that holds.
pub(crate) type Typed<'e, T> = (Cow<'e, str>, Cow<'e, str>, T);

/// The name and the object of an event; nothing where it says nothing.
///
/// # Errors
///
/// The error that the event is instead, or why it cannot be read.
pub(crate) fn object<'e, T: Lenient>(
    event: &SseEvent<'e>,
    draft: &mut Draft,
) -> Result<Option<Typed<'e, T>>, BadReply> {
    let Payload::Json(json) = payload(event, draft)? else { return Ok(None) };
    let name = match *event {
        SseEvent::Data { event, .. } => String::from_utf8_lossy(event),
        SseEvent::Unframed(_) => Cow::default(),
    };
    let unreadable = |fault| BadReply::unreadable(json.as_bytes(), fault).within_stream();
    let Parsed { value, oddities, .. } = read(&json).map_err(unreadable)?;
    draft.note_oddities(oddities);
    Ok(Some((name, json, value)))
}

/// # Errors
///
/// The error that an event of this kind is or holds.
pub(crate) fn check(kind: &str, error: ErrorField, json: &str) -> Result<(), BadReply> {
    let within = error.error();
    let is_error = kind == "error" || within.is_some();
    if !is_error && !kind.is_empty() && !json.starts_with('[') {
        return Ok(());
    }
    // The members around an error belong to it.
    let error = ErrorBody::parse(json.as_bytes()).or(within);
    match error.or_else(|| is_error.then(ErrorBody::default)) {
        Some(error) => Err(ErrorBody { is_bare: false, ..error }.into()),
        None => Ok(()),
    }
}

/// The error that an event's data is or holds. In a stream a text alone is an error like any
/// other: a server that streams is the right address.
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
    fn json_words_and_errors_are_distinguished() {
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
        let unframed = SseEvent::Unframed(b"error: {\"message\":\"boom\"}");
        assert_eq!(of(unframed).0.as_deref(), Some("error boom"));
        assert_eq!(of(SseEvent::Unframed(b"<html>")), (None, 1));
    }
}
