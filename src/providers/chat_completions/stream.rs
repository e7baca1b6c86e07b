//! A stream of chunks, put together. Pure: no socket, no clock.

use super::back::Back;
use super::calls::Calls;
use super::reply::{Chat, push_reply};
use crate::engine::draft::{BadReply, Draft, Progress};
use crate::engine::error_body::ErrorBody;
use crate::engine::payload::{Payload, SEVERAL, one, payload};
use crate::engine::protocol::ReadStream;
use crate::engine::sse::SseEvent;
use crate::lenient::{JsonReader, Parsed};

/// A growing answer, beside its text.
#[derive(Default)]
pub(super) struct Chunks {
    /// The index of the answer that is followed: of several, the first, or the one that begins
    /// first.
    followed: Option<u64>,
    /// Whether a whole message has come, not deltas of it.
    has_whole: bool,
    calls: Calls,
    back: Back,
}

impl ReadStream for Chunks {
    fn event(&mut self, event: &SseEvent<'_>, draft: &mut Draft) -> Result<(), BadReply> {
        match payload(event, draft)? {
            Payload::Json(text) => self.chunks(&text, draft),
            Payload::Done => {
                draft.is_done = true;
                Ok(())
            }
            Payload::Nothing => Ok(()),
        }
    }

    fn end(&mut self, draft: &mut Draft) -> Result<(), BadReply> {
        push_reply(self.calls.take(), std::mem::take(&mut self.back), draft)
    }
}

impl Chunks {
    /// Takes an event's JSON in: one chunk, as a rule.
    fn chunks(&mut self, text: &str, draft: &mut Draft) -> Result<(), BadReply> {
        let mut rest = text;
        while !rest.is_empty() {
            if rest.starts_with('[') {
                return self.list(rest, draft);
            }
            let Parsed::<Chat> { value: chunk, rest: next, oddities } =
                one(rest, rest.as_bytes()).map_err(BadReply::within_stream)?;
            draft.note_oddities(oddities + u32::from(!next.is_empty()));
            // One with nothing in it only keeps the connection alive.
            draft.progress = (!chunk.is_empty()).then_some(Progress::Delta);
            self.add(chunk, rest, draft)?;
            rest = next;
        }
        Ok(())
    }

    /// Takes a list of chunks in; what is no object in it is skipped.
    fn list(&mut self, text: &str, draft: &mut Draft) -> Result<(), BadReply> {
        let mut from = JsonReader::new(text);
        let mut outcome = Ok(());
        from.list(|from| {
            let element = from.raw();
            if outcome.is_ok() && element.starts_with('{') {
                outcome = self.chunks(element, draft);
            }
        });
        outcome?;
        draft.note_oddities(from.oddities().saturating_add(1));
        match from.fault() {
            Some(fault) => Err(BadReply::unreadable(text.as_bytes(), fault).within_stream()),
            None => Ok(()),
        }
    }

    /// Takes one chunk in.
    fn add(&mut self, mut chunk: Chat, json: &str, draft: &mut Draft) -> Result<(), BadReply> {
        let error = chunk.begin(json, draft);
        let choices = chunk.choices.take().unwrap_or_default();
        let first = choices.iter().map(|choice| choice.index.0.unwrap_or(0)).min();
        if let Some(first) = first.filter(|_| draft.text().is_empty()) {
            self.followed = Some(self.followed.unwrap_or(first).min(first));
        }
        let had_whole = self.has_whole;
        for mut choice in choices {
            let is_whole = choice.delta.is_none();
            let index = choice.index.0.unwrap_or(0);
            let is_followed = self.followed.is_none_or(|followed| followed == index);
            let is_second = is_whole && had_whole;
            if !is_followed && !is_second {
                continue;
            }
            // Some servers send the whole message once more at the end.
            let repeated = is_whole && (had_whole || !draft.text().is_empty());
            let message = choice.take_message(false);
            self.has_whole |= is_whole && message.is_some();
            if message.as_ref().is_some_and(|other| had_whole && other.is_another(draft.text())) {
                return Err(BadReply::protocol(SEVERAL));
            }
            if let (Some(message), false) = (message, repeated) {
                let calls = message.take(&mut self.back, draft)?;
                calls.into_iter().try_for_each(|delta| self.calls.add(delta, draft))?;
            }
            if error.is_none() {
                choice.end(draft)?;
            }
        }
        match error {
            Some(error) => Err(BadReply::from(ErrorBody { is_bare: false, ..error })),
            None => Ok(()),
        }
    }
}
