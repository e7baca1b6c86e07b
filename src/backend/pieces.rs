//! An answer that comes in pieces, put together. Pure: no socket, no clock.

use crate::backend::answer::Answer;
use crate::backend::reply::{Chat, Message, ToolCall};
use crate::backend::tools::CALLS_MAX;
use crate::backend::wire::Call;

/// A growing answer.
#[derive(Default)]
pub(crate) struct Pieces {
    pub(crate) answer: Answer,
    /// The index that each call came with.
    indices: Vec<Option<u64>>,
    /// Text kept so far, of every kind, in bytes.
    kept: usize,
}

/// A piece that cannot be taken.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum TooMuch {
    Bytes,
    Calls,
}

impl Pieces {
    /// Takes one chunk in; gives the text that it adds.
    pub(crate) fn add(&mut self, chunk: Chat, bytes_max: usize) -> Result<String, TooMuch> {
        if let Some(model) = chunk.model.0.filter(|model| !model.is_empty()) {
            self.answer.model = Some(model);
        }
        // The last one counts: llama.cpp tells it twice when several answers are asked for.
        self.answer.usage = chunk.usage.usage().or(self.answer.usage);
        let mut added = String::new();
        for choice in chunk.choices.unwrap_or_default() {
            if choice.index.0.is_some_and(|index| index > 0) {
                continue;
            }
            self.answer.finish = choice.finish().or(self.answer.finish);
            // Some servers send the whole message once more at the end.
            let repeated = choice.delta.is_none() && !self.answer.text.is_empty();
            if let (Some(message), false) = (choice.delta.or(choice.message), repeated) {
                self.add_message(message, &mut added)?;
            }
        }
        self.kept += added.len();
        if self.kept > bytes_max {
            return Err(TooMuch::Bytes);
        }
        self.answer.text.push_str(&added);
        Ok(added)
    }

    fn add_message(&mut self, message: Message, added: &mut String) -> Result<(), TooMuch> {
        if let Some(text) = message.content.0 {
            if added.is_empty() {
                *added = text;
            } else {
                added.push_str(&text);
            }
        }
        if let Some(refusal) = message.refusal.0 {
            self.kept += refusal.len();
            self.answer.refusal.push_str(&refusal);
        }
        for piece in message.tool_calls {
            self.add_call(piece)?;
        }
        Ok(())
    }

    fn add_call(&mut self, piece: ToolCall) -> Result<(), TooMuch> {
        let id = piece.id.0.unwrap_or_default();
        let name = piece.function.name.0.unwrap_or_default();
        let arguments = piece.function.arguments.0.unwrap_or_default();
        self.kept += id.len() + name.len() + arguments.len();
        let index = piece.index.0;
        let place = match self.find(&id, &name, index) {
            Some(place) => place,
            None if self.answer.calls.len() == CALLS_MAX => return Err(TooMuch::Calls),
            None => {
                self.answer.calls.push(Call::default());
                self.indices.push(index);
                self.answer.calls.len() - 1
            }
        };
        let call = &mut self.answer.calls[place];
        if call.id.is_empty() {
            call.id = id;
        }
        if call.name.is_empty() {
            call.name = name;
        }
        call.arguments.push_str(&arguments);
        Ok(())
    }

    /// The call that a piece belongs to; nothing if it opens one. The id decides where there
    /// is one: some servers give every call the index 0, or none.
    fn find(&self, id: &str, name: &str, index: Option<u64>) -> Option<usize> {
        let calls = &self.answer.calls;
        if !id.is_empty() {
            if let Some(place) = calls.iter().rposition(|call| call.id == id) {
                return Some(place);
            }
        }
        let place = match index {
            Some(_) => self.indices.iter().rposition(|other| *other == index),
            None => calls.len().checked_sub(1),
        }?;
        let call = &calls[place];
        let another_id = !id.is_empty() && !call.id.is_empty();
        let another_name = !name.is_empty() && !call.name.is_empty() && call.name != name;
        (!another_id && !another_name).then_some(place)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::task::FinishReason;

    fn all(chunks: &[&str]) -> Pieces {
        let mut pieces = Pieces::default();
        for chunk in chunks {
            pieces.add(Chat::parse(chunk.as_bytes()).unwrap(), 1000).unwrap();
        }
        pieces
    }

    fn calls(chunks: &[&str]) -> Vec<(String, String, String)> {
        let chunks: Vec<_> = chunks
            .iter()
            .map(|call| format!(r#"{{"choices":[{{"delta":{{"tool_calls":[{call}]}}}}]}}"#))
            .collect();
        let chunks: Vec<_> = chunks.iter().map(String::as_str).collect();
        let calls = all(&chunks).answer.calls.into_iter();
        calls.map(|call| (call.id, call.name, call.arguments)).collect()
    }

    fn expected(calls: &[(&str, &str, &str)]) -> Vec<(String, String, String)> {
        calls.iter().map(|(a, b, c)| ((*a).into(), (*b).into(), (*c).into())).collect()
    }

    #[test]
    fn text_usage_and_reason_come_in_any_chunk() {
        let pieces = all(&[
            r#"{"choices":[{"index":0,"delta":{"role":"assistant","content":null}}]}"#,
            r#"{"choices":[],"usage":null}"#,
            r#"{"model":"m","choices":[{"delta":{"content":"a"}},{"index":1,"delta":{"content":"X"}}]}"#,
            r#"{"choices":[{"delta":{"content":"b"},"finish_reason":"stop"}]}"#,
            r#"{"choices":[{"message":{"content":"ab"}}]}"#,
            r#"{"choices":[],"usage":{"prompt_tokens":1,"completion_tokens":1}}"#,
        ]);
        assert_eq!(pieces.answer.text, "ab");
        assert_eq!(pieces.answer.finish, Some(FinishReason::Stop));
        assert_eq!(pieces.answer.usage.unwrap().total_tokens, 2);
        assert_eq!(pieces.answer.model.as_deref(), Some("m"));
    }

    #[test]
    fn calls_are_put_together_however_their_pieces_are_marked() {
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

    #[test]
    fn text_and_calls_are_bounded() {
        let mut pieces = Pieces::default();
        let chunk = || Chat::parse(br#"{"choices":[{"delta":{"content":"12345"}}]}"#).unwrap();
        assert_eq!(pieces.add(chunk(), 9), Ok("12345".to_owned()));
        assert_eq!(pieces.add(chunk(), 9), Err(TooMuch::Bytes));
        assert_eq!(pieces.answer.text, "12345");
        let mut pieces = Pieces::default();
        let ended = (0..=CALLS_MAX).find_map(|n| {
            let call = format!(r#"{{"choices":[{{"delta":{{"tool_calls":[{{"id":"{n}"}}]}}}}]}}"#);
            pieces.add(Chat::parse(call.as_bytes()).unwrap(), 10_000).err()
        });
        assert_eq!(ended, Some(TooMuch::Calls));
    }
}
