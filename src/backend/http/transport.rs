//! TCP connections that keep to the current call's limits, and can be cut by its canceller.

use std::fmt;
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use ureq::unversioned::transport::{
    Buffers, ConnectionDetails, Connector, Either, NextTimeout, Transport,
};

use super::call::{Current, Wire};
use super::proxy::is_socks;
use super::socks;

/// First size of a connection's buffer for what comes in: a chat reply and its headers.
const INPUT_BYTES: usize = 4 << 10;
/// Largest size of that buffer: comfortably more than [`HEADER_BYTES_MAX`], so that ureq sees
/// that headers are too long before the buffer is full.
const INPUT_BYTES_MAX: usize = 16 << 10;
/// Longest headers of a reply. OpenAI's take about 2 KiB.
pub(super) const HEADER_BYTES_MAX: usize = 8 << 10;
/// Size of a connection's buffer for what goes out.
pub(super) const OUTPUT_BYTES: usize = 4 << 10;

/// Opens TCP connections, through a SOCKS proxy if there is one, unless the connector for
/// http proxies has made one already.
#[derive(Debug, Default)]
pub(super) struct Dial;

impl<In: Transport> Connector<In> for Dial {
    type Out = Either<In, Tcp>;

    fn connect(
        &self,
        details: &ConnectionDetails,
        chained: Option<In>,
    ) -> Result<Option<Self::Out>, ureq::Error> {
        if let Some(ready) = chained {
            return Ok(Some(Either::A(ready)));
        }
        let current = Current::here()?;
        current.dialled.set(true);
        let socks = details.config.proxy().filter(|proxy| is_socks(proxy));
        let stream = match socks {
            None => dial(&current, &details.addrs)?,
            Some(proxy) => {
                let config = details.config;
                let addresses = details.resolver.resolve(proxy.uri(), config, details.timeout)?;
                dial(&current, &addresses)?
            }
        };
        stream.set_nodelay(true)?;
        let wire = Wire::new(stream, &current);
        current.hold(&wire)?;
        let mut tcp = Tcp { wire, buffers: Buffer::default(), times: Times::default() };
        if let Some(proxy) = socks {
            socks::open(&mut tcp, proxy, details.uri, details.addrs.first())?;
        }
        Ok(Some(Either::B(tcp)))
    }
}

/// Connects to the first address that answers. Each gets an equal share of what is left, so
/// that a dead one cannot use up the others' time.
fn dial(current: &Current, addresses: &[SocketAddr]) -> Result<TcpStream, ureq::Error> {
    let mut last = ureq::Error::HostNotFound;
    for (tried, address) in addresses.iter().enumerate() {
        let shares = u32::try_from(addresses.len() - tried).unwrap_or(1);
        let attempt = match current.left()? {
            Some(left) => TcpStream::connect_timeout(address, share(left, shares)),
            None => TcpStream::connect(address),
        };
        current.check_cancelled()?;
        match attempt {
            Ok(stream) => return Ok(stream),
            Err(fault) => last = ureq::Error::Io(fault),
        }
    }
    // Says whether it was our limit that ended the last try.
    current.left()?;
    Err(last)
}

/// A part of the time left, but never zero: the system refuses that.
fn share(left: Duration, parts: u32) -> Duration {
    (left / parts.max(1)).max(Duration::from_millis(1))
}

/// The time-outs that the socket has now, to spare the calls that would not change them.
#[derive(Debug, Default)]
struct Times {
    read: Option<Duration>,
    write: Option<Duration>,
}

/// A TCP connection.
pub(super) struct Tcp {
    wire: Arc<Wire>,
    buffers: Buffer,
    times: Times,
}

impl fmt::Debug for Tcp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Tcp")
    }
}

/// The system's way to say that a read or write took too long.
fn is_time_out(fault: &io::Error) -> bool {
    matches!(fault.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut)
}

impl Transport for Tcp {
    fn buffers(&mut self) -> &mut dyn Buffers {
        &mut self.buffers
    }

