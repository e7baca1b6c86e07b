//! Reads JSON from front to back, and more than serde_json does, since servers send it: control
//! characters in strings, halves of surrogate pairs, NaN, a comma too many. Deviations are
//! counted; text that makes no sense is a fault, and ends the reading.

use std::borrow::Cow;

use super::halves;
use super::number::is_json_number;
use super::plain::plain_length;

/// Deepest nesting that is read, as in serde_json.
const DEPTH_MAX: u32 = 127;
/// From this depth on nothing is read that may hold another of its kind: a helper's stack is small.
const DEEP: u32 = 24;

/// Why a text is no JSON.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum JsonFault {
    /// It ends in the middle.
    Ended,
    /// It breaks the rules where its meaning is not plain.
    NotJson,
}

/// A reader at some place of a text. After a fault there is nothing more to read.
#[derive(Debug)]
pub(crate) struct JsonReader<'j> {
    text: &'j str,
    at: usize,
    depth: u32,
    fault: Option<JsonFault>,
    oddities: u32,
    /// Whether one of the oddities is against JSON's grammar.
    is_ungrammatical: bool,
}

impl<'j> JsonReader<'j> {
    pub(crate) fn new(text: &'j str) -> Self {
        let unmarked = text.strip_prefix('\u{feff}');
        let (is_ungrammatical, text) = (unmarked.is_some(), unmarked.unwrap_or(text));
        Self { text, at: 0, depth: 0, fault: None, oddities: 0, is_ungrammatical }
    }

    /// A reader of a value that this one has skipped, as deep as that stands.
    pub(crate) fn within(&self, value: &'j str) -> Self {
        Self { depth: self.depth, ..Self::new(value) }
    }

    /// Whether what may hold another of its kind is too deep here to be read.
    pub(crate) fn is_deep(&self) -> bool {
        self.depth >= DEEP
    }

    pub(crate) fn fault(&self) -> Option<JsonFault> {
        self.fault
    }

    /// How much was odd but understood.
    pub(crate) fn oddities(&self) -> u32 {
        self.oddities
    }

    pub(crate) fn note_oddity(&mut self) {
        self.oddities = self.oddities.saturating_add(1);
    }

    /// Notes what is against JSON's grammar, though its meaning is plain.
    fn note_ungrammatical(&mut self) {
        self.is_ungrammatical = true;
        self.note_oddity();
    }

    /// Whether all that was read, which must be all there is, is JSON to the letter.
    pub(super) fn is_grammatical(&self) -> bool {
        self.fault.is_none() && !self.is_ungrammatical && self.rest().trim().is_empty()
    }

