//! Connections as ureq wants them: made through a proxy, with TLS, or neither, and telling the
//! current call how far it has come.
//!
//! One connector and one kind of connection instead of ureq's chain of layers, and a connection
//! is one pointer: what is moved from frame to frame while it is made stays on the stack of
//! each thread that ever made one.

use std::fmt;
use std::io::{Read, Write};

use ureq::unversioned::transport::{
    Buffers, ConnectProxyConnector, ConnectionDetails, Connector, Either, NextTimeout, Transport,
    TransportAdapter,
};

use super::call::Current;
use super::proxy::is_socks;
use super::socket::Socket;
use super::socks;
use super::stream::Stream;
#[cfg(feature = "tls")]
use super::tls::{Secure, Tls};

/// First size of a connection's buffer for what comes in: a chat reply and its headers.
const INPUT_BYTES: usize = 4 << 10;
/// Largest size of that buffer: comfortably more than [`HEADER_BYTES_MAX`], so that ureq sees
/// that headers are too long before the buffer is full.
const INPUT_BYTES_MAX: usize = 16 << 10;
/// Longest headers of a reply. OpenAI's take about 2 KiB.
pub(super) const HEADER_BYTES_MAX: usize = 8 << 10;
/// Size of a connection's buffer for what goes out.
const OUTPUT_BYTES: usize = 4 << 10;

/// Makes connections.
#[derive(Debug)]
pub(super) struct Connect {
    /// Whether connections go through a proxy. The connection to an http proxy itself is made
    /// here too; its talk is still part of connecting.
    pub(super) proxied: bool,
    #[cfg(feature = "tls")]
    pub(super) secure: Secure,
}

impl Connector for Connect {
    type Out = Connection;

    fn connect(
        &self,
        details: &ConnectionDetails,
        _: Option<()>,
    ) -> Result<Option<Connection>, ureq::Error> {
        let stream = match details.config.proxy() {
            None => Stream::Direct(Socket::dial(&details.addrs)?),
            Some(proxy) if is_socks(proxy) => Stream::Direct(through_socks(proxy, details)?),
            Some(_) => Stream::Proxied(through_tunnel(details)?),
        };
        let outermost = details.config.proxy().is_some() == self.proxied;
        let channel = self.channel(stream, details)?;
        Ok(Some(Connection(Box::new(Inner { channel, buffers: Buffer::default(), outermost }))))
    }
}

impl Connect {
    #[cfg(feature = "tls")]
    fn channel(&self, stream: Stream, details: &ConnectionDetails) -> Result<Channel, ureq::Error> {
        if details.needs_tls() {
            let mut tls = self.secure.wrap(stream, details.uri)?;
            tls.handshake()?;
            return Ok(Channel::Secure(tls));
        }
        Ok(Channel::Plain(stream))
    }

    /// (For https ureq itself refuses a connection that has no TLS.)
    #[cfg(not(feature = "tls"))]
    fn channel(&self, stream: Stream, _: &ConnectionDetails) -> Result<Channel, ureq::Error> {
        Ok(Channel::Plain(stream))
    }
}

#[inline(never)]
fn through_socks(proxy: &ureq::Proxy, details: &ConnectionDetails) -> Result<Socket, ureq::Error> {
    let addresses = details.resolver.resolve(proxy.uri(), details.config, details.timeout)?;
    let mut socket = Socket::dial(&addresses)?;
    socks::open(&mut socket, proxy, details.uri, details.addrs.first())?;
    Ok(socket)
}

/// ureq's own way through an http proxy, which comes back here for the connection to it.
#[inline(never)]
fn through_tunnel(details: &ConnectionDetails) -> Result<TransportAdapter, ureq::Error> {
    match ConnectProxyConnector::default().connect(details, None::<()>)? {
        Some(Either::B(tunnel)) => Ok(TransportAdapter::new(tunnel, details.current_time.clone())),
        _ => Err(ureq::Error::ConnectionFailed),
    }
}

/// What requests and replies go over.
enum Channel {
    Plain(Stream),
    #[cfg(feature = "tls")]
    Secure(Box<Tls>),
}

/// A connection ready for requests.
pub(super) struct Connection(Box<Inner>);

struct Inner {
    channel: Channel,
    buffers: Buffer,
    /// This is the connection to the endpoint, and not only to the proxy.
    outermost: bool,
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Connection")
    }
}

impl Transport for Connection {
    fn buffers(&mut self) -> &mut dyn Buffers {
        &mut self.0.buffers
    }

    fn transmit_output(&mut self, amount: usize, _: NextTimeout) -> Result<(), ureq::Error> {
        let inner = &mut *self.0;
        if inner.outermost {
            Current::here()?.sending();
        }
        let out = inner.buffers.output.get(..amount).unwrap_or_default();
        match &mut inner.channel {
            Channel::Plain(stream) => stream.write_all(out)?,
            #[cfg(feature = "tls")]
            Channel::Secure(tls) => tls.send(out)?,
        }
        Ok(())
    }

    fn await_input(&mut self, _: NextTimeout) -> Result<bool, ureq::Error> {
        let inner = &mut *self.0;
        if inner.outermost {
            Current::here()?.awaiting();
        }
        inner.buffers.release_output();
        let amount = match &mut inner.channel {
            Channel::Plain(stream) => stream.read(inner.buffers.input_append_buf())?,
            #[cfg(feature = "tls")]
            Channel::Secure(tls) => {
                tls.await_text()?;
                tls.read(inner.buffers.input_append_buf())?
            }
        };
        inner.buffers.input_appended(amount);
        if inner.outermost && amount > 0 {
            Current::here()?.received();
        }
        Ok(amount > 0)
    }

    fn is_open(&mut self) -> bool {
        // An idle connection needs no buffers.
        self.0.buffers.release();
        // What nobody asked for would be taken for the next reply.
        self.0.buffers.input().is_empty()
            && match &mut self.0.channel {
                Channel::Plain(stream) => stream.is_open(),
                #[cfg(feature = "tls")]
                Channel::Secure(tls) => tls.is_open(),
            }
    }

    fn is_tls(&self) -> bool {
        !matches!(self.0.channel, Channel::Plain(_))
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
    progress: bool,
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
    }

    fn ready_output(&mut self) {
        if self.output.is_empty() {
            self.output = vec![0; OUTPUT_BYTES];
        }
    }
}

impl Buffers for Buffer {
    fn output(&mut self) -> &mut [u8] {
        self.ready_output();
        &mut self.output
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
        self.ready_output();
        (&mut [], &mut self.output)
    }

    fn can_use_input(&self) -> bool {
        self.progress && self.filled > self.consumed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
