//! A complete reply of the Messages API, and the parts that streams share with it.

use crate::engine::draft::{BadReply, Draft};
use crate::engine::error_body::{ErrorBody, ErrorField};
use crate::engine::json::elements;
use crate::engine::message::{Content, ReplyPart, ToolCall};
use crate::engine::payload;
use crate::engine::tokens::TokenCounts;
use crate::lenient::{Count, Label, Own, Text, lenient, read_partly, whole};
use crate::providers::finish_reason;
use crate::task::FinishReason;
use crate::task_error::{ErrorKind, TaskError};

lenient! {
    /// A complete reply, or an error in its place.
    Reply {
        kind: Label = "type",
        model: Label = "model",
        content: Own = "content",
        stop_reason: Label = "stop_reason",
        usage: Tokens = "usage",
        error: ErrorField = "error",
    }
}

lenient! {
    /// A block of the model's message.
    Block {
        kind: Label = "type",
        text: Text = "text",
        thinking: Text = "thinking",
        id: Label = "id",
        name: Label = "name",
        input: Own = "input",
    }
}

impl Block {
    /// Whether it is reasoning, readable or not.
    pub(super) fn is_thought(&self) -> bool {
        matches!(self.kind.as_str(), "thinking" | "redacted_thinking")
    }
}

lenient! {
    /// Tokens, as reported. Those read leave the cached ones out.
    Tokens {
        input: Count = "input_tokens",
        output: Count = "output_tokens",
        cache_written: Count = "cache_creation_input_tokens",
        cache_read: Count = "cache_read_input_tokens",
        output_details: OutputDetails = "output_tokens_details",
    }
}

lenient! {
    /// Tokens of a special kind.
    OutputDetails { thinking: Count = "thinking_tokens" }
}

impl Tokens {
    /// Takes a later report in. Reports are cumulative: a count that is there replaces the one
    /// before, but a zero does not replace more.
    pub(super) fn merge(&mut self, later: &Self) {
        let newer = |new: Count, old: &mut Count| {
            if new.0.is_some_and(|count| count > 0) || old.0.is_none() {
                *old = new;
            }
        };
        newer(later.input, &mut self.input);
        newer(later.output, &mut self.output);
        newer(later.cache_written, &mut self.cache_written);
        newer(later.cache_read, &mut self.cache_read);
        newer(later.output_details.thinking, &mut self.output_details.thinking);
    }

    pub(super) fn counts(&self) -> TokenCounts {
        let read = [self.input.0, self.cache_written.0, self.cache_read.0];
        let is_known = read.iter().any(Option::is_some);
        let prompt = read.iter().flatten().fold(0_u64, |sum, count| sum.saturating_add(*count));
        TokenCounts {
            prompt: is_known.then_some(prompt),
            completion: self.output.0,
            total: None,
            cached: self.cache_read.0,
            reasoning: self.output_details.thinking.0,
        }
    }
}

/// Why the model stopped.
///
/// # Errors
///
/// Where it has not stopped for good.
pub(super) fn finish(stop_reason: &Label) -> Result<Option<FinishReason>, BadReply> {
    if stop_reason.as_str().eq_ignore_ascii_case("pause_turn") {
        return Err(BadReply::Unreadable(TaskError::new(
            ErrorKind::Unsupported,
            "the model paused for a tool that runs at the provider, which this library does not \
             continue: leave such tools out",
        )));
    }
    // The API's words are among those of all servers.
    finish_reason::of(stop_reason.as_str())
}

/// Takes a complete reply in.
pub(super) fn read(body: &[u8], draft: &mut Draft) -> Result<(), BadReply> {
    let (text, value) = payload::whole(body, draft)?;
    take(value, &text, draft)
}

/// Takes a complete reply in, whose JSON this is.
pub(super) fn take(reply: Reply, json: &str, draft: &mut Draft) -> Result<(), BadReply> {
    draft.usage = reply.usage.counts();
    let Reply { kind, model, content, stop_reason, error, .. } = reply;
    let is_answer = content.0.is_some() && kind.as_str() != "error";
    let error = error.error();
    if error.is_some() || !is_answer {
        if let Some(error) = ErrorBody::parse_beside(json.as_bytes(), is_answer).or(error) {
            return Err(BadReply::from(error));
        }
    }
    let Some(own) = content.0.filter(|_| is_answer) else {
        return Err(BadReply::protocol("the server's answer holds no content: check api_endpoint"));
    };
    draft.set_model(model.0);
    let stopped = finish(&stop_reason);
    draft.finish = *stopped.as_ref().unwrap_or(&None);
    if !own.starts_with(['[', '{']) {
        // A text without blocks.
        draft.push_text(read_partly::<Text>(&own).0.unwrap_or_default())?;
        draft.note_oddities(1);
        return stopped.map(drop);
    }
    let blocks: Vec<Block> = read_partly(&own);
    if blocks.iter().any(|block| block.kind.as_str() == "tool_use") {
        for (block, own) in blocks.iter().zip(elements(&own)) {
            draft.keep(own.len())?;
            draft.push_part(ReplyPart { content: content_of(block), opaque: Some(own.into()) })?;
        }
    }
    for block in blocks {
        draft.has_reasoned |= block.is_thought();
        draft.push_reasoning(block.thinking.as_str());
        if block.kind.as_str() == "text" {
            draft.push_text(block.text.0.unwrap_or_default())?;
        }
    }
    stopped.map(drop)
}

/// The content of a block.
fn content_of(block: &Block) -> Content {
    match block.kind.as_str() {
        "text" => Content::Text(whole(block.text.as_str().to_owned())),
        "tool_use" => Content::Call(ToolCall {
            id: block.id.as_str().to_owned(),
            name: block.name.as_str().to_owned(),
            arguments: whole(block.input.text()),
            is_changed: block.input.is_text(),
        }),
        _ => Content::None,
    }
}