    fn transmit_output(&mut self, amount: usize, _: NextTimeout) -> Result<(), ureq::Error> {
        let current = Current::here()?;
        current.hold(&self.wire)?;
        let mut rest = self.buffers.output.get(..amount).unwrap_or_default();
        while !rest.is_empty() {
            let left = current.left()?;
            if left != self.times.write {
                self.wire.stream.set_write_timeout(left)?;
                self.times.write = left;
            }
            match (&self.wire.stream).write(rest) {
                Ok(0) => return Err(ureq::Error::Io(io::ErrorKind::WriteZero.into())),
                Ok(sent) => rest = &rest[sent..],
                // `left` above tells whether the time is really over.
                Err(fault) if is_time_out(&fault) => {}
                Err(fault) if fault.kind() == io::ErrorKind::Interrupted => {}
                Err(fault) => {
                    current.check_cancelled()?;
                    return Err(fault.into());
                }
            }
            current.check_cancelled()?;
        }
        Ok(())
    }

    fn await_input(&mut self, _: NextTimeout) -> Result<bool, ureq::Error> {
        let current = Current::here()?;
        current.hold(&self.wire)?;
        self.buffers.release_output();
        loop {
            let left = current.left()?;
            if left != self.times.read {
                self.wire.stream.set_read_timeout(left)?;
                self.times.read = left;
            }
            let outcome = (&self.wire.stream).read(self.buffers.input_append_buf());
            // A cut connection reads like one that the server closed.
            current.check_cancelled()?;
            match outcome {
                Ok(amount) => {
                    self.buffers.input_appended(amount);
                    return Ok(amount > 0);
                }
                Err(fault) if is_time_out(&fault) => {}
                Err(fault) if fault.kind() == io::ErrorKind::Interrupted => {}
                Err(fault) => return Err(fault.into()),
            }
        }
    }

    fn is_open(&mut self) -> bool {
        let open = self.wire.claim() && is_quiet(&self.wire.stream).unwrap_or(false);
        // An idle connection needs no buffers.
        self.buffers.release();
        open
    }
}

/// Whether the connection stands and nothing waits to be read: bytes that nobody asked for
/// would be taken for the next reply.
fn is_quiet(mut stream: &TcpStream) -> io::Result<bool> {
    stream.set_nonblocking(true)?;
    let outcome = stream.read(&mut [0]);
    stream.set_nonblocking(false)?;
    Ok(outcome.is_err_and(|fault| fault.kind() == io::ErrorKind::WouldBlock))
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

/// The outermost layer of a connection: tells the current call how far it has come.
#[derive(Debug)]
pub(super) struct Pace {
    /// Whether connections go through a proxy. The connection to the proxy itself is made
    /// by the same chain of connectors; its talk is still part of connecting.
    pub(super) proxied: bool,
}

impl<In: Transport> Connector<In> for Pace {
    type Out = Either<In, Paced<In>>;

    fn connect(
        &self,
        details: &ConnectionDetails,
        chained: Option<In>,
    ) -> Result<Option<Self::Out>, ureq::Error> {
        let outermost = details.config.proxy().is_some() == self.proxied;
        Ok(chained.map(|inner| match outermost {
            true => Either::B(Paced(inner)),
            false => Either::A(inner),
        }))
    }
}

/// A connection ready for requests.
#[derive(Debug)]
pub(super) struct Paced<T>(T);

impl<T: Transport> Transport for Paced<T> {
    fn buffers(&mut self) -> &mut dyn Buffers {
        self.0.buffers()
    }

    fn transmit_output(&mut self, amount: usize, time: NextTimeout) -> Result<(), ureq::Error> {
        Current::here()?.sending();
        self.0.transmit_output(amount, time)
    }

    fn await_input(&mut self, time: NextTimeout) -> Result<bool, ureq::Error> {
        let current = Current::here()?;
        current.awaiting();
        let came = self.0.await_input(time)?;
        if came {
            current.received();
        }
        Ok(came)
    }

    fn is_open(&mut self) -> bool {
        self.0.is_open()
    }

    fn is_tls(&self) -> bool {
        self.0.is_tls()
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
