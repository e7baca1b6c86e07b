//! The transport of a connection: a socket, or TLS over it.

use std::io::{self, Read, Write};

use super::socket::Socket;

/// A connection, with or without TLS.
pub(super) trait Stream: Read + Write + Send + Sync {
    /// Whether another request may go over it.
    fn is_open(&mut self) -> bool;

    /// Whether a read would not wait for the network. (With TLS it may bring no text.)
    fn has_input(&self) -> bool;

    /// Takes in what has come, without waiting for text; says whether there is any, or the end.
    fn has_text(&mut self) -> io::Result<bool>;

    fn is_tls(&self) -> bool;
}

impl Stream for Socket {
    fn is_open(&mut self) -> bool {
        Self::is_open(self)
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
