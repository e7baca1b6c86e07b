//! One line of the audit file, made on the stack: no allocation, and a bound by construction.
//! Knows JSON; knows no file.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::event::Fact;
use crate::id::{HelperId, TaskId};

/// Longest line, newline included, in bytes: two of the longest texts and all else. Ordinary
/// lines take 200 to 400; a field that finds no room is left out whole, so that a line is
/// always JSON. (Zeroing this much is cheap; from 2 KiB on, memset takes a slower way.)
pub(super) const LINE_BYTES_MAX: usize = 1536;

/// Kept free for the sequence number, the closing brace and the newline: `,"seq":` with
/// twenty digits takes 27.
const TAIL_BYTES: usize = 32;

/// Longest text of a field, in bytes before escaping: enough for a sentence or three.
pub(super) const TEXT_BYTES_MAX: usize = 512;

/// Decimal digits of `u64::MAX`.
const U64_DIGITS_MAX: usize = 20;

const MICROS_PER_SECOND: u64 = 1_000_000;
const MICROS_PER_MILLI: u64 = 1_000;

/// A measure beyond this does not fit its integer part into a `u64` with six decimals.
const NUMBER_MAX: f64 = 1e12;

/// Where the fields must end, so that the line can.
const FIELDS_END: usize = LINE_BYTES_MAX - TAIL_BYTES;

/// A field's name as it stands in a line, ready to be copied in one piece.
macro_rules! key {
    ($name:literal) => {
        concat!(",\"", $name, "\":")
    };
}
pub(super) use key;

/// A line in the making. Starts with a spare newline that [`Line::after_torn`] sends along
/// to close a torn line before it.
pub(super) struct Line {
    bytes: [u8; LINE_BYTES_MAX],
    len: usize,
    full: bool,
}

impl Line {
    /// Room for a line. Handed on by reference: a copy would cost more than the writing.
    #[inline]
    pub(super) const fn new() -> Self {
        Self { bytes: [0; LINE_BYTES_MAX], len: 0, full: false }
    }

    /// The start of every line: when, in which run, what.
    pub(super) fn begin(&mut self, at: SystemTime, run_field: &str, event: &str) {
        (self.len, self.full) = (0, false);
        self.raw("\n{\"timestamp\":");
        self.seconds(at);
        self.raw(run_field);
        self.raw(key!("event"));
        self.quoted(event);
    }

    /// Ends the line. The room for it was kept.
    pub(super) fn finish(&mut self, seq: u64) {
        let mut digits = [0; U64_DIGITS_MAX];
        let number = decimal(seq, &mut digits);
        self.put_before(LINE_BYTES_MAX, key!("seq").as_bytes());
        self.put_before(LINE_BYTES_MAX, number);
        self.put_before(LINE_BYTES_MAX, b"}\n");
    }

    /// The line, newline included.
    pub(super) fn as_bytes(&self) -> &[u8] {
        self.bytes.get(1..self.len).unwrap_or_default()
    }

    /// The line with a newline before it, for a file whose end is torn.
    pub(super) fn after_torn(&self) -> &[u8] {
        self.bytes.get(..self.len).unwrap_or_default()
    }

    /// Adds a text, cut to [`TEXT_BYTES_MAX`]. The key comes from [`key!`], here and below.
    #[inline]
    pub(super) fn text(&mut self, key: &'static str, text: &str) {
        self.field(key, |line| line.cut_text(text));
    }

    /// Adds a name of our own, which needs no escaping and no cut.
    #[inline]
    pub(super) fn name(&mut self, key: &'static str, name: &str) {
        self.field(key, |line| line.quoted(name));
    }

    /// Adds a count.
    #[inline]
    pub(super) fn count(&mut self, key: &'static str, count: u64) {
        self.field(key, |line| line.number(count));
    }

    /// Adds yes or no.
    #[inline]
    pub(super) fn flag(&mut self, key: &'static str, yes: bool) {
        self.field(key, |line| line.raw(if yes { "true" } else { "false" }));
    }

    /// Adds a duration in milliseconds, to the microsecond.
    #[inline]
    pub(super) fn millis(&mut self, key: &'static str, duration: Duration) {
        let micros = u64::try_from(duration.as_micros()).unwrap_or(u64::MAX);
        self.field(key, |line| line.decimals::<MICROS_PER_MILLI>(micros));
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

    /// Adds a task's id, as its `Display` has it.
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

    /// Adds a further fact of an event.
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

    /// Adds a field, or leaves it out whole where there is no room.
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
        self.put_before(FIELDS_END, bytes);
    }

