//! The body of a reply: where it ends, and its bytes without what HTTP puts between them
//! (RFC 9112, 6 and 7).

use httparse::{Status, parse_chunk_size};

use super::fault::Fault;

/// How much of a body is still to come.
#[derive(Debug, PartialEq)]
pub(super) enum Framing {
    /// So many bytes.
    Length(u64),
    /// Chunks, each with its length before it.
    Chunked(Chunk),
    /// All until the connection is closed.
    UntilClose,
}

/// The next part of a body in chunks.
#[derive(Debug, PartialEq)]
pub(super) enum Chunk {
    Size,
    /// So many bytes of this chunk.
    Data(u64),
    /// The line end after a chunk.
    LineEnd,
    /// Headers after the last chunk, which nobody needs, or the empty line that ends them.
    Trailer,
    Ended,
}

impl Framing {
    pub(super) fn is_complete(&self) -> bool {
        matches!(self, Self::Length(0) | Self::Chunked(Chunk::Ended))
    }

    /// Whether the body is complete if the connection ends here. (Some servers close it after the
    /// last chunk, without the line that ends it.)
    pub(super) fn may_end(&self) -> bool {
        matches!(self, Self::UntilClose | Self::Chunked(Chunk::Trailer))
    }

    /// One step of decoding: how many bytes it took of the input, and how many it put into `out`.
    /// None of either, if more input is needed.
    pub(super) fn decode(&mut self, input: &[u8], out: &mut [u8]) -> Result<(usize, usize), Fault> {
        let space = input.len().min(out.len()) as u64;
        let amount = match self {
            Self::UntilClose => space,
            Self::Length(left) | Self::Chunked(Chunk::Data(left)) => {
                let amount = space.min(*left);
                *left -= amount;
                amount
            }
            Self::Chunked(chunk) => return Ok((chunk.step(input)?, 0)),
        };
        // No more than `space`.
        let amount = amount as usize;
        out[..amount].copy_from_slice(&input[..amount]);
        if *self == Self::Chunked(Chunk::Data(0)) {
            *self = Self::Chunked(Chunk::LineEnd);
        }
        Ok((amount, amount))
    }
}

impl Chunk {
    /// Takes what stands between the data; says how many bytes that were.
    fn step(&mut self, input: &[u8]) -> Result<usize, Fault> {
        let (used, next) = match self {
            // (No digit at all would be a length of zero.)
            Self::Size if input.first().is_some_and(|byte| !byte.is_ascii_hexdigit()) => {
                return Err(Fault::NotHttp);
            }
            Self::Size => match parse_chunk_size(input) {
                Ok(Status::Complete((used, 0))) => (used, Self::Trailer),
                Ok(Status::Complete((used, size))) => (used, Self::Data(size)),
                Ok(Status::Partial) => return Ok(0),
                Err(_) => return Err(Fault::NotHttp),
            },
            Self::LineEnd if input.starts_with(b"\r\n") => (2, Self::Size),
            Self::LineEnd if b"\r\n".starts_with(input) => return Ok(0),
            Self::LineEnd => return Err(Fault::NotHttp),
            Self::Trailer => match input.iter().position(|byte| *byte == b'\n') {
                None => return Ok(0),
                Some(end) if input[..end].trim_ascii().is_empty() => (end + 1, Self::Ended),
                Some(end) => (end + 1, Self::Trailer),
            },
            Self::Data(_) | Self::Ended => return Ok(0),
        };
        *self = next;
        Ok(used)
    }
}
