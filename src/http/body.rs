//! A request's body: bytes, and data in between that becomes base64 only while it is sent.

use std::io::{self, Read};
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

/// How much data is encoded at once: a multiple of three bytes, so that only the end of the
/// data is padded.
const DATA_STEP: usize = 768;
/// The same as base64.
const TEXT_STEP: usize = DATA_STEP / 3 * 4;

/// Data that goes into a body as base64; never empty.
#[derive(Debug)]
pub(crate) struct Insert {
    /// Its place among the body's bytes.
    pub(crate) at: usize,
    pub(crate) data: Arc<Vec<u8>>,
}

/// A body as it is sent.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Body<'a> {
    pub(crate) bytes: &'a [u8],
    /// In the order of their places.
    pub(crate) inserts: &'a [Insert],
}

impl<'a> From<&'a [u8]> for Body<'a> {
    fn from(bytes: &'a [u8]) -> Self {
        Self { bytes, inserts: &[] }
    }
}

/// The first bytes as base64, as many as an error message may quote.
pub(crate) fn encoded_head(data: &[u8]) -> String {
    STANDARD.encode(&data[..data.len().min(DATA_STEP)])
}

impl<'a> Body<'a> {
    /// How many bytes are sent.
    pub(super) fn length(&self) -> u64 {
        let inserted = self.inserts.iter().map(|insert| insert.data.len().div_ceil(3) as u64 * 4);
        self.bytes.len() as u64 + inserted.sum::<u64>()
    }

    /// Reads the body from its beginning.
    pub(super) fn reader(self) -> BodyReader<'a> {
        BodyReader { body: self, at: 0, data: &[], text: [0; TEXT_STEP], ready: 0..0 }
    }
}

/// A body on its way.
pub(super) struct BodyReader<'a> {
    /// What is not begun yet of the inserts.
    body: Body<'a>,
    /// How far the bytes are read.
    at: usize,
    /// What is not encoded yet of the insert that is being read.
    data: &'a [u8],
    /// Base64 of the data before it, of which this range is not read yet.
    text: [u8; TEXT_STEP],
    ready: std::ops::Range<usize>,
}

impl BodyReader<'_> {
    /// The next bytes, as many as lie together; none at the end.
    fn piece(&mut self) -> &[u8] {
        if self.ready.is_empty() && self.data.is_empty() {
            let next = self.body.inserts.first().map_or(self.body.bytes.len(), |next| next.at);
            if self.at < next {
                return &self.body.bytes[self.at..next];
            }
            if let Some((first, rest)) = self.body.inserts.split_first() {
                self.data = &first.data;
                self.body.inserts = rest;
            }
        }
        if self.ready.is_empty() {
            let (step, rest) = self.data.split_at(self.data.len().min(DATA_STEP));
            self.data = rest;
            // The text has room for a whole step.
            self.ready = 0..STANDARD.encode_slice(step, &mut self.text).unwrap_or(0);
        }
        &self.text[self.ready.clone()]
    }

    fn consume(&mut self, amount: usize) {
        if self.ready.is_empty() { self.at += amount } else { self.ready.start += amount }
    }
}

impl Read for BodyReader<'_> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let mut filled = 0;
        while filled < out.len() {
            let piece = self.piece();
            let amount = piece.len().min(out.len() - filled);
            if amount == 0 {
                break;
            }
            out[filled..filled + amount].copy_from_slice(&piece[..amount]);
            self.consume(amount);
            filled += amount;
        }
        Ok(filled)
    }
}

#[cfg(test)]
impl Body<'_> {
    /// All that is sent.
    pub(crate) fn sent(self) -> Vec<u8> {
        let mut all = Vec::new();
        let read = self.reader().read_to_end(&mut all);
        assert!(read.is_ok() && all.len() as u64 == self.length());
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn inserts(all: &[(usize, &[u8])]) -> Vec<Insert> {
        all.iter().map(|(at, data)| Insert { at: *at, data: Arc::new(data.to_vec()) }).collect()
    }

    #[test]
    fn data_stands_in_its_place_as_base64() {
        // RFC 4648, section 10; and bytes for the two characters that are no letters.
        for (at, expected) in [
            (&[(0, &b"f"[..])][..], "Zg==abc"),
            (&[(3, b"foobar")], "abcZm9vYmFy"),
            (&[(1, b"fo"), (1, b"foo"), (2, b"foobarb")], "aZm8=Zm9vbZm9vYmFyYg==c"),
            (&[(1, &[0xfb, 0xff, 0xbf])], "a+/+/bc"),
            (&[], "abc"),
        ] {
            let inserts = inserts(at);
            let body = Body { bytes: b"abc", inserts: &inserts };
            assert_eq!(String::from_utf8(body.sent()).unwrap(), expected);
        }
    }

    #[test]
    fn no_length_and_no_buffer_loses_or_repeats_a_byte() {
        for length in [1, 2, DATA_STEP - 1, DATA_STEP, DATA_STEP + 1, 3 * DATA_STEP + 2] {
            let data: Vec<u8> = (0..length).map(|n| (n * 7 + n / 256) as u8).collect();
            let inserts = inserts(&[(1, &data)]);
            let body = Body { bytes: b"\"\"", inserts: &inserts };
            let expected = format!("\"{}\"", STANDARD.encode(&data));
            assert_eq!(body.length(), expected.len() as u64);
            for step in [1, 3, TEXT_STEP - 1, TEXT_STEP, 4096] {
                let (mut reader, mut all, mut buffer) = (body.reader(), Vec::new(), vec![0; step]);
                loop {
                    let read = reader.read(&mut buffer).unwrap();
                    all.extend_from_slice(&buffer[..read]);
                    // A buffer that is not full is the body's end.
                    if read < step {
                        break;
                    }
                }
                assert_eq!(String::from_utf8(all).unwrap(), expected, "{length} by {step}");
                assert_eq!(reader.read(&mut buffer).unwrap(), 0);
            }
        }
    }
}
