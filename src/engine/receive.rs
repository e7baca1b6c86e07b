//! Reading an answer, complete or as a stream.

use std::time::Duration;

use crate::engine::body::{READ_BYTES, read_complete, read_on, too_large};
use crate::engine::conversation::{Conversation, Facts};
use crate::engine::draft::{BadReply, Completion, Draft, Progress};
use crate::engine::failure::Failure;
use crate::engine::protocol::ReadStream;
use crate::engine::sse::{ReadStop, Reader, SseEvent};
use crate::engine::tools;
use crate::http::Response;
use crate::task_error::{ErrorKind, TaskError};

/// The type of a stream.
const EVENTS: &str = "text/event-stream";
/// How long a stream may go on after the answer is complete: for its usage, and for its own
/// word that it is done.
const TAIL_WAIT: Duration = Duration::from_secs(2);
/// How long it may go on after that word, to its own end, so that the connection can be used
/// again.
const END_WAIT: Duration = Duration::from_millis(250);
/// How much may come after that word.
const END_BYTES_MAX: usize = 16 << 10;

/// Longest beginning of a stream that distinguishes it from JSON: a field's name.
const BEGINNING_BYTES: usize = 8;

/// A stream so far.
struct Flow<'p> {
    events: Reader,
    reader: Box<dyn ReadStream + 'p>,
    draft: Draft,
}

