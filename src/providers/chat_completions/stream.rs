//! A stream of chunks, put together. Pure: no socket, no clock.

use super::reply::{Chat, ChatMessage, ToolCall, push_reply, read_error};
use crate::engine::draft::{BadReply, CALLS_MAX, Draft, Progress, TokenCounts};
use crate::engine::error_body::ErrorBody;
use crate::engine::message;
use crate::engine::protocol::ReadStream;
use crate::engine::sse::SseEvent;

/// The end of a stream, as an event.
const DONE: &[u8] = b"[DONE]";

/// The tool calls of a growing answer.
#[derive(Default)]
pub(super) struct Chunks {
    calls: Vec<message::ToolCall>,
    /// The index that each call came with.
    indices: Vec<Option<u64>>,
}

impl ReadStream for Chunks {
    fn event(&mut self, event: &SseEvent<'_>, draft: &mut Draft) -> Result<(), BadReply> {
        let data = match *event {
            SseEvent::Data { event: b"error", data } => return Err(error(data)),
            SseEvent::Data { data, .. } => data.trim_ascii(),
            // Opik before 2026-02: bare JSON lines.
            SseEvent::Stray(line) if line.starts_with(b"{") => line.trim_ascii(),
            SseEvent::Stray(line) => match line.strip_prefix(b"error:") {
                Some(data) => return Err(error(data)),
                None => return Ok(()),
            },
        };
        if data == DONE {
            draft.is_done = true;
            return Ok(());
        }
        if data.is_empty() {
            return Ok(());
        }
        let mut chunk = Chat::parse(data).map_err(BadReply::within_stream)?;
        if let Some(error) = chunk.take_error() {
            return Err(BadReply::from(error));
        }
        // An event with nothing in it only keeps the connection alive.
        let is_empty = chunk.choices.as_ref().is_none_or(Vec::is_empty)
            && chunk.usage.counts() == TokenCounts::default();
        draft.progress = (!is_empty).then_some(Progress::Delta);
        self.add(chunk, draft)
    }

    fn end(&mut self, draft: &mut Draft) -> Result<(), BadReply> {
        let calls = std::mem::take(&mut self.calls);
        push_reply(calls, draft)
    }
}

/// The error that an event is or holds.
fn error(data: &[u8]) -> BadReply {
    let error = read_error(data).or_else(|| ErrorBody::parse_inner(data));
    error.unwrap_or_default().into()
}

impl Chunks {
    /// Takes one chunk in.
    fn add(&mut self, chunk: Chat, draft: &mut Draft) -> Result<(), BadReply> {
        draft.set_model(chunk.model.0);
        draft.usage.merge(&chunk.usage.counts());
        for choice in chunk.choices.unwrap_or_default() {
            if choice.index.0.is_some_and(|index| index > 0) {
                continue;
            }
            draft.finish = choice.finish().or(draft.finish);
            // Some servers send the whole message once more at the end.
            let repeated = choice.delta.is_none() && !draft.text().is_empty();
            if let (Some(message), false) = (choice.delta.or(choice.message), repeated) {
                self.add_message(message, draft)?;
            }
        }
        Ok(())
    }

    fn add_message(&mut self, message: ChatMessage, draft: &mut Draft) -> Result<(), BadReply> {
        draft.push_text(message.content.0.unwrap_or_default())?;
        draft.push_refusal(message.refusal.as_str())?;
        draft.push_reasoning(message.reasoning.as_str());
        message.tool_calls.into_iter().try_for_each(|delta| self.add_call(delta, draft))
    }

    fn add_call(&mut self, delta: ToolCall, draft: &mut Draft) -> Result<(), BadReply> {
        let index = delta.index.0;
        let message::ToolCall { id, name, arguments } = delta.into();
        draft.keep(id.len() + name.len() + arguments.len())?;
        let at = match self.find(&id, &name, index) {
            Some(at) => at,
            None if self.calls.len() == CALLS_MAX => return Err(BadReply::TooManyCalls),
            None => {
                self.calls.push(message::ToolCall::default());
                self.indices.push(index);
                self.calls.len() - 1
            }
        };
        let call = &mut self.calls[at];
        if call.id.is_empty() {
            call.id = id;
        }
        if call.name.is_empty() {
            call.name = name;
        }
        call.arguments.push_str(&arguments);
        Ok(())
    }

