//! One line of the audit file, made on the stack: no allocation, and a bound by construction.
//! Knows JSON; knows no file and no event.

use std::fmt;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Longest line, newline included, in bytes. Ordinary lines take 200 to 400; a field that
/// finds no room is left out whole, so that a line is always JSON.
pub(super) const LINE_BYTES_MAX: usize = 2048;

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

/// A line in the making. Starts with a spare newline that [`Line::after_torn`] sends along
/// to close a torn line before it.
pub(super) struct Line {
    bytes: [u8; LINE_BYTES_MAX],
    len: usize,
    full: bool,
}

impl Line {
    /// The start of every line: when, in which run, what.
    pub(super) fn new(at: SystemTime, run_field: &str, event: &str) -> Self {
        let mut line = Self { bytes: [0; LINE_BYTES_MAX], len: 0, full: false };
        line.raw(b"\n{\"timestamp\":");
        line.seconds(at);
        line.raw(run_field.as_bytes());
        line.raw(b",\"event\":\"");
        line.raw(event.as_bytes());
        line.raw(b"\"");
        line
    }

    /// Ends the line. The room for it was kept.
    pub(super) fn finish(&mut self, seq: u64) {
        self.full = false;
        self.put(b",\"seq\":", LINE_BYTES_MAX);
        let mut digits = [0; U64_DIGITS_MAX];
        let number = decimal(seq, &mut digits);
        self.put(number, LINE_BYTES_MAX);
        self.put(b"}\n", LINE_BYTES_MAX);
    }

    /// The line, newline included.
    pub(super) fn as_bytes(&self) -> &[u8] {
        self.bytes.get(1..self.len).unwrap_or_default()
    }

    /// The line with a newline before it, for a file whose end is torn.
    pub(super) fn after_torn(&self) -> &[u8] {
        self.bytes.get(..self.len).unwrap_or_default()
    }

    /// Adds a text, cut to [`TEXT_BYTES_MAX`].
    pub(super) fn text(&mut self, name: &str, text: &str) {
        self.field(name, |line| {
            line.raw(b"\"");
            let cut = cut_at(text, TEXT_BYTES_MAX);
            line.escaped(cut.as_bytes());
            if cut.len() < text.len() {
                line.raw("…".as_bytes());
            }
            line.raw(b"\"");
        });
    }

    /// Adds a count.
    pub(super) fn count(&mut self, name: &str, count: u64) {
        self.field(name, |line| line.number(count));
    }

    /// Adds yes or no.
    pub(super) fn flag(&mut self, name: &str, yes: bool) {
        self.field(name, |line| line.raw(if yes { b"true" } else { b"false" }));
    }

    /// Adds a duration in milliseconds, to the microsecond.
    pub(super) fn millis(&mut self, name: &str, duration: Duration) {
        let micros = u64::try_from(duration.as_micros()).unwrap_or(u64::MAX);
        self.field(name, |line| {
            line.number(micros / MICROS_PER_MILLI);
            line.fraction(micros % MICROS_PER_MILLI, 3);
        });
    }

    /// Adds a measure, to six decimals; `null` for what is no number or absurdly large.
    pub(super) fn measure(&mut self, name: &str, measure: f64) {
        self.field(name, |line| {
            let size = measure.abs();
            if !size.is_finite() || size >= NUMBER_MAX {
                return line.raw(b"null");
            }
            if measure < 0.0 {
                line.raw(b"-");
            }
            let micros = (size * MICROS_PER_SECOND as f64).round() as u64;
            line.number(micros / MICROS_PER_SECOND);
            line.fraction(micros % MICROS_PER_SECOND, 6);
        });
    }

    /// Adds an id as text, through its `Display`, which needs no escaping.
    pub(super) fn id(&mut self, name: &str, id: impl fmt::Display) {
        self.field(name, |line| {
            line.raw(b"\"");
            // Writing into a line cannot fail: too much of it sets `full`.
            let _ = fmt::Write::write_fmt(line, format_args!("{id}"));
            line.raw(b"\"");
        });
    }

    /// Adds a field, or leaves it out whole where there is no room.
    fn field(&mut self, name: &str, value: impl FnOnce(&mut Self)) {
        let before = self.len;
        self.raw(b",\"");
        self.raw(name.as_bytes());
        self.raw(b"\":");
        value(self);
        if self.full {
            self.full = false;
            self.len = before;
        }
    }

    fn raw(&mut self, bytes: &[u8]) {
        self.put(bytes, LINE_BYTES_MAX - TAIL_BYTES);
    }

    fn put(&mut self, bytes: &[u8], end_max: usize) {
        let end = self.len + bytes.len();
        match self.bytes.get_mut(self.len..end) {
            Some(room) if end <= end_max && !self.full => {
                room.copy_from_slice(bytes);
                self.len = end;
            }
            _ => self.full = true,
        }
    }

    fn number(&mut self, number: u64) {
        let mut digits = [0; U64_DIGITS_MAX];
        let number = decimal(number, &mut digits);
        self.raw(number);
    }

