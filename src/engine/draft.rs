//! An answer that grows, within bounds. Pure: no socket, no clock, no protocol.

use crate::engine::error_body::ErrorBody;
use crate::engine::message::{self, Content, ReplyPart};
use crate::engine::tokens::TokenCounts;
use crate::lenient::{Joiner, JsonFault};
use crate::task::{FinishReason, Usage};
use crate::task_error::{ErrorKind, TaskError};
use crate::text::cut;

/// Most calls in one reply: a model that wants more has lost its way.
pub(crate) const CALLS_MAX: usize = 64;

/// How much of a model's reasoning is kept for errors that quote it.
const THOUGHT_BYTES_MAX: usize = 32 << 10;

/// The reply so far.
#[derive(Debug)]
pub(crate) struct Draft {
    /// All text.
    text: String,
    /// How much of the text the task's owner has not been given yet.
    undelivered: usize,
    /// Puts characters together that were cut in two.
    joiner: Joiner,
    /// There was a text, if an empty one.
    pub(crate) has_said: bool,
    /// The model has reasoned, in words that are no part of the answer.
    pub(crate) has_reasoned: bool,
    /// How much was odd but understood.
    pub(crate) oddities: u32,
    /// Reasoning that the task's owner has not been given yet.
    reasoning: String,
    reasoning_joiner: Joiner,
    /// The beginning of all reasoning, for a server that quotes it in an error.
    thoughts: String,
    /// The model's own words for not answering.
    refusal: String,
    /// The parts that are sent back with the tools' results; tool calls are only here.
    pub(crate) parts: Vec<ReplyPart>,
    pub(crate) model: Option<String>,
    pub(crate) usage: TokenCounts,
    /// Why the model stopped. A stream then has two seconds for what else it has to say: where a
    /// server gives a reason before the last one, the reader keeps it until
    /// [`end`](crate::engine::protocol::ReadStream::end).
    pub(crate) finish: Option<FinishReason>,
    /// The stream has said that it is complete.
    pub(crate) is_done: bool,
    /// The model's progress in the events since the previous check.
    pub(crate) progress: Option<Progress>,
    /// Bytes kept so far, of every kind.
    kept: usize,
    /// Bytes that the model has written: text, reasoning, refusal, and arguments of tools.
    pub(crate) written: usize,
    bytes_max: usize,
}

/// The model's progress in one event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Progress {
    /// The model works, and may go on in silence: no limit on idle time begins.
    Working,
    /// A delta of the answer arrived: the limit on idle time begins anew.
    Delta,
}

/// Why a reply cannot be taken.
#[derive(Debug)]
pub(crate) enum BadReply {
    /// It is larger than the helper takes.
    TooLarge,
    /// It wants more than [`CALLS_MAX`] calls.
    TooManyCalls,
    /// It is or holds a provider's error.
    Provider(Box<ErrorBody>),
    /// It broke off.
    Truncated(&'static str),
    /// It is no reply, for this reason, and will be none the next time.
    Unreadable(TaskError),
}

impl From<ErrorBody> for BadReply {
    fn from(error: ErrorBody) -> Self {
        Self::Provider(Box::new(error))
    }
}

impl BadReply {
    /// A body that cannot be read, in words that hold none of it: it may hold the prompt.
    pub(crate) fn unreadable(body: &[u8], fault: JsonFault) -> Self {
        let start = body.trim_ascii_start();
        match start.first() {
            None => return Self::protocol("the server's answer is empty"),
            Some(b'<') => {
                return Self::protocol(
                    "the server answered with a web page, not JSON: check api_endpoint (does it \
                     need /v1 at its end?)",
                );
            }
            Some(_) => {}
        }
        match fault {
            _ if !matches!(start[0], b'{' | b'[' | b'"') && std::str::from_utf8(body).is_err() => {
                Self::protocol("the server's answer is not in UTF-8: it speaks another protocol")
            }
            JsonFault::Ended if matches!(start[0], b'{' | b'[' | b'"') => {
                Self::Truncated("the server's answer ends in the middle")
            }
            JsonFault::Ended | JsonFault::NotJson => {
                Self::protocol("the server's answer is not JSON: check api_endpoint")
            }
        }
    }

    /// JSON that is nothing of this protocol's.
    pub(crate) fn foreign() -> Self {
        Self::protocol("the server's answer is JSON, but not of the API asked: check api_endpoint")
    }

    /// The same for one event: it is not the stream that ends, only this event's sense.
    pub(crate) fn within_stream(self) -> Self {
        match self {
            Self::Truncated(_) | Self::Unreadable(_) => {
                Self::protocol("a piece of the stream is not JSON")
            }
            other => other,
        }
    }