impl Conversation<'_> {
    /// The failure of a reply that cannot be read.
    pub(super) fn failure(
        &self,
        rejected: BadReply,
        response: &Response<'_>,
        said: &[&str],
    ) -> Failure {
        match rejected {
            BadReply::Provider(mut error) => self.provider_failure(response, &mut error, said),
            BadReply::TooLarge => too_large(self.backend.max_reply_bytes),
            BadReply::TooManyCalls => Failure::last(TaskError::new(
                ErrorKind::Protocol,
                "the model wants more tool calls at once than are run",
            )),
            // One that broke off may come whole the next time.
            BadReply::Truncated(what) => Failure::again(TaskError::new(ErrorKind::Truncated, what)),
            BadReply::Unreadable(error) => Failure::last(error),
        }
    }

    /// Reads a reply. (Apart from the request, whose wait is the longest: what this takes of the
    /// stack is not taken while the model thinks.)
    #[inline(never)]
    pub(super) fn receive(
        &self,
        response: &mut Response<'_>,
        stream: bool,
        facts: &mut Facts,
    ) -> Result<Completion, Failure> {
        let draft = match stream {
            true => self.streamed(response, facts)?,
            false => self.complete(response, facts)?,
        };
        draft.finish().map_err(Failure::last)
    }

    /// Reads a complete answer.
    fn complete(&self, response: &mut Response<'_>, facts: &mut Facts) -> Result<Draft, Failure> {
        let body = read_complete(response, self.backend.max_reply_bytes)?;
        self.read(response, &body, facts)
    }

    /// Reads a body that should be a complete answer, and may be a stream: some servers send
    /// the one for the other.
    fn read(
        &self,
        response: &mut Response<'_>,
        body: &[u8],
        facts: &mut Facts,
    ) -> Result<Draft, Failure> {
        let mut draft = Draft::new(self.backend.max_reply_bytes);
        let mut outcome = self.protocol().read(body, &mut draft);
        if outcome.is_ok() {
            outcome = draft.end_text();
        }
        let may_be_stream = match &outcome {
            Err(BadReply::Unreadable(_) | BadReply::Truncated(_)) => holds_events(body),
            _ => false,
        };
        self.note(&mut draft, facts);
        match outcome {
            Ok(()) => {
                self.deliver(&mut draft)?;
                Ok(draft)
            }
            Err(rejected) => {
                let failure = self.failure(rejected, response, &draft.said());
                match may_be_stream.then(|| self.read_events(response, body, facts)).flatten() {
                    Some(outcome) => outcome,
                    None => Err(failure.with_partial(draft.text())),
                }
            }
        }
    }

    /// Reads a whole body as the stream that it may be; nothing if it says nothing so.
    fn read_events(
        &self,
        response: &mut Response<'_>,
        body: &[u8],
        facts: &mut Facts,
    ) -> Option<Result<Draft, Failure>> {
        let mut flow = self.flow();
        flow.draft.note_oddities(1);
        let pushed = self.push(response, &mut flow, body);
        let outcome = pushed.and_then(|()| self.settle(response, &mut flow, true));
        let says_nothing = matches!(
            &outcome,
            Err(failure) if matches!(
                failure.error.kind(),
                ErrorKind::Truncated | ErrorKind::Protocol | ErrorKind::ResponseTooLarge
            )
        );
        if says_nothing && flow.draft.is_empty() {
            return None;
        }
        Some(self.ended(flow, outcome, facts))
    }

    /// Notes the facts of a reply, and settles its calls.
    fn note(&self, draft: &mut Draft, facts: &mut Facts) {
        let changed = tools::mend(&mut draft.parts);
        draft.note_oddities(changed);
        facts.usage = draft.usage.usage();
        facts.written_bytes = draft.written;
        facts.oddities = draft.oddities;
    }

    fn flow(&self) -> Flow<'_> {
        Flow {
            events: Reader::of_events(self.backend.max_reply_bytes),
            reader: self.protocol().stream(),
            draft: Draft::new(self.backend.max_reply_bytes),
        }
    }

    /// The outcome of a stream.
    fn ended(
        &self,
        flow: Flow<'_>,
        outcome: Result<(), Failure>,
        facts: &mut Facts,
    ) -> Result<Draft, Failure> {
        let mut draft = flow.draft;
        draft.note_oddities(flow.events.oddities());
        self.note(&mut draft, facts);
        match outcome {
            Ok(()) => Ok(draft),
            Err(failure) if failure.error.partial().is_some() => Err(failure),
            Err(failure) => Err(failure.with_partial(draft.text())),
        }
    }

    /// Reads an answer event by event, and delivers its text.
    fn streamed(&self, response: &mut Response<'_>, facts: &mut Facts) -> Result<Draft, Failure> {
        let is_named = response
            .header("content-type")
            .is_some_and(|kind| kind.trim_start().to_ascii_lowercase().starts_with(EVENTS));
        let beginning = beginning(response)?;
        let is_stream = match beginning.trim_ascii_start().first() {
            // A page of somebody's.
            Some(b'<') => false,
            Some(b'{' | b'[') | None => is_named,
            Some(_) => is_named || holds_events(&beginning),
        };
        if !is_stream {
            // A server that does not stream sends the whole.
            let body = read_on(response, beginning, self.backend.max_reply_bytes)?;
            return self.read(response, &body, facts);
        }
        let mut flow = self.flow();
        flow.draft.note_oddities(u32::from(!is_named));
        let outcome = self
            .push(response, &mut flow, &beginning)
            .and_then(|()| self.follow(response, &mut flow))
            .and_then(|ended| self.settle(response, &mut flow, ended));
        self.ended(flow, outcome, facts)
    }

    /// Reads events until the stream ends (`true`) or has said that it is done (`false`).
    fn follow(&self, response: &mut Response<'_>, flow: &mut Flow<'_>) -> Result<bool, Failure> {
        let mut buffer = vec![0; READ_BYTES];
        let mut tail = false;
        while !flow.draft.is_done {
            if flow.draft.finish.is_some() && !std::mem::replace(&mut tail, true) {
                response.end_by(TAIL_WAIT);
            }
            match response.read(&mut buffer) {
                Ok(0) => return Ok(true),
                Ok(amount) => self.push(response, flow, &buffer[..amount])?,
                // The answer is complete; only its usage, or the stream's end, is missing.
                Err(fault) => {
                    let failure = Failure::from(fault);
                    if tail && failure.error.kind() != ErrorKind::Cancelled {
                        return Ok(true);
                    }
                    return Err(failure);
                }
            }
        }
        Ok(false)
    }

    fn push(
        &self,
        response: &Response<'_>,
        flow: &mut Flow<'_>,
        bytes: &[u8],
    ) -> Result<(), Failure> {
        let Flow { events, reader, draft } = flow;
        let mut take = |event: SseEvent<'_>| self.take(response, reader.as_mut(), draft, event);
        events.feed(bytes, &mut take).map_err(stopped)
    }

    /// Decides what the end of the input means.
    fn settle(
        &self,
        response: &mut Response<'_>,
        flow: &mut Flow<'_>,
        ended: bool,
    ) -> Result<(), Failure> {
        let Flow { events, reader, draft } = flow;
        if !draft.is_done {
            let mut take = |event: SseEvent<'_>| self.take(response, reader.as_mut(), draft, event);
            events.end(&mut take).map_err(stopped)?;
        }
        let closed = reader.end(draft);
        let closed = closed.and_then(|()| draft.end_text());
        closed.map_err(|rejected| self.failure(rejected, response, &draft.said()))?;
        self.deliver(draft)?;
        if !draft.is_done && draft.finish.is_none() {
            return Err(Failure::again(TaskError::new(
                ErrorKind::Truncated,
                "the answer broke off: the stream ended before it was complete",
            )));
        }
        if !ended {
            // Read on to the end, so that the connection can be used again; what goes wrong
            // now takes nothing from the answer.
            response.end_by(END_WAIT);
            let mut rest = vec![0; READ_BYTES];
            let mut total = 0;
            while let Ok(amount @ 1..) = response.read(&mut rest) {
                total += amount;
                if total > END_BYTES_MAX {
                    break;
                }
            }
        }
        Ok(())
    }

    /// Takes one event in.
    fn take(
        &self,
        response: &Response<'_>,
        reader: &mut (dyn ReadStream + '_),
        draft: &mut Draft,
        event: SseEvent<'_>,
    ) -> Result<(), Failure> {
        if draft.is_done {
            return Ok(());
        }
        let was_complete = draft.finish.is_some();
        let outcome = reader.event(&event, draft);
        match draft.progress.take() {
            // The limit on what comes after a complete answer stays.
            _ if was_complete => {}
            Some(Progress::Delta) => response.progress(),
            Some(Progress::Working) => response.working(),
            None => {}
        }
        // Text that came with an error came all the same.
        self.deliver(draft)?;
        outcome.map_err(|rejected| self.failure(rejected, response, &draft.said()))
    }

    /// Hands new text to the task's owner.
    fn deliver(&self, draft: &mut Draft) -> Result<(), Failure> {
        self.call.send_reasoning(&draft.take_reasoning());
        let text = draft.take_undelivered();
        if !text.is_empty() && self.call.wants_text() {
            self.delivered.set(true);
            self.call.send_text(text).map_err(Failure::last)?;
        }
        Ok(())
    }
}

