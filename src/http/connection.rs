//! Connections as ureq wants them: made through a proxy, with TLS, or neither, and telling the
//! current call how far it has come.
//!
//! One connector and one kind of connection instead of ureq's chain of layers, and a connection
//! is one pointer: what is moved from frame to frame while it is made stays on the stack of
//! each thread that ever made one.

use std::fmt;
use std::io;
use std::sync::Arc;

use ureq::Error;
use ureq::unversioned::transport::{Buffers, ConnectionDetails, Connector, NextTimeout, Transport};

use super::call::Current;
use super::dial::Dialler;
use super::proxy;
use super::socket::is_gone;
use super::stream::Stream;

/// First size of a connection's buffer for what comes in: a chat reply and its headers.
const INPUT_BYTES: usize = 4 << 10;
/// Largest size of that buffer: comfortably more than [`HEADER_BYTES_MAX`], so that ureq sees
/// that headers are too long before the buffer is full.
const INPUT_BYTES_MAX: usize = 16 << 10;
/// Longest headers of a reply. OpenAI's take about 2 KiB.
pub(super) const HEADER_BYTES_MAX: usize = 8 << 10;
/// First size of a connection's buffer for what goes out: a chat request and its headers. The heap
/// keeps what a thread ever touched of it, also while the call waits.
const OUTPUT_BYTES: usize = 4 << 10;
/// Largest size of that buffer, and the most that is sent at once: what a TLS record holds.
const OUTPUT_BYTES_MAX: usize = 16 << 10;

/// Makes connections.
#[derive(Debug)]
pub(super) struct Connect(pub(super) Arc<Dialler>);

impl Connector for Connect {
    type Out = Connection;

    fn connect(
        &self,
        details: &ConnectionDetails,
        _: Option<()>,
    ) -> Result<Option<Connection>, Error> {
        let (stream, rewrite) = self.0.connect(details)?;
        let inner =
            Inner { stream, buffers: Buffer::default(), is_deaf: false, is_idle: false, rewrite };
        Ok(Some(Connection(Box::new(inner))))
    }
}

/// A connection ready for requests.
pub(super) struct Connection(Box<Inner>);

struct Inner {
    stream: Box<dyn Stream>,
    buffers: Buffer,
    /// The server takes nothing more of the request: it has answered, or it is gone. Whatever
    /// comes of the answer, this connection serves no other request.
    is_deaf: bool,
    /// It was given back after a reply.
    is_idle: bool,
    /// What a proxy must find in a request that is not for itself.
    rewrite: Option<proxy::Rewrite>,
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Connection")
    }
}

impl Inner {
    /// Sends what is gathered. A server that answers before it has read everything, and closes,
    /// makes this fail: then the rest is left unsent, for the answer may be there.
    fn send(&mut self) -> Result<(), Error> {
        while !self.is_deaf {
            match self.send_on() {
                Ok(()) => break,
                Err(fault) if fault.kind() == io::ErrorKind::WouldBlock => {
                    self.is_deaf = self.is_answered()?;
                }
                Err(fault) if is_gone(&fault) && !Current::here()?.is_untouched() => {
                    self.is_deaf = true;
                }
                Err(fault) => return Err(fault.into()),
            }
        }
        self.buffers.clear_output();
        Ok(())
    }

    fn send_on(&mut self) -> io::Result<()> {
        while let Some(piece) = self.buffers.unsent() {
            let amount = self.stream.write(piece)?;
            self.buffers.sent += amount;
        }
        self.stream.flush()
    }

    /// Whether the server has answered, or ended the connection, while the request was stuck on
    /// its way. (An interim answer is none.)
    fn is_answered(&mut self) -> Result<bool, Error> {
        if !self.stream.has_input() || !self.stream.has_text()? {
            return Ok(false);
        }
        let amount = self.stream.read(self.buffers.input_append_buf())?;
        self.buffers.input_appended(amount);
        self.buffers.is_early = true;
        let input = self.buffers.input();
        let is_interim = input.starts_with(b"HTTP/1.1 1") || input.starts_with(b"HTTP/1.0 1");
        Ok(amount == 0 || !is_interim)
    }
}

impl Transport for Connection {
    fn buffers(&mut self) -> &mut dyn Buffers {
        &mut self.0.buffers
    }

    /// Gathers output: it is sent when the buffer is full, or an answer is awaited.
    fn transmit_output(&mut self, amount: usize, _: NextTimeout) -> Result<(), Error> {
        let inner = &mut *self.0;
        let begins = Current::here()?.sending();
        inner.is_idle = false;
        inner.buffers.filled_output += amount;
        if let (true, Some(rewrite)) = (begins, &inner.rewrite) {
            inner.buffers.filled_output += rewrite.apply(&mut inner.buffers.output);
        }
        if inner.buffers.filled_output >= OUTPUT_BYTES_MAX { inner.send() } else { Ok(()) }
    }

    fn await_input(&mut self, _: NextTimeout) -> Result<bool, Error> {
        let inner = &mut *self.0;
        inner.send()?;
        let current = Current::here()?;
        current.awaiting();
        inner.buffers.release_output();
        let amount = match std::mem::take(&mut inner.buffers.is_early) {
            true => inner.buffers.input().len(),
            false => {
                // The longest wait of a call, the one for its reply, needs no buffer.
                if inner.buffers.input.is_empty() {
                    inner.stream.await_text()?;
                }
                let amount = inner.stream.read(inner.buffers.input_append_buf())?;
                inner.buffers.input_appended(amount);
                amount
            }
        };
        if amount > 0 {
            current.received();
        }
        Ok(amount > 0)
    }