    /// Copies the bytes, if they end before this place; takes note, if they would not.
    #[inline]
    fn put_before(&mut self, place: usize, bytes: &[u8]) {
        let end = self.len + bytes.len();
        match self.bytes[..place].get_mut(self.len..end) {
            Some(room) => {
                room.copy_from_slice(bytes);
                self.len = end;
            }
            None => self.full = true,
        }
    }

    fn quoted(&mut self, text: &str) {
        self.raw("\"");
        self.raw(text);
        self.raw("\"");
    }

    fn cut_text(&mut self, text: &str) {
        self.raw("\"");
        let cut = cut_at(text, TEXT_BYTES_MAX);
        if is_plain(cut.as_bytes()) {
            self.raw(cut);
        } else {
            self.escaped(cut.as_bytes());
        }
        if cut.len() < text.len() {
            self.raw("…");
        }
        self.raw("\"");
    }

    fn number(&mut self, number: u64) {
        let mut digits = [0; U64_DIGITS_MAX];
        let number = decimal(number, &mut digits);
        self.put(number);
    }

    /// So many parts of one, in decimals. `ONE` is a power of ten.
    fn decimals<const ONE: u64>(&mut self, number: u64) {
        let mut digits = [0; U64_DIGITS_MAX];
        let whole = decimal(number / ONE, &mut digits);
        self.put(whole);
        // The one before the decimals keeps their zeros.
        let rest = decimal(ONE + number % ONE, &mut digits);
        self.raw(".");
        self.put(rest.get(1..).unwrap_or_default());
    }

    /// Six decimals; `null` for what is no number or absurdly large.
    fn measure(&mut self, measure: f64) {
        let size = measure.abs();
        if !size.is_finite() || size >= NUMBER_MAX {
            return self.raw("null");
        }
        if measure < 0.0 {
            self.raw("-");
        }
        self.decimals::<MICROS_PER_SECOND>((size * MICROS_PER_SECOND as f64).round() as u64);
    }

    /// Unix seconds to the microsecond, negative before 1970.
    fn seconds(&mut self, at: SystemTime) {
        let since = at.duration_since(UNIX_EPOCH).unwrap_or_else(|before| {
            self.raw("-");
            before.duration()
        });
        let micros = u64::from(since.subsec_micros());
        let micros = since.as_secs().saturating_mul(MICROS_PER_SECOND).saturating_add(micros);
        self.decimals::<MICROS_PER_SECOND>(micros);
    }

