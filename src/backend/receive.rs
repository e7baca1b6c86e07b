//! Reading an answer, whole or as a stream.

use std::time::Duration;

use crate::backend::answer::Answer;
use crate::backend::failure::Failure;
use crate::backend::http::Response;
use crate::backend::pieces::{Pieces, TooMuch};
use crate::backend::reply::{Chat, ErrorBody};
use crate::backend::run::{Facts, Run};
use crate::backend::sse::{Event, Reader, Stop};
use crate::task_error::{ErrorKind, TaskError};

/// How much is read at once.
const READ_BYTES: usize = 4 << 10;
/// Largest first allocation for a reply, whatever length the server announces.
const REPLY_BYTES_FIRST: usize = 64 << 10;
/// How long a stream may go on after the answer is complete: for its usage, and for its
/// `[DONE]`.
const TAIL_WAIT: Duration = Duration::from_secs(2);
/// How long it may go on after `[DONE]`, to its own end, so that the connection can be used
/// again.
const END_WAIT: Duration = Duration::from_millis(250);
/// How much may come after `[DONE]`.
const END_BYTES_MAX: usize = 16 << 10;
/// The end of a stream, as an event.
const DONE: &[u8] = b"[DONE]";

/// Reads a body to its end, or to the bound (`false`).
pub(super) fn read_to(
    response: &mut Response<'_>,
    body: &mut Vec<u8>,
    bound: usize,
) -> Result<bool, Failure> {
    loop {
        let filled = body.len();
        // One byte more than allowed tells that there is more.
        let room = READ_BYTES.min(bound.saturating_sub(filled).saturating_add(1));
        body.resize(filled + room, 0);
        let outcome = response.read(&mut body[filled..]);
        body.truncate(filled + *outcome.as_ref().unwrap_or(&0));
        match outcome? {
            0 => return Ok(true),
            _ if body.len() > bound => return Ok(false),
            _ => response.progress(),
        }
    }
}

/// Reads a reply to its end.
pub(super) fn read_whole(response: &mut Response<'_>, bound: usize) -> Result<Vec<u8>, Failure> {
    let announced = response.header("content-length").and_then(|text| text.parse::<u64>().ok());
    let announced = usize::try_from(announced.unwrap_or(0)).unwrap_or(usize::MAX);
    if announced <= bound {
        let mut body = Vec::with_capacity(announced.min(REPLY_BYTES_FIRST));
        if read_to(response, &mut body, bound)? {
            return Ok(body);
        }
    }
    Err(too_large(bound))
}

fn too_large(bound: usize) -> Failure {
    Failure::last(TaskError::new(
        ErrorKind::ResponseTooLarge,
        format!("the answer has more than {bound} bytes: raise max_reply_bytes, or ask for less"),
    ))
}

/// A reply that cannot be read. One that broke off may come whole next time.
pub(super) fn broken(error: TaskError) -> Failure {
    match error.kind() {
        ErrorKind::Truncated => Failure::again(error),
        _ => Failure::last(error),
    }
}

/// A stream so far.
#[derive(Default)]
struct Flow {
    reader: Reader,
    pieces: Pieces,
    done: bool,
}

