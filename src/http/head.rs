//! The head of a reply: its status, its headers, and what they say about its body.

use httparse::{EMPTY_HEADER, Status};

use super::fault::Fault;
use super::framing::Framing;

/// Longest head. OpenAI's take about 2 KiB.
const HEAD_BYTES_MAX: usize = 8 << 10;
/// Most headers.
const HEADERS_MAX: usize = 128;

/// The status whose reply is followed by another protocol, and by no other reply.
const SWITCHING_PROTOCOLS: u16 = 101;

/// A reply's head.
pub(super) struct Head {
    pub(super) status: u16,
    /// Where its body ends.
    pub(super) framing: Framing,
    is_http_10: bool,
    /// As it came, once the parser has found it well formed.
    text: Vec<u8>,
}

impl Head {
    /// The head that the input begins with, and its length; `None` until all of it has come. (A
    /// function of its own: the parser's list takes 4 KiB of the stack.)
    #[inline(never)]
    pub(super) fn parse(input: &[u8]) -> Result<Option<(usize, Self)>, Fault> {
        let mut headers = [EMPTY_HEADER; HEADERS_MAX];
        let mut reply = httparse::Response::new(&mut headers);
        let length = match reply.parse(input) {
            Ok(Status::Complete(length)) => Some(length),
            Ok(Status::Partial) => None,
            Err(fault) => {
                let too_many = fault == httparse::Error::TooManyHeaders;
                return Err(if too_many { Fault::HeadersTooLong } else { Fault::NotHttp });
            }
        };
        if length.unwrap_or(input.len()) > HEAD_BYTES_MAX {
            return Err(Fault::HeadersTooLong);
        }
        let status = reply.code.unwrap_or_default();
        match length {
            None => Ok(None),
            Some(_) if status < 100 => Err(Fault::NotHttp),
            Some(length) => {
                let is_http_10 = reply.version == Some(0);
                let text = input[..length].to_vec();
                let mut head = Self { status, framing: Framing::UntilClose, is_http_10, text };
                head.framing = head.framing()?;
                Ok(Some((length, head)))
            }
        }
    }

    /// Whether another one follows.
    pub(super) fn is_interim(&self) -> bool {
        self.status < 200 && self.status != SWITCHING_PROTOCOLS
    }

    /// The values of a header.
    fn values<'h>(&'h self, name: &str) -> impl Iterator<Item = &'h [u8]> {
        self.text.split(|byte| *byte == b'\n').filter_map(|line| {
            let (found, rest) = line.split_at_checked(name.len())?;
            let value = rest.strip_prefix(b":")?;
            found.eq_ignore_ascii_case(name.as_bytes()).then(|| value.trim_ascii())
        })
    }

    /// A header's first value, if it is plain text.
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        let value = self.values(name).next()?;
        std::str::from_utf8(value).ok().filter(|value| value.is_ascii())
    }

    /// The words of a header that is a list.
    fn words<'h>(&'h self, name: &str) -> impl Iterator<Item = &'h [u8]> {
        let words = self.values(name).flat_map(|value| value.split(|byte| *byte == b','));
        words.map(<[u8]>::trim_ascii)
    }

    fn has(&self, name: &str, word: &str) -> bool {
        self.words(name).any(|found| found.eq_ignore_ascii_case(word.as_bytes()))
    }

    /// Where the body ends (RFC 9112, 6.3). A transfer coding overrides a length, and HTTP/1.0 has
    /// no chunks.
    fn framing(&self) -> Result<Framing, Fault> {
        let length = self.content_length()?;
        let coding = self.words("transfer-encoding").filter(|word| !word.is_empty()).last();
        let is_chunked = coding.is_some_and(|last| last.eq_ignore_ascii_case(b"chunked"));
        Ok(match (self.status, coding, length) {
            (100..=199 | 204 | 304, ..) => Framing::Length(0),
            _ if is_chunked && !self.is_http_10 => Framing::CHUNKED,
            (_, None, Some(length)) => Framing::Length(length),
            _ => Framing::UntilClose,
        })
    }

    /// The length that its headers name. Two that differ are none to build on.
    fn content_length(&self) -> Result<Option<u64>, Fault> {
        let mut found = None;
        for word in self.words("content-length") {
            // (No sign.)
            let digits = std::str::from_utf8(word).ok();
            let digits = digits.filter(|text| text.bytes().all(|byte| byte.is_ascii_digit()));
            let length = digits.and_then(|text| text.parse().ok()).ok_or(Fault::NotHttp)?;
            if found.replace(length).is_some_and(|other: u64| other != length) {
                return Err(Fault::NotHttp);
            }
        }
        Ok(found)
    }

    /// Whether the server keeps the connection once the body has ended.
    /// (One that names two ends of a body may take the other one for its end.)
    pub(super) fn keeps(&self) -> bool {
        let by_default = !self.is_http_10 || self.has("connection", "keep-alive");
        let names = |name| self.values(name).next().is_some();
        let is_clear = !(names("transfer-encoding") && names("content-length"));
        let is_http = self.status != SWITCHING_PROTOCOLS;
        by_default && is_clear && is_http && !self.has("connection", "close")
    }
}
