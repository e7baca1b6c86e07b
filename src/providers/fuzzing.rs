//! Doors for fuzz targets to what reads foreign bytes. Each panics where a promise is broken.

use std::time::SystemTime;

use crate::engine::draft::Draft;
use crate::engine::error_body::ErrorBody;
use crate::engine::failure::{kind_of, may_retry, provider_error};
use crate::engine::protocol::Protocol;
use crate::engine::scrub::Scrubber;
use crate::engine::sse::{Reader, SseEvent};
use crate::http::{asked_retry, asked_wait, duration};
use crate::providers::anthropic::Messages;
use crate::providers::chat_completions::ChatCompletions;
use crate::providers::responses::Responses;

/// A key of which no message may hold a part after scrubbing.
const KEY: &str = "sk-0a1b2c3d4e5f6g7h8i9j";
/// Shortest part of a key that reveals it; see `scrub`.
const PIECE: usize = 6;
/// A bound on replies that fuzz inputs can reach.
const REPLY_BYTES_MAX: usize = 100;

/// The protocols that read foreign bytes.
fn protocols() -> [Box<dyn Protocol>; 3] {
    [Box::new(ChatCompletions::new()), Box::new(Messages), Box::new(Responses::new(None))]
}

/// A stream's events, each with its name, and whether it was read to its end.
type Events = (Vec<(Option<Vec<u8>>, Vec<u8>)>, bool);

fn events(stream: &[u8], piece: usize) -> Events {
    let mut found = Vec::new();
    let mut take = |event: SseEvent<'_>| -> Result<(), ()> {
        found.push(match event {
            SseEvent::Data { event, data } => (Some(event.to_vec()), data.to_vec()),
            SseEvent::Stray(line) => (None, line.to_vec()),
        });
        Ok(())
    };
    let mut reader = Reader::default();
    let fed = stream.chunks(piece.max(1)).all(|bytes| reader.feed(bytes, &mut take).is_ok());
    let ended = fed && reader.end(&mut take).is_ok();
    (found, ended)
}

/// A stream reads the same in chunks of any size; its reply is assembled within bounds.
pub fn sse(input: &[u8]) {
    let Some((piece, stream)) = input.split_first() else { return };
    let whole = events(stream, stream.len());
    assert_eq!(whole, events(stream, usize::from(*piece)), "pieces read otherwise");
    for protocol in protocols() {
        let (mut reader, mut draft) = (protocol.stream(), Draft::new(REPLY_BYTES_MAX));
        let read = whole.0.iter().try_for_each(|(name, data)| {
            let event = match name {
                Some(event) => SseEvent::Data { event, data },
                None => SseEvent::Stray(data),
            };
            reader.event(&event, &mut draft)
        });
        if read.is_ok() {
            let _ = reader.end(&mut draft);
        }
        assert!(draft.text().len() <= REPLY_BYTES_MAX);
        let _ = draft.finish();
    }
}

/// A whole reply is an answer, an error, or rejected.
pub fn reply(input: &[u8]) {
    for protocol in protocols() {
        let mut draft = Draft::new(input.len() * 2 + REPLY_BYTES_MAX);
        if protocol.read(input, &mut draft).is_ok() {
            if let Err(error) = draft.finish() {
                assert!(!error.to_string().is_empty());
            }
        }
    }
}

/// An error's body becomes an error of some kind that shows no key.
pub fn error_body(input: &[u8]) {
    let Some((status, body)) = input.split_first() else { return };
    let status = 400 + u16::from(*status);
    let parsed = ErrorBody::parse(body).or_else(|| ErrorBody::parse_inner(body));
    let Some(parsed) = parsed else { return };
    for protocol in protocols() {
        let kind = kind_of(status, &parsed, &*protocol);
        let error = provider_error(kind, status, &parsed, None);
        let _ = may_retry(status, error.kind(), None);
        let Some(message) = &parsed.message else { return };
        let mut scrubber = Scrubber::new(message);
        scrubber.key(KEY);
        scrubber.text(KEY);
        let shown = error.with_message(&scrubber.finish()).to_string().to_ascii_lowercase();
        for piece in KEY.as_bytes().windows(PIECE) {
            // The code is looked at elsewhere, and only as a whole.
            let told = shown.split("the server said: ").nth(1).unwrap_or_default().as_bytes();
            assert!(!told.windows(PIECE).any(|window| window == piece), "{shown}");
        }
    }
}

/// Headers about waiting become a wait, or none.
pub fn retry_after(input: &[u8]) {
    let text = String::from_utf8_lossy(input);
    let mut lines = text.split('\n');
    let values = [(); 4].map(|()| lines.next());
    let names = ["retry-after", "retry-after-ms", "date", "x-should-retry"];
    let header = |name: &str| values[names.iter().position(|other| *other == name)?];
    let wait = asked_wait(&header, SystemTime::UNIX_EPOCH);
    let _ = asked_retry(&header);
    // A plain number of seconds is what it says.
    if let (Some(Ok(seconds)), None) = (values[0].map(str::parse::<u32>), values[1]) {
        if values[0].is_some_and(|text| text.bytes().all(|b| b.is_ascii_digit())) {
            assert_eq!(wait.map(|wait| wait.as_secs()), Some(u64::from(seconds)));
        }
    }
    let _ = values[0].and_then(duration);
}
