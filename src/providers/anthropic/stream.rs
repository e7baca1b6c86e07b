//! A stream of the Messages API, put together. Pure: no socket, no clock.

use serde_json::{Map, Value};

use super::reply::{self, Block, Tokens, finish};
use crate::engine::draft::{BadReply, Draft, Progress};
use crate::engine::error_body::ErrorField;
use crate::engine::message::{Content, Opaque, ReplyPart, ToolCall};
use crate::engine::payload::{check, object};
use crate::engine::protocol::ReadStream;
use crate::engine::sse::SseEvent;
use crate::lenient::{
    Count, Label, Own, Raw, Text, json_text, json_value, lenient, read_partly, whole,
};

lenient! {
    /// The data of any event.
    Data {
        kind: Label = "type",
        index: Count = "index",
        message: Start = "message",
        block: Own = "content_block",
        delta: Delta = "delta",
        usage: Tokens = "usage",
        error: ErrorField = "error",
    }
}

lenient! {
    /// The message as it stands at the start.
    Start {
        model: Label = "model",
        usage: Tokens = "usage",
    }
}

lenient! {
    /// A delta of a block, or of the message at its end.
    Delta {
        text: Text = "text",
        arguments: Raw = "partial_json",
        thinking: Text = "thinking",
        signature: Text = "signature",
        stop_reason: Label = "stop_reason",
    }
}

/// The blocks of a growing message.
#[derive(Default)]
pub(super) struct Blocks {
    blocks: Vec<(Option<u64>, OpenBlock)>,
    tokens: Tokens,
}

/// A block so far.
enum OpenBlock {
    /// Where its text stands in the draft's.
    Text {
        from: usize,
        to: usize,
    },
    Call {
        call: ToolCall,
        input: String,
    },
    Thinking {
        start: Map<String, Value>,
        thinking: String,
        signature: String,
    },
    /// One that is not interpreted.
    Own(Opaque),
}

impl ReadStream for Blocks {
    fn event(&mut self, event: &SseEvent<'_>, draft: &mut Draft) -> Result<(), BadReply> {
        let Some((name, json, mut data)) = object::<Data>(event, draft)? else { return Ok(()) };
        let kind = data.kind.0.take().unwrap_or_else(|| name.into_owned());
        check(&kind, std::mem::take(&mut data.error), &json)?;
        self.take(&kind, data, &json, draft)
    }

    fn end(&mut self, draft: &mut Draft) -> Result<(), BadReply> {
        let blocks = std::mem::take(&mut self.blocks);
        if !blocks.iter().any(|(_, block)| matches!(block, OpenBlock::Call { .. })) {
            return Ok(());
        }
        for (_, block) in blocks {
            let part = block.into_part(draft.text());
            draft.push_part(part)?;
        }
        Ok(())
    }
}

impl Blocks {
    /// Takes an event in that is no error.
    fn take(
        &mut self,
        kind: &str,
        data: Data,
        json: &str,
        draft: &mut Draft,
    ) -> Result<(), BadReply> {
        match kind {
            "message_start" => {
                draft.set_model(data.message.model.0);
                self.count(&data.message.usage, draft);
                draft.progress = Some(Progress::Working);
            }
            "content_block_start" => {
                self.open(data.index.0, data.block.0.as_deref().unwrap_or_default(), draft)?;
                draft.show_progress();
            }
            "content_block_delta" => {
                self.extend(data.index.0, data.delta, draft)?;
                draft.show_progress();
            }
            "message_delta" => {
                self.count(&data.usage, draft);
                draft.finish = finish(&data.delta.stop_reason)?.or(draft.finish);
                draft.show_progress();
            }
            "message_stop" => draft.is_done = true,
            // A reply that is no stream.
            "message" if draft.is_empty() => {
                reply::take(read_partly(json), json, draft)?;
                draft.is_done = true;
            }
            // A ping, or what a later version brings.
            _ => {}
        }
        Ok(())
    }

