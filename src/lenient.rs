//! Reading JSON that comes from many servers: what is not known is skipped, what is missing
//! or null is its type's default, and a wrong type where it does not matter is no failure.

use std::fmt;

use serde::de::{
    Deserialize, DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor,
};

/// Finds a key's position in a list of names, each with its other spellings.
pub(crate) struct Key(pub(crate) &'static [&'static [&'static str]]);

impl<'de> DeserializeSeed<'de> for Key {
    type Value = usize;
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<usize, D::Error> {
        deserializer.deserialize_identifier(self)
    }
}

impl Visitor<'_> for Key {
    type Value = usize;
    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a key")
    }
    fn visit_str<E: Error>(self, key: &str) -> Result<usize, E> {
        let place = self.0.iter().position(|names| names.contains(&key));
        Ok(place.unwrap_or(usize::MAX))
    }
}

/// Declares a struct that is read leniently from a JSON object. (serde's derive would do,
/// but it is another crate and a slower build.)
macro_rules! lenient {
    ($(#[$meta:meta])* $name:ident {
        $($field:ident: $type:ty = $key:literal $(| $alias:literal)*),* $(,)?
    }) => {
        $(#[$meta])*
        #[derive(Debug, Default)]
        pub(crate) struct $name {
            $(pub(crate) $field: $type),*
        }

        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
                struct Fields;
                impl<'de> serde::de::Visitor<'de> for Fields {
                    type Value = $name;
                    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                        f.write_str("an object")
                    }
                    fn visit_map<A: serde::de::MapAccess<'de>>(
                        self,
                        mut map: A,
                    ) -> Result<$name, A::Error> {
                        let mut out = $name::default();
                        let keys: &'static [&'static [&'static str]] =
                            &[$(&[$key $(, $alias)*]),*];
                        while let Some(key) =
                            map.next_key_seed($crate::lenient::Key(keys))?
                        {
                            let mut this = 0;
                            $(
                                if key == this {
                                    if let Some(value) = map.next_value::<Option<$type>>()? {
                                        out.$field = value;
                                    }
                                    continue;
                                }
                                this += 1;
                            )*
                            let _ = this;
                            map.next_value::<serde::de::IgnoredAny>()?;
                        }
                        Ok(out)
                    }
                }
                from.deserialize_map(Fields)
            }
        }
    };
}
pub(crate) use lenient;

/// A text; where another server sends parts, their texts joined; anything else is no text.
#[derive(Debug, Default)]
pub(crate) struct Text(pub(crate) Option<String>);

impl Text {
    pub(crate) fn as_str(&self) -> &str {
        self.0.as_deref().unwrap_or_default()
    }
}

lenient! {
    /// One part of a text in parts.
    Part { text: Text = "text" }
}

/// A JSON value as text: a string as it is, anything else as JSON. For tool arguments, which
/// some servers send as an object.
#[derive(Debug, Default)]
pub(crate) struct Raw(pub(crate) Option<String>);

/// A provider's code: a name, a number, or nothing.
#[derive(Debug, Default)]
pub(crate) enum Code {
    #[default]
    None,
    Name(String),
    Number(u64),
}

/// A count; nothing where it is no whole number.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct Count(pub(crate) Option<u64>);

/// Skips what a sequence holds.
fn skip_seq<'de, A: SeqAccess<'de>>(mut seq: A) -> Result<(), A::Error> {
    while seq.next_element::<IgnoredAny>()?.is_some() {}
    Ok(())
}

/// Skips what an object holds.
fn skip_map<'de, A: MapAccess<'de>>(mut map: A) -> Result<(), A::Error> {
    while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
    Ok(())
}

/// Reads any JSON value. What a type does not take becomes its default.
macro_rules! any_value {
    ($type:ident { $($method:item)* }) => {
        impl<'de> Deserialize<'de> for $type {
            fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
                struct Any;
                impl<'de> Visitor<'de> for Any {
                    type Value = $type;
                    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                        f.write_str("any value")
                    }
                    fn visit_unit<E: Error>(self) -> Result<$type, E> {
                        Ok($type::default())
                    }
                    fn visit_bool<E: Error>(self, _: bool) -> Result<$type, E> {
                        Ok($type::default())
                    }
                    fn visit_i64<E: Error>(self, _: i64) -> Result<$type, E> {
                        Ok($type::default())
                    }
                    $($method)*
                }
                from.deserialize_any(Any)
            }
        }
    };
}

