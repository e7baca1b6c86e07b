//! Reading an answer, complete or as a stream.

use std::time::Duration;

use crate::engine::body::{READ_BYTES, read_complete, too_large};
use crate::engine::conversation::{Conversation, Facts};
use crate::engine::draft::{BadReply, Draft, Progress};
use crate::engine::failure::Failure;
use crate::engine::protocol::ReadStream;
use crate::engine::sse::{ReadStop, Reader, SseEvent};
use crate::http::Response;
use crate::task_error::{ErrorKind, TaskError};

/// How long a stream may go on after the answer is complete: for its usage, and for its own
/// word that it is done.
const TAIL_WAIT: Duration = Duration::from_secs(2);
/// How long it may go on after that word, to its own end, so that the connection can be used
/// again.
const END_WAIT: Duration = Duration::from_millis(250);
/// How much may come after that word.
const END_BYTES_MAX: usize = 16 << 10;

/// A stream so far.
struct Flow<'p> {
    events: Reader,
    reader: Box<dyn ReadStream + 'p>,
    draft: Draft,
}

impl Conversation<'_> {
    /// What it means that a reply cannot be taken.
    pub(super) fn failure(
        &self,
        rejected: BadReply,
        response: &Response<'_>,
        said: &str,
    ) -> Failure {
        match rejected {
            BadReply::Provider(error) => self.provider_failure(response, &error, said),
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

    /// Reads a complete answer.
    pub(super) fn complete(
        &self,
        response: &mut Response<'_>,
        facts: &mut Facts,
    ) -> Result<Draft, Failure> {
        let json = read_complete(response, self.backend.max_reply_bytes)?;
        self.read(response, &json, facts)
    }

    fn read(
        &self,
        response: &Response<'_>,
        json: &[u8],
        facts: &mut Facts,
    ) -> Result<Draft, Failure> {
        let mut draft = Draft::new(self.backend.max_reply_bytes);
        let outcome = self.protocol().read(json, &mut draft);
        facts.usage = draft.usage.usage();
        self.call.send_reasoning(&draft.take_reasoning());
        match outcome {
            Ok(()) => Ok(draft),
            Err(rejected) => Err(self.failure(rejected, response, "")),
        }
    }

    /// Reads an answer event by event, and delivers its text.
    pub(super) fn streamed(
        &self,
        response: &mut Response<'_>,
        facts: &mut Facts,
    ) -> Result<Draft, Failure> {
        let mut flow = Flow {
            events: Reader::default(),
            reader: self.protocol().stream(),
            draft: Draft::new(self.backend.max_reply_bytes),
        };
        let is_stream = response
            .header("content-type")
            .is_some_and(|kind| kind.trim_start().starts_with("text/event-stream"));
        let outcome = if is_stream {
            self.follow(response, &mut flow)
        } else {
            let body = read_complete(response, self.backend.max_reply_bytes)?;
            // A server that does not stream sends the whole; others send their stream under
            // any type.
            match self.read(response, &body, facts) {
                Err(failure)
                    if failure.error.kind() == ErrorKind::Protocol && holds_lines(&body) =>
                {
                    self.push(response, &mut flow, &body).map(|()| true)
                }
                Ok(mut draft) => {
                    self.deliver(&mut draft)?;
                    return Ok(draft);
                }
                Err(failure) => return Err(failure),
            }
        };
        let outcome = outcome.and_then(|ended| self.settle(response, &mut flow, ended));
        let draft = flow.draft;
        facts.usage = draft.usage.usage();
        match outcome {
            Ok(()) => Ok(draft),
            Err(failure) if failure.error.partial().is_some() => Err(failure),
            Err(failure) => Err(failure.with_partial(draft.text())),
        }
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
        closed.map_err(|rejected| self.failure(rejected, response, draft.text()))?;
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
        outcome.map_err(|rejected| self.failure(rejected, response, draft.text()))?;
        self.deliver(draft)
    }

    /// Hands new text to the task's owner.
    fn deliver(&self, draft: &mut Draft) -> Result<(), Failure> {
        self.call.send_reasoning(&draft.take_reasoning());
        let text = draft.take_undelivered();
        if !text.is_empty() {
            self.delivered.set(true);
            self.call.send_text(text).map_err(Failure::last)?;
        }
        Ok(())
    }
}

/// Whether a body may be a stream in spite of its type.
fn holds_lines(body: &[u8]) -> bool {
    let start = body.trim_ascii_start();
    start.starts_with(b"data:")
        || start.starts_with(b"event:")
        || (start.starts_with(b"{") && start.contains(&b'\n'))
}

fn stopped(stop: ReadStop<Failure>) -> Failure {
    match stop {
        ReadStop::Taker(failure) => failure,
        ReadStop::TooLong => Failure::last(TaskError::new(
            ErrorKind::ResponseTooLarge,
            "one piece of the stream is larger than any chat's: check api_endpoint",
        )),
    }
}
