//! What bytes go over: a socket, or a proxy's tunnel.

use std::io::{self, Read, Write};

use ureq::unversioned::transport::TransportAdapter;

use super::socket::Socket;

/// A connection that bytes go over, before any TLS.
pub(super) enum Stream {
    Direct(Socket),
    Proxied(TransportAdapter),
}

impl Stream {
    pub(super) fn is_open(&mut self) -> bool {
        match self {
            Self::Direct(socket) => socket.is_open(),
            Self::Proxied(tunnel) => tunnel.get_mut().is_open(),
        }
    }
}

impl Read for Stream {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Direct(socket) => socket.read(into),
            Self::Proxied(tunnel) => tunnel.read(into),
        }
    }
}

impl Write for Stream {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Direct(socket) => socket.write(bytes),
            Self::Proxied(tunnel) => tunnel.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
