//! A complete reply of the Messages API, and the pieces that streams share with it.

use crate::engine::draft::{BadReply, Draft, TokenCounts};
use crate::engine::error_body::{ErrorBody, ErrorField, ErrorFields};
use crate::engine::json::{elements, member};
use crate::engine::message::{Content, ReplyPart, ToolCall};
use crate::lenient::{Code, Count, Raw, Text, lenient};
use crate::task::FinishReason;
use crate::task_error::{ErrorKind, TaskError};

lenient! {
    /// A complete reply, or an error in its place.
    Reply {
        kind: Text = "type",
        model: Text = "model",
        content: Option<Vec<Block>> = "content",
        stop_reason: Text = "stop_reason",
        usage: Tokens = "usage",
        error: ErrorField = "error",
        // Servers of other protocols behind this address.
        message: Text = "message",
        code: Code = "code",
        detail: Text = "detail",
    }
}

lenient! {
    /// A block of the model's message.
    Block {
        kind: Text = "type",
        text: Text = "text",
        thinking: Text = "thinking",
        id: Text = "id",
        name: Text = "name",
        input: Raw = "input",
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
pub(super) fn finish(stop_reason: &Text) -> Result<Option<FinishReason>, BadReply> {
    Ok(Some(match stop_reason.as_str() {
        "" => return Ok(None),
        "end_turn" | "stop_sequence" => FinishReason::Stop,
        "max_tokens" | "model_context_window_exceeded" => FinishReason::Length,
        "tool_use" => FinishReason::ToolCalls,
        "refusal" => FinishReason::ContentFilter,
        "pause_turn" => {
            return Err(BadReply::Unreadable(TaskError::new(
                ErrorKind::Unsupported,
                "the model paused for a tool that runs at the provider, which this library does \
                 not continue: leave such tools out",
            )));
        }
        _ => FinishReason::Other,
    }))
}

/// Takes a complete reply in.
pub(super) fn read(body: &[u8], draft: &mut Draft) -> Result<(), BadReply> {
    let reply: Reply =
        serde_json::from_slice(body).map_err(|fault| BadReply::unreadable(body, &fault))?;
    draft.usage = reply.usage.counts();
    let is_answer = reply.content.is_some() && reply.kind.as_str() != "error";
    let Reply { error, message, code, detail, .. } = reply;
    let fields = ErrorFields { error, message, code, detail, ..ErrorFields::default() };
    if let Some(error) = ErrorBody::of(fields, is_answer) {
        return Err(BadReply::from(error));
    }
    let Some(blocks) = reply.content else {
        return Err(BadReply::protocol("the server's answer holds no content: check api_endpoint"));
    };
    draft.set_model(reply.model.0);
    draft.finish = finish(&reply.stop_reason)?;
    if blocks.iter().any(|block| block.kind.as_str() == "tool_use") {
        // What was just read is UTF-8.
        let json = std::str::from_utf8(body).unwrap_or_default();
        let own = member(json, "content").map(elements).unwrap_or_default();
        for (block, own) in blocks.iter().zip(own) {
            draft.keep(own.len())?;
            // A call without an id is written anew, with the id that it gets.
            let is_nameless = block.kind.as_str() == "tool_use" && block.id.as_str().is_empty();
            let opaque = (!is_nameless).then(|| own.into());
            draft.push_part(ReplyPart { content: content(block), opaque })?;
        }
    }
    for block in blocks {
        draft.push_reasoning(block.thinking.as_str());
        if block.kind.as_str() == "text" {
            draft.push_text(block.text.0.unwrap_or_default())?;
        }
    }
    Ok(())
}

/// What a block says to us.
fn content(block: &Block) -> Content {
    match block.kind.as_str() {
        "text" => Content::Text(block.text.as_str().to_owned()),
        "tool_use" => Content::Call(ToolCall {
            id: block.id.as_str().to_owned(),
            name: block.name.as_str().to_owned(),
            arguments: block.input.0.clone().unwrap_or_default(),
        }),
        _ => Content::None,
    }
}
