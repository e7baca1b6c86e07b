//! A JSON scanner for one line, which picks out the fields that the report needs without
//! allocating. It takes what serde_json takes (the tests compare them); of a damaged line it
//! takes more, see [`scan_damaged`].

use super::bytes::{HIGHS, ONES, SMALL_POWERS, eight_digits, zero_bytes};
use super::digits::{Digits, FAST_DIGITS_MAX};
use super::record::{Field, LineFields, Record, SeenKey, Shape, TextSpan, WORD, field};

/// Deepest nesting that is read: serde_json's own bound, and the bits of the stack below.
const DEPTH_MAX: u32 = 127;

/// Reads one line. `None`: it is no JSON object.
pub(super) fn scan<'a>(line: &'a [u8], record: &'a mut Record) -> Option<LineFields<'a>> {
    let mut scanner = Scanner { line, at: 0, high: false, lenient: false };
    record.clear();
    scanner.object(record)?;
    scanner.space();
    if scanner.at < line.len() || (scanner.high && std::str::from_utf8(line).is_err()) {
        return None;
    }
    Some(LineFields::new(record, line))
}

/// Reads an object at the beginning of a damaged line; also gives its length. It takes what
/// other writers put into lines although JSON has no such thing: `NaN`, `Infinity` and numbers
/// beyond an `f64` (as no number), bare control characters, halves of surrogate pairs, and
/// bytes that are no UTF-8.
pub(super) fn scan_damaged<'a>(
    line: &'a [u8],
    record: &'a mut Record,
) -> Option<(LineFields<'a>, usize)> {
    let mut scanner = Scanner { line, at: 0, high: false, lenient: true };
    record.clear();
    scanner.object(record)?;
    let length = scanner.at;
    Some((LineFields::new(record, line), length))
}

struct Scanner<'a> {
    line: &'a [u8],
    at: usize,
    /// Some byte is not ASCII.
    high: bool,
    /// See [`scan_damaged`].
    lenient: bool,
}

impl<'a> Scanner<'a> {
    fn peek(&self) -> Option<u8> {
        self.line.get(self.at).copied()
    }

