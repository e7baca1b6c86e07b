//! The items of a response: what each says to us, and what goes back.

use crate::engine::draft::{BadReply, Draft, TokenCounts};
use crate::engine::error_body::{ErrorBody, ErrorField, ErrorFields};
use crate::engine::json::{elements, member};
use crate::engine::message::{Content, ReplyPart, ToolCall};
use crate::lenient::{Count, Raw, Text, lenient};
use crate::task::FinishReason;
use crate::task_error::{ErrorKind, TaskError};

lenient! {
    /// A response, whole or so far.
    Response {
        status: Text = "status",
        model: Text = "model",
        output: Option<Vec<Item>> = "output",
        usage: Tokens = "usage",
        error: ErrorField = "error",
        incomplete: Incomplete = "incomplete_details",
    }
}

lenient! {
    /// Why a response is incomplete.
    Incomplete { reason: Text = "reason" }
}

lenient! {
    /// An item of the output.
    Item {
        kind: Text = "type",
        id: Text = "id",
        content: Vec<Part> = "content",
        summary: Vec<Part> = "summary",
        call_id: Text = "call_id",
        name: Text = "name",
        arguments: Raw = "arguments",
    }
}

lenient! {
    /// A part of a message or of reasoning.
    Part {
        kind: Text = "type",
        text: Text = "text",
        refusal: Text = "refusal",
    }
}

lenient! {
    /// Tokens, as reported: cached ones and reasoning are counted in.
    Tokens {
        input: Count = "input_tokens",
        output: Count = "output_tokens",
        total: Count = "total_tokens",
        input_details: InputDetails = "input_tokens_details",
        output_details: OutputDetails = "output_tokens_details",
    }
}

lenient! {
    /// Tokens read of a special kind.
    InputDetails { cached: Count = "cached_tokens" }
}

lenient! {
    /// Tokens written of a special kind.
    OutputDetails { reasoning: Count = "reasoning_tokens" }
}

impl Tokens {
    pub(super) fn counts(&self) -> TokenCounts {
        TokenCounts {
            prompt: self.input.0,
            completion: self.output.0,
            total: self.total.0,
            cached: self.input_details.cached.0,
            reasoning: self.output_details.reasoning.0,
        }
    }
}

impl Item {
    /// The text of a message.
    pub(super) fn text(&self) -> String {
        let texts = self.content.iter().filter(|part| part.kind.as_str() != "refusal");
        texts.map(|part| part.text.as_str()).collect()
    }

    /// The words of a message for not answering.
    pub(super) fn refusal(&self) -> String {
        self.content.iter().map(|part| part.refusal.as_str()).collect()
    }

    /// What is shown of the model's reasoning: the text itself, or a summary.
    pub(super) fn reasoning(&self) -> String {
        let shown = if self.content.is_empty() { &self.summary } else { &self.content };
        shown.iter().map(|part| part.text.as_str()).collect::<Vec<_>>().join("\n")
    }

    /// The part that goes back with the tools' results: the item as it came, where it did.
    pub(super) fn into_part(self, own: Option<&str>) -> ReplyPart {
        let content = match self.kind.as_str() {
            "message" => Content::Text(self.text()),
            "function_call" => Content::Call(ToolCall {
                // The item's own id is another one, which pairs nothing.
                id: self.call_id.0.unwrap_or_default(),
                name: self.name.0.unwrap_or_default(),
                arguments: self.arguments.0.unwrap_or_default(),
            }),
            _ => Content::None,
        };
        let is_nameless = matches!(&content, Content::Call(call) if call.id.is_empty());
        let opaque = own.filter(|_| !is_nameless).map(Into::into);
        ReplyPart { content, opaque }
    }
}

/// The bytes of each of a response's items.
pub(super) fn own_items(response: &str) -> Vec<&str> {
    member(response, "output").map(elements).unwrap_or_default()
}

/// Adds a message's text; another message before it ends with a blank line.
pub(super) fn push_message(text: &str, draft: &mut Draft) -> Result<(), BadReply> {
    let between = if draft.text().is_empty() || text.is_empty() { "" } else { "\n\n" };
    draft.push_text(format!("{between}{text}"))
}

/// Takes in how a response ended.
///
/// # Errors
///
/// Where it has failed, or has not ended.
pub(super) fn settle(response: &mut Response, draft: &mut Draft) -> Result<(), BadReply> {
    draft.set_model(response.model.0.take());
    draft.usage.merge(&response.usage.counts());
    let fields =
        ErrorFields { error: std::mem::take(&mut response.error), ..ErrorFields::default() };
    if let Some(error) = ErrorBody::of(fields, true) {
        return Err(error.into());
    }
    draft.finish = Some(match response.status.as_str() {
        // Servers that leave the status out have said what they had to say.
        "completed" | "" => FinishReason::Stop,
        "incomplete" => match response.incomplete.reason.as_str() {
            "content_filter" => FinishReason::ContentFilter,
            // The length, or another end before the model's own.
            _ => FinishReason::Length,
        },
        "failed" => return Err(ErrorBody::default().into()),
        "cancelled" => {
            let what = "the provider cancelled the answer";
            return Err(BadReply::Unreadable(TaskError::new(ErrorKind::Server, what)));
        }
        _ => return Err(BadReply::protocol("the server's answer is not complete yet")),
    });
    Ok(())
}

/// Notes that the model wants tools, where it does and has ended well.
pub(super) fn note_calls(draft: &mut Draft) {
    let calls_any = draft.parts.iter().any(|part| matches!(part.content, Content::Call(_)));
    if calls_any && draft.finish == Some(FinishReason::Stop) {
        draft.finish = Some(FinishReason::ToolCalls);
    }
}
