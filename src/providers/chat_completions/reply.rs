//! The replies of the OpenAI protocol, as many servers speak it.

use crate::engine::draft::{BadReply, Draft, TokenCounts};
use crate::engine::error_body::{ErrorBody, ErrorField, ErrorFields};
use crate::engine::message::{self, Content, ReplyPart};
use crate::lenient::{Code, Count, Raw, Text, lenient};
use crate::task::FinishReason;

lenient! {
    /// A whole reply, one chunk of a stream, or an error in the place of either.
    Chat {
        model: Text = "model",
        choices: Option<Vec<Choice>> = "choices",
        usage: Tokens = "usage",
        error: ErrorField = "error",
        // The flat form of errors (Opik, vLLM) and what other frameworks say.
        message: Text = "message",
        kind: Text = "type",
        code: Code = "code",
        errors: Text = "errors",
        detail: Text = "details" | "detail",
    }
}

lenient! {
    /// One of the answers asked for; we ask for one.
    Choice {
        index: Count = "index",
        message: Option<ChatMessage> = "message",
        delta: Option<ChatMessage> = "delta",
        finish_reason: Text = "finish_reason" | "finishReason",
    }
}

lenient! {
    /// What the model said, or a piece of it.
    ChatMessage {
        content: Text = "content",
        refusal: Text = "refusal",
        reasoning: Text = "reasoning_content" | "reasoning",
        tool_calls: Vec<ToolCall> = "tool_calls" | "toolCalls",
    }
}

lenient! {
    /// The model's wish to call a tool, or a piece of it.
    ToolCall {
        index: Count = "index",
        id: Text = "id",
        function: Function = "function",
    }
}

lenient! {
    /// Which tool, and with what.
    Function {
        name: Text = "name",
        arguments: Raw = "arguments",
    }
}

lenient! {
    /// Tokens, as reported.
    Tokens {
        prompt: Count = "prompt_tokens" | "promptTokens",
        completion: Count = "completion_tokens" | "completionTokens",
        total: Count = "total_tokens" | "totalTokens",
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

impl Tokens {
    pub(super) fn counts(&self) -> TokenCounts {
        TokenCounts {
            prompt: self.prompt.0,
            completion: self.completion.0,
            total: self.total.0,
            cached: self.prompt_details.cached.0,
            reasoning: self.completion_details.reasoning.0,
        }
    }
}

impl Choice {
    /// Why the model stopped, where reported.
    pub(crate) fn finish(&self) -> Option<FinishReason> {
        Some(match self.finish_reason.as_str() {
            "" => return None,
            "stop" => FinishReason::Stop,
            "length" => FinishReason::Length,
            "tool_calls" | "function_call" => FinishReason::ToolCalls,
            "content_filter" => FinishReason::ContentFilter,
            _ => FinishReason::Other,
        })
    }
}

impl Chat {
    /// Reads a reply, or says why it is none.
    pub(super) fn parse(json: &[u8]) -> Result<Self, BadReply> {
        serde_json::from_slice(json).map_err(|fault| BadReply::unreadable(json, &fault))
    }

    /// The error that it is or carries. Looked for before any choices.
    pub(super) fn take_error(&mut self) -> Option<ErrorBody> {
        let fields = ErrorFields {
            error: std::mem::take(&mut self.error),
            message: std::mem::take(&mut self.message),
            kind: std::mem::take(&mut self.kind),
            code: std::mem::take(&mut self.code),
            errors: std::mem::take(&mut self.errors),
            detail: std::mem::take(&mut self.detail),
        };
        ErrorBody::of(fields, self.choices.is_some())
    }
}

/// Reads an error from a body that is no reply, if there is one in it.
pub(super) fn read_error(body: &[u8]) -> Option<ErrorBody> {
    serde_json::from_slice::<Chat>(body).ok()?.take_error()
}

/// Takes a complete reply in.
pub(super) fn read(body: &[u8], draft: &mut Draft) -> Result<(), BadReply> {
    let mut chat = Chat::parse(body)?;
    draft.usage = chat.usage.counts();
    if let Some(error) = chat.take_error() {
        return Err(BadReply::from(error));
    }
    draft.set_model(chat.model.0);
    // The first of several answers; servers need not send them in order.
    let choices = chat.choices.unwrap_or_default().into_iter();
    let Some(choice) = choices.min_by_key(|choice| choice.index.0.unwrap_or(0)) else {
        return Err(BadReply::protocol("the server's answer holds no choices: check the model"));
    };
    draft.finish = choice.finish();
    // Some servers answer in the form of a stream's last chunk.
    let Some(message) = choice.message.or(choice.delta) else {
        return Err(BadReply::protocol("the server's answer holds no message"));
    };
    let text = message.content.0.unwrap_or_default();
    draft.push_refusal(message.refusal.as_str())?;
    draft.push_reasoning(message.reasoning.as_str());
    let calls = message.tool_calls.into_iter().map(ToolCall::into).collect();
    draft.push_text(text)?;
    push_reply(calls, draft)
}

/// Notes what goes back with the tools' results, if the model wants any.
pub(super) fn push_reply(calls: Vec<message::ToolCall>, draft: &mut Draft) -> Result<(), BadReply> {
    if calls.is_empty() {
        return Ok(());
    }
    if !draft.text().is_empty() {
        let text = Content::Text(draft.text().to_owned());
        draft.push_part(ReplyPart { content: text, opaque: None })?;
    }
    for call in calls {
        draft.push_part(ReplyPart { content: Content::Call(call), opaque: None })?;
    }
    Ok(())
}

impl From<ToolCall> for message::ToolCall {
    fn from(call: ToolCall) -> Self {
        Self {
            id: call.id.0.unwrap_or_default(),
            name: call.function.name.0.unwrap_or_default(),
            arguments: call.function.arguments.0.unwrap_or_default(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_spellings_parts_and_objects_are_read() {
        let chat = Chat::parse(
            br#"{"id":"x","model":"m","error":null,"choices":[{"index":0,"finishReason":"stop",
                "message":{"role":"assistant","content":[{"type":"text","text":"a"},"b"],
                "toolCalls":[{"id":"c","function":{"name":"f","arguments":{"x":1}}}]}}],
                "usage":{"promptTokens":1.0,"completion_tokens":2,
                "completion_tokens_details":{"reasoning_tokens":1,"x":[[]]}}}"#,
        )
        .unwrap();
        let choice = &chat.choices.as_deref().unwrap()[0];
        assert_eq!(choice.finish(), Some(FinishReason::Stop));
        let message = choice.message.as_ref().unwrap();
        assert_eq!(message.content.as_str(), "ab");
        assert_eq!(message.tool_calls[0].function.arguments.0.as_deref(), Some(r#"{"x":1}"#));
        let usage = chat.usage.counts().usage().unwrap();
        assert_eq!((usage.prompt_tokens, usage.total_tokens), (1, 3));
        assert_eq!((usage.cached_tokens, usage.reasoning_tokens), (None, Some(1)));
    }
}