any_value!(Text {
    fn visit_str<E: Error>(self, text: &str) -> Result<Text, E> {
        Ok(Text(Some(text.to_owned())))
    }
    fn visit_string<E: Error>(self, text: String) -> Result<Text, E> {
        Ok(Text(Some(text)))
    }
    fn visit_u64<E: Error>(self, _: u64) -> Result<Text, E> {
        Ok(Text(None))
    }
    fn visit_f64<E: Error>(self, _: f64) -> Result<Text, E> {
        Ok(Text(None))
    }
    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Text, A::Error> {
        let mut all = String::new();
        while let Some(part) = seq.next_element::<PartOrText>()? {
            all.push_str(part.0.as_str());
        }
        Ok(Text(Some(all)))
    }
    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Text, A::Error> {
        skip_map(map)?;
        Ok(Text(None))
    }
});

/// An element of a text in parts: an object with a text, or a text itself.
#[derive(Debug, Default)]
struct PartOrText(Text);

any_value!(PartOrText {
    fn visit_str<E: Error>(self, text: &str) -> Result<PartOrText, E> {
        Ok(PartOrText(Text(Some(text.to_owned()))))
    }
    fn visit_u64<E: Error>(self, _: u64) -> Result<PartOrText, E> {
        Ok(PartOrText::default())
    }
    fn visit_f64<E: Error>(self, _: f64) -> Result<PartOrText, E> {
        Ok(PartOrText::default())
    }
    fn visit_seq<A: SeqAccess<'de>>(self, seq: A) -> Result<PartOrText, A::Error> {
        skip_seq(seq)?;
        Ok(PartOrText::default())
    }
    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<PartOrText, A::Error> {
        let part = Part::deserialize(serde::de::value::MapAccessDeserializer::new(map))?;
        Ok(PartOrText(part.text))
    }
});

any_value!(Code {
    fn visit_str<E: Error>(self, text: &str) -> Result<Code, E> {
        Ok(match text.parse() {
            Ok(number) => Code::Number(number),
            Err(_) if text.is_empty() => Code::None,
            Err(_) => Code::Name(text.to_owned()),
        })
    }
    fn visit_u64<E: Error>(self, number: u64) -> Result<Code, E> {
        Ok(Code::Number(number))
    }
    fn visit_f64<E: Error>(self, _: f64) -> Result<Code, E> {
        Ok(Code::None)
    }
    fn visit_seq<A: SeqAccess<'de>>(self, seq: A) -> Result<Code, A::Error> {
        skip_seq(seq)?;
        Ok(Code::None)
    }
    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Code, A::Error> {
        skip_map(map)?;
        Ok(Code::None)
    }
});

any_value!(Count {
    fn visit_str<E: Error>(self, _: &str) -> Result<Count, E> {
        Ok(Count(None))
    }
    fn visit_u64<E: Error>(self, number: u64) -> Result<Count, E> {
        Ok(Count(Some(number)))
    }
    fn visit_f64<E: Error>(self, number: f64) -> Result<Count, E> {
        // Some servers count in floats. The cast saturates.
        Ok(Count((number >= 0.0 && number.fract() == 0.0).then_some(number as u64)))
    }
    fn visit_seq<A: SeqAccess<'de>>(self, seq: A) -> Result<Count, A::Error> {
        skip_seq(seq)?;
        Ok(Count(None))
    }
    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Count, A::Error> {
        skip_map(map)?;
        Ok(Count(None))
    }
});

impl<'de> Deserialize<'de> for Raw {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        // Depth is bounded by serde_json's own limit.
        Ok(Raw(match serde_json::Value::deserialize(from)? {
            serde_json::Value::Null => None,
            serde_json::Value::String(text) => Some(text),
            other => Some(other.to_string()),
        }))
    }
}
