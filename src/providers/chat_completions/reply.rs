//! The replies of the OpenAI protocol, as many servers speak it.

use super::back::{Back, BackDelta};
use super::calls::{Call, ToolCall, finished};
use crate::engine::draft::{BadReply, Draft};
use crate::engine::error_body::{ErrorBody, ErrorField};
use crate::engine::message::{Content, ReplyPart};
use crate::engine::payload::whole;
use crate::engine::tokens::TokenCounts;
use crate::lenient::{Code, Count, Label, Text, lenient};
use crate::providers::finish_reason;
use crate::task::FinishReason;

lenient! {
    /// A whole reply, one chunk of a stream, or an error in the place of either.
    Chat {
        model: Label = "model",
        choices: Option<Vec<Choice>> = "choices",
        usage: Reported = "usage",
        groq: Option<Box<Groq>> = "x_groq",
        error: ErrorField = "error",
        base: BaseResponse = "base_resp",
    }
}

lenient! {
    /// Where Groq's streams have their usage and errors.
    Groq {
        usage: Reported = "usage",
        error: ErrorField = "error",
    }
}

lenient! {
    /// How MiniMax's replies say that they are errors, with HTTP 200.
    BaseResponse { code: Code = "status_code" }
}

lenient! {
    /// One of the answers asked for; we ask for one.
    Choice {
        index: Count = "index",
        message: Option<ChatMessage> = "message",
        delta: Option<ChatMessage> = "delta",
        // Of the older API, which some servers take for this one.
        text: Text = "text",
        finish_reason: Label = "finish_reason" | "finishReason",
        error: ErrorField = "error",
        usage: Reported = "usage",
    }
}

lenient! {
    /// The model's message, or a delta of it.
    ChatMessage {
        content: Text = "content",
        refusal: Text = "refusal",
        tool_calls: Vec<ToolCall> = "tool_calls" | "toolCalls",
        reasoning: Text = "reasoning" | "thinking",
        reasoning_content: BackDelta = "reasoning_content" | "reasoningContent",
        reasoning_details: BackDelta = "reasoning_details",
        extra_content: BackDelta = "extra_content",
        error: ErrorField = "error",
        usage: Reported = "usage",
    }
}

lenient! {
    /// Tokens, as reported.
    Tokens {
        prompt: Count = "prompt_tokens" | "promptTokens" | "input_tokens",
        completion: Count = "completion_tokens" | "completionTokens" | "output_tokens",
        total: Count = "total_tokens" | "totalTokens",
        cache_hits: Count = "prompt_cache_hit_tokens",
        prompt_details: Details = "prompt_tokens_details" | "promptTokensDetails",
        completion_details: Details = "completion_tokens_details" | "completionTokensDetails",
    }
}

lenient! {
    /// Tokens of a special kind.
    Details {
        cached: Count = "cached_tokens" | "cachedTokens",
        reasoning: Count = "reasoning_tokens" | "reasoningTokens",
    }
}

/// Tokens where they are seldom reported: in every chunk of a stream there is a place for them.
type Reported = Option<Box<Tokens>>;

impl Tokens {
    fn counts(&self) -> TokenCounts {
        TokenCounts {
            prompt: self.prompt.0,
            completion: self.completion.0,
            total: self.total.0,
            cached: self.prompt_details.cached.0.or(self.cache_hits.0),
            reasoning: self.completion_details.reasoning.0,
        }
    }
}

impl Chat {
    /// Whether it says nothing of the answer.
    pub(super) fn is_empty(&self) -> bool {
        let counts = self.usage.as_ref().map(|usage| usage.counts());
        self.choices.as_ref().is_none_or(Vec::is_empty)
            && counts.unwrap_or_default() == TokenCounts::default()
    }

    /// Takes in what is not said in a choice; gives the error that stands in their place or
    /// beside them.
    pub(super) fn begin(&mut self, text: &str, draft: &mut Draft) -> Option<ErrorBody> {
        draft.set_model(std::mem::take(&mut self.model).0);
        let groq = self.groq.take().unwrap_or_default();
        count(&groq.usage, draft);
        count(&self.usage, draft);
        let error = std::mem::take(&mut self.error);
        let is_fine = matches!(self.base.code, Code::None | Code::Number(0));
        let error = error.error();
        if error.is_none() && is_fine && self.choices.is_some() {
            return groq.error.error();
        }
        // The members around the error belong to it.
        ErrorBody::parse_beside(text.as_bytes(), self.choices.is_some()).or(error)
    }
}

