//! A provider's error in one shape, whatever shape its server gave it.

use std::fmt;

use serde::de::{Deserialize, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};

use crate::lenient::{Code, Text, lenient};

lenient! {
    /// An error alone, nested or flat.
    Shape {
        error: ErrorField = "error",
        // The flat form of errors (Opik, vLLM) and what other frameworks say.
        message: Text = "message",
        kind: Text = "type",
        code: Code = "code",
        errors: Text = "errors",
        detail: Text = "details" | "detail",
    }
}

/// Everything by which a body can say that it is an error.
#[derive(Debug, Default)]
pub(crate) struct ErrorFields {
    pub(crate) error: ErrorField,
    pub(crate) message: Text,
    pub(crate) kind: Text,
    pub(crate) code: Code,
    pub(crate) errors: Text,
    pub(crate) detail: Text,
}

/// An error as providers tell it, in one shape.
#[derive(Debug, Default)]
pub(crate) struct ErrorBody {
    pub(crate) message: Option<String>,
    /// OpenAI's `type`.
    pub(crate) kind: Option<String>,
    pub(crate) code: Code,
    pub(crate) param: Option<String>,
    /// A finer code than `kind` in the error's details.
    pub(crate) detail_code: Option<String>,
    /// Nothing but a text: not one of the protocol's own errors.
    pub(crate) is_bare: bool,
}

impl ErrorBody {
    /// Reads an error from a body that is no reply, if there is one in it.
    pub(crate) fn parse(json: &[u8]) -> Option<Self> {
        let Shape { error, message, kind, code, errors, detail } =
            serde_json::from_slice(json).ok()?;
        Self::of(ErrorFields { error, message, kind, code, errors, detail }, false)
    }

    /// Reads the inside of an error: what stands after `error:`.
    pub(crate) fn parse_inner(json: &[u8]) -> Option<Self> {
        let error: ErrorField = serde_json::from_slice(json).ok()?;
        Self::of(ErrorFields { error, ..ErrorFields::default() }, false)
    }

    /// The error that these fields are, if they are one. Beside an answer the flat ones mean
    /// nothing.
    pub(crate) fn of(fields: ErrorFields, beside_answer: bool) -> Option<Self> {
        let ErrorFields { error, message, kind, code, errors, detail } = fields;
        let mut body = match error {
            ErrorField::None => {
                let is_said = message.0.is_some() || !matches!(code, Code::None);
                if beside_answer || !(is_said || errors.0.is_some() || detail.0.is_some()) {
                    return None;
                }
                Self::default()
            }
            ErrorField::Text(text) => {
                let message = (!text.is_empty()).then_some(text);
                Self { message, is_bare: true, ..Self::default() }
            }
            ErrorField::Object(object) => Self {
                message: object.message.0,
                kind: object.kind.0,
                code: object.code,
                param: object.param.0,
                detail_code: None,
                is_bare: false,
            },
        };
        body.message = body.message.or(message.0).or(errors.0).or(detail.0);
        body.kind = body.kind.or(kind.0);
        if let Code::None = body.code {
            body.code = code;
        }
        Some(body)
    }

    /// Plain text may say something; a web page is noise.
    pub(crate) fn of_text(body: &[u8]) -> Self {
        let text = std::str::from_utf8(body).ok();
        let message = text.filter(|text| !text.trim_start().starts_with('<')).map(str::to_owned);
        Self { message, ..Self::default() }
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

#[cfg(test)]
mod tests {
    use super::*;

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
}