impl Run<'_> {
    /// Reads a whole answer.
    pub(super) fn whole(
        &self,
        response: &mut Response<'_>,
        facts: &mut Facts,
    ) -> Result<Answer, Failure> {
        let json = read_whole(response, self.backend.max_reply_bytes)?;
        self.answer(response, &json, facts)
    }

    fn answer(
        &self,
        response: &Response<'_>,
        json: &[u8],
        facts: &mut Facts,
    ) -> Result<Answer, Failure> {
        let mut chat = Chat::parse(json).map_err(broken)?;
        facts.usage = chat.usage.usage();
        if let Some(error) = chat.take_error() {
            return Err(self.refused(response, &error, ""));
        }
        Answer::of(chat)
    }

    /// Reads an answer piece by piece, and hands its text on.
    pub(super) fn streamed(
        &self,
        response: &mut Response<'_>,
        facts: &mut Facts,
    ) -> Result<Answer, Failure> {
        let mut flow = Flow::default();
        let is_stream = response
            .header("content-type")
            .is_some_and(|kind| kind.trim_start().starts_with("text/event-stream"));
        let outcome = if is_stream {
            self.follow(response, &mut flow)
        } else {
            let body = read_whole(response, self.backend.max_reply_bytes)?;
            // A server that does not stream sends the whole; an old Opik sends its lines
            // under any type.
            let parsed = self.answer(response, &body, facts);
            match parsed {
                Err(failure)
                    if failure.error.kind() == ErrorKind::Protocol && holds_lines(&body) =>
                {
                    self.push(response, &mut flow, &body).map(|()| true)
                }
                Ok(answer) => {
                    self.tell(&answer.text)?;
                    return Ok(answer);
                }
                Err(failure) => return Err(failure),
            }
        };
        let outcome = outcome.and_then(|ended| self.settle(response, &mut flow, ended));
        facts.usage = flow.pieces.answer.usage;
        match outcome {
            Ok(()) => flow.pieces.answer.check(),
            Err(failure) if failure.error.partial().is_some() => Err(failure),
            Err(failure) => Err(failure.with_partial(&flow.pieces.answer.text)),
        }
    }

    /// Reads events until the stream ends (`true`) or has said that it is done (`false`).
    fn follow(&self, response: &mut Response<'_>, flow: &mut Flow) -> Result<bool, Failure> {
        let mut buffer = vec![0; READ_BYTES];
        let mut tail = false;
        while !flow.done {
            if flow.pieces.answer.finish.is_some() && !std::mem::replace(&mut tail, true) {
                response.end_by(TAIL_WAIT);
            }
            match response.read(&mut buffer) {
                Ok(0) => return Ok(true),
                Ok(amount) => self.push(response, flow, &buffer[..amount])?,
                // The answer is complete; only its usage, or the stream's end, is missing.
                Err(failure) if tail && failure.error.kind() != ErrorKind::Cancelled => {
                    return Ok(true);
                }
                Err(failure) => return Err(failure),
            }
        }
        Ok(false)
    }

    fn push(&self, response: &Response<'_>, flow: &mut Flow, bytes: &[u8]) -> Result<(), Failure> {
        let Flow { reader, pieces, done } = flow;
        let fed = reader.feed(bytes, &mut |event| self.take(response, pieces, done, event));
        fed.map_err(stopped)
    }

    /// Decides what the end of the input means.
    fn settle(
        &self,
        response: &mut Response<'_>,
        flow: &mut Flow,
        ended: bool,
    ) -> Result<(), Failure> {
        let Flow { reader, pieces, done } = flow;
        if !*done {
            let left = reader.end(&mut |event| self.take(response, pieces, done, event));
            left.map_err(stopped)?;
        }
        if !*done && pieces.answer.finish.is_none() {
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
        pieces: &mut Pieces,
        done: &mut bool,
        event: Event<'_>,
    ) -> Result<(), Failure> {
        if *done {
            return Ok(());
        }
        let data = match event {
            Event::Error(data) => {
                let error = ErrorBody::parse(data).or_else(|| ErrorBody::parse_inner(data));
                let error = error.unwrap_or_default();
                return Err(self.refused(response, &error, &pieces.answer.text));
            }
            Event::Data(data) => data.trim_ascii(),
        };
        if data == DONE {
            *done = true;
            return Ok(());
        }
        if data.is_empty() {
            return Ok(());
        }
        let mut chunk = Chat::parse(data).map_err(|error| {
            // Not the end of the stream, only of this event's sense.
            let what = "a piece of the stream is not JSON";
            let kind = match error.kind() {
                ErrorKind::Truncated => ErrorKind::Protocol,
                kind => kind,
            };
            Failure::last(TaskError::new(kind, what))
        })?;
        if let Some(error) = chunk.take_error() {
            return Err(self.refused(response, &error, &pieces.answer.text));
        }
        if pieces.answer.finish.is_none() {
            response.progress();
        }
        let bound = self.backend.max_reply_bytes;
        let text = pieces.add(chunk, bound).map_err(|much| match much {
            TooMuch::Bytes => too_large(bound),
            TooMuch::Calls => Failure::last(TaskError::new(
                ErrorKind::Protocol,
                "the model wants more tool calls at once than are run",
            )),
        })?;
        self.tell(&text)
    }

    /// Hands a piece of text to the task's owner.
    fn tell(&self, text: &str) -> Result<(), Failure> {
        if !text.is_empty() {
            self.told.set(true);
            self.call.send_text(text).map_err(Failure::last)?;
        }
        Ok(())
    }
}

/// Whether a body may be a stream in spite of its type.
fn holds_lines(body: &[u8]) -> bool {
    let start = body.trim_ascii_start();
    start.starts_with(b"data:") || (start.starts_with(b"{") && start.contains(&b'\n'))
}

fn stopped(stop: Stop<Failure>) -> Failure {
    match stop {
        Stop::Taker(failure) => failure,
        Stop::TooLong => Failure::last(TaskError::new(
            ErrorKind::ResponseTooLarge,
            "one piece of the stream is larger than any chat's: check api_endpoint",
        )),
    }
}
