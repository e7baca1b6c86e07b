//! The fields of a line that the report needs, and how lines usually look.

use std::borrow::Cow;

use crate::lenient::exact_text;

/// The numbers that the report reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum NumberField {
    LatencyMs,
    Seq,
    Attempt,
    PromptTokens,
    CompletionTokens,
    QueueMs,
    FirstByteMs,
    WaitedMs,
    BytesDropped,
    Lines,
    Sent,
    Dropped,
    Retried,
    Unjoined,
    SuspendedMs,
    CostNano,
    Oddities,
    Requests,
    Timestamp,
}

const NUMBERS: usize = NumberField::Timestamp as usize + 1;

/// The texts that the report reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum TextField {
    RunId,
    Event,
    Backend,
    Error,
    ErrorKind,
    From,
    FromWhom,
    To,
    ToWhom,
    Why,
    Decision,
    Pressure,
}

const NAMES: usize = TextField::Pressure as usize + 1;

/// A string as it stands between its quotes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct RawText<'a> {
    raw: &'a [u8],
    escaped: bool,
}

impl<'a> RawText<'a> {
    /// The bytes between the quotes: one spelling, one text, as long as one writer wrote it.
    pub(super) fn raw(self) -> &'a [u8] {
        self.raw
    }

    /// Whether it is UTF-8 without control characters.
    pub(super) fn is_clean(self) -> bool {
        std::str::from_utf8(self.raw).is_ok_and(|text| !text.contains(char::is_control))
    }

    /// The text itself.
    pub(super) fn decode(self) -> Cow<'a, str> {
        let text = String::from_utf8_lossy(self.raw);
        let decoded = if self.escaped { exact_text(&format!("\"{text}\"")) } else { None };
        decoded.map_or(text, Cow::Owned)
    }
}

/// Where the fields that the report needs stand in a line. One for all lines: clearing it
/// costs less than making it.
#[derive(Debug, Default)]
pub(super) struct Record {
    texts: [TextSpan; NAMES],
    has_text: u32,
    numbers: [f64; NUMBERS],
    has_number: u32,
    pub(super) success: Option<bool>,
    pub(super) echoed: bool,
    pub(super) shape: Shape,
}

/// A string's place in its line.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct TextSpan {
    /// Lines are shorter than 4 GiB by far; what is small is returned in registers.
    pub(super) start: u32,
    pub(super) end: u32,
    pub(super) escaped: bool,
}

/// A line together with what was found in it.
#[derive(Debug, Clone, Copy)]
pub(super) struct LineFields<'a> {
    record: &'a Record,
    line: &'a [u8],
}

impl<'a> LineFields<'a> {
    pub(super) fn new(record: &'a Record, line: &'a [u8]) -> Self {
        Self { record, line }
    }

    pub(super) fn text(&self, name: TextField) -> Option<RawText<'a>> {
        let there = self.record.has_text >> name as u32 & 1 == 1;
        there.then(|| self.record.texts[name as usize].of(self.line))
    }

    pub(super) fn number(&self, number: NumberField) -> Option<f64> {
        let there = self.record.has_number >> number as u32 & 1 == 1;
        there.then(|| self.record.numbers[number as usize])
    }

    /// The number as a count; what is negative or no whole number is none.
    pub(super) fn count(&self, number: NumberField) -> Option<u64> {
        let found = self.number(number)?;
        let count = found as u64;
        // The cast is exact for whole numbers in range, and for no others.
        (count as f64 == found).then_some(count)
    }

    pub(super) fn echoed(&self) -> bool {
        self.record.echoed
    }

    pub(super) fn success(&self) -> Option<bool> {
        self.record.success
    }
}

impl TextSpan {
    pub(super) fn of(self, line: &[u8]) -> RawText<'_> {
        let raw = line.get(self.start as usize..self.end as usize).unwrap_or_default();
        RawText { raw, escaped: self.escaped }
    }
}

impl Record {
    pub(super) fn clear(&mut self) {
        (self.has_text, self.has_number, self.success, self.echoed) = (0, 0, None, false);
    }

    pub(super) fn set_text(&mut self, name: TextField, text: TextSpan) {
        self.texts[name as usize] = text;
        self.has_text |= 1 << name as u32;
    }

    pub(super) fn set_number(&mut self, number: NumberField, value: f64) {
        self.numbers[number as usize] = value;
        self.has_number |= 1 << number as u32;
    }

    /// For a field whose value is of the wrong type: of two fields with one name the last
    /// counts, whatever it is.
    pub(super) fn unset(&mut self, field: Field) {
        match field {
            Field::Text(name) => self.has_text &= !(1 << name as u32),
            Field::Number(number) => self.has_number &= !(1 << number as u32),
            Field::Success => self.success = None,
            Field::Echoed => self.echoed = false,
            Field::Other => {}
        }
    }
}