    /// The text that has not been read.
    pub(crate) fn rest(&self) -> &'j str {
        self.text.get(self.at..).unwrap_or_default()
    }

    /// The first byte of the next value or sign; zero at the end.
    #[inline]
    pub(crate) fn peek(&mut self) -> u8 {
        let bytes = self.text.as_bytes();
        loop {
            match bytes.get(self.at) {
                Some(b' ' | b'\n' | b'\r' | b'\t') => self.at += 1,
                Some(byte) => return *byte,
                None => return 0,
            }
        }
    }

    fn fail(&mut self, fault: JsonFault) {
        self.fault.get_or_insert(fault);
        self.at = self.text.len();
    }

    /// Notes that something else was expected here.
    fn unexpected(&mut self) {
        let fault = if self.peek() == 0 { JsonFault::Ended } else { JsonFault::NotJson };
        self.fail(fault);
    }

    /// Takes this sign, if it comes next.
    #[inline]
    fn take(&mut self, sign: u8) -> bool {
        let is_next = self.peek() == sign;
        self.at += usize::from(is_next);
        is_next
    }

    /// Takes null, if it comes next.
    #[inline]
    pub(crate) fn null(&mut self) -> bool {
        let is_next = self.peek() == b'n' && self.rest().starts_with("null");
        self.at += if is_next { 4 } else { 0 };
        is_next
    }

    /// Skips a value of a type that was not expected.
    pub(crate) fn skip_odd(&mut self) {
        self.skip();
        self.note_oddity();
    }

    /// Reads the members of an object that are not null; `member` must take each value. A value
    /// of another type is skipped.
    pub(crate) fn fill(&mut self, member: &mut dyn FnMut(&mut Self, &str)) {
        if self.peek() != b'{' {
            return self.skip_odd();
        }
        self.object(&mut |from, key| {
            if !from.null() {
                member(from, key);
            }
        });
    }

    /// Reads an object; `member` must take each value.
    pub(crate) fn object(&mut self, member: &mut dyn FnMut(&mut Self, &str)) {
        self.enclosed(b'{', b'}', |reader| {
            if !reader.take(b'"') {
                return reader.unexpected();
            }
            let key = reader.string();
            if !reader.take(b':') {
                return reader.unexpected();
            }
            member(reader, &key);
        });
    }

    /// Reads a list; `element` must take each value.
    pub(crate) fn list(&mut self, mut element: impl FnMut(&mut Self)) {
        self.elements(&mut element);
    }

    fn elements(&mut self, element: &mut dyn FnMut(&mut Self)) {
        self.enclosed(b'[', b']', element);
    }

    fn enclosed(&mut self, open: u8, close: u8, mut element: impl FnMut(&mut Self)) {
        if !self.take(open) {
            return self.unexpected();
        }
        if self.depth == DEPTH_MAX {
            return self.fail(JsonFault::NotJson);
        }
        self.depth += 1;
        let mut is_first = true;
        while !self.take(close) {
            if !is_first && !self.take(b',') {
                return self.unexpected();
            }
            if !is_first && self.take(close) {
                self.note_ungrammatical();
                break;
            }
            is_first = false;
            let before = self.at;
            element(self);
            if self.fault.is_some() || self.at == before {
                return self.unexpected();
            }
        }
        self.depth -= 1;
    }

    /// Reads a text, if one comes next.
    pub(crate) fn take_string(&mut self) -> Option<Cow<'j, str>> {
        self.take(b'"').then(|| self.string())
    }

    /// Reads a text whose opening quote has been taken.
    fn string(&mut self) -> Cow<'j, str> {
        let start = self.at;
        let rest = self.rest().as_bytes();
        let length = plain_length(rest);
        self.at += length;
        if rest.get(length) == Some(&b'"') {
            self.at += 1;
            return Cow::Borrowed(self.text.get(start..start + length).unwrap_or_default());
        }
        let mut text = String::with_capacity(length * 2);
        text.push_str(self.text.get(start..self.at).unwrap_or_default());
        self.string_on(&mut text);
        Cow::Owned(text)
    }

    /// Reads on in a text that has more to it than plain characters.
    fn string_on(&mut self, text: &mut String) {
        loop {
            let rest = self.rest();
            let length = plain_length(rest.as_bytes());
            text.push_str(rest.get(..length).unwrap_or_default());
            self.at += length;
            match rest.as_bytes().get(length) {
                None => return self.fail(JsonFault::Ended),
                Some(b'"') => {
                    self.at += 1;
                    return;
                }
                Some(b'\\') => {
                    self.at += 1;
                    self.escape(text);
                }
                // A control character that should have been escaped.
                Some(byte) => {
                    self.note_ungrammatical();
                    text.push(char::from(*byte));
                    self.at += 1;
                }
            }
        }
    }

    /// Reads what follows a backslash.
    fn escape(&mut self, text: &mut String) {
        let Some(sign) = self.rest().chars().next() else { return self.fail(JsonFault::Ended) };
        self.at += sign.len_utf8();
        let one = match sign {
            'b' => '\u{8}',
            'f' => '\u{c}',
            'n' => '\n',
            'r' => '\r',
            't' => '\t',
            '"' | '\\' | '/' => sign,
            'u' => return self.unicode(text),
            // An escape that JSON does not have: as it stands.
            other => {
                self.note_ungrammatical();
                text.push('\\');
                other
            }
        };
        text.push(one);
    }

    /// Reads the digits of an escaped character, and its second half if it has one.
    fn unicode(&mut self, text: &mut String) {
        let Some(unit) = self.hex(0) else {
            return match self.rest().len() < 4 {
                true => self.fail(JsonFault::Ended),
                false => self.fail(JsonFault::NotJson),
            };
        };
        self.at += 4;
        if let Some(one) = char::from_u32(u32::from(unit)) {
            return text.push(one);
        }
        let second = if self.rest().starts_with("\\u") { self.hex(2) } else { None };
        match second.and_then(|second| halves::joined(unit, second)) {
            Some(one) => {
                self.at += 6;
                text.push(one);
            }
            None => {
                self.note_oddity();
                halves::push(text, unit);
            }
        }
    }

    /// The four hexadecimal digits that stand so far ahead.
    fn hex(&self, ahead: usize) -> Option<u16> {
        let digits = self.rest().get(ahead..ahead + 4)?;
        let is_hex = digits.bytes().all(|byte| byte.is_ascii_hexdigit());
        u16::from_str_radix(digits, 16).ok().filter(|_| is_hex)
    }

    /// Skips a value; gives it as it stands.
    pub(crate) fn raw(&mut self) -> &'j str {
        self.peek();
        let start = self.at;
        self.skip();
        self.text.get(start..self.at).unwrap_or_default()
    }

    /// Skips a value.
    pub(crate) fn skip(&mut self) {
        match self.peek() {
            b'"' => {
                self.at += 1;
                self.skip_string();
            }
            b'{' | b'[' => self.skip_nested(),
            _ => self.skip_scalar(),
        }
    }

    fn skip_string(&mut self) {
        loop {
            let rest = self.rest().as_bytes();
            let length = plain_length(rest);
            let step = match rest.get(length) {
                None => return self.fail(JsonFault::Ended),
                Some(b'"') => {
                    self.at += length + 1;
                    return;
                }
                // An escaped character has no meaning here, unless it is a quote.
                Some(b'\\') => 2,
                Some(_) => 1,
            };
            let next = rest.len().min(length + step);
            let to_boundary = (next..).find(|at| self.text.is_char_boundary(self.at + at));
            self.at += to_boundary.unwrap_or(next);
        }
    }

    /// Skips an object or list with all that it holds: only brackets are looked at.
    fn skip_nested(&mut self) {
        // One bit for each open bracket: whether it is an object's.
        let mut open: u128 = 0;
        let mut depth = 0;
        loop {
            let sign = self.peek();
            match sign {
                0 => return self.fail(JsonFault::Ended),
                b'"' => {
                    self.at += 1;
                    self.skip_string();
                    continue;
                }
                b'{' | b'[' => {
                    if self.depth + depth == DEPTH_MAX {
                        return self.fail(JsonFault::NotJson);
                    }
                    open = open << 1 | u128::from(sign == b'{');
                    depth += 1;
                }
                b'}' | b']' => {
                    if (open & 1 == 1) != (sign == b'}') {
                        return self.fail(JsonFault::NotJson);
                    }
                    open >>= 1;
                    depth -= 1;
                }
                b',' | b':' => {}
                _ => {
                    self.skip_scalar();
                    continue;
                }
            }
            self.at += 1;
            if depth == 0 {
                return;
            }
        }
    }

    fn skip_scalar(&mut self) {
        let rest = self.rest();
        let is_part = |byte: &u8| byte.is_ascii_alphanumeric() || b"+-.".contains(byte);
        let length = rest.bytes().position(|byte| !is_part(&byte)).unwrap_or(rest.len());
        let word = rest.get(..length).unwrap_or_default();
        let is_number = word.as_bytes().first().is_some_and(|byte| b"-0123456789".contains(byte));
        match word {
            "true" | "false" | "null" => {}
            "NaN" | "Infinity" | "-Infinity" => self.note_ungrammatical(),
            _ if is_number && word.bytes().all(|byte| b"0123456789+-.eE".contains(&byte)) => {
                if !is_json_number(word) {
                    self.note_ungrammatical();
                }
            }
            "" => return self.unexpected(),
            // The beginning of a word, and no more.
            _ if length == rest.len() => return self.fail(JsonFault::Ended),
            _ => return self.fail(JsonFault::NotJson),
        }
        self.at += length;
    }
}

#[cfg(test)]
#[path = "reader_tests.rs"]
mod tests;
