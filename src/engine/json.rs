//! JSON written piece by piece, so that a provider's opaque JSON goes out as it came; and the
//! elements of a list as they stand.

use serde::Serialize;

use crate::lenient::JsonReader;

/// JSON that grows.
pub(crate) struct Json(Vec<u8>);

impl Json {
    /// The JSON that this writes.
    pub(crate) fn written(write: impl FnOnce(&mut Self)) -> Vec<u8> {
        let mut json = Self(Vec::with_capacity(256));
        write(&mut json);
        json.0
    }

    /// An object with the members that this writes.
    pub(crate) fn object(&mut self, members: impl FnOnce(&mut Self)) {
        self.separate();
        self.0.push(b'{');
        members(self);
        self.0.push(b'}');
    }

    /// An array with the elements that this writes.
    pub(crate) fn array(&mut self, elements: impl FnOnce(&mut Self)) {
        self.separate();
        self.0.push(b'[');
        elements(self);
        self.0.push(b']');
    }

    /// The key of an object's next member; its value must follow.
    pub(crate) fn key(&mut self, key: &str) -> &mut Self {
        self.value(key);
        self.0.push(b':');
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
        let _ = serde_json::to_writer(&mut self.0, value);
    }

    /// A value that is JSON already.
    pub(crate) fn raw(&mut self, json: &str) {
        self.separate();
        self.0.extend_from_slice(json.as_bytes());
    }

    fn separate(&mut self) {
        if !matches!(self.0.last(), None | Some(b'{' | b'[' | b':')) {
            self.0.push(b',');
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
mod tests {
    use super::*;

    #[test]
    fn values_are_separated_and_raw_json_stays_as_it_is() {
        let json = Json::written(|json| {
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
        assert_eq!(String::from_utf8(json).unwrap(), expected);
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