    /// A decimal point and this many digits.
    fn fraction(&mut self, mut rest: u64, places: usize) {
        let mut digits = [b'.'; 1 + U64_DIGITS_MAX];
        for digit in digits.iter_mut().take(places + 1).skip(1).rev() {
            *digit = b'0' + (rest % 10) as u8;
            rest /= 10;
        }
        self.raw(digits.get(..=places).unwrap_or_default());
    }

    /// Unix seconds to the microsecond, negative before 1970.
    fn seconds(&mut self, at: SystemTime) {
        let since = at.duration_since(UNIX_EPOCH).unwrap_or_else(|before| {
            self.raw(b"-");
            before.duration()
        });
        self.number(since.as_secs());
        self.fraction(u64::from(since.subsec_micros()), 6);
    }

    fn escaped(&mut self, text: &[u8]) {
        let mut plain = 0;
        for (at, &byte) in text.iter().enumerate() {
            if byte >= b' ' && byte != b'"' && byte != b'\\' {
                continue;
            }
            self.raw(text.get(plain..at).unwrap_or_default());
            plain = at + 1;
            match byte {
                b'"' => self.raw(b"\\\""),
                b'\\' => self.raw(b"\\\\"),
                b'\n' => self.raw(b"\\n"),
                b'\r' => self.raw(b"\\r"),
                b'\t' => self.raw(b"\\t"),
                _ => {
                    let hex = |nibble: u8| b"0123456789abcdef"[usize::from(nibble & 15)];
                    self.raw(&[b'\\', b'u', b'0', b'0', hex(byte >> 4), hex(byte)]);
                }
            }
        }
        self.raw(text.get(plain..).unwrap_or_default());
    }
}

impl fmt::Write for Line {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.raw(text.as_bytes());
        Ok(())
    }
}

/// The number's digits, at the end of `room`.
fn decimal(mut number: u64, room: &mut [u8; U64_DIGITS_MAX]) -> &[u8] {
    let mut at = U64_DIGITS_MAX;
    loop {
        at -= 1;
        room[at] = b'0' + (number % 10) as u8;
        number /= 10;
        if number == 0 {
            return &room[at..];
        }
    }
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
        Line::new(at, ",\"run_id\":\"r\"", "e")
    }

    fn read(line: &Line) -> serde_json::Value {
        serde_json::from_slice(line.as_bytes()).unwrap()
    }

    #[test]
    fn every_kind_of_field_reads_back_as_json() {
        let mut line = start();
        line.text("text", "a \"b\" \\ \n\r\t\u{1}\u{1f} é 🟢");
        line.count("count", u64::MAX);
        line.flag("flag", true);
        line.millis("ms", Duration::from_micros(520_050));
        line.measure("low", -0.25);
        line.measure("nan", f64::NAN);
        line.id("id", format_args!("{:08x}", 0xab));
        line.finish(7);
        assert_eq!(
            std::str::from_utf8(line.as_bytes()).unwrap(),
            "{\"timestamp\":1763830000.120456,\"run_id\":\"r\",\"event\":\"e\",\
             \"text\":\"a \\\"b\\\" \\\\ \\n\\r\\t\\u0001\\u001f é 🟢\",\
             \"count\":18446744073709551615,\"flag\":true,\"ms\":520.050,\"low\":-0.250000,\
             \"nan\":null,\"id\":\"000000ab\",\"seq\":7}\n"
        );
        assert_eq!(read(&line)["text"], "a \"b\" \\ \n\r\t\u{1}\u{1f} é 🟢");
        assert_eq!(line.after_torn().first(), Some(&b'\n'));
        assert_eq!(line.after_torn().get(1..).unwrap(), line.as_bytes());
    }

    #[test]
    fn a_clock_before_1970_is_told_as_it_is() {
        let mut line = Line::new(UNIX_EPOCH - Duration::from_millis(1500), "", "e");
        line.finish(1);
        assert_eq!(read(&line)["timestamp"], -1.5);
    }

    #[test]
    fn a_long_text_is_cut_between_characters() {
        let mut line = start();
        line.text("text", &"é".repeat(TEXT_BYTES_MAX));
        line.finish(1);
        let text = read(&line)["text"].as_str().unwrap().to_owned();
        assert_eq!(text, format!("{}…", "é".repeat(TEXT_BYTES_MAX / 2)));
    }

    #[test]
    fn what_finds_no_room_is_left_out_whole_and_the_line_stays_json() {
        let mut line = start();
        for n in 0..20 {
            line.text(&format!("hostile{n}"), &"\u{1}".repeat(300));
            line.count("small", n);
        }
        line.finish(u64::MAX);
        assert!(line.after_torn().len() <= LINE_BYTES_MAX);
        let read = read(&line);
        assert_eq!(read["hostile0"], "\u{1}".repeat(300));
        assert_eq!(read.get("hostile1"), None);
        assert_eq!(read["seq"], u64::MAX);
    }
}
