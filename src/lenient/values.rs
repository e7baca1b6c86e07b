//! The values that a reply is made of, each from whatever a server sends in its place.

use serde_json::{Map, Value};

use super::number::{any_number, whole_number};
use super::{JsonReader, Lenient, read_partly, whole};

/// A text. A number or word is its own spelling, an object with a `text` is that text, parts
/// are their texts joined, and any other object or list is its JSON: what a server sends where
/// the model's words belong is not lost. It may hold [halves](super::Joiner).
#[derive(Debug, Default)]
pub(crate) struct Text(pub(crate) Option<String>);

impl Text {
    pub(crate) fn as_str(&self) -> &str {
        self.0.as_deref().unwrap_or_default()
    }

    /// The text with its halves put together, if there is any.
    pub(crate) fn whole(self) -> Option<String> {
        self.0.map(whole)
    }
}

impl Lenient for Text {
    fn fits(_: u8) -> bool {
        true
    }

    fn read_into(&mut self, from: &mut JsonReader<'_>) {
        self.0 = match from.peek() {
            b'"' => string(from),
            b'[' if !from.is_deep() => of_list(from),
            b'{' if !from.is_deep() => {
                from.note_oddity();
                let raw = from.raw();
                let part = TextPart::of(from, raw);
                part.text.0.or_else(|| (!part.has_text).then(|| raw.to_owned()))
            }
            _ => {
                from.note_oddity();
                Some(from.raw().to_owned())
            }
        };
    }
}

fn string(from: &mut JsonReader<'_>) -> Option<String> {
    from.take_string().map(std::borrow::Cow::into_owned)
}

/// The text of a list: of its parts, or its JSON where it has other things than parts.
fn of_list(from: &mut JsonReader<'_>) -> Option<String> {
    let raw = from.raw();
    let (mut all, mut is_parts, mut any, mut dropped) = (String::new(), true, false, 0);
    from.within(raw).list(|element| {
        any = true;
        match element.peek() {
            _ if element.null() => {}
            b'"' => all.extend(string(element)),
            b'{' => {
                let raw = element.raw();
                let part = TextPart::of(element, raw);
                is_parts &= part.has_text || part.kind.0.is_some();
                match part.is_thought() {
                    true => {}
                    false if part.text.0.is_some() => all.push_str(part.text.as_str()),
                    false => dropped += 1,
                }
            }
            _ => {
                is_parts = false;
                element.skip();
            }
        }
    });
    (0..dropped).for_each(|_| from.note_oddity());
    match (any, is_parts) {
        (false, _) => None,
        (true, true) => Some(all),
        (true, false) => {
            from.note_oddity();
            Some(raw.to_owned())
        }
    }
}

/// A part of a text in parts, or an object in a text's place.
#[derive(Default)]
struct TextPart {
    kind: Label,
    text: Text,
    /// It says that it has a text, which may be null.
    has_text: bool,
}

impl TextPart {
    /// Of an object that the reader has skipped.
    fn of<'j>(from: &JsonReader<'j>, json: &'j str) -> Self {
        let (mut part, mut other) = (Self::default(), Text::default());
        from.within(json).object(&mut |from, key| match key {
            "type" => super::put(&mut part.kind, from),
            "text" => {
                part.has_text = true;
                super::put(&mut part.text, from);
            }
            "content" | "value" => super::put(&mut other, from),
            _ => from.skip(),
        });
        // `{"type":"text","content":"…"}`, and `{"value":"…"}` within a text.
        if !part.has_text && other.0.is_some() && matches!(part.kind.as_str(), "" | "text") {
            let is_text = !part.kind.as_str().is_empty() || json.contains("\"value\"");
            if is_text {
                (part.text, part.has_text) = (other, true);
            }
        }
        part
    }

    /// Whether it is the model's reasoning, and no part of the answer.
    fn is_thought(&self) -> bool {
        let kind = self.kind.as_str();
        kind.contains("thinking") || kind.contains("reasoning")
    }
}

/// A name: of a model, tool, type, reason or id. A number is its own spelling.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(crate) struct Label(pub(crate) Option<String>);

impl Label {
    pub(crate) fn as_str(&self) -> &str {
        self.0.as_deref().unwrap_or_default()
    }
}

impl Lenient for Label {
    fn fits(first: u8) -> bool {
        first == b'"' || first == b'-' || first.is_ascii_digit()
    }