    fn count(&mut self, tokens: &Tokens, draft: &mut Draft) {
        self.tokens.merge(tokens);
        draft.usage = self.tokens.counts();
    }

    fn open(&mut self, index: Option<u64>, own: &str, draft: &mut Draft) -> Result<(), BadReply> {
        if own.is_empty() {
            return Ok(());
        }
        draft.keep(own.len())?;
        // A block of another shape is kept as it is.
        let block: Block = read_partly(own);
        draft.has_reasoned |= block.is_thought();
        let open = match block.kind.as_str() {
            "text" => {
                let from = draft.text().len();
                draft.push_text(block.text.0.unwrap_or_default())?;
                OpenBlock::Text { from, to: draft.text().len() }
            }
            "tool_use" => OpenBlock::Call {
                call: ToolCall {
                    id: block.id.0.unwrap_or_default(),
                    name: block.name.0.unwrap_or_default(),
                    ..ToolCall::default()
                },
                input: block.input.text(),
            },
            "thinking" => OpenBlock::Thinking {
                start: match json_value(own) {
                    Some(Value::Object(start)) => start,
                    _ => Map::new(),
                },
                thinking: String::new(),
                signature: String::new(),
            },
            _ => OpenBlock::Own(own.into()),
        };
        self.blocks.push((index, open));
        Ok(())
    }

    fn extend(
        &mut self,
        index: Option<u64>,
        delta: Delta,
        draft: &mut Draft,
    ) -> Result<(), BadReply> {
        let text = delta.text.0.unwrap_or_default();
        let from = draft.text().len();
        let arguments = delta.arguments.0.unwrap_or_default();
        draft.keep(delta.thinking.as_str().len() + delta.signature.as_str().len())?;
        draft.keep_written(arguments.len())?;
        draft.push_reasoning(delta.thinking.as_str());
        draft.push_text(text)?;
        let now = draft.text().len();
        let at = self.blocks.iter().rposition(|(other, _)| *other == index);
        let Some(at) = at.or(self.blocks.len().checked_sub(1)) else {
            // A server that opens no blocks.
            self.blocks.push((index, OpenBlock::Text { from, to: now }));
            return Ok(());
        };
        match &mut self.blocks[at].1 {
            OpenBlock::Text { to, .. } if *to == from => *to = now,
            OpenBlock::Call { call, .. } => call.arguments.push_str(&arguments),
            OpenBlock::Thinking { thinking, signature, .. } => {
                thinking.push_str(delta.thinking.as_str());
                signature.push_str(delta.signature.as_str());
            }
            OpenBlock::Text { .. } | OpenBlock::Own(_) if now > from => {
                self.blocks.push((index, OpenBlock::Text { from, to: now }));
            }
            OpenBlock::Text { .. } | OpenBlock::Own(_) => {}
        }
        Ok(())
    }
}

impl OpenBlock {
    /// The part that goes back with the tools' results.
    fn into_part(self, text: &str) -> ReplyPart {
        match self {
            Self::Text { from, to } => {
                let text = text.get(from..to).unwrap_or_default().to_owned();
                ReplyPart { content: Content::Text(text), opaque: None }
            }
            Self::Call { mut call, input } => {
                if call.arguments.is_empty() {
                    call.arguments = input;
                }
                call.arguments = whole(call.arguments);
                ReplyPart { content: Content::Call(call), opaque: None }
            }
            Self::Thinking { mut start, thinking, signature } => {
                // As the complete block reads: its texts are all that a start lacks.
                for (key, gathered) in [("thinking", thinking), ("signature", signature)] {
                    if !gathered.is_empty() || !start.contains_key(key) {
                        start.insert(key.to_owned(), whole(gathered).into());
                    }
                }
                let opaque = json_text(&Value::Object(start));
                ReplyPart { content: Content::None, opaque: Some(opaque.into()) }
            }
            Self::Own(own) => ReplyPart { content: Content::None, opaque: Some(own) },
        }
    }
}
