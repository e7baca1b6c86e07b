//! The members of a JSON object, each of which is named once.

use std::fmt;

use serde::Deserializer;
use serde::de::{Error, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};

/// The members of the object that is read.
///
/// # Errors
///
/// `no_object` for another kind of value; for a member that is there twice, its name. No error
/// quotes a value, as serde's own errors do.
pub(crate) fn members<'de, D: Deserializer<'de>>(
    deserializer: D,
    no_object: &'static str,
) -> Result<Map<String, Value>, D::Error> {
    deserializer.deserialize_any(Members(no_object))
}

struct Members(&'static str);

impl Members {
    fn reject<E: Error>(&self) -> Result<Map<String, Value>, E> {
        Err(E::custom(self.0))
    }
}

impl<'de> Visitor<'de> for Members {
    type Value = Map<String, Value>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut read: A) -> Result<Map<String, Value>, A::Error> {
        let mut members = Map::new();
        while let Some((name, value)) = read.next_entry::<String, Value>()? {
            if members.contains_key(&name) {
                // Readers differ in which one they take.
                return Err(A::Error::custom(format_args!("{name} is there twice: leave one out")));
            }
            members.insert(name, value);
        }
        Ok(members)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, _: A) -> Result<Map<String, Value>, A::Error> {
        self.reject()
    }

    fn visit_str<E: Error>(self, _: &str) -> Result<Map<String, Value>, E> {
        self.reject()
    }

    fn visit_f64<E: Error>(self, _: f64) -> Result<Map<String, Value>, E> {
        self.reject()
    }

    fn visit_i64<E: Error>(self, _: i64) -> Result<Map<String, Value>, E> {
        self.reject()
    }

    fn visit_u64<E: Error>(self, _: u64) -> Result<Map<String, Value>, E> {
        self.reject()
    }

    fn visit_bool<E: Error>(self, _: bool) -> Result<Map<String, Value>, E> {
        self.reject()
    }

    fn visit_unit<E: Error>(self) -> Result<Map<String, Value>, E> {
        self.reject()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_object_names_each_member_once_and_is_an_object() {
        for (json, fault) in [
            (r#"{"a":1,"b":{"a":2,"a":3}}"#, None),
            (r#"{"a":"secret","b":1,"a":"secret"}"#, Some("a is there twice")),
            (r#"["secret"]"#, Some("no object")),
            (r#""secret""#, Some("no object")),
            ("7", Some("no object")),
            ("-7", Some("no object")),
            ("7.5", Some("no object")),
            ("true", Some("no object")),
            ("null", Some("no object")),
        ] {
            let read = members(&mut serde_json::Deserializer::from_str(json), "no object");
            let found = read.err().map(|error| error.to_string());
            assert_eq!(found.is_some(), fault.is_some(), "{json}: {found:?}");
            let found = found.unwrap_or_default();
            assert!(found.starts_with(fault.unwrap_or_default()), "{json}: {found}");
            assert!(!found.contains("secret"), "{json}: {found}");
        }
    }
}