    fn read_into(&mut self, from: &mut JsonReader<'_>) {
        match from.peek() {
            b'"' => self.0 = string(from).map(whole),
            first if Self::fits(first) => self.0 = Some(from.raw().to_owned()),
            _ => from.skip_odd(),
        }
    }
}

/// A JSON value as text: a string as it is, anything else as its JSON. For tool arguments,
/// which some servers send as an object.
#[derive(Debug, Default)]
pub(crate) struct Raw(pub(crate) Option<String>);

impl Lenient for Raw {
    fn fits(_: u8) -> bool {
        true
    }

    fn read_into(&mut self, from: &mut JsonReader<'_>) {
        self.0 = match from.peek() {
            b'"' => string(from),
            _ => Some(from.raw().to_owned()),
        };
    }
}

/// JSON as it stands, for what goes back to the provider verbatim.
#[derive(Debug, Default)]
pub(crate) struct Own(pub(crate) Option<Box<str>>);

impl Own {
    /// Of a text what it says, of anything else the JSON. It may hold [halves](super::Joiner).
    pub(crate) fn text(&self) -> String {
        match self.0.as_deref().unwrap_or_default() {
            json if self.is_text() => read_partly::<Text>(json).0.unwrap_or_default(),
            json => json.to_owned(),
        }
    }

    pub(crate) fn is_text(&self) -> bool {
        self.0.as_deref().is_some_and(|json| json.starts_with('"'))
    }
}

impl Lenient for Own {
    fn fits(_: u8) -> bool {
        true
    }

    /// JSON that a server would reject (a control character in a text, say) is written anew.
    fn read_into(&mut self, from: &mut JsonReader<'_>) {
        let raw = from.raw();
        let mended = || json_value(raw).map(|value| json_text(&value).into());
        self.0 = if is_json(raw) { Some(raw.into()) } else { mended() };
    }
}

/// A provider's code: a name, a number, or nothing.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) enum Code {
    #[default]
    None,
    Name(String),
    Number(u64),
}

impl Lenient for Code {
    fn fits(first: u8) -> bool {
        Label::fits(first)
    }

    fn read_into(&mut self, from: &mut JsonReader<'_>) {
        *self = match Label::read(from).0 {
            Some(text) if !text.is_empty() => match whole_number(&text) {
                Some(number) => Self::Number(number),
                None => Self::Name(text),
            },
            _ => Self::None,
        };
    }
}

/// A count, as a number or as one in a text; nothing where it is no whole number.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Count(pub(crate) Option<u64>);

impl Lenient for Count {
    fn fits(first: u8) -> bool {
        Label::fits(first)
    }

    fn read_into(&mut self, from: &mut JsonReader<'_>) {
        if from.peek() == b'"' {
            from.note_oddity();
        }
        self.0 = Label::read(from).0.and_then(|text| whole_number(text.trim()));
    }
}

/// Any JSON value, read leniently; nothing where the text is not exactly one.
///
/// (serde_json's own parser would take 18 KB of each program with HTTP, where nothing else needs
/// it.)
pub(crate) fn json_value(text: &str) -> Option<Value> {
    value_of(text).map(|(value, _)| value)
}

/// The JSON of a value. (Its `Display` brings a serializer of its own with it.)
pub(crate) fn json_text(value: &Value) -> String {
    // JSON values can always be written.
    serde_json::to_string(value).unwrap_or_default()
}

/// The same as [`json_value`]; nothing, too, where anything about the text is odd.
pub(crate) fn exact_value(text: &str) -> Option<Value> {
    value_of(text).filter(|(_, is_exact)| *is_exact).map(|(value, _)| value)
}

/// The text that a JSON string means; nothing where anything about it is odd.
pub(crate) fn exact_text(json: &str) -> Option<String> {
    let mut from = JsonReader::new(json);
    let text = string(&mut from);
    text.filter(|_| from.is_grammatical() && from.oddities() == 0)
}

fn value_of(text: &str) -> Option<(Value, bool)> {
    let mut from = JsonReader::new(text);
    let value = value(&mut from);
    let is_value = from.fault().is_none() && from.rest().trim().is_empty();
    is_value.then_some((value, from.is_grammatical() && from.oddities() == 0))
}

