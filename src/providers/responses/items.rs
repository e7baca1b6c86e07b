//! The items of a response: what each says to us, and what goes back.

use crate::engine::draft::{BadReply, Draft};
use crate::engine::error_body::{ErrorBody, ErrorField};
use crate::engine::json::elements;
use crate::engine::message::{Content, Opaque, ReplyPart, ToolCall};
use crate::engine::tokens::TokenCounts;
use crate::lenient::{Count, JsonReader, Label, Lenient, Own, Text, lenient, read_partly, whole};
use crate::providers::finish_reason;
use crate::task::FinishReason;
use crate::task_error::{ErrorKind, TaskError};

lenient! {
    /// A response, whole or so far.
    Response {
        status: Label = "status",
        model: Label = "model",
        output: Option<Vec<Item>> = "output",
        usage: Tokens = "usage",
        error: ErrorField = "error",
        incomplete: Incomplete = "incomplete_details",
    }
}

lenient! {
    /// Why a response is incomplete.
    Incomplete { reason: Label = "reason" }
}

lenient! {
    /// An item of the output.
    Item {
        kind: Label = "type",
        id: Label = "id",
        content: Vec<ItemPart> = "content",
        summary: Vec<ItemPart> = "summary",
        call_id: Label = "call_id",
        name: Label = "name",
        arguments: Own = "arguments",
    }
}

/// A part of a message or of reasoning; any other value is read as text.
#[derive(Debug, Default)]
pub(super) struct ItemPart {
    kind: Label,
    text: Text,
    refusal: Text,
}

impl Lenient for ItemPart {
    fn fits(_: u8) -> bool {
        true
    }

    fn read_into(&mut self, from: &mut JsonReader<'_>) {
        if from.peek() != b'{' {
            return self.text.read_into(from);
        }
        from.fill(&mut |from, key| match key {
            "type" => self.kind.read_into(from),
            "text" => self.text.read_into(from),
            "refusal" => self.refusal.read_into(from),
            _ => from.skip(),
        });
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
    pub(super) fn is_call(&self) -> bool {
        self.kind.as_str() == "function_call"
    }

    /// The text of a message.
    pub(super) fn text(&self) -> String {
        let texts = self.content.iter().filter(|part| part.kind.as_str() != "refusal");
        texts.map(|part| part.text.as_str()).collect()
    }

    /// The words of a message for not answering.
    pub(super) fn refusal(&self) -> String {
        self.content.iter().map(|part| part.refusal.as_str()).collect()
    }

    /// The model's reasoning: the text itself, or a summary.
    pub(super) fn reasoning(&self) -> String {
        let shown = if self.content.is_empty() { &self.summary } else { &self.content };
        shown.iter().map(|part| part.text.as_str()).collect::<Vec<_>>().join("\n")
    }

    /// The part that goes back with the tools' results: the item as it came, where it did. Its
    /// arguments may have come before it.
    pub(super) fn into_part(self, own: Option<Opaque>, gathered: String) -> ReplyPart {
        let arguments = self.arguments.text();
        let is_gathered = arguments.is_empty() && !gathered.is_empty();
        let content = match self.kind.as_str() {
            "message" => Content::Text(whole(self.text())),
            _ if self.is_call() => Content::Call(ToolCall {
                // The item's own id is another one, which pairs nothing.
                id: self.call_id.0.unwrap_or_default(),
                name: self.name.0.unwrap_or_default(),
                is_changed: is_gathered || !self.arguments.is_text(),
                arguments: whole(if is_gathered { gathered } else { arguments }),
            }),
            _ => Content::None,
        };
        ReplyPart { content, opaque: own }
    }
}

lenient! {
    /// The output as it stands, of a response or within an event.
    Output {
        output: Own = "output",
        response: OutputOf = "response",
    }
}

lenient! {
    /// The output of a response within an event.
    OutputOf { output: Own = "output" }
}

/// The JSON of each item of a response, or of the response in an event.
pub(super) fn own_items(json: &str) -> Vec<Opaque> {
    let Output { output, response } = read_partly(json);
    let own = output.0.or(response.output.0).unwrap_or_default();
    elements(&own).into_iter().map(Into::into).collect()
}

/// Adds a message's text; another message before it ends with a blank line. Gives where the
/// text begins.
pub(super) fn push_message(text: &str, draft: &mut Draft) -> Result<usize, BadReply> {
    if !draft.text().is_empty() && !text.is_empty() {
        draft.push_text("\n\n".to_owned())?;
    }
    let from = draft.text().len();
    draft.push_text(text.to_owned())?;
    Ok(from)
}

/// Takes in how a response ended.
///
/// # Errors
///
/// Where it has failed, or has not ended.
pub(super) fn settle(response: &mut Response, draft: &mut Draft) -> Result<(), BadReply> {
    draft.set_model(response.model.0.take());
    draft.usage.merge(&response.usage.counts());
    if let Some(error) = std::mem::take(&mut response.error).error() {
        return Err(ErrorBody { is_bare: false, ..error }.into());
    }
    let status = response.status.as_str().to_ascii_lowercase();
    draft.finish = Some(match status.as_str() {
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
        "queued" | "in_progress" => {
            return Err(BadReply::protocol("the server's answer is not complete yet"));
        }
        // `completed`, or a word of the older API's.
        // Servers that leave the status out have said what they had to say.
        other => finish_reason::of(other)?.unwrap_or(FinishReason::Stop),
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
