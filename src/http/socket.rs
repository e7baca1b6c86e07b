//! TCP connections that keep to the current call's limits, and can be cut by its canceller.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use super::call::{Current, Wire};

/// The time-outs that the socket has now, to spare the calls that would not change them.
#[derive(Debug, Default)]
struct Times {
    read: Option<Duration>,
    write: Option<Duration>,
}

/// A TCP connection's two ends, read and written within the current call's limits.
pub(super) struct Socket {
    wire: Arc<Wire>,
    times: Times,
}

impl Socket {
    /// Connects to one of these addresses, on behalf of the current call.
    pub(super) fn dial(addresses: &[SocketAddr]) -> Result<Self, ureq::Error> {
        let current = Current::here()?;
        current.dialled.set(true);
        let stream = dial(&current, addresses)?;
        stream.set_nodelay(true)?;
        let wire = Wire::new(stream, &current);
        current.hold(&wire)?;
        Ok(Self { wire, times: Times::default() })
    }

    /// Waits until `work` can be done: again after a signal, and after a time-out of the
    /// system's that came early.
    fn until_done(
        &mut self,
        prepare: fn(&mut Self, Option<Duration>) -> io::Result<()>,
        mut work: impl FnMut(&TcpStream) -> io::Result<usize>,
    ) -> Result<usize, ureq::Error> {
        let current = Current::here()?;
        current.hold(&self.wire)?;
        loop {
            // Tells whether the time is really over.
            let left = current.left()?;
            prepare(self, left)?;
            let outcome = work(&self.wire.stream);
            // A cut connection reads like one that the server closed.
            current.check_cancelled()?;
            match outcome {
                Err(fault) if is_time_out(&fault) => {}
                Err(fault) if fault.kind() == io::ErrorKind::Interrupted => {}
                outcome => return Ok(outcome?),
            }
        }
    }

    fn limit_read(&mut self, left: Option<Duration>) -> io::Result<()> {
        if left != self.times.read {
            self.wire.stream.set_read_timeout(left)?;
            self.times.read = left;
        }
        Ok(())
    }

    fn limit_write(&mut self, left: Option<Duration>) -> io::Result<()> {
        if left != self.times.write {
            self.wire.stream.set_write_timeout(left)?;
            self.times.write = left;
        }
        Ok(())
    }

    /// Whether another request may go over this connection.
    pub(super) fn is_open(&self) -> bool {
        self.wire.claim() && is_quiet(&self.wire.stream).unwrap_or(false)
    }
}

impl Read for Socket {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let read = self.until_done(Self::limit_read, |mut stream| stream.read(into));
        read.map_err(ureq::Error::into_io)
    }
}

impl Write for Socket {
    // One piece at a time: std's write of several would end a process that has not switched
    // the signal of broken pipes off, as programs in other languages may not have.
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let sent = self.until_done(Self::limit_write, |mut stream| stream.write(bytes));
        sent.map_err(ureq::Error::into_io)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The system's way to say that a read or write took too long.
fn is_time_out(fault: &io::Error) -> bool {
    matches!(fault.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut)
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

/// Whether the connection stands and nothing waits to be read: bytes that nobody asked for
/// would be taken for the next reply.
fn is_quiet(mut stream: &TcpStream) -> io::Result<bool> {
    stream.set_nonblocking(true)?;
    let outcome = stream.read(&mut [0]);
    stream.set_nonblocking(false)?;
    Ok(outcome.is_err_and(|fault| fault.kind() == io::ErrorKind::WouldBlock))
}