    /// A reply that is not in the protocol, for this reason.
    pub(crate) fn protocol(why: &'static str) -> Self {
        Self::Unreadable(TaskError::new(ErrorKind::Protocol, why))
    }
}

impl Draft {
    pub(crate) fn new(bytes_max: usize) -> Self {
        Self {
            text: String::new(),
            undelivered: 0,
            joiner: Joiner::default(),
            has_said: false,
            has_reasoned: false,
            oddities: 0,
            reasoning: String::new(),
            reasoning_joiner: Joiner::default(),
            thoughts: String::new(),
            refusal: String::new(),
            parts: Vec::new(),
            model: None,
            usage: TokenCounts::default(),
            finish: None,
            is_done: false,
            progress: None,
            kept: 0,
            written: 0,
            bytes_max,
        }
    }

    /// Counts bytes that are kept of this reply.
    pub(crate) fn keep(&mut self, bytes: usize) -> Result<(), BadReply> {
        self.kept = self.kept.saturating_add(bytes);
        if self.kept > self.bytes_max { Err(BadReply::TooLarge) } else { Ok(()) }
    }

    /// Counts what the model has written and somebody else keeps: arguments of a tool.
    pub(crate) fn keep_written(&mut self, bytes: usize) -> Result<(), BadReply> {
        self.written = self.written.saturating_add(bytes);
        self.keep(bytes)
    }

    /// Adds text for the task's owner.
    pub(crate) fn push_text(&mut self, text: String) -> Result<(), BadReply> {
        let text = self.joiner.join(text);
        self.keep(text.len())?;
        self.undelivered += text.len();
        self.written += text.len();
        if self.text.is_empty() {
            self.text = text;
        } else {
            self.text.push_str(&text);
        }
        Ok(())
    }

    /// No more text will come.
    pub(crate) fn end_text(&mut self) -> Result<(), BadReply> {
        let lost = self.joiner.end().map(String::from);
        self.push_text(lost.unwrap_or_default())
    }

    /// Whether nothing of an answer has come.
    pub(crate) fn is_empty(&self) -> bool {
        self.text.is_empty() && self.parts.is_empty() && self.finish.is_none() && !self.is_done
    }

    /// Counts what was odd but understood.
    pub(crate) fn note_oddities(&mut self, count: u32) {
        self.oddities = self.oddities.saturating_add(count);
    }

    /// Adds reasoning, which is no part of the answer.
    pub(crate) fn push_reasoning(&mut self, text: &str) {
        self.has_reasoned |= !text.is_empty();
        self.written += text.len();
        self.reasoning_joiner.join_to(text, &mut self.reasoning);
        let space = THOUGHT_BYTES_MAX.saturating_sub(self.thoughts.len());
        self.thoughts.push_str(cut(text, space));
    }

    /// The reasoning that was added since this was asked last.
    pub(crate) fn take_reasoning(&mut self) -> String {
        std::mem::take(&mut self.reasoning)
    }

    /// Notes that a delta of the answer arrived. Before the first text, a model may reason for as
    /// long as the task has time.
    pub(crate) fn show_progress(&mut self) {
        let is_begun = !self.text.is_empty();
        self.progress = Some(if is_begun { Progress::Delta } else { Progress::Working });
    }

    /// Adds words of the model's for not answering.
    pub(crate) fn push_refusal(&mut self, text: &str) -> Result<(), BadReply> {
        self.keep_written(text.len())?;
        self.refusal.push_str(text);
        Ok(())
    }

    /// Notes words of the model's for not answering that came as a whole.
    pub(crate) fn set_refusal(&mut self, text: String) -> Result<(), BadReply> {
        if self.refusal.is_empty() { self.push_refusal(&text) } else { Ok(()) }
    }

    /// Adds a part that goes back with the tools' results.
    pub(crate) fn push_part(&mut self, part: ReplyPart) -> Result<(), BadReply> {
        let is_call = matches!(part.content, Content::Call(_));
        if is_call && message::calls(&self.parts).count() == CALLS_MAX {
            return Err(BadReply::TooManyCalls);
        }
        self.parts.push(part);
        Ok(())
    }

    /// Notes the model's name.
    pub(crate) fn set_model(&mut self, model: Option<String>) {
        if let Some(model) = model.filter(|model| !model.is_empty()) {
            self.model = Some(model);
        }
    }

    pub(crate) fn text(&self) -> &str {
        &self.text
    }

    /// The text and the reasoning so far.
    pub(crate) fn said(&self) -> [&str; 2] {
        [&self.text, &self.thoughts]
    }

    /// The text that was added since this was asked last.
    pub(crate) fn take_undelivered(&mut self) -> &str {
        let from = self.text.len() - std::mem::take(&mut self.undelivered);
        &self.text[from..]
    }