    /// The call that a delta belongs to; nothing if it opens one. The id decides where there
    /// is one: some servers give every call the index 0, or none.
    fn find(&self, id: &str, name: &str, index: Option<u64>) -> Option<usize> {
        let calls = &self.calls;
        if !id.is_empty() {
            if let Some(at) = calls.iter().rposition(|call| call.id == id) {
                return Some(at);
            }
        }
        let at = match index {
            Some(_) => self.indices.iter().rposition(|other| *other == index),
            None => calls.len().checked_sub(1),
        }?;
        let call = &calls[at];
        let another_id = !id.is_empty() && !call.id.is_empty();
        let another_name = !name.is_empty() && !call.name.is_empty() && call.name != name;
        (!another_id && !another_name).then_some(at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::task::FinishReason;

    fn all(chunks: &[&str]) -> Draft {
        let (mut stream, mut draft) = (Chunks::default(), Draft::new(1000));
        for chunk in chunks {
            let event = SseEvent::Data { event: b"", data: chunk.as_bytes() };
            stream.event(&event, &mut draft).unwrap();
        }
        stream.end(&mut draft).unwrap();
        draft
    }

    fn calls(chunks: &[&str]) -> Vec<(String, String, String)> {
        let chunks: Vec<_> = chunks
            .iter()
            .map(|call| format!(r#"{{"choices":[{{"delta":{{"tool_calls":[{call}]}}}}]}}"#))
            .collect();
        let chunks: Vec<_> = chunks.iter().map(String::as_str).collect();
        let draft = all(&chunks);
        let calls = message::calls(&draft.parts).cloned();
        calls.map(|call| (call.id, call.name, call.arguments)).collect()
    }

    fn expected(calls: &[(&str, &str, &str)]) -> Vec<(String, String, String)> {
        calls.iter().map(|(a, b, c)| ((*a).into(), (*b).into(), (*c).into())).collect()
    }

    #[test]
    fn text_usage_and_reason_come_in_any_chunk() {
        let draft = all(&[
            r#"{"choices":[{"index":0,"delta":{"role":"assistant","content":null}}]}"#,
            r#"{"choices":[],"usage":null}"#,
            r#"{"model":"m","choices":[{"delta":{"content":"a"}},{"index":1,"delta":{"content":"X"}}]}"#,
            r#"{"choices":[{"delta":{"content":"b"},"finish_reason":"stop"}]}"#,
            r#"{"choices":[{"message":{"content":"ab"}}]}"#,
            r#"{"choices":[],"usage":{"prompt_tokens":1,"completion_tokens":1}}"#,
        ]);
        assert_eq!(draft.text(), "ab");
        assert_eq!(draft.finish, Some(FinishReason::Stop));
        assert_eq!(draft.usage.usage().unwrap().total_tokens, 2);
        assert_eq!(draft.model.as_deref(), Some("m"));
    }

    #[test]
    fn calls_are_put_together_however_their_deltas_are_marked() {
        let by_index = [
            r#"{"index":0,"id":"a","function":{"name":"f","arguments":""}}"#,
            r#"{"index":1,"id":"b","function":{"name":"g","arguments":"{"}}"#,
            r#"{"index":0,"function":{"arguments":"{}"}}"#,
            r#"{"index":1,"function":{"arguments":"}"}}"#,
        ];
        assert_eq!(calls(&by_index), expected(&[("a", "f", "{}"), ("b", "g", "{}")]));
        let always_zero = [
            r#"{"index":0,"id":"a","function":{"name":"f","arguments":"{}"}}"#,
            r#"{"index":0,"id":"b","function":{"name":"f","arguments":"{"}}"#,
            r#"{"index":0,"function":{"arguments":"}"}}"#,
        ];
        assert_eq!(calls(&always_zero), expected(&[("a", "f", "{}"), ("b", "f", "{}")]));
        let no_index = [
            r#"{"id":"a","function":{"name":"f","arguments":"{"}}"#,
            r#"{"id":"a","function":{"name":"f","arguments":"}"}}"#,
            r#"{"id":"b","function":{"name":"g","arguments":"{}"}}"#,
        ];
        assert_eq!(calls(&no_index), expected(&[("a", "f", "{}"), ("b", "g", "{}")]));
        let no_id = [
            r#"{"index":0,"function":{"name":"f","arguments":"{}"}}"#,
            r#"{"index":1,"function":{"name":"f","arguments":"{"}}"#,
            r#"{"index":1,"function":{"arguments":"}"}}"#,
            r#"{"index":1,"function":{"name":"g","arguments":"{}"}}"#,
        ];
        assert_eq!(calls(&no_id), expected(&[("", "f", "{}"), ("", "f", "{}"), ("", "g", "{}")]));
    }
}
