//! A strict JSON scanner for one line: takes what serde_json takes, and picks out the fields
//! that the report needs without allocating. (The tests hold it against serde_json.)

use std::borrow::Cow;

/// The numbers that the report reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Number {
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
}

const NUMBERS: usize = Number::Unjoined as usize + 1;

/// The texts that the report reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Name {
    RunId,
    Event,
    Backend,
    Error,
    ErrorKind,
    From,
    To,
    Why,
}

const NAMES: usize = Name::Why as usize + 1;

/// Deepest nesting that is read: serde_json's own bound, and the bits of the stack below.
const DEPTH_MAX: u32 = 127;

/// A string as it stands between its quotes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Text<'a> {
    raw: &'a [u8],
    escaped: bool,
}

impl<'a> Text<'a> {
    /// The bytes between the quotes: one spelling, one text, as long as one writer wrote it.
    pub(super) fn raw(self) -> &'a [u8] {
        self.raw
    }

    /// The text itself.
    pub(super) fn decode(self) -> Cow<'a, str> {
        if !self.escaped {
            return String::from_utf8_lossy(self.raw);
        }
        let quoted = [b"\"", self.raw, b"\""].concat();
        match serde_json::from_slice(&quoted) {
            Ok(text) => Cow::Owned(text),
            Err(_) => Cow::Owned(String::from_utf8_lossy(self.raw).into_owned()),
        }
    }
}

/// Where the fields that the report needs stand in a line. One for all lines: clearing it
/// costs less than making it.
#[derive(Debug, Default)]
pub(super) struct Record {
    texts: [Span; NAMES],
    has_text: u32,
    numbers: [f64; NUMBERS],
    has_number: u32,
    success: Option<bool>,
    shape: Shape,
}

/// A string's place in its line.
#[derive(Debug, Clone, Copy, Default)]
struct Span {
    /// Lines are shorter than 4 GiB by far; what is small is returned in registers.
    start: u32,
    end: u32,
    escaped: bool,
}

/// A line together with what was found in it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Fields<'a> {
    record: &'a Record,
    line: &'a [u8],
}

impl<'a> Fields<'a> {
    pub(super) fn text(&self, name: Name) -> Option<Text<'a>> {
        let there = self.record.has_text >> name as u32 & 1 == 1;
        there.then(|| self.record.texts[name as usize].of(self.line))
    }

    pub(super) fn number(&self, number: Number) -> Option<f64> {
        let there = self.record.has_number >> number as u32 & 1 == 1;
        there.then(|| self.record.numbers[number as usize])
    }

    /// The number as a count; what is negative or no whole number is none.
    pub(super) fn count(&self, number: Number) -> Option<u64> {
        let found = self.number(number)?;
        let count = found as u64;
        // The cast is exact for whole numbers in range, and for no others.
        (count as f64 == found).then_some(count)
    }

    pub(super) fn success(&self) -> Option<bool> {
        self.record.success
    }
}

impl Span {
    fn of(self, line: &[u8]) -> Text<'_> {
        let raw = line.get(self.start as usize..self.end as usize).unwrap_or_default();
        Text { raw, escaped: self.escaped }
    }
}

impl Record {
    fn clear(&mut self) {
        (self.has_text, self.has_number, self.success) = (0, 0, None);
    }

    fn set_text(&mut self, name: Name, text: Span) {
        self.texts[name as usize] = text;
        self.has_text |= 1 << name as u32;
    }

    fn set_number(&mut self, number: Number, value: f64) {
        self.numbers[number as usize] = value;
        self.has_number |= 1 << number as u32;
    }

    /// For a field whose value is of the wrong type: of two fields with one name the last
    /// counts, whatever it is.
    fn unset(&mut self, field: Field) {
        match field {
            Field::Text(name) => self.has_text &= !(1 << name as u32),
            Field::Number(number) => self.has_number &= !(1 << number as u32),
            Field::Success => self.success = None,
            Field::Other => {}
        }
    }
}

/// Fields whose place in the line is remembered; later ones are read without.
const SHAPE_FIELDS: usize = 24;

/// A key with its quotes and colon is remembered up to so many words of eight bytes.
const KEY_WORDS: usize = 3;
const WORD: usize = 8;

/// How the keys of the last lines looked, by their place in the line. A writer repeats
/// itself: comparing with what stood there before is cheaper than reading.
#[derive(Debug, Default)]
struct Shape {
    keys: [[Key; 2]; SHAPE_FIELDS],
}

/// A key as it stands in a line, from its opening quote to its colon.
#[derive(Debug, Clone, Copy, Default)]
struct Key {
    words: [u64; KEY_WORDS],
    masks: [u64; KEY_WORDS],
    /// 0: none yet.
    len: u8,
    field: Field,
}