/// Whether a text is one JSON value to the letter.
pub(crate) fn is_json(text: &str) -> bool {
    let mut from = JsonReader::new(text);
    pass(&mut from);
    from.is_grammatical()
}

/// Reads past a value, and looks at all of it. (The reader bounds the depth.)
fn pass(from: &mut JsonReader<'_>) {
    match from.peek() {
        b'"' => drop(from.take_string()),
        b'{' => from.object(&mut |from, _| pass(from)),
        b'[' => from.list(pass),
        _ => from.skip(),
    }
}

/// (The reader bounds the depth.)
fn value(from: &mut JsonReader<'_>) -> Value {
    match from.peek() {
        b'"' => string(from).map(whole).into(),
        b'{' => {
            let mut map = Map::new();
            from.object(&mut |from, key| {
                let key = whole(key.to_owned());
                let value = value(from);
                map.insert(key, value);
            });
            map.into()
        }
        b'[' => {
            let mut list = Vec::new();
            from.list(|from| list.push(value(from)));
            list.into()
        }
        _ => match from.raw() {
            "true" => true.into(),
            "false" => false.into(),
            "null" => Value::Null,
            word => any_number(word).map_or_else(
                // One that is none, or too large for one, is null.
                || {
                    from.note_oddity();
                    Value::Null
                },
                Value::Number,
            ),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::super::{lenient, read};
    use super::*;

    lenient! {
        All { text: Text = "t", name: Label = "n", raw: Raw = "r", code: Code = "c", count: Count = "u" }
    }

    fn all(value: &str) -> All {
        let json = format!(r#"{{"t":{value},"n":{value},"r":{value},"c":{value},"u":{value}}}"#);
        read(&json).unwrap().value
    }

    #[test]
    fn any_value_can_stand_in_a_text_s_place() {
        for (json, text) in [
            (r#""a""#, Some("a")),
            ("6", Some("6")),
            ("1.50", Some("1.50")),
            ("12345678901234567890123", Some("12345678901234567890123")),
            ("true", Some("true")),
            ("null", None),
            (r#"{"text":"a"}"#, Some("a")),
            (r#"{"type":"text","text":{"value":"a","annotations":[]}}"#, Some("a")),
            (r#"{"type":"text","text":null}"#, None),
            (r#"{"type":"text","content":"a"}"#, Some("a")),
            (r#"{"answer": 1.0}"#, Some(r#"{"answer": 1.0}"#)),
            ("{}", Some("{}")),
            ("[]", None),
            (r#"["a",{"type":"text","text":"b"},{"text":3},null]"#, Some("ab3")),
            (
                r#"[{"type":"thinking","thinking":[{"text":"x"}]},{"type":"text","text":"b"}]"#,
                Some("b"),
            ),
            (r#"[{"type":"image_url","image_url":{}},"b"]"#, Some("b")),
            ("[1, 2]", Some("[1, 2]")),
            (r#"[{"a":1}]"#, Some(r#"[{"a":1}]"#)),
        ] {
            assert_eq!(all(json).text.0.as_deref(), text, "{json}");
        }
    }

    #[test]
    fn a_value_of_another_type_is_the_default() {
        for json in ["[]", "{}", "true", "[[1]]", "null", "{\"a\":{}}"] {
            let all = all(json);
            assert_eq!((all.name.0, all.code, all.count.0), (None, Code::None, None), "{json}");
        }
        assert_eq!(all("7").name.as_str(), "7");
        for (json, count) in
            [("7", Some(7)), ("\"7\"", Some(7)), ("7.0", Some(7)), ("-7", None), ("\"x\"", None)]
        {
            assert_eq!(all(json).count.0, count, "{json}");
        }
        assert_eq!(all("\"429\"").code, Code::Number(429));
        assert_eq!(all("\"slow\"").code, Code::Name("slow".into()));
        assert_eq!(all("{\"b\": 1.50}").raw.0.as_deref(), Some("{\"b\": 1.50}"));
    }

    #[test]
    fn json_with_oddities_becomes_a_value() {
        let value = json_value("{\"a\":[1,NaN,\"x\u{1}\\ud83d\"],\"b\":1e999,}").unwrap();
        assert_eq!(value.to_string(), r#"{"a":[1,null,"x\u0001�"],"b":null}"#);
        for none in ["", "{", "{} {}", "ping"] {
            assert_eq!(json_value(none), None, "{none}");
        }
    }
}
