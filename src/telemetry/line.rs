//! One line of the audit file, built on the stack: no allocation, and a bounded length.
//! Independent of the file.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::event::Fact;
use crate::id::{HelperId, TaskId};
use crate::text::cut;

/// Longest line, newline included, in bytes: two texts of maximum length and all other fields.
/// Ordinary lines take 200 to 400; a field that does not fit is left out completely, so that a
/// line is always valid JSON. (Zeroing this much is cheap; from 2 KiB on, memset is slower.)
pub(super) const LINE_BYTES_MAX: usize = 1536;

/// Reserved for the sequence number, the closing brace and the newline: `,"seq":` with twenty
/// digits takes 29, and numbers are stored in steps of eight bytes.
const TAIL_BYTES: usize = 40;

/// Longest text of a field, in bytes before escaping: enough for one to three sentences.
pub(super) const TEXT_BYTES_MAX: usize = 512;

const MILLIS_PER_SECOND: u64 = 1_000;
const MICROS_PER_UNIT: u64 = 1_000_000;

/// The integer part of a larger number does not fit into a `u64` together with six decimals.
const NUMBER_MAX: f64 = 1e12;

/// The offset at which the fields must end, to leave the reserved bytes.
const FIELDS_END: usize = LINE_BYTES_MAX - TAIL_BYTES;

/// A field's name with its punctuation, to be copied at once.
macro_rules! key {
    ($name:literal) => {
        concat!(",\"", $name, "\":")
    };
}
pub(super) use key;

/// A line being built. Starts with a spare newline that [`Line::after`] includes to close a torn
/// line before it.
pub(super) struct Line {
    bytes: [u8; LINE_BYTES_MAX],
    len: usize,
    /// The offset at which added fields must end.
    end: usize,
    full: bool,
}

/// A time of the wall clock, converted once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Stamp {
    /// The duration since 1970, or before it.
    pub(super) since: Duration,
    pub(super) before_1970: bool,
}

impl Stamp {
    pub(super) fn new(at: SystemTime) -> Self {
        match at.duration_since(UNIX_EPOCH) {
            Ok(since) => Self { since, before_1970: false },
            Err(before) => Self { since: before.duration(), before_1970: true },
        }
    }

    pub(super) fn now() -> Self {
        Self::new(SystemTime::now())
    }
}

impl Line {
    /// A buffer for a line. Passed by reference: a copy would cost more than the writing.
    #[inline]
    pub(super) const fn new() -> Self {
        Self { bytes: [0; LINE_BYTES_MAX], len: 0, end: FIELDS_END, full: false }
    }

    /// Writes the start of every line: timestamp, run id, event.
    pub(super) fn begin(&mut self, at: Stamp, run_field: &str, event: &str) {
        (self.len, self.full) = (0, false);
        self.raw(if at.before_1970 { "\n{\"timestamp\":-" } else { "\n{\"timestamp\":" });
        self.number(at.since.as_secs());
        self.decimals::<6>(at.since.subsec_micros());
        self.raw(run_field);
        self.raw(key!("event"));
        self.quoted(event);
    }

    /// Ends the line, within the reserved bytes.
    pub(super) fn finish(&mut self, seq: u64) {
        self.end = LINE_BYTES_MAX;
        self.raw(key!("seq"));
        self.number(seq);
        self.raw("}\n");
    }

    /// The line, newline included; with a newline before it if the file's end is torn.
    pub(super) fn after(&self, torn: bool) -> &[u8] {
        self.bytes.get(usize::from(!torn)..self.len).unwrap_or_default()
    }

    /// Adds a text, cut to [`TEXT_BYTES_MAX`]. The key comes from [`key!`], here and below.
    #[inline]
    pub(super) fn text(&mut self, key: &'static str, text: &str) {
        self.field(key, |line| line.cut_text(text));
    }

    /// Adds a name of the library's own, which needs no escaping and no cut.
    #[inline]
    pub(super) fn name(&mut self, key: &'static str, name: &str) {
        self.field(key, |line| line.quoted(name));
    }

    /// Adds a count.
    #[inline]
    pub(super) fn count(&mut self, key: &'static str, count: u64) {
        self.field(key, |line| line.number(count));
    }

    /// Adds a boolean.
    #[inline]
    pub(super) fn flag(&mut self, key: &'static str, yes: bool) {
        self.field(key, |line| line.raw(if yes { "true" } else { "false" }));
    }