impl Choice {
    /// The message of this choice: complete, where both forms are there, or the new delta.
    pub(super) fn take_message(&mut self, whole: bool) -> Option<ChatMessage> {
        let text = std::mem::take(&mut self.text);
        let older =
            || text.0.is_some().then(|| ChatMessage { content: text, ..Default::default() });
        // Some servers answer in the form of a stream's chunk, and others the other way round.
        let (message, delta) = (self.message.take(), self.delta.take());
        let said = if whole { message.or(delta) } else { delta.or(message) };
        said.or_else(older)
    }

    /// Takes in the reason why the model stopped, and what was used.
    ///
    /// # Errors
    ///
    /// Where the model has failed.
    pub(super) fn end(self, draft: &mut Draft) -> Result<(), BadReply> {
        count(&self.usage, draft);
        if let Some(error) = self.error.error() {
            return Err(BadReply::from(ErrorBody { is_bare: false, ..error }));
        }
        draft.finish = finish_reason::of(self.finish_reason.as_str())?.or(draft.finish);
        Ok(())
    }
}

impl ChatMessage {
    /// Whether it is another message than that with this text, not the same once more.
    pub(super) fn is_another(&self, text: &str) -> bool {
        let content = self.content.0.as_deref().unwrap_or_default();
        !self.tool_calls.is_empty() || content.trim() != text.trim()
    }

    /// Takes in all but the calls, which it gives.
    ///
    /// # Errors
    ///
    /// Where it is an error, or does not fit.
    pub(super) fn take(
        self,
        back: &mut Back,
        draft: &mut Draft,
    ) -> Result<Vec<ToolCall>, BadReply> {
        count(&self.usage, draft);
        draft.has_said |= self.content.0.is_some() || self.refusal.0.is_some();
        draft.push_text(self.content.0.unwrap_or_default())?;
        draft.push_refusal(&self.refusal.whole().unwrap_or_default())?;
        if let Some(error) = self.error.error() {
            return Err(BadReply::from(ErrorBody { is_bare: false, ..error }));
        }
        // Some servers have it under both names.
        match self.reasoning.as_str() {
            "" => draft.push_reasoning(&self.reasoning_content.text()),
            reasoning => draft.push_reasoning(reasoning),
        }
        back.add("reasoning_content", self.reasoning_content, draft)?;
        back.add("reasoning_details", self.reasoning_details, draft)?;
        back.add("extra_content", self.extra_content, draft)?;
        Ok(self.tool_calls)
    }
}

/// Takes in what tokens are reported, if any are.
fn count(usage: &Reported, draft: &mut Draft) {
    usage.iter().for_each(|tokens| draft.usage.merge(&tokens.counts()));
}

/// Takes a complete reply in.
pub(super) fn read(body: &[u8], draft: &mut Draft) -> Result<(), BadReply> {
    let (text, mut chat): (_, Chat) = whole(body, draft)?;
    let error = chat.begin(&text, draft);
    // The first of several answers; servers need not send them in order.
    let choices = chat.choices.take().unwrap_or_default().into_iter();
    let Some(mut choice) = choices.min_by_key(|choice| choice.index.0.unwrap_or(0)) else {
        let none = || BadReply::protocol("the server's answer holds no choices: check the model");
        return Err(error.map_or_else(none, BadReply::from));
    };
    let mut back = Back::default();
    let message = choice.take_message(true);
    // Text before an error stays readable.
    let calls = message.map(|message| message.take(&mut back, draft)).transpose()?;
    if let Some(error) = error {
        return Err(BadReply::from(error));
    }
    choice.end(draft)?;
    let Some(calls) = calls else {
        return Err(BadReply::protocol("the server's answer holds no message"));
    };
    push_reply(calls.into_iter().map(Call::from).collect(), back, draft)
}

/// Notes what goes back with the tools' results, if the model wants any.
pub(super) fn push_reply(calls: Vec<Call>, back: Back, draft: &mut Draft) -> Result<(), BadReply> {
    let calls = finished(calls, draft);
    if calls.is_empty() {
        let excuse =
            matches!(draft.finish, Some(FinishReason::Length | FinishReason::ContentFilter));
        let is_ended = (draft.is_done || draft.finish.is_some()) && !excuse;
        return match is_ended && !draft.has_said && !draft.has_reasoned {
            true => Err(BadReply::protocol("the server's answer holds no text")),
            false => Ok(()),
        };
    }
    if let Some(opaque) = back.into_opaque() {
        draft.push_part(ReplyPart { content: Content::None, opaque: Some(opaque) })?;
    }
    if !draft.text().is_empty() {
        let text = Content::Text(draft.text().to_owned());
        draft.push_part(ReplyPart { content: text, opaque: None })?;
    }
    for (call, opaque) in calls {
        draft.push_part(ReplyPart { content: Content::Call(call), opaque })?;
    }
    Ok(())
}
