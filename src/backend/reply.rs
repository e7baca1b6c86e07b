//! The replies of the OpenAI protocol, as many servers speak it.

use serde::de::{Deserialize, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};
use std::fmt;

use crate::backend::lenient::{Code, Count, Raw, Text, lenient};
use crate::task::{FinishReason, Usage};
use crate::task_error::{ErrorKind, TaskError};

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
        message: Option<Message> = "message",
        delta: Option<Message> = "delta",
        finish_reason: Text = "finish_reason" | "finishReason",
    }
}

lenient! {
    /// What the model said, or a piece of it.
    Message {
        content: Text = "content",
        refusal: Text = "refusal",
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
    /// Tokens, as told.
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

lenient! {
    /// The list of models that a server offers.
    ModelList {
        data: Vec<ModelEntry> = "data" | "models",
    }
}

lenient! {
    /// One model of the list.
    ModelEntry {
        id: Text = "id" | "model" | "name",
    }
}

impl Tokens {
    /// The usage, unless nothing was told.
    pub(crate) fn usage(&self) -> Option<Usage> {
        if let (None, None, None) = (self.prompt.0, self.completion.0, self.total.0) {
            return None;
        }
        let mut usage = Usage::new(self.prompt.0.unwrap_or(0), self.completion.0.unwrap_or(0));
        usage.total_tokens = self.total.0.unwrap_or(usage.total_tokens);
        usage.cached_tokens = self.prompt_details.cached.0;
        usage.reasoning_tokens = self.completion_details.reasoning.0;
        Some(usage)
    }
}

impl Choice {
    /// Why the model stopped, where told.
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
    pub(crate) fn parse(json: &[u8]) -> Result<Self, TaskError> {
        serde_json::from_slice(json).map_err(|fault| not_a_reply(json, &fault))
    }

    /// The error that it is or carries. Looked for before any choices.
    pub(crate) fn take_error(&mut self) -> Option<ErrorBody> {
        let mut body = match std::mem::take(&mut self.error) {
            ErrorField::None => {
                let said = self.message.0.is_some() || !matches!(self.code, Code::None);
                let other = self.errors.0.is_some() || self.detail.0.is_some();
                if self.choices.is_some() || !(said || other) {
                    return None;
                }
                ErrorBody::default()
            }
            ErrorField::Text(text) => {
                let message = (!text.is_empty()).then_some(text);
                ErrorBody { message, is_bare: true, ..Default::default() }
            }
            ErrorField::Object(object) => ErrorBody {
                message: object.message.0,
                kind: object.kind.0,
                code: object.code,
                param: object.param.0,
                is_bare: false,
            },
        };
        let flat = [&mut self.message, &mut self.errors, &mut self.detail];
        for text in flat {
            body.message = body.message.or_else(|| text.0.take());
        }
        body.kind = body.kind.or_else(|| self.kind.0.take());
        if let Code::None = body.code {
            body.code = std::mem::take(&mut self.code);
        }
        Some(body)
    }
}

/// An error as providers tell it, in one shape.
#[derive(Debug, Default)]
pub(crate) struct ErrorBody {
    pub(crate) message: Option<String>,
    /// OpenAI's `type`.
    pub(crate) kind: Option<String>,
    pub(crate) code: Code,
    pub(crate) param: Option<String>,
    /// Nothing but a text: not one of the protocol's own errors.
    pub(crate) is_bare: bool,
}

impl ErrorBody {
    /// Reads an error from a reply's body, if there is one in it.
    pub(crate) fn parse(json: &[u8]) -> Option<Self> {
        serde_json::from_slice::<Chat>(json).ok()?.take_error()
    }

    /// Reads the inside of an error: what stands after `error:`.
    pub(crate) fn parse_inner(json: &[u8]) -> Option<Self> {
        let field: ErrorField = serde_json::from_slice(json).ok()?;
        Chat { error: field, ..Chat::default() }.take_error()
    }

    pub(crate) fn code_name(&self) -> Option<&str> {
        match &self.code {
            Code::Name(name) => Some(name),
            _ => None,
        }
    }

    pub(crate) fn numeric_code(&self) -> Option<u16> {
        match self.code {
            Code::Number(number) => u16::try_from(number).ok(),
            _ => None,
        }
    }

    /// Whether the error is about this field of the request.
    pub(crate) fn names(&self, field: &str) -> bool {
        let in_param = self.param.as_deref().is_some_and(|param| param.contains(field));
        in_param || self.message.as_deref().is_some_and(|text| text.contains(field))
    }
}

/// The field `error`: an object, a text, or nothing.
#[derive(Debug, Default)]
pub(crate) enum ErrorField {
    #[default]
    None,
    Text(String),
    Object(Box<ErrorObject>),
}

lenient! {
    /// The protocol's own error.
    ErrorObject {
        message: Text = "message",
        kind: Text = "type",
        code: Code = "code",
        param: Text = "param",
    }
}

impl<'de> Deserialize<'de> for ErrorField {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Any;
        impl<'de> Visitor<'de> for Any {
            type Value = ErrorField;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an error")
            }
            fn visit_unit<E: Error>(self) -> Result<ErrorField, E> {
                Ok(ErrorField::None)
            }
            fn visit_bool<E: Error>(self, is: bool) -> Result<ErrorField, E> {
                Ok(if is { ErrorField::Text(String::new()) } else { ErrorField::None })
            }
            fn visit_u64<E: Error>(self, number: u64) -> Result<ErrorField, E> {
                let code = Code::Number(number);
                Ok(ErrorField::Object(Box::new(ErrorObject { code, ..Default::default() })))
            }
            fn visit_str<E: Error>(self, text: &str) -> Result<ErrorField, E> {
                Ok(match text.is_empty() {
                    true => ErrorField::None,
                    false => ErrorField::Text(text.to_owned()),
                })
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<ErrorField, A::Error> {
                while seq.next_element::<IgnoredAny>()?.is_some() {}
                Ok(ErrorField::Text(String::new()))
            }
            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<ErrorField, A::Error> {
                let from = serde::de::value::MapAccessDeserializer::new(map);
                Ok(ErrorField::Object(Box::new(ErrorObject::deserialize(from)?)))
            }
        }
        from.deserialize_any(Any)
    }
}

/// Why a body is no reply, without a word of it: it may hold the prompt.
pub(crate) fn not_a_reply(body: &[u8], fault: &serde_json::Error) -> TaskError {
    use serde_json::error::Category;
    let protocol = |what| TaskError::new(ErrorKind::Protocol, what);
    let start = body.trim_ascii_start();
    if start.is_empty() {
        return protocol("the server's answer is empty");
    }
    if start[0] == b'<' {
        return protocol(
            "the server answered with a web page, not JSON: check api_endpoint (does it need \
             /v1 at its end?)",
        );
    }
    if std::str::from_utf8(body).is_err() {
        return protocol("the server's answer is not in UTF-8: it speaks another protocol");
    }
    match fault.classify() {
        Category::Eof => {
            TaskError::new(ErrorKind::Truncated, "the server's answer ends in the middle")
        }
        Category::Data => {
            protocol("the server's answer is JSON, but no chat completion: check api_endpoint")
        }
        _ => protocol("the server's answer is not JSON: check api_endpoint"),
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
        let usage = chat.usage.usage().unwrap();
        assert_eq!((usage.prompt_tokens, usage.total_tokens), (1, 3));
        assert_eq!((usage.cached_tokens, usage.reasoning_tokens), (None, Some(1)));
    }

    #[test]
    fn every_shape_of_error_is_found() {
        for (json, message, code) in [
            (r#"{"error":{"message":"m","code":"c"}}"#, Some("m"), Some("c")),
            (r#"{"error":"m"}"#, Some("m"), None),
            (r#"{"code":500,"message":"m"}"#, Some("m"), None),
            (r#"{"errors":["m","n"]}"#, Some("mn"), None),
            (r#"{"detail":"m"}"#, Some("m"), None),
            (r#"{"error":true,"message":"m"}"#, Some("m"), None),
        ] {
            let body = ErrorBody::parse(json.as_bytes()).unwrap();
            assert_eq!(body.message.as_deref(), message, "{json}");
            assert_eq!(body.code_name(), code, "{json}");
        }
        assert!(ErrorBody::parse(br#"{"choices":[],"code":null}"#).is_none());
        assert!(ErrorBody::parse(b"{}").is_none());
    }

    #[test]
    fn what_is_no_reply_gets_its_own_words() {
        let kind = |body: &[u8]| {
            let error = Chat::parse(body).unwrap_err();
            (error.kind(), error.summary().split(':').next().unwrap().to_owned())
        };
        for body in [&b""[..], b"<html>", b"\xff\xfe{", b"[1]", b"nope"] {
            assert_eq!(kind(body).0, ErrorKind::Protocol);
        }
        assert_eq!(kind(br#"{"choices":[{"mess"#).0, ErrorKind::Truncated);
        assert!(kind(b" <html>").1.contains("web page"));
    }
}
