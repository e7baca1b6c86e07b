//! Reading JSON that comes from many servers. The one promise: what is not known is skipped,
//! what is missing or null is its type's default, and so is what has a type that makes no sense
//! there; no member fails the whole. What was odd but understood is counted.

mod halves;
mod reader;
mod values;

use std::borrow::Cow;

pub(crate) use halves::{Joiner, whole};
pub(crate) use reader::{Fault, Reader};
pub(crate) use values::{Code, Count, Name, Own, Raw, Text, json_value};

/// What can be read from any JSON value.
pub(crate) trait Lenient: Default {
    /// Whether a value that begins with this byte is of the type.
    fn fits(first: u8) -> bool;

    /// Reads a value that is not null. One of another type becomes the default.
    fn read(from: &mut Reader<'_>) -> Self;
}

/// Reads a member's value into a place, unless it is null.
#[inline]
pub(crate) fn put<T: Lenient>(place: &mut T, from: &mut Reader<'_>) {
    if !from.null() {
        *place = T::read(from);
    }
}

impl<T: Lenient> Lenient for Option<T> {
    fn fits(first: u8) -> bool {
        T::fits(first)
    }

    fn read(from: &mut Reader<'_>) -> Self {
        if T::fits(from.peek()) {
            return Some(T::read(from));
        }
        from.skip();
        from.note_oddity();
        None
    }
}

impl<T: Lenient> Lenient for Vec<T> {
    fn fits(first: u8) -> bool {
        matches!(first, b'[' | b'{')
    }

    /// One object where a list is expected is a list of one.
    fn read(from: &mut Reader<'_>) -> Self {
        let mut all = Self::new();
        match from.peek() {
            b'[' => from.list(|from| {
                let mut one = T::default();
                put(&mut one, from);
                all.push(one);
            }),
            b'{' => {
                from.note_oddity();
                all.push(T::read(from));
            }
            _ => {
                from.skip();
                from.note_oddity();
            }
        }
        all
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

            fn read(from: &mut $crate::lenient::Reader<'_>) -> Self {
                let mut out = Self::default();
                if !Self::fits(from.peek()) {
                    from.skip();
                    from.note_oddity();
                    return out;
                }
                from.object(|from, key| match key {
                    $($key $(| $alias)* => $crate::lenient::put(&mut out.$field, from),)*
                    _ => from.skip(),
                });
                out
            }
        }
    };
}
pub(crate) use lenient;

/// Bytes as text; what is not in UTF-8 becomes U+FFFD.
pub(crate) fn utf8(bytes: &[u8]) -> Cow<'_, str> {
    String::from_utf8_lossy(bytes)
}

/// What was read.
#[derive(Debug)]
pub(crate) struct Found<'j, T> {
    pub(crate) value: T,
    /// What follows the value, without white space around it.
    pub(crate) rest: &'j str,
    /// How much was odd but understood.
    pub(crate) oddities: u32,
}

/// Reads the first value of a text.
///
/// # Errors
///
/// Where the text is no JSON, or ends within the value.
pub(crate) fn read<T: Lenient>(text: &str) -> Result<Found<'_, T>, Fault> {
    let mut from = Reader::new(text);
    let mut value = T::default();
    put(&mut value, &mut from);
    match from.fault() {
        Some(fault) => Err(fault),
        None => Ok(Found { value, rest: from.rest().trim(), oddities: from.oddities() }),
    }
}

/// Reads the first value of a text as far as it came: an error may end anywhere.
pub(crate) fn read_partly<T: Lenient>(text: &str) -> T {
    let mut value = T::default();
    put(&mut value, &mut Reader::new(text));
    value
}
