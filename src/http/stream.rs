//! The transport of a connection: a socket, or TLS over it.

use std::io::{self, Read, Write};

use super::socket::Socket;

/// A connection, with or without TLS.
pub(super) trait Stream: Read + Write + Send + Sync {
    /// Whether another request may go over it, by what is known, or after a look at the network.
    fn is_open(&mut self, look: bool) -> bool;

    /// Waits until a read of text would not wait.
    fn await_text(&mut self) -> io::Result<()>;

    /// Whether a read would not wait for the network. (With TLS it may bring no text.)
    fn has_input(&self) -> bool;

    /// Takes in what has come, without waiting for text; says whether there is any, or the end.
    fn has_text(&mut self) -> io::Result<bool>;

    fn is_tls(&self) -> bool;
}

impl Stream for Socket {
    fn is_open(&mut self, look: bool) -> bool {
        Self::is_open(self, look)
    }

    fn await_text(&mut self) -> io::Result<()> {
        self.await_input()
    }

    fn has_input(&self) -> bool {
        Self::has_input(self)
    }

    fn has_text(&mut self) -> io::Result<bool> {
        Ok(Self::has_input(self))
    }

    fn is_tls(&self) -> bool {
        false
    }
}