#[derive(Debug, Clone, Copy, Default)]
pub(super) enum Field {
    Text(TextField),
    Number(NumberField),
    Success,
    Echoed,
    #[default]
    Other,
}

pub(super) fn field(key: &[u8]) -> Field {
    use Field::{Number as N, Text as T};
    match key {
        b"run_id" => T(TextField::RunId),
        b"event" => T(TextField::Event),
        b"backend" => T(TextField::Backend),
        b"error" => T(TextField::Error),
        b"error_kind" => T(TextField::ErrorKind),
        b"from" => T(TextField::From),
        b"from_name" => T(TextField::FromWhom),
        b"to" => T(TextField::To),
        b"to_name" => T(TextField::ToWhom),
        b"why" => T(TextField::Why),
        b"decision" => T(TextField::Decision),
        b"pressure" => T(TextField::Pressure),
        b"latency_ms" => N(NumberField::LatencyMs),
        b"seq" => N(NumberField::Seq),
        b"attempt" => N(NumberField::Attempt),
        b"prompt_tokens" => N(NumberField::PromptTokens),
        b"completion_tokens" => N(NumberField::CompletionTokens),
        b"queue_ms" => N(NumberField::QueueMs),
        b"first_byte_ms" => N(NumberField::FirstByteMs),
        b"waited_ms" => N(NumberField::WaitedMs),
        b"bytes_dropped" => N(NumberField::BytesDropped),
        b"lines" => N(NumberField::Lines),
        b"sent" => N(NumberField::Sent),
        b"dropped" => N(NumberField::Dropped),
        b"retried" => N(NumberField::Retried),
        b"unjoined_threads" => N(NumberField::Unjoined),
        b"suspended_ms" => N(NumberField::SuspendedMs),
        b"cost_nano" => N(NumberField::CostNano),
        b"oddities" => N(NumberField::Oddities),
        b"requests" => N(NumberField::Requests),
        b"timestamp" => N(NumberField::Timestamp),
        b"success" => Field::Success,
        b"echoed" => Field::Echoed,
        _ => Field::Other,
    }
}

/// Fields whose place in the line is remembered; later ones are read without.
const SHAPE_FIELDS: usize = 24;

/// A key with its quotes and colon is remembered up to so many words of eight bytes.
const KEY_WORDS: usize = 3;
pub(super) const WORD: usize = 8;

/// How the keys of the last lines looked, by their place in the line. A writer repeats
/// itself: comparing with what stood there before is cheaper than reading.
#[derive(Debug)]
pub(super) struct Shape {
    pub(super) keys: [[SeenKey; 2]; SHAPE_FIELDS],
}

impl Default for Shape {
    /// A loop: derived, it is kilobytes of stores, one for each field of each key.
    fn default() -> Self {
        Self { keys: [[SeenKey::default(); 2]; SHAPE_FIELDS] }
    }
}

/// A key as it stands in a line, from its opening quote to its colon.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct SeenKey {
    words: [u64; KEY_WORDS],
    masks: [u64; KEY_WORDS],
    /// 0: none yet.
    pub(super) len: u8,
    pub(super) field: Field,
}

impl SeenKey {
    pub(super) fn new(bytes: &[u8], field: Field) -> Option<Self> {
        let mut key = Self { len: u8::try_from(bytes.len()).ok()?, field, ..Self::default() };
        if bytes.len() > KEY_WORDS * WORD {
            return None;
        }
        for (place, byte) in bytes.iter().enumerate() {
            let shift = place % WORD * 8;
            key.words[place / WORD] |= u64::from(*byte) << shift;
            key.masks[place / WORD] |= 0xff << shift;
        }
        Some(key)
    }

    /// Whether the line goes on with this key.
    #[inline]
    pub(super) fn is_at(&self, line: &[u8], at: usize) -> bool {
        if self.len == 0 {
            return false;
        }
        for (place, (word, mask)) in self.words.iter().zip(self.masks).enumerate() {
            if mask == 0 {
                break;
            }
            let from = at + place * WORD;
            let there = line.get(from..from + WORD).and_then(|bytes| bytes.try_into().ok());
            if there.map(|bytes| u64::from_le_bytes(bytes) & mask) != Some(*word) {
                return false;
            }
        }
        true
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_known_where_it_stands_and_nowhere_else() {
        // Within a word, a word, beyond a word.
        for name in [b"\"a\":".as_slice(), b"\"event\":", b"\"latency_ms\":"] {
            let key = SeenKey::new(name, Field::Success).unwrap();
            let line = [b"{\"first\":1,", name, b"true,\"last_of_all\":\"long\"}"].concat();
            for at in 0..line.len() {
                assert_eq!(key.is_at(&line, at), at == 11, "{at}");
            }
        }
        assert!(!SeenKey::default().is_at(b"{\"event\":1}", 0));
    }
}
