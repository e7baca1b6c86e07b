//! Members that a server requires back unchanged with the tools' results: signatures and reasoning.

use std::borrow::Cow;

use serde_json::Value;

use crate::engine::draft::{BadReply, Draft};
use crate::engine::json::{Json, elements};
use crate::engine::message::Opaque;
use crate::lenient::{JsonReader, Lenient, Own, Text, json_text, json_value, read_partly, whole};

/// Members of a message or call that go back, each with its JSON so far.
#[derive(Debug, Default)]
pub(super) struct Back(Vec<(&'static str, Grown)>);

/// A member that is sent back, or a delta of it.
#[derive(Debug, Default)]
pub(super) enum Piece {
    #[default]
    None,
    Text(String),
    Other(Opaque),
}

impl Lenient for Piece {
    fn fits(_: u8) -> bool {
        true
    }

    fn read_into(&mut self, from: &mut JsonReader<'_>) {
        *self = match from.peek() {
            b'"' => Self::Text(Text::read(from).0.unwrap_or_default()),
            _ => Own::read(from).0.map_or(Self::None, Self::Other),
        };
    }
}

impl Piece {
    /// The text for people.
    pub(super) fn text(&self) -> Cow<'_, str> {
        match self {
            Self::None => "".into(),
            Self::Text(text) => text.into(),
            Self::Other(json) => read_partly::<Text>(json).0.unwrap_or_default().into(),
        }
    }
}

/// A member so far.
#[derive(Debug)]
enum Grown {
    /// Texts are joined.
    Text(String),
    /// Lists are joined too, deltas of one element within them.
    List(Vec<Opaque>),
    /// Of anything else the last counts.
    Other(Opaque),
}

impl Grown {
    fn new(piece: Piece) -> Option<Self> {
        Some(match piece {
            Piece::None => return None,
            Piece::Text(text) => Self::Text(text),
            Piece::Other(json) if json.starts_with('[') => {
                Self::List(elements(&json).into_iter().map(Opaque::from).collect())
            }
            Piece::Other(json) => Self::Other(json),
        })
    }

    fn grow(&mut self, piece: Self) {
        match (self, piece) {
            (Self::Text(text), Self::Text(more)) => text.push_str(&more),
            (Self::List(list), Self::List(more)) => {
                for element in more {
                    let both = list.last().and_then(|last| joined(last, &element));
                    match (list.last_mut(), both) {
                        (Some(last), Some(both)) => *last = both,
                        _ => list.push(element),
                    }
                }
            }
            (place, new) => *place = new,
        }
    }
}

impl Back {
    /// Notes a member, or a delta of one.
    pub(super) fn add(
        &mut self,
        key: &'static str,
        piece: Piece,
        draft: &mut Draft,
    ) -> Result<(), BadReply> {
        draft.keep(match &piece {
            Piece::None => return Ok(()),
            Piece::Text(text) => text.len(),
            Piece::Other(json) => json.len(),
        })?;
        let is_nothing = match &piece {
            Piece::Other(json) => matches!(&**json, "[]" | "{}"),
            _ => true,
        };
        draft.has_reasoned |= key.starts_with("reasoning") && !is_nothing;
        let Some(new) = Grown::new(piece) else { return Ok(()) };
        match self.0.iter_mut().find(|(other, _)| *other == key) {
            Some((_, grown)) => grown.grow(new),
            None => self.0.push((key, new)),
        }
        Ok(())
    }

    /// All of it as the members of one object, if there is any.
    pub(super) fn into_opaque(self) -> Option<Opaque> {
        if self.0.is_empty() {
            return None;
        }
        let json = Json::new(|json| {
            json.object(|json| {
                for (key, grown) in self.0 {
                    let json = json.key(key);
                    match grown {
                        Grown::Text(text) => json.value(&whole(text)),
                        Grown::List(list) => {
                            json.array(|json| list.iter().for_each(|one| json.raw(one)));
                        }
                        Grown::Other(own) => json.raw(&own),
                    }
                }
            });
        });
        json.into_text().map(Into::into)
    }
}

/// Writes the members that [`Back::into_opaque`] gave into an object.
pub(super) fn write(opaque: Option<&Opaque>, json: &mut Json) {
    if let Some(opaque) = opaque {
        JsonReader::new(opaque).object(&mut |from, key| json.key(key).raw(from.raw()));
    }
}

/// Two deltas of one element of `reasoning_details`, if they are that: they have the same index
/// and type, and texts that go on.
fn joined(first: &str, second: &str) -> Option<Opaque> {
    let [Value::Object(mut first), Value::Object(second)] =
        [json_value(first)?, json_value(second)?]
    else {
        return None;
    };
    let same = |key: &str| first.get(key).is_some() && first.get(key) == second.get(key);
    if !(same("index") && same("type")) {
        return None;
    }
    for (key, value) in second {
        let goes_on = matches!(key.as_str(), "text" | "summary" | "data");
        match (first.get_mut(&key), value) {
            (Some(Value::String(text)), Value::String(more)) if goes_on => text.push_str(&more),
            (Some(_), Value::Null) => {}
            (_, value) => {
                first.insert(key, value);
            }
        }
    }
    Some(json_text(&Value::Object(first)).into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lenient::read;

    fn back(members: &[(&'static str, &str)]) -> Option<String> {
        let (mut back, mut draft) = (Back::default(), Draft::new(1000));
        for (key, json) in members {
            back.add(key, read(json).unwrap().value, &mut draft).unwrap();
        }
        back.into_opaque().map(String::from)
    }

    #[test]
    fn what_came_in_pieces_goes_back_whole() {
        assert_eq!(back(&[]), None);
        let one = [("a", r#"{ "x": 1.50 }"#)];
        assert_eq!(back(&one).unwrap(), r#"{"a":{ "x": 1.50 }}"#);
        let texts = [("a", r#""1\n""#), ("b", "7"), ("a", r#""2""#), ("b", "8")];
        assert_eq!(back(&texts).unwrap(), r#"{"a":"1\n2","b":8}"#);
        let lists = [
            ("d", r#"[{"type":"t","index":0,"text":"a","signature":null}]"#),
            (
                "d",
                r#"[{"type":"t","index":0,"text":"b","signature":"s"},{"type":"e", "data":"x"}]"#,
            ),
            ("d", r#"[{"type":"e", "data":"y"}]"#),
        ];
        assert_eq!(
            back(&lists).unwrap(),
            r#"{"d":[{"index":0,"signature":"s","text":"ab","type":"t"},{"type":"e", "data":"x"},{"type":"e", "data":"y"}]}"#
        );
    }
}
