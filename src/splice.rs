//! A body with pictures, whose bytes are encoded as base64 only while it is read: the encoded
//! body is never in memory.

use std::io::{self, Read};
use std::ops::Range;
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

/// How many bytes of data are encoded at once: a multiple of three, so that only the end of the
/// data is padded.
const DATA_STEP: usize = 768;
/// The same step, in bytes of base64.
const TEXT_STEP: usize = DATA_STEP / 3 * 4;

/// Data to be read as base64; never empty.
#[derive(Debug, Clone)]
pub(crate) struct Insert {
    /// Its position among the other bytes.
    pub(crate) at: usize,
    pub(crate) data: Arc<Vec<u8>>,
}

/// Bytes that can be read many times, and are generated while they are read.
pub(crate) struct Streamed {
    /// The number of bytes, in digits.
    pub(crate) content_length: String,
    /// A reader from the first byte.
    pub(crate) open: Box<dyn Fn() -> Box<dyn Read>>,
}

/// The bytes with these inserts, which are sorted by position.
pub(crate) fn splice(bytes: Vec<u8>, inserts: Vec<Insert>) -> Streamed {
    let inserted = inserts.iter().map(|insert| insert.data.len().div_ceil(3) as u64 * 4);
    let length = bytes.len() as u64 + inserted.sum::<u64>();
    let content_length = length.to_string();
    let (bytes, inserts) = (Arc::new(bytes), Arc::new(inserts));
    let open = move || -> Box<dyn Read> {
        Box::new(Spliced {
            bytes: Arc::clone(&bytes),
            at: 0,
            inserts: Arc::clone(&inserts),
            begun: 0,
            encoded: 0,
            text: [0; TEXT_STEP],
            ready: 0..0,
        })
    };
    Streamed { content_length, open: Box::new(open) }
}

/// The first bytes of data as base64, as many as an error message may quote.
pub(crate) fn encoded_head(data: &[u8]) -> String {
    STANDARD.encode(&data[..data.len().min(DATA_STEP)])
}

/// The bytes of a base64 text; `None` if it is none.
pub(crate) fn decoded(text: &str) -> Option<Vec<u8>> {
    STANDARD.decode(text).ok()
}

/// A reader of bytes and inserts.
struct Spliced {
    bytes: Arc<Vec<u8>>,
    /// How many of the bytes were read.
    at: usize,
    inserts: Arc<Vec<Insert>>,
    /// How many of the inserts were begun, and how much of the current one is encoded.
    begun: usize,
    encoded: usize,
    /// The current base64 text, of which this range was not read yet.
    text: [u8; TEXT_STEP],
    ready: Range<usize>,
}

impl Spliced {
    /// Encodes the next step of the current insert; `false` at its end.
    fn encode(&mut self) -> bool {
        let Some(insert) = self.begun.checked_sub(1).and_then(|last| self.inserts.get(last)) else {
            return false;
        };
        let rest = &insert.data[self.encoded..];
        let step = &rest[..rest.len().min(DATA_STEP)];
        self.encoded += step.len();
        // The buffer holds one complete step.
        self.ready = 0..STANDARD.encode_slice(step, &mut self.text).unwrap_or(0);
        !step.is_empty()
    }
}

impl Read for Spliced {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        while self.ready.is_empty() && !self.encode() {
            let next = self.inserts.get(self.begun).map(|insert| insert.at);
            let bytes = &self.bytes[self.at..next.unwrap_or(self.bytes.len())];
            if !bytes.is_empty() || next.is_none() {
                let amount = bytes.len().min(out.len());
                out[..amount].copy_from_slice(&bytes[..amount]);
                self.at += amount;
                return Ok(amount);
            }
            (self.begun, self.encoded) = (self.begun + 1, 0);
        }
        let amount = self.ready.len().min(out.len());
        let end = self.ready.start + amount;
        out[..amount].copy_from_slice(&self.text[self.ready.start..end]);
        self.ready.start = end;
        Ok(amount)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn inserts(all: &[(usize, &[u8])]) -> Vec<Insert> {
        all.iter().map(|(at, data)| Insert { at: *at, data: Arc::new(data.to_vec()) }).collect()
    }

    fn read_by(streamed: &Streamed, step: usize) -> String {
        let (mut reader, mut all, mut buffer) = ((streamed.open)(), Vec::new(), vec![0; step]);
        loop {
            match reader.read(&mut buffer).unwrap() {
                0 => break,
                read => all.extend_from_slice(&buffer[..read]),
            }
        }
        assert_eq!(all.len().to_string(), streamed.content_length);
        assert_eq!(reader.read(&mut buffer).unwrap(), 0);
        String::from_utf8(all).unwrap()
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
            let streamed = splice(b"abc".to_vec(), inserts(at));
            for step in [1, 2, 3, 100] {
                assert_eq!(read_by(&streamed, step), expected);
            }
        }
    }

    #[test]
    fn no_length_and_no_buffer_loses_or_repeats_a_byte() {
        for length in [1, 2, DATA_STEP - 1, DATA_STEP, DATA_STEP + 1, 3 * DATA_STEP + 2] {
            let data: Vec<u8> = (0..length).map(|n| (n * 7 + n / 256) as u8).collect();
            let expected = format!("\"{}\"", STANDARD.encode(&data));
            let streamed = splice(b"\"\"".to_vec(), inserts(&[(1, &data)]));
            for step in [1, 3, TEXT_STEP - 1, TEXT_STEP, 4096] {
                assert_eq!(read_by(&streamed, step), expected, "{length} by {step}");
            }
        }
    }
}
