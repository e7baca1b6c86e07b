//! Reads JSON that comes from many servers. Unknown members are skipped; a member that is missing,
//! null or of a type that makes no sense there is its type's default; no member fails the whole.
//! Deviations that were understood are counted.

mod halves;
mod number;
mod plain;
mod reader;
mod values;

use std::borrow::Cow;

pub(crate) use halves::{Joiner, whole};
pub(crate) use reader::{JsonFault, JsonReader};
pub(crate) use values::{
    Code, Count, Label, Own, Raw, Text, exact_text, exact_value, is_json, json_text, json_value,
};

/// A type that can be read from any JSON value.
pub(crate) trait Lenient: Default {
    /// Whether a value that begins with this byte is of the type.
    fn fits(first: u8) -> bool;

    /// Reads a value that is not null into this place (values are read where they stay: moving
    /// large ones costs more than reading them). One of another type is skipped.
    fn read_into(&mut self, from: &mut JsonReader<'_>);

    /// Reads a value that is not null. One of another type becomes the default.
    fn read(from: &mut JsonReader<'_>) -> Self {
        let mut value = Self::default();
        value.read_into(from);
        value
    }
}

/// Reads a value into a place, unless it is null.
fn put<T: Lenient>(place: &mut T, from: &mut JsonReader<'_>) {
    if !from.null() {
        place.read_into(from);
    }
}

impl<T: Lenient> Lenient for Option<T> {
    fn fits(first: u8) -> bool {
        T::fits(first)
    }

    fn read_into(&mut self, from: &mut JsonReader<'_>) {
        match T::fits(from.peek()) {
            true => self.insert(T::default()).read_into(from),
            false => from.skip_odd(),
        }
    }
}

impl<T: Lenient> Lenient for Box<T> {
    fn fits(first: u8) -> bool {
        T::fits(first)
    }

    fn read_into(&mut self, from: &mut JsonReader<'_>) {
        (**self).read_into(from);
    }
}

impl<T: Lenient> Lenient for Vec<T> {
    fn fits(first: u8) -> bool {
        matches!(first, b'[' | b'{')
    }

    /// One element where a list is expected is a list of one.
    fn read_into(&mut self, from: &mut JsonReader<'_>) {
        self.clear();
        let mut add = |from: &mut JsonReader<'_>| {
            if self.is_empty() {
                // Most lists have one element.
                self.reserve_exact(1);
            }
            self.push(T::default());
            self.last_mut().into_iter().for_each(|last| put(last, from));
        };
        match from.peek() {
            b'[' => from.list(add),
            first if T::fits(first) => {
                from.note_oddity();
                add(from);
            }
            _ => from.skip_odd(),
        }
    }
}

/// Declares a struct that is read leniently from a JSON object.
macro_rules! lenient {
    ($(#[$meta:meta])* $name:ident {
        $($field:ident: $type:ty = $key:literal $(| $alias:literal)*),* $(,)?
    }) => {
        $(#[$meta])*
        #[derive(Debug, Default)]
        pub(crate) struct $name {
            $(pub(crate) $field: $type),*
        }

        impl $crate::lenient::Lenient for $name {
            fn fits(first: u8) -> bool {
                first == b'{'
            }

            fn read_into(&mut self, from: &mut $crate::lenient::JsonReader<'_>) {
                from.fill(&mut |from, key| match key {
                    $($key $(| $alias)* => self.$field.read_into(from),)*
                    _ => from.skip(),
                });
            }
        }
    };
}
pub(crate) use lenient;

/// Bytes as text; what is not in UTF-8 becomes U+FFFD.
pub(crate) fn utf8(bytes: &[u8]) -> Cow<'_, str> {
    String::from_utf8_lossy(bytes)
}

/// A value that was read.
#[derive(Debug)]
pub(crate) struct Parsed<'j, T> {
    pub(crate) value: T,
    /// The text after the value, without white space around it.
    pub(crate) rest: &'j str,
    /// How much was odd but understood.
    pub(crate) oddities: u32,
}

/// Reads the first value of a text.
///
/// # Errors
///
/// Where the text is no JSON, or ends within the value.
pub(crate) fn read<T: Lenient>(text: &str) -> Result<Parsed<'_, T>, JsonFault> {
    let (mut from, mut value) = (JsonReader::new(text), T::default());
    put(&mut value, &mut from);
    match from.fault() {
        Some(fault) => Err(fault),
        None => Ok(Parsed { value, rest: from.rest().trim(), oddities: from.oddities() }),
    }
}

/// Reads the first value of a text as far as it came: an error may end anywhere.
pub(crate) fn read_partly<T: Lenient>(text: &str) -> T {
    let mut value = T::default();
    put(&mut value, &mut JsonReader::new(text));
    value
}