    /// The answer, unless it is none to the prompt.
    pub(crate) fn finish(self) -> Result<Completion, TaskError> {
        let filtered =
            |what, partial| TaskError::new(ErrorKind::ContentFiltered, what).with_partial(partial);
        if self.finish == Some(FinishReason::ContentFilter) {
            let what = "the provider's content rules withheld the answer";
            return Err(filtered(what, self.text));
        }
        let calls_any = message::calls(&self.parts).next().is_some();
        if !self.refusal.is_empty() && self.text.is_empty() && !calls_any {
            let what = "the model refused to answer; its words are the partial answer";
            return Err(filtered(what, self.refusal));
        }
        if calls_any && self.finish == Some(FinishReason::Length) {
            let what = "the limit on the answer's length cut off a tool call, which was not run: \
                        raise the limit (max_tokens, max_completion_tokens)";
            return Err(TaskError::new(ErrorKind::Truncated, what).with_partial(self.text));
        }
        let is_empty = self.text.is_empty() && !calls_any;
        if is_empty && self.finish == Some(FinishReason::Length) {
            let what = "the limit on the answer's length was reached before its first word (the model \
                        may have reasoned): raise the limit (max_tokens, max_completion_tokens)";
            return Err(TaskError::new(ErrorKind::Truncated, what));
        }
        if is_empty && self.finish == Some(FinishReason::ToolCalls) {
            let what = "the model wants a tool, but the server's answer names none";
            return Err(TaskError::new(ErrorKind::Protocol, what));
        }
        if is_empty && self.has_reasoned {
            let what = "the model reasoned, and gave no answer: its server may take the answer for \
                        reasoning; check the server's settings for this model";
            return Err(TaskError::new(ErrorKind::Protocol, what));
        }
        let Self { text, parts, model, usage, finish, .. } = self;
        Ok(Completion { text, parts, model, usage: usage.usage(), finish })
    }
}

/// The model's complete reply to one call.
#[derive(Debug)]
pub(crate) struct Completion {
    pub(crate) text: String,
    pub(crate) parts: Vec<ReplyPart>,
    pub(crate) model: Option<String>,
    pub(crate) usage: Option<Usage>,
    pub(crate) finish: Option<FinishReason>,
}

impl Completion {
    /// Whether the model wants tools called.
    pub(crate) fn wants_tools(&self) -> bool {
        message::calls(&self.parts).next().is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counts(prompt: Option<u64>, completion: Option<u64>) -> TokenCounts {
        TokenCounts { prompt, completion, ..TokenCounts::default() }
    }

    #[test]
    fn reports_of_usage_are_cumulative() {
        let mut sum = counts(Some(10), Some(1));
        sum.merge(&counts(None, Some(7)));
        assert_eq!(sum, counts(Some(10), Some(7)));
        sum.merge(&counts(Some(0), Some(9)));
        assert_eq!(sum, counts(Some(10), Some(9)));
        assert_eq!(sum.usage().map(|usage| usage.total_tokens), Some(19));
        assert_eq!(TokenCounts::default().usage(), None);
    }

    #[test]
    fn what_is_no_reply_gets_its_own_words() {
        for (body, fault) in [
            (&b""[..], JsonFault::Ended),
            (b"<html>", JsonFault::NotJson),
            (b"\xff\xfe{", JsonFault::NotJson),
            (b"nope", JsonFault::NotJson),
        ] {
            let BadReply::Unreadable(error) = BadReply::unreadable(body, fault) else {
                panic!("{body:?}")
            };
            assert_eq!(error.kind(), ErrorKind::Protocol);
        }
        let half = BadReply::unreadable(br#"{"a":[{"mess"#, JsonFault::Ended);
        assert!(matches!(half, BadReply::Truncated(_)));
        let page = BadReply::unreadable(b" <html>", JsonFault::NotJson);
        let BadReply::Unreadable(error) = page else { panic!("no reason") };
        assert!(error.summary().contains("web page"));
    }

    #[test]
    fn text_and_calls_are_bounded_and_text_is_delivered_once() {
        let mut draft = Draft::new(9);
        draft.push_text("12345".to_owned()).unwrap();
        assert_eq!(draft.take_undelivered(), "12345");
        assert_eq!(draft.take_undelivered(), "");
        draft.push_text("67".to_owned()).unwrap();
        assert_eq!(draft.take_undelivered(), "67");
        assert!(matches!(draft.push_text("890".to_owned()), Err(BadReply::TooLarge)));
        assert_eq!(draft.text(), "1234567");
        let mut draft = Draft::new(9);
        let call = || ReplyPart { content: Content::Call(Default::default()), opaque: None };
        let ended = (0..=CALLS_MAX).find_map(|_| draft.push_part(call()).err());
        assert!(matches!(ended, Some(BadReply::TooManyCalls)));
    }
}