    /// Eight hex digits, or as many as it takes.
    fn hex(&mut self, number: u64) {
        let low = hex_digits(number as u32);
        if number > u64::from(u32::MAX) {
            let high = (number >> 32) as u32;
            let zeros = high.leading_zeros() as usize / 4;
            self.put(hex_digits(high).get(zeros..).unwrap_or_default());
        }
        self.put(&low);
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
fn hex_digits(number: u32) -> [u8; 8] {
    const BYTES: u64 = 0x0101_0101_0101_0101;
    let number = u64::from(number);
    let halves = (number | number << 16) & 0x0000_ffff_0000_ffff;
    let bytes = (halves | halves << 8) & 0x00ff_00ff_00ff_00ff;
    let nibbles = (bytes | bytes << 4) & 0x0f0f_0f0f_0f0f_0f0f;
    let letters = (nibbles + BYTES * 6) >> 4 & BYTES;
    (nibbles + BYTES * u64::from(b'0') + letters * u64::from(b'a' - b'0' - 10)).to_be_bytes()
}

/// Whether nothing needs escaping. Without an early end, so that it runs many bytes at once.
fn is_plain(text: &[u8]) -> bool {
    text.iter()
        .fold(true, |plain, byte| plain & (*byte >= b' ') & (*byte != b'"') & (*byte != b'\\'))
}

/// The digits of 00 to 99, one after the other.
const PAIRS: [u8; 200] = {
    let mut pairs = [0; 200];
    let mut at = 0;
    while at < 200 {
        let number = (at / 2) as u8;
        pairs[at] = b'0' + number / 10;
        pairs[at + 1] = b'0' + number % 10;
        at += 2;
    }
    pairs
};

/// The number's digits, at the end of `room`.
fn decimal(mut number: u64, room: &mut [u8; U64_DIGITS_MAX]) -> &[u8] {
    let mut at = U64_DIGITS_MAX;
    while number >= 10 {
        let pair = (number % 100) as usize * 2;
        number /= 100;
        at -= 2;
        room[at..at + 2].copy_from_slice(&PAIRS[pair..pair + 2]);
    }
    // One digit is left, or none: the last pair may have had a leading zero, but only if
    // there were two digits, which leave nothing.
    if number > 0 || at == U64_DIGITS_MAX {
        at -= 1;
        room[at] = b'0' + number as u8;
    }
    &room[at..]
}

/// The longest beginning of at most `bytes_max` bytes that ends between two characters.
fn cut_at(text: &str, bytes_max: usize) -> &str {
    if text.len() <= bytes_max {
        return text;
    }
    let end = (0..=bytes_max).rev().find(|&end| text.is_char_boundary(end)).unwrap_or(0);
    text.get(..end).unwrap_or_default()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn start() -> Line {
        let at = UNIX_EPOCH + Duration::new(1_763_830_000, 120_456_789);
        let mut line = Line::new();
        line.begin(at, ",\"run_id\":\"r\"", "e");
        line
    }

    fn read(line: &Line) -> serde_json::Value {
        serde_json::from_slice(line.as_bytes()).unwrap()
    }

    #[test]
    fn every_kind_of_field_reads_back_as_json() {
        let mut line = start();
        line.text(key!("text"), "a \"b\" \\ \n\r\t\u{1}\u{1f} é 🟢");
        line.count(key!("count"), u64::MAX);
        line.flag(key!("flag"), true);
        line.millis(key!("ms"), Duration::from_micros(520_050));
        line.fact("low", Fact::Number(-0.25));
        line.fact("nan", Fact::Number(f64::NAN));
        line.helper_id(key!("id"), "000000ab".parse().unwrap());
        line.task_id(key!("task"), "000000ab-123456789a".parse().unwrap());
        line.finish(7);
        assert_eq!(
            std::str::from_utf8(line.as_bytes()).unwrap(),
            "{\"timestamp\":1763830000.120456,\"run_id\":\"r\",\"event\":\"e\",\
             \"text\":\"a \\\"b\\\" \\\\ \\n\\r\\t\\u0001\\u001f é 🟢\",\
             \"count\":18446744073709551615,\"flag\":true,\"ms\":520.050,\"low\":-0.250000,\
             \"nan\":null,\"id\":\"000000ab\",\"task\":\"000000ab-123456789a\",\"seq\":7}\n"
        );
        assert_eq!(read(&line)["text"], "a \"b\" \\ \n\r\t\u{1}\u{1f} é 🟢");
        assert_eq!(line.after_torn().first(), Some(&b'\n'));
        assert_eq!(line.after_torn().get(1..).unwrap(), line.as_bytes());
    }

    #[test]
    fn a_clock_before_1970_is_told_as_it_is() {
        let mut line = Line::new();
        line.begin(UNIX_EPOCH - Duration::from_millis(1500), "", "e");
        line.finish(1);
        assert_eq!(read(&line)["timestamp"], -1.5);
    }

    #[test]
    fn a_long_text_is_cut_between_characters() {
        let mut line = start();
        line.text(key!("text"), &"é".repeat(TEXT_BYTES_MAX));
        line.finish(1);
        let text = read(&line)["text"].as_str().unwrap().to_owned();
        assert_eq!(text, format!("{}…", "é".repeat(TEXT_BYTES_MAX / 2)));
    }

    #[test]
    fn what_finds_no_room_is_left_out_whole_and_the_line_stays_json() {
        let mut line = start();
        for n in 0..20 {
            line.fact(&format!("hostile{n}"), Fact::Text(&"\u{1}".repeat(200)));
            line.count(key!("small"), n);
        }
        line.finish(u64::MAX);
        assert!(line.after_torn().len() <= LINE_BYTES_MAX);
        let read = read(&line);
        assert_eq!(read["hostile0"], "\u{1}".repeat(200));
        assert_eq!(read.get("hostile1"), None);
        assert_eq!(read["seq"], u64::MAX);
    }

    #[test]
    fn numbers_have_all_their_digits() {
        for number in (0..20_000).chain((0..64).map(|bit| 1 << bit)).chain([u64::MAX]) {
            for number in [number, number.saturating_sub(1)] {
                let mut room = [0; U64_DIGITS_MAX];
                assert_eq!(decimal(number, &mut room), number.to_string().as_bytes());
            }
        }
        let mut line = start();
        line.millis(key!("none"), Duration::ZERO);
        line.millis(key!("long"), Duration::MAX);
        line.millis(key!("micro"), Duration::from_micros(1001));
        line.finish(1);
        let text = std::str::from_utf8(line.as_bytes()).unwrap();
        assert!(text.contains("\"none\":0.000,\"long\":18446744073709551.615,\"micro\":1.001"));
    }
}