    fn space(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\r' | b'\n')) {
            self.at += 1;
        }
    }

    /// Goes over white space and takes this byte.
    fn expect(&mut self, byte: u8) -> Option<()> {
        self.space();
        self.eat(byte).then_some(())
    }

    fn eat(&mut self, byte: u8) -> bool {
        let there = self.peek() == Some(byte);
        self.at += usize::from(there);
        there
    }

    fn object(&mut self, record: &mut Record) -> Option<()> {
        self.expect(b'{')?;
        self.space();
        if self.eat(b'}') {
            return Some(());
        }
        let mut place = 0;
        loop {
            self.space();
            let field = self.field_key(&mut record.shape, place)?;
            place += 1;
            self.space();
            self.member(field, record)?;
            self.space();
            if self.eat(b',') {
                continue;
            }
            return self.eat(b'}').then_some(());
        }
    }

    /// Reads a key and its colon; returns which field it is.
    #[inline]
    fn field_key(&mut self, shape: &mut Shape, place: usize) -> Option<Field> {
        if let Some(keys) = shape.keys.get(place) {
            for key in keys {
                if key.is_at(self.line, self.at) {
                    self.at += usize::from(key.len);
                    return Some(key.field);
                }
            }
        }
        self.new_key(shape, place)
    }

    #[cold]
    fn new_key(&mut self, shape: &mut Shape, place: usize) -> Option<Field> {
        let start = self.at;
        self.expect(b'"')?;
        let span = self.string()?;
        let field = field(span.of(self.line).decode().as_bytes());
        self.expect(b':')?;
        let bytes = self.line.get(start..self.at).unwrap_or_default();
        // Keys that are not plain are read anew each time: `high` must see all their bytes.
        if let (Some(keys), Some(key), true) =
            (shape.keys.get_mut(place), SeenKey::new(bytes, field), bytes.is_ascii())
        {
            keys.swap(0, 1);
            keys[0] = key;
        }
        Some(field)
    }

    /// Reads the value of a field.
    #[inline]
    fn member(&mut self, field: Field, record: &mut Record) -> Option<()> {
        match (field, self.peek()?) {
            (Field::Text(name), b'"') => {
                self.at += 1;
                record.set_text(name, self.string()?);
            }
            (field, b'N' | b'I' | b'-') if self.no_number() => record.unset(field),
            (Field::Number(number), b'-' | b'0'..=b'9') => {
                let value = self.number()?.value();
                if value.is_finite() {
                    record.set_number(number, value);
                } else {
                    record.unset(field);
                }
            }
            (Field::Success, b't') => {
                self.word(b"true")?;
                record.success = Some(true);
            }
            (Field::Echoed, b't') => {
                self.word(b"true")?;
                record.echoed = true;
            }
            (Field::Success, b'f') => {
                self.word(b"false")?;
                record.success = Some(false);
            }
            (field, b'{' | b'[') => {
                record.unset(field);
                self.nested()?;
            }
            (field, _) => {
                record.unset(field);
                self.scalar()?;
            }
        }
        Some(())
    }

    fn scalar(&mut self) -> Option<()> {
        match self.peek()? {
            b'"' => {
                self.at += 1;
                self.string().map(|_| ())
            }
            b't' => self.word(b"true"),
            b'f' => self.word(b"false"),
            b'n' => self.word(b"null"),
            b'N' | b'I' | b'-' if self.no_number() => Some(()),
            _ => self.number().map(|_| ()),
        }
    }

    fn word(&mut self, word: &[u8]) -> Option<()> {
        let end = self.at + word.len();
        (self.line.get(self.at..end)? == word).then(|| self.at = end)
    }

    /// Takes a word for what is no number.
    fn no_number(&mut self) -> bool {
        let words = [&b"NaN"[..], b"Infinity", b"-Infinity"];
        self.lenient && words.iter().any(|word| self.word(word).is_some())
    }

    /// The rest of a string whose opening quote was taken.
    #[inline]
    fn string(&mut self) -> Option<TextSpan> {
        let start = self.at;
        let mut escaped = false;
        loop {
            self.plain();
            match self.peek()? {
                b'"' => {
                    let end = self.at;
                    self.at += 1;
                    return Some(TextSpan { start: start as u32, end: end as u32, escaped });
                }
                b'\\' => {
                    escaped = true;
                    self.at += 1;
                    self.escape()?;
                }
                // A bare control character.
                _ if self.lenient => self.at += 1,
                _ => return None,
            }
        }
    }

    /// Goes on to the next quote, backslash or control character.
    #[inline]
    fn plain(&mut self) {
        while let Some(chunk) = self.line.get(self.at..self.at + 8) {
            let word = chunk.try_into().map_or(0, u64::from_le_bytes);
            let quote = zero_bytes(word ^ (ONES * b'"' as u64));
            let slash = zero_bytes(word ^ (ONES * b'\\' as u64));
            let control = word.wrapping_sub(ONES * 0x20) & !word & HIGHS;
            self.high |= word & HIGHS != 0;
            let stop = quote | slash | control;
            if stop != 0 {
                self.at += stop.trailing_zeros() as usize / 8;
                return;
            }
            self.at += 8;
        }
        while let Some(byte) = self.peek() {
            if byte == b'"' || byte == b'\\' || byte < b' ' {
                return;
            }
            self.high |= byte >= 0x80;
            self.at += 1;
        }
    }

    fn escape(&mut self) -> Option<()> {
        let kind = self.peek()?;
        self.at += 1;
        match kind {
            b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't' => Some(()),
            b'u' => {
                let unit = self.hex()?;
                match unit {
                    _ if self.lenient => Some(()),
                    // A pair that stands for one character, or no text at all.
                    0xD800..=0xDBFF => {
                        self.word(b"\\u")?;
                        matches!(self.hex()?, 0xDC00..=0xDFFF).then_some(())
                    }
                    0xDC00..=0xDFFF => None,
                    _ => Some(()),
                }
            }
            _ => None,
        }
    }

    fn hex(&mut self) -> Option<u32> {
        let digits = self.line.get(self.at..self.at + 4)?;
        self.at += 4;
        digits
            .iter()
            .try_fold(0, |unit, &digit| Some((unit << 4) + char::from(digit).to_digit(16)?))
    }

    fn number(&mut self) -> Option<Digits<'a>> {
        let start = self.at;
        let negative = self.eat(b'-');
        let first = self.at;
        let mut mantissa = 0;
        self.digits(&mut mantissa)?;
        if self.line.get(first) == Some(&b'0') && self.at > first + 1 {
            return None;
        }
        let mut count = self.at - first;
        let mut places = 0;
        if self.eat(b'.') {
            let point = self.at;
            self.digits(&mut mantissa)?;
            places = self.at - point;
            count += places;
        }
        let mut simple = !negative && count <= FAST_DIGITS_MAX;
        if matches!(self.peek(), Some(b'e' | b'E')) {
            self.at += 1;
            if !self.eat(b'-') {
                self.eat(b'+');
            }
            self.digits(&mut 0)?;
            simple = false;
        }
        let raw = self.line.get(start..self.at)?;
        let digits = Digits { raw, mantissa, places, simple };
        // A number too large for an f64 is none, as for serde_json.
        (simple || self.lenient || digits.value().is_finite()).then_some(digits)
    }

    /// One digit or more; the mantissa wraps around where they are too many.
    #[inline]
    fn digits(&mut self, mantissa: &mut u64) -> Option<()> {
        let start = self.at;
        while let Some(chunk) = self.line.get(self.at..self.at + WORD) {
            let word = chunk.try_into().map_or(0, u64::from_le_bytes) ^ (ONES * b'0' as u64);
            // A byte above 9 gets its highest bit.
            let others = (((word & !HIGHS) + ONES * (0x80 - 10)) | word) & HIGHS;
            let count = others.trailing_zeros() / 8;
            let Some(power) = SMALL_POWERS.get(count as usize) else { break };
            if count > 0 {
                // To the word's end, as if there were zeros before.
                let digits = eight_digits(word << (64 - 8 * count));
                *mantissa = mantissa.wrapping_mul(*power).wrapping_add(digits);
                self.at += count as usize;
            }
            if count < 8 {
                return (self.at > start).then_some(());
            }
        }
        while let Some(byte @ b'0'..=b'9') = self.peek() {
            *mantissa = mantissa.wrapping_mul(10).wrapping_add(u64::from(byte - b'0'));
            self.at += 1;
        }
        (self.at > start).then_some(())
    }

    /// Skips an object or array, without recursion: one bit for each level says which it is.
    fn nested(&mut self) -> Option<()> {
        let (mut objects, mut depth) = (0_u128, 0_u32);
        loop {
            self.space();
            let opener = self.peek()?;
            let mut ended = match opener {
                b'{' | b'[' => {
                    self.at += 1;
                    depth += 1;
                    // One level is the line's own object.
                    if depth >= DEPTH_MAX {
                        return None;
                    }
                    objects = (objects << 1) + u128::from(opener == b'{');
                    self.space();
                    let empty = self.eat(if opener == b'{' { b'}' } else { b']' });
                    if empty {
                        depth -= 1;
                        objects >>= 1;
                    } else if opener == b'{' {
                        self.key()?;
                    }
                    empty
                }
                _ => {
                    self.scalar()?;
                    true
                }
            };
            // After a value: the next one, or the end of what holds it.
            while ended {
                if depth == 0 {
                    return Some(());
                }
                self.space();
                let object = objects & 1 == 1;
                if self.eat(b',') {
                    if object {
                        self.key()?;
                    }
                    ended = false;
                } else if self.eat(if object { b'}' } else { b']' }) {
                    depth -= 1;
                    objects >>= 1;
                } else {
                    return None;
                }
            }
        }
    }

    fn key(&mut self) -> Option<()> {
        self.expect(b'"')?;
        self.string()?;
        self.expect(b':')
    }
}

#[cfg(test)]
#[path = "scan_tests.rs"]
mod tests;