/// Reads as much of a reply as shows its kind.
fn beginning(response: &mut Response<'_>) -> Result<Vec<u8>, Failure> {
    let mut bytes = vec![0; READ_BYTES];
    let mut filled = 0;
    loop {
        let amount = response.read(&mut bytes[filled..])?;
        filled += amount;
        let start = bytes[..filled].trim_ascii_start();
        if amount == 0 || start.len() >= BEGINNING_BYTES || start.contains(&b'\n') {
            bytes.truncate(filled);
            return Ok(bytes);
        }
        if filled == bytes.len() {
            // White space and nothing else, so far: it means nothing.
            filled = 0;
        }
    }
}

/// Whether a body may be a stream in spite of its type: it begins with a field or a comment, or
/// it is more than one JSON object.
fn holds_events(body: &[u8]) -> bool {
    let start = body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(body).trim_ascii_start();
    let fields: [&[u8]; 7] = [b"data:", b"event:", b"id:", b"retry:", b":", b"{", b"["];
    fields.iter().any(|field| start.starts_with(field))
}

fn stopped(stop: ReadStop<Failure>) -> Failure {
    match stop {
        ReadStop::Taker(failure) => failure,
        ReadStop::TooLong => Failure::last(TaskError::new(
            ErrorKind::ResponseTooLarge,
            "one piece of the stream is larger than 1 MiB and max_reply_bytes: raise it, or check \
             api_endpoint",
        )),
    }
}
