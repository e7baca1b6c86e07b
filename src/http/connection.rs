//! A connection to a server, or through a proxy to it: sends requests and takes in what comes.
//!
//! It is behind a pointer: what is moved from frame to frame while it is made stays on the stack
//! of each thread that ever made one.

use std::io::{self, Read};

use super::call::Current;
use super::fault::Fault;
use super::head::Head;
use super::server::Server;
use super::socket::{Stream, is_gone};

/// So much is read at once: a chat reply and its headers.
const INPUT_BYTES: usize = 4 << 10;
/// The most that interim heads may take before the reply's own: a thousand of those that only say
/// that the server is busy.
const INTERIM_BYTES_MAX: usize = 32 << 10;
/// The most that is sent at once: what a TLS record holds.
const PART_BYTES_MAX: usize = 16 << 10;

/// A connection ready for requests.
pub(super) struct Connection {
    stream: Box<dyn Stream>,
    pub(super) server: Server,
    /// Lines of headers for the http proxy that passes requests on, if one does.
    pub(super) forward: Option<String>,
    /// Input, of which so much is consumed. It has space only while that is needed. (What reads it
    /// bounds what it leaves unconsumed.)
    input: Vec<u8>,
    consumed: usize,
    /// Bytes of interim heads before this reply's.
    interim: usize,
    /// The server takes nothing more of the request: it has answered, or it is gone. This
    /// connection serves no other request, with any answer.
    is_deaf: bool,
}

impl Connection {
    pub(super) fn new(
        stream: Box<dyn Stream>,
        server: Server,
        forward: Option<String>,
    ) -> Box<Self> {
        let (input, consumed, interim) = (Vec::new(), 0, 0);
        Box::new(Self { stream, server, forward, input, consumed, interim, is_deaf: false })
    }

    /// Sends a request: its head and its body at once where they fit. (A function of its own, whose
    /// buffer is gone while the reply is awaited.)
    #[inline(never)]
    pub(super) fn send(&mut self, head: Vec<u8>, body: Option<&mut dyn Read>) -> io::Result<()> {
        Current::here()?.sending();
        self.interim = 0;
        let Some(body) = body else { return self.send_part(&head) };
        let mut part = head;
        loop {
            let space = PART_BYTES_MAX.saturating_sub(part.len());
            let amount = body.take(space as u64).read_to_end(&mut part)?;
            self.send_part(&part)?;
            if amount < space || self.is_deaf {
                return Ok(());
            }
            part.clear();
        }
    }

    /// Waits for the head of the reply.
    #[inline(never)]
    pub(super) fn await_head(&mut self) -> io::Result<Head> {
        let current = Current::here()?;
        current.awaiting();
        if !self.input().is_empty() {
            // It came while the request was still on its way out.
            current.received();
        }
        loop {
            if let Some((length, head)) = self.head()? {
                self.consume(length);
                return Ok(head);
            }
            if self.fill()? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            current.received();
        }
    }

    /// The reply's head and its length, once all of it has come. Interim ones are passed over.
    fn head(&mut self) -> Result<Option<(usize, Head)>, Fault> {
        loop {
            match Head::parse(self.input())? {
                Some((length, head)) if head.is_interim() => {
                    self.consume(length);
                    self.interim += length;
                    if self.interim > INTERIM_BYTES_MAX {
                        return Err(Fault::HeadersTooLong);
                    }
                }
                found => return Ok(found),
            }
        }
    }

    /// Bytes that came and were not consumed yet.
    pub(super) fn input(&self) -> &[u8] {
        &self.input[self.consumed..]
    }

    pub(super) fn consume(&mut self, amount: usize) {
        self.consumed += amount;
    }

    /// Waits for more input; none is the connection's end.
    pub(super) fn fill(&mut self) -> io::Result<usize> {
        // The longest wait of a call, the one for its reply, needs no buffer.
        if self.input.capacity() == 0 {
            self.stream.await_text()?;
        }
        self.read()
    }

    /// Whether it can serve another request, by what is known, or after a look at the network.
    pub(super) fn is_open(&mut self, look: bool) -> bool {
        // Unrequested bytes would be read as the next reply.
        let is_usable = !self.is_deaf && self.input().is_empty();
        // An idle connection needs no buffer.
        (self.input, self.consumed) = (Vec::new(), 0);
        is_usable && self.stream.is_open(look)
    }

    /// Sends this. A server that answers before it has read everything, and closes, makes this
    /// fail: then the rest is left unsent, for the answer may be there.
    fn send_part(&mut self, part: &[u8]) -> io::Result<()> {
        let mut unsent = part;
        while !self.is_deaf {
            match self.send_on(&mut unsent) {
                Ok(()) => break,
                Err(fault) if fault.kind() == io::ErrorKind::WouldBlock => {
                    self.is_deaf = self.is_answered()?;
                }
                Err(fault) if is_gone(&fault) && !Current::here()?.is_untouched() => {
                    self.is_deaf = true;
                }
                Err(fault) => return Err(fault),
            }
        }
        Ok(())
    }

    fn send_on(&mut self, unsent: &mut &[u8]) -> io::Result<()> {
        while !unsent.is_empty() {
            let amount = self.stream.write(unsent)?;
            *unsent = &unsent[amount..];
        }
        self.stream.flush()
    }

    /// Whether the server has answered, or ended the connection, while the request was stuck on
    /// its way. (An interim answer is none.)
    fn is_answered(&mut self) -> io::Result<bool> {
        if !self.stream.has_input() || !self.stream.has_text()? {
            return Ok(false);
        }
        // (What is no head is an answer as well: its error is found when it is awaited.)
        Ok(self.read()? == 0 || !matches!(self.head(), Ok(None)))
    }

    fn read(&mut self) -> io::Result<usize> {
        self.input.drain(..std::mem::take(&mut self.consumed));
        let held = self.input.len();
        self.input.resize(held + INPUT_BYTES, 0);
        let outcome = self.stream.read(&mut self.input[held..]);
        self.input.truncate(held + *outcome.as_ref().unwrap_or(&0));
        outcome
    }
}