    /// (ureq asks when a connection is given back, and when it is wanted again. Only the second
    /// time a look at the network tells anything that still holds.)
    fn is_open(&mut self) -> bool {
        let inner = &mut *self.0;
        // An idle connection needs no buffers.
        inner.buffers.release();
        let was_idle = std::mem::replace(&mut inner.is_idle, true);
        // What nobody asked for would be taken for the next reply.
        let is_usable = !inner.is_deaf && inner.buffers.input().is_empty();
        is_usable && inner.stream.is_open(was_idle)
    }

    fn is_tls(&self) -> bool {
        self.0.stream.is_tls()
    }
}

/// A connection's buffers. Unlike ureq's own they start small, grow only when a reply's
/// headers need it, and hold nothing that is not needed just then.
#[derive(Default)]
struct Buffer {
    input: Vec<u8>,
    consumed: usize,
    filled: usize,
    output: Vec<u8>,
    /// How much of the output is gathered, and how much of that is sent.
    filled_output: usize,
    sent: usize,
    progress: bool,
    /// Input came while the request was still on its way out.
    is_early: bool,
}

impl Buffer {
    fn release(&mut self) {
        if self.consumed == self.filled {
            *self = Self::default();
        }
    }

    /// Whoever waits for input has sent all output: while a call waits it needs one buffer.
    fn release_output(&mut self) {
        self.output = Vec::new();
        self.clear_output();
    }

    fn clear_output(&mut self) {
        (self.filled_output, self.sent) = (0, 0);
    }

    /// The next piece to send.
    fn unsent(&self) -> Option<&[u8]> {
        let end = self.filled_output.min(self.sent + OUTPUT_BYTES_MAX);
        self.output.get(self.sent..end).filter(|piece| !piece.is_empty())
    }

    /// Room for more output; there always is some.
    fn room(&mut self) -> &mut [u8] {
        let gathered = &self.output[..self.filled_output];
        // More is asked for before the headers have ended: one of them did not fit.
        let is_cut = !gathered.is_empty() && !gathered.windows(4).any(|four| four == b"\r\n\r\n");
        if self.output.is_empty() {
            self.output = vec![0; OUTPUT_BYTES];
        } else if gathered.len() == self.output.len() || is_cut {
            self.output.resize(OUTPUT_BYTES_MAX.max(self.output.len()), 0);
        }
        &mut self.output[self.filled_output..]
    }
}

impl Buffers for Buffer {
    fn output(&mut self) -> &mut [u8] {
        self.room()
    }

    fn input(&self) -> &[u8] {
        &self.input[self.consumed..self.filled]
    }

    fn input_append_buf(&mut self) -> &mut [u8] {
        if self.consumed > 0 {
            self.input.copy_within(self.consumed..self.filled, 0);
            self.filled -= self.consumed;
            self.consumed = 0;
        }
        if self.filled == self.input.len() && self.filled < INPUT_BYTES_MAX {
            self.input.resize((self.filled * 2).clamp(INPUT_BYTES, INPUT_BYTES_MAX), 0);
        }
        &mut self.input[self.filled..]
    }

    fn input_appended(&mut self, amount: usize) {
        self.filled = (self.filled + amount).min(self.input.len());
    }

    fn input_consume(&mut self, amount: usize) {
        self.progress = amount > 0;
        self.consumed = (self.consumed + amount).min(self.filled);
    }

    fn tmp_and_output(&mut self) -> (&mut [u8], &mut [u8]) {
        // The scratch part is for bodies of unknown length, which we never send.
        (&mut [], self.room())
    }

    fn can_use_input(&self) -> bool {
        self.progress && self.filled > self.consumed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn output_is_gathered_and_sent_in_pieces() {
        let mut buffer = Buffer::default();
        let head = b"POST / HTTP/1.1\r\n\r\n";
        buffer.room()[..head.len()].copy_from_slice(head);
        buffer.filled_output += 100;
        assert_eq!(buffer.room().len(), OUTPUT_BYTES - 100);
        assert_eq!(buffer.unsent().map(<[u8]>::len), Some(100));
        buffer.sent += 60;
        assert_eq!(buffer.unsent().map(<[u8]>::len), Some(40));
        buffer.sent += 40;
        assert_eq!(buffer.unsent(), None);
        buffer.release_output();
        assert_eq!(buffer.room().len(), OUTPUT_BYTES);
    }

    #[test]
    fn output_grows_where_headers_or_a_body_need_it() {
        // Headers whose next line found no room.
        let mut buffer = Buffer::default();
        buffer.room()[..8].copy_from_slice(b"POST / H");
        buffer.filled_output = 8;
        assert_eq!(buffer.room().len(), OUTPUT_BYTES_MAX - 8);
        // A body that goes on.
        let mut buffer = Buffer::default();
        buffer.room()[..4].copy_from_slice(b"\r\n\r\n");
        buffer.filled_output = OUTPUT_BYTES;
        assert_eq!(buffer.room().len(), OUTPUT_BYTES_MAX - OUTPUT_BYTES);
    }

    #[test]
    fn the_buffer_grows_for_long_headers_and_no_further() {
        let mut buffer = Buffer::default();
        let mut total = 0;
        for _ in 0..16 {
            let room = buffer.input_append_buf().len();
            buffer.input_appended(room);
            total += room;
            buffer.input_consume(0);
        }
        assert_eq!(total, INPUT_BYTES_MAX);
        assert!(!buffer.can_use_input());
        buffer.input_consume(total);
        buffer.release();
        assert!(buffer.input.capacity() == 0 && buffer.output.capacity() == 0);
    }
}
