//! The body of a reply: where it ends, and its bytes without what HTTP puts between them
//! (RFC 9112, 6 and 7).

use httparse::{Status, parse_chunk_size};

use super::fault::Fault;

/// The most of lengths, extensions and trailers that a body in chunks may hold beyond what its
/// data allows.
const OVERHEAD_BYTES_MAX: usize = 8 << 10;
/// So many of them each byte of data allows: a chunk of one byte takes five.
const OVERHEAD_PER_BYTE: usize = 16;

/// How much of a body is still to come.
#[derive(Debug, PartialEq)]
pub(super) enum Framing {
    /// So many bytes.
    Length(u64),
    /// Chunks, each with its length before it.
    Chunked {
        next: Chunk,
        /// Bytes that were no data, without those that the data allows.
        overhead: usize,
    },
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
    /// Before the first chunk.
    pub(super) const CHUNKED: Self = Self::Chunked { next: Chunk::Size, overhead: 0 };

    pub(super) fn is_complete(&self) -> bool {
        matches!(self, Self::Length(0) | Self::Chunked { next: Chunk::Ended, .. })
    }

    /// Whether the body is complete if the connection ends here. (Some servers close it after the
    /// last chunk, without the line that ends it.)
    pub(super) fn may_end(&self) -> bool {
        matches!(self, Self::UntilClose | Self::Chunked { next: Chunk::Trailer, .. })
    }

    /// One step of decoding: how many bytes it took of the input, and how many it put into `out`.
    /// None of either, if more input is needed.
    pub(super) fn decode(&mut self, input: &[u8], out: &mut [u8]) -> Result<(usize, usize), Fault> {
        let space = input.len().min(out.len()) as u64;
        let amount = match self {
            Self::UntilClose => space,
            Self::Length(left) | Self::Chunked { next: Chunk::Data(left), .. } => {
                let amount = space.min(*left);
                *left -= amount;
                amount
            }
            Self::Chunked { next, overhead } => {
                let used = next.step(input)?;
                *overhead += used;
                // Input that was not used is a line that is not complete yet.
                let begun = if used == 0 { input.len() } else { 0 };
                let is_too_much = *overhead + begun > OVERHEAD_BYTES_MAX;
                return if is_too_much { Err(Fault::NotHttp) } else { Ok((used, 0)) };
            }
        };
        // No more than `space`.
        let amount = amount as usize;
        out[..amount].copy_from_slice(&input[..amount]);
        if let Self::Chunked { next, overhead } = self {
            *overhead = overhead.saturating_sub(amount.saturating_mul(OVERHEAD_PER_BYTE));
            if *next == Chunk::Data(0) {
                *next = Chunk::LineEnd;
            }
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
                // (An extension with a line feed is two lines to others.)
                Ok(Status::Complete((used, _))) if input[..used - 1].contains(&b'\n') => {
                    return Err(Fault::NotHttp);
                }
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
                Some(end) if matches!(input[..end], [] | [b'\r']) => (end + 1, Self::Ended),
                Some(end) => (end + 1, Self::Trailer),
            },
            Self::Data(_) | Self::Ended => return Ok(0),
        };
        *self = next;
        Ok(used)
    }
}