impl Key {
    fn new(bytes: &[u8], field: Field) -> Option<Self> {
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
    fn is_at(&self, line: &[u8], at: usize) -> bool {
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

#[derive(Debug, Clone, Copy, Default)]
enum Field {
    Text(Name),
    Number(Number),
    Success,
    #[default]
    Other,
}

fn field(key: &[u8]) -> Field {
    use Field::{Number as N, Text as T};
    match key {
        b"run_id" => T(Name::RunId),
        b"event" => T(Name::Event),
        b"backend" => T(Name::Backend),
        b"error" => T(Name::Error),
        b"error_kind" => T(Name::ErrorKind),
        b"from" => T(Name::From),
        b"to" => T(Name::To),
        b"why" => T(Name::Why),
        b"latency_ms" => N(Number::LatencyMs),
        b"seq" => N(Number::Seq),
        b"attempt" => N(Number::Attempt),
        b"prompt_tokens" => N(Number::PromptTokens),
        b"completion_tokens" => N(Number::CompletionTokens),
        b"queue_ms" => N(Number::QueueMs),
        b"first_byte_ms" => N(Number::FirstByteMs),
        b"waited_ms" => N(Number::WaitedMs),
        b"bytes_dropped" => N(Number::BytesDropped),
        b"lines" => N(Number::Lines),
        b"sent" => N(Number::Sent),
        b"dropped" => N(Number::Dropped),
        b"retried" => N(Number::Retried),
        b"unjoined_threads" => N(Number::Unjoined),
        b"success" => Field::Success,
        _ => Field::Other,
    }
}

/// A number as it stands, and its digits as far as a `u64` holds them.
#[derive(Clone, Copy)]
struct Digits<'a> {
    raw: &'a [u8],
    mantissa: u64,
    places: usize,
    simple: bool,
}

/// Up to here an integer is exact as `f64`, and so are these powers of ten: their quotient
/// is then rounded once, which is the right value.
const EXACT_INTEGER_MAX: u64 = 1 << 53;
const POWERS_OF_TEN: [f64; 16] =
    [1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15];

/// More digits than this may not fit a `u64`.
const FAST_DIGITS_MAX: usize = 18;

impl Digits<'_> {
    fn value(self) -> f64 {
        if self.simple && self.mantissa <= EXACT_INTEGER_MAX {
            if let Some(power) = POWERS_OF_TEN.get(self.places) {
                return self.mantissa as f64 / power;
            }
        }
        let text = std::str::from_utf8(self.raw).unwrap_or_default();
        text.parse().unwrap_or(f64::NAN)
    }
}

/// Reads one line. `None`: it is no JSON object.
pub(super) fn scan<'a>(line: &'a [u8], record: &'a mut Record) -> Option<Fields<'a>> {
    let mut scanner = Scanner { line, at: 0, high: false };
    record.clear();
    scanner.object(record)?;
    scanner.space();
    if scanner.at < line.len() || (scanner.high && std::str::from_utf8(line).is_err()) {
        return None;
    }
    Some(Fields { record, line })
}

struct Scanner<'a> {
    line: &'a [u8],
    at: usize,
    /// Some byte is not ASCII.
    high: bool,
}

/// Eight bytes at a time: all bytes 1, and all bytes with the highest bit.
const ONES: u64 = 0x0101_0101_0101_0101;
const HIGHS: u64 = 0x8080_8080_8080_8080;

/// The highest bit of each byte that is zero. (Bytes above the first such may be marked
/// wrongly; the first never is.)
const fn zero_bytes(word: u64) -> u64 {
    word.wrapping_sub(ONES) & !word & HIGHS
}

const SMALL_POWERS: [u64; 9] =
    [1, 10, 100, 1_000, 10_000, 100_000, 1_000_000, 10_000_000, 100_000_000];

/// The number whose eight digits are the word's bytes, the first in the lowest byte:
/// neighbours are put together three times.
const fn eight_digits(word: u64) -> u64 {
    let pairs = (word * 10 + (word >> 8)) & 0x00ff_00ff_00ff_00ff;
    let fours = (pairs * 100 + (pairs >> 16)) & 0x0000_ffff_0000_ffff;
    (fours * 10_000 + (fours >> 32)) & 0xffff_ffff
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

    /// Reads a key and its colon; tells which field it is.
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
        let key = span.of(self.line);
        let field = if key.escaped { field(key.decode().as_bytes()) } else { field(key.raw) };
        self.expect(b':')?;
        let bytes = self.line.get(start..self.at).unwrap_or_default();
        // Keys that are not plain are read anew each time: `high` must see all their bytes.
        if let (Some(keys), Some(key), true) =
            (shape.keys.get_mut(place), Key::new(bytes, field), bytes.is_ascii())
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
            (Field::Number(number), b'-' | b'0'..=b'9') => {
                record.set_number(number, self.number()?.value());
            }
            (Field::Success, b't') => {
                self.word(b"true")?;
                record.success = Some(true);
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
            _ => self.number().map(|_| ()),
        }
    }

    fn word(&mut self, word: &[u8]) -> Option<()> {
        let end = self.at + word.len();
        (self.line.get(self.at..end)? == word).then(|| self.at = end)
    }

    /// The rest of a string whose opening quote was taken.
    #[inline]
    fn string(&mut self) -> Option<Span> {
        let start = self.at;
        let mut escaped = false;
        loop {
            self.plain();
            match self.peek()? {
                b'"' => {
                    let end = self.at;
                    self.at += 1;
                    return Some(Span { start: start as u32, end: end as u32, escaped });
                }
                b'\\' => {
                    escaped = true;
                    self.at += 1;
                    self.escape()?;
                }
                // A bare control character.
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
        digits.iter().try_fold(0, |unit, &digit| Some(unit << 4 | char::from(digit).to_digit(16)?))
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
        (simple || digits.value().is_finite()).then_some(digits)
    }

    /// One digit or more; the mantissa wraps around where they are too many.
    #[inline]
    fn digits(&mut self, mantissa: &mut u64) -> Option<()> {
        let start = self.at;
        while let Some(chunk) = self.line.get(self.at..self.at + WORD) {
            let word = chunk.try_into().map_or(0, u64::from_le_bytes) ^ (ONES * b'0' as u64);
            // A byte above 9 gets its highest bit.
            let others = ((word & !HIGHS) + ONES * (0x80 - 10) | word) & HIGHS;
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

    /// Goes over an object or array, without recursion: one bit for each level tells which.
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
                    objects = objects << 1 | u128::from(opener == b'{');
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