    /// Adds a duration in milliseconds, with microseconds as decimals.
    #[inline]
    pub(super) fn millis(&mut self, key: &'static str, duration: Duration) {
        let whole = duration.as_secs().saturating_mul(MILLIS_PER_SECOND);
        let whole = whole.saturating_add(u64::from(duration.subsec_millis()));
        self.field(key, |line| {
            line.number(whole);
            line.decimals::<3>(duration.subsec_micros());
        });
    }

    /// Adds a helper's id.
    #[inline]
    pub(super) fn helper_id(&mut self, key: &'static str, id: HelperId) {
        self.field(key, |line| {
            line.raw("\"");
            line.hex(u64::from(id.bits()));
            line.raw("\"");
        });
    }

    /// Adds a task's id, as `Display` prints it.
    #[inline]
    pub(super) fn task_id(&mut self, key: &'static str, id: TaskId) {
        self.field(key, |line| {
            line.raw("\"");
            line.hex(u64::from(id.helper_id().bits()));
            line.raw("-");
            line.hex(id.number());
            line.raw("\"");
        });
    }

    /// Adds a named fact of an event.
    pub(super) fn fact(&mut self, name: &str, fact: Fact<'_>) {
        self.field(",\"", |line| {
            line.raw(name);
            line.raw("\":");
            match fact {
                Fact::Count(count) => line.number(count),
                Fact::Number(measure) => line.measure(measure),
                Fact::Text(text) => line.cut_text(text),
            }
        });
    }

    /// Adds a field, or leaves it out completely if it does not fit.
    #[inline]
    fn field(&mut self, key: &'static str, value: impl FnOnce(&mut Self)) {
        let before = self.len;
        self.raw(key);
        value(self);
        if self.full {
            self.full = false;
            self.len = before;
        }
    }

    #[inline]
    fn raw(&mut self, text: &str) {
        self.put(text.as_bytes());
    }

    #[inline]
    fn put(&mut self, bytes: &[u8]) {
        let end = self.len + bytes.len();
        match self.bytes.get_mut(self.len..end) {
            Some(place) if end <= self.end => {
                place.copy_from_slice(bytes);
                self.len = end;
            }
            _ => self.full = true,
        }
    }

    /// Adds the lowest `len` bytes of the word; all eight are stored, in one step.
    #[inline]
    fn put_first(&mut self, word: u64, len: usize) {
        let end = self.len + 8;
        match self.bytes.get_mut(self.len..end) {
            Some(place) if end <= self.end => {
                place.copy_from_slice(&word.to_le_bytes());
                self.len += len;
            }
            _ => self.full = true,
        }
    }

    fn quoted(&mut self, text: &str) {
        self.raw("\"");
        self.raw(text);
        self.raw("\"");
    }

    fn cut_text(&mut self, text: &str) {
        self.raw("\"");
        let kept = cut(text, TEXT_BYTES_MAX);
        if is_plain(kept.as_bytes()) {
            self.raw(kept);
        } else {
            self.escaped(kept.as_bytes());
        }
        if kept.len() < text.len() {
            self.raw("…");
        }
        self.raw("\"");
    }

    fn number(&mut self, number: u64) {
        if number < 10 {
            self.put_first(u64::from(b'0') + number, 1);
        } else if number < EIGHT_DIGITS {
            let digits = eight_digits(number);
            // The first digit is in the lowest byte; the last one is kept even if it is zero.
            let zeros = (digits.trailing_zeros() / 8).min(7);
            self.put_first((digits + ZEROS) >> (8 * zeros), 8 - zeros as usize);
        } else {
            self.number(number / EIGHT_DIGITS);
            self.put_first(eight_digits(number % EIGHT_DIGITS) + ZEROS, 8);
        }
    }

    /// Adds a decimal point and this many of the number's last digits, at most seven.
    fn decimals<const PLACES: u32>(&mut self, number: u32) {
        let digits = eight_digits(u64::from(number)) + ZEROS;
        // The digits at the word's end, with the point in place of the digit before them.
        let point = u64::from(b'.');
        let digits = (digits >> (8 * (7 - PLACES)) & !0xff) + point;
        self.put_first(digits, 1 + PLACES as usize);
    }

