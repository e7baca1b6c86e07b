//! JSON written part by part, so that a provider's opaque JSON goes out as it came; and the
//! elements of a list as they stand.

#[cfg(test)]
use std::io::Read;

use serde::Serialize;

use crate::http::Body;
use crate::lenient::JsonReader;
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

    /// The JSON as a text, unless it has pictures.
    pub(crate) fn into_text(self) -> Option<String> {
        String::from_utf8(self.bytes).ok().filter(|_| self.streamed.is_none())
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

/// The JSON of each of a list's elements, as it stands.
pub(crate) fn elements(list: &str) -> Vec<&str> {
    let mut found = Vec::new();
    JsonReader::new(list).list(|from| found.push(from.raw()));
    // The last one of a list that breaks off is no element.
    found.retain(|element| !element.is_empty());
    found
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
    fn elements_are_found_as_they_stand() {
        let list = r#" [ {"d":[1,2]} ,-3,"]", null ,[], 1.50 ]"#;
        assert_eq!(elements(list), [r#"{"d":[1,2]}"#, "-3", r#""]""#, "null", "[]", "1.50"]);
        for none in ["", "{}", "[]", "[", "nonsense"] {
            assert!(elements(none).is_empty(), "{none}");
        }
    }
}
