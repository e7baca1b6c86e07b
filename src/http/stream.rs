//! What bytes go over: a socket, or TLS over it.

use std::io::{self, Read, Write};

use super::socket::Socket;
#[cfg(feature = "tls")]
use super::tls::Tls;

/// A connection, with or without TLS.
pub(super) enum Stream {
    Plain(Socket),
    #[cfg(feature = "tls")]
    Secure(Box<Tls>),
}

impl Stream {
    /// Whether another request may go over it.
    pub(super) fn is_open(&mut self) -> bool {
        match self {
            Self::Plain(socket) => socket.is_open(),
            #[cfg(feature = "tls")]
            Self::Secure(tls) => tls.is_open(),
        }
    }

    /// Whether a read would not wait for the network. (With TLS it may bring no text.)
    pub(super) fn has_input(&self) -> bool {
        match self {
            Self::Plain(socket) => socket.has_input(),
            #[cfg(feature = "tls")]
            Self::Secure(tls) => tls.has_input(),
        }
    }
}

impl Read for Stream {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Plain(socket) => socket.read(into),
            #[cfg(feature = "tls")]
            Self::Secure(tls) => tls.read(into),
        }
    }
}

impl Write for Stream {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Plain(socket) => socket.write(bytes),
            #[cfg(feature = "tls")]
            Self::Secure(tls) => tls.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Plain(_) => Ok(()),
            #[cfg(feature = "tls")]
            Self::Secure(tls) => tls.flush(),
        }
    }
}