    /// Adds a number with six decimals; `null` if it is not finite or above `NUMBER_MAX`.
    fn measure(&mut self, measure: f64) {
        let size = measure.abs();
        if !size.is_finite() || size >= NUMBER_MAX {
            return self.raw("null");
        }
        if measure < 0.0 {
            self.raw("-");
        }
        let micros = (size * MICROS_PER_UNIT as f64).round() as u64;
        self.number(micros / MICROS_PER_UNIT);
        self.decimals::<6>((micros % MICROS_PER_UNIT) as u32);
    }

    /// Adds eight hex digits, or more if the number needs them.
    fn hex(&mut self, number: u64) {
        let low = hex_digits(number as u32);
        if number > u64::from(u32::MAX) {
            let high = (number >> 32) as u32;
            let zeros = high.leading_zeros() as usize / 4;
            self.put_first(hex_digits(high) >> (8 * zeros), 8 - zeros);
        }
        self.put_first(low, 8);
    }

    fn escaped(&mut self, text: &[u8]) {
        let mut plain = 0;
        for (at, &byte) in text.iter().enumerate() {
            if byte >= b' ' && byte != b'"' && byte != b'\\' {
                continue;
            }
            self.put(text.get(plain..at).unwrap_or_default());
            plain = at + 1;
            match byte {
                b'"' => self.raw("\\\""),
                b'\\' => self.raw("\\\\"),
                b'\n' => self.raw("\\n"),
                b'\r' => self.raw("\\r"),
                b'\t' => self.raw("\\t"),
                _ => {
                    let hex = |nibble: u8| b"0123456789abcdef"[usize::from(nibble & 15)];
                    self.put(&[b'\\', b'u', b'0', b'0', hex(byte >> 4), hex(byte)]);
                }
            }
        }
        self.put(text.get(plain..).unwrap_or_default());
    }
}

/// Eight hex digits at once: one nibble to a byte, then six more for those above nine.
const fn hex_digits(number: u32) -> u64 {
    let number = number as u64;
    let halves = (number | number << 16) & 0x0000_ffff_0000_ffff;
    let bytes = (halves | halves << 8) & 0x00ff_00ff_00ff_00ff;
    let nibbles = (bytes | bytes << 4) & 0x0f0f_0f0f_0f0f_0f0f;
    let letters = (nibbles + ONES * 6) >> 4 & ONES;
    (nibbles + ZEROS + letters * (b'a' - b'0' - 10) as u64).swap_bytes()
}

/// Whether no byte needs escaping.
fn is_plain(text: &[u8]) -> bool {
    let mut rest = text;
    while let Some((word, after)) = rest.split_first_chunk::<8>() {
        if !is_plain_word(u64::from_le_bytes(*word)) {
            return false;
        }
        rest = after;
    }
    // The remaining bytes, padded with plain ones.
    let mut last = ZEROS.to_le_bytes();
    for (place, byte) in last.iter_mut().zip(rest) {
        *place = *byte;
    }
    is_plain_word(u64::from_le_bytes(last))
}

/// Whether none of the eight bytes is a quote, a backslash or a control character.
const fn is_plain_word(word: u64) -> bool {
    let quote = word ^ (ONES * b'"' as u64);
    let slash = word ^ (ONES * b'\\' as u64);
    // The highest bit of each byte that is zero or below a space. Bytes above the first such byte
    // may be marked wrongly, but only if there is one.
    let quotes = quote.wrapping_sub(ONES) & !quote;
    let slashes = slash.wrapping_sub(ONES) & !slash;
    let controls = word.wrapping_sub(ONES * b' ' as u64) & !word;
    (quotes | slashes | controls) & (ONES << 7) == 0
}

/// Eight bytes of one, and eight digits of zero.
const ONES: u64 = 0x0101_0101_0101_0101;
const ZEROS: u64 = ONES * b'0' as u64;

/// The first number of nine digits.
const EIGHT_DIGITS: u64 = 100_000_000;

/// The values of eight digits, the first in the lowest byte: pairs, groups of four and all eight
/// are split in parallel. (A product and a shift divide exactly in this range.)
const fn eight_digits(number: u64) -> u64 {
    let halves = (number / 10_000) + ((number % 10_000) << 32);
    let high = ((halves * 10_486) >> 20) & 0x0000_007f_0000_007f;
    let quarters = high + ((halves - high * 100) << 16);
    let high = ((quarters * 103) >> 10) & 0x000f_000f_000f_000f;
    high + ((quarters - high * 10) << 8)
}

#[cfg(test)]
#[path = "line_tests.rs"]
mod tests;
