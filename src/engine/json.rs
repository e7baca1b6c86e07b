//! JSON written piece by piece, so that a provider's opaque JSON goes out as it came; and pieces
//! of JSON found without reading them.

#[cfg(test)]
use std::io::Read;

use serde::Serialize;
use serde::de::IgnoredAny;

use crate::http::Body;
use crate::splice::Streamed;
use crate::task::Image;

/// JSON that grows.
pub(crate) struct Json {
    bytes: Vec<u8>,
    /// Pictures whose bytes, if any, belong into it as base64, each with its place.
    images: Vec<(usize, Image)>,
    /// All of it, once it is written, if it has pictures.
    streamed: Option<Streamed>,
}

impl Json {
    /// The JSON that this writes.
    pub(crate) fn new(write: impl FnOnce(&mut Self)) -> Self {
        let bytes = Vec::with_capacity(256);
        let mut json = Self { bytes, images: Vec::new(), streamed: None };
        write(&mut json);
        json.splice();
        json
    }

    // Out of line: once for each protocol.
    #[inline(never)]
    fn splice(&mut self) {
        if let Some((_, image)) = self.images.first() {
            self.streamed = Some(image.splice(std::mem::take(&mut self.bytes), &self.images));
        }
    }

    /// The JSON as a request's body.
    pub(crate) fn body(&self) -> Body<'_> {
        match &self.streamed {
            Some(streamed) => Body::Streamed(streamed),
            None => Body::Bytes(&self.bytes),
        }
    }

    /// An object with the members that this writes.
    pub(crate) fn object(&mut self, members: impl FnOnce(&mut Self)) {
        self.open(b'{');
        members(self);
        self.close(b'}');
    }

    /// An array with the elements that this writes.
    pub(crate) fn array(&mut self, elements: impl FnOnce(&mut Self)) {
        self.open(b'[');
        elements(self);
        self.close(b']');
    }

    /// The key of an object's next member; its value must follow.
    pub(crate) fn key(&mut self, key: &str) -> &mut Self {
        self.value(key);
        self.close(b':');
        self
    }

    /// A member with a text.
    pub(crate) fn text(&mut self, key: &str, text: &str) {
        self.key(key).value(text);
    }

    /// A value.
    pub(crate) fn value(&mut self, value: &(impl Serialize + ?Sized)) {
        self.separate();
        // Memory takes all, and texts and JSON values can always be written.
        let _ = serde_json::to_writer(&mut self.bytes, value);
    }

    /// A text: the picture's URL, or its bytes as a data URL.
    pub(crate) fn image_url(&mut self, image: &Image) {
        self.encoded(&image.reference(), image);
    }

    /// A text: this prefix, and the picture's bytes as base64 if it has any.
    pub(crate) fn encoded(&mut self, prefix: &str, image: &Image) {
        self.value(prefix);
        // Before the text's closing quote.
        self.images.push((self.bytes.len() - 1, image.clone()));
    }

    /// A value that is JSON already.
    pub(crate) fn raw(&mut self, json: &str) {
        self.separate();
        self.bytes.extend_from_slice(json.as_bytes());
    }

    // Out of line: objects and arrays are begun and ended in dozens of places.
    #[inline(never)]
    fn open(&mut self, begin: u8) {
        self.separate();
        self.bytes.push(begin);
    }

    #[inline(never)]
    fn close(&mut self, end: u8) {
        self.bytes.push(end);
    }

    fn separate(&mut self) {
        if !matches!(self.bytes.last(), None | Some(b'{' | b'[' | b':')) {
            self.bytes.push(b',');
        }
    }
}

/// The bytes of the value that an object has under a key.
pub(crate) fn member<'j>(object: &'j str, key: &str) -> Option<&'j str> {
    let mut rest = object.trim_start().strip_prefix('{')?;
    loop {
        let name = first(rest)?;
        rest = after(rest, name).strip_prefix(':')?;
        let value = first(rest)?;
        // Keys that need no escape are all that is asked for.
        if name.strip_prefix('"').and_then(|name| name.strip_suffix('"')) == Some(key) {
            return Some(value);
        }
        rest = after(rest, value).strip_prefix(',')?;
    }
}

/// The bytes of each of an array's elements.
pub(crate) fn elements(array: &str) -> Vec<&str> {
    let mut found = Vec::new();
    let mut rest = array.trim_start().strip_prefix('[').unwrap_or_default();
    while let Some(element) = first(rest) {
        found.push(element);
        let Some(next) = after(rest, element).strip_prefix(',') else { break };
        rest = next;
    }
    found
}

/// The first JSON value of a text.
fn first(text: &str) -> Option<&str> {
    let text = text.trim_start();
    let mut values =
        serde_json::Deserializer::from_slice(text.as_bytes()).into_iter::<IgnoredAny>();
    // A number or word is followed by a comma or bracket here, which is an error that comes
    // after the value's end is known.
    let is_value = values.next()?.is_ok();
    let end = if is_value { values.byte_offset() } else { scalar_end(text)? };
    text.get(..end)
}

/// Where a number or one of JSON's words ends.
fn scalar_end(text: &str) -> Option<usize> {
    let end = text.find([',', ']', '}']).unwrap_or(text.len());
    let scalar = text.get(..end)?.trim_end();
    serde_json::from_str::<IgnoredAny>(scalar).ok().map(|_| scalar.len())
}

/// What follows a value within a text, without white space.
fn after<'t>(text: &'t str, value: &str) -> &'t str {
    let start = text.len() - text.trim_start().len();
    text.get(start + value.len()..).unwrap_or_default().trim_start()
}

#[cfg(test)]
impl Json {
    /// All that is sent.
    pub(crate) fn sent(self) -> Vec<u8> {
        match self.streamed {
            Some(streamed) => {
                let mut all = Vec::new();
                (streamed.open)().read_to_end(&mut all).unwrap();
                all
            }
            None => self.bytes,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_separated_and_raw_json_stays_as_it_is() {
        let json = Json::new(|json| {
            json.object(|json| {
                json.text("a", "b\"");
                json.key("list").array(|json| {
                    json.value(&1);
                    json.raw("{ \"x\":1.0 }");
                    json.array(|_| {});
                    json.object(|json| json.key("y").value(&true));
                });
                json.key("z").object(|_| {});
            });
        });
        let expected = r#"{"a":"b\"","list":[1,{ "x":1.0 },[],{"y":true}],"z":{}}"#;
        assert_eq!(String::from_utf8(json.sent()).unwrap(), expected);
    }

    #[test]
    fn pieces_are_found_as_they_stand() {
        let object = r#" {"a" : 1.50 , "b":"x\"}]" ,"c": [ {"d":[1,2]} ,-3,"]", null ,[]] }"#;
        assert_eq!(member(object, "a"), Some("1.50"));
        assert_eq!(member(object, "b"), Some(r#""x\"}]""#));
        let list = member(object, "c").unwrap();
        assert_eq!(elements(list), [r#"{"d":[1,2]}"#, "-3", r#""]""#, "null", "[]"]);
        assert_eq!(member(object, "d"), None);
        for none in ["", "[]", "{}", "{\"a\"", "{\"a\":", "{\"a\":}", "{1:2}", "nonsense"] {
            assert_eq!(member(none, "a"), None, "{none}");
        }
        for none in ["", "{}", "[]", "[", "nonsense"] {
            assert!(elements(none).is_empty(), "{none}");
        }
    }
}
