//! TCP that keeps to the current call's limits, and can be cut by its canceller; a connection speaks
//! over that, or over TLS on it.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use super::call::{Current, Cuttable};
use super::fault::Fault;

/// How much later than its limit a read may end: a time-out that is so much too long stays
/// set, which spares a system call for most chunks of a stream. One that is so much too short
/// stays as well: a caller that waits so long waits again.
const READ_SLACK: Duration = Duration::from_millis(20);
/// How long a request may be stuck on its way out before a look is taken for an answer. A
/// server that has answered may take nothing more of it, and keep the connection.
const SEND_LOOK: Duration = Duration::from_millis(500);

/// Longest time-out that the system keeps to within a few milliseconds.
const EXACT_MAX: Duration = Duration::from_millis(250);

/// A connection, with or without TLS.
pub(super) trait Stream: Read + Write + Send {
    /// Whether another request may go over it, by what is known, or after a look at the network.
    fn is_open(&mut self, look: bool) -> bool;

    /// Waits until a read of text would not wait.
    fn await_text(&mut self) -> io::Result<()>;

    /// Whether a read would not wait for the network. (With TLS it may bring no text.)
    fn has_input(&self) -> bool;

    /// Takes in what has come, without waiting for text; says whether there is any, or the end.
    fn has_text(&mut self) -> io::Result<bool>;
}

/// The time-outs that the socket has now, to spare the calls that would not change them.
#[derive(Debug, Default)]
struct Times {
    read: Option<Duration>,
    write: Option<Duration>,
}

/// A TCP connection's two ends, read and written within the current call's limits.
pub(super) struct Socket {
    connection: Arc<Cuttable>,
    times: Times,
}

impl Socket {
    /// Connects to one of these addresses, on behalf of the current call.
    pub(super) fn dial(addresses: &[SocketAddr]) -> io::Result<Self> {
        let current = Current::here()?;
        current.dialled.set(true);
        let stream = dial(&current, addresses)?;
        stream.set_nodelay(true)?;
        let connection = Cuttable::new(stream, &current);
        current.hold(&connection)?;
        Ok(Self { connection, times: Times::default() })
    }

    /// Waits until `work` can be done: again after a signal, and after a time-out of the
    /// system's that came early.
    fn until_done(
        &mut self,
        prepare: fn(&mut Self, Option<Duration>) -> io::Result<()>,
        work: &mut dyn FnMut(&TcpStream) -> io::Result<usize>,
    ) -> io::Result<usize> {
        let current = Current::here()?;
        current.hold(&self.connection)?;
        loop {
            // An error if the time is really over.
            let left = current.left()?;
            prepare(self, left)?;
            let outcome = work(&self.connection.stream);
            // A cut connection reads like one that the server closed.
            current.check_cancelled()?;
            match outcome {
                // The whole time is not over: a sender looks for an early answer.
                Err(fault) if is_time_out(&fault) && current.is_sending() => {
                    current.left()?;
                    return Err(io::ErrorKind::WouldBlock.into());
                }
                Err(fault) if is_time_out(&fault) => {}
                Err(fault) if fault.kind() == io::ErrorKind::Interrupted => {}
                outcome => return outcome,
            }
        }
    }

    fn limit_read(&mut self, left: Option<Duration>) -> io::Result<()> {
        let left = left.map(before_rounding);
        let is_close = match (left, self.times.read) {
            (Some(left), Some(set)) => left.abs_diff(set) <= READ_SLACK.min(left),
            (left, set) => left == set,
        };
        if !is_close {
            self.connection.stream.set_read_timeout(left)?;
            self.times.read = left;
        }
        Ok(())
    }

    fn limit_write(&mut self, left: Option<Duration>) -> io::Result<()> {
        let limit = Some(left.map_or(SEND_LOOK, |left| left.min(SEND_LOOK)));
        if limit != self.times.write {
            self.connection.stream.set_write_timeout(limit)?;
            self.times.write = limit;
        }
        Ok(())
    }
}

impl Stream for Socket {
    fn is_open(&mut self, look: bool) -> bool {
        self.connection.claim() && !(look && self.has_input())
    }

    fn await_text(&mut self) -> io::Result<()> {
        self.until_done(Self::limit_read, &mut |stream| stream.peek(&mut [0])).map(drop)
    }

    fn has_input(&self) -> bool {
        let stream = &self.connection.stream;
        let look = || {
            stream.set_nonblocking(true)?;
            let outcome = stream.peek(&mut [0]);
            stream.set_nonblocking(false)?;
            outcome
        };
        !look().is_err_and(|fault| fault.kind() == io::ErrorKind::WouldBlock)
    }

    fn has_text(&mut self) -> io::Result<bool> {
        Ok(self.has_input())
    }
}

impl Read for Socket {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        self.until_done(Self::limit_read, &mut |mut stream| stream.read(into))
    }
}

impl Write for Socket {
    // One buffer at a time: std's write of several would end a process that has not switched
    // the signal of broken pipes off, as programs in other languages may not have.
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let sent = self.until_done(Self::limit_write, &mut |mut stream| stream.write(bytes))?;
        Current::here()?.note_sent(sent);
        Ok(sent)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Whether a send failed because the peer takes nothing more. It may have answered before.
pub(super) fn is_gone(fault: &io::Error) -> bool {
    use io::ErrorKind::{BrokenPipe, ConnectionAborted, ConnectionReset};
    matches!(fault.kind(), BrokenPipe | ConnectionReset | ConnectionAborted)
}

/// The system's way to say that a read or write took too long.
fn is_time_out(fault: &io::Error) -> bool {
    matches!(fault.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut)
}

/// A time-out for the system that ends by then: Linux rounds long ones up, by an eighth at most. One
/// that ends earlier is followed by another.
fn before_rounding(left: Duration) -> Duration {
    if left > EXACT_MAX { left - left / 8 } else { left }
}

/// Connects to the first address that answers. Each gets an equal share of what is left, so
/// that a dead one cannot use up the others' time.
fn dial(current: &Current, addresses: &[SocketAddr]) -> io::Result<TcpStream> {
    let mut last = Fault::NameNotFound.into();
    for (tried, address) in addresses.iter().enumerate() {
        let shares = u32::try_from(addresses.len() - tried).unwrap_or(1);
        let attempt = match current.left()? {
            Some(left) => TcpStream::connect_timeout(address, share(left, shares)),
            None => TcpStream::connect(address),
        };
        current.check_cancelled()?;
        match attempt {
            Ok(stream) => return Ok(stream),
            Err(fault) => last = fault,
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

#[cfg(test)]
mod tests {
    use super::*;

    /// Timers of Linux have levels, each eight times as coarse as the one below (kernel/time/timer.c):
    /// a time-out ends by an eighth of itself too late.
    #[test]
    fn a_read_ends_in_time_though_the_system_rounds_its_time_outs_up() {
        for limit in (1..=600_000).step_by(97).map(Duration::from_millis) {
            let mut left = limit;
            for waits in 0.. {
                assert!(waits < 12, "{limit:?}");
                let taken = before_rounding(left);
                let taken = taken + taken / 8;
                if taken >= left {
                    assert!(taken - left <= EXACT_MAX / 8, "{limit:?}: {:?} late", taken - left);
                    break;
                }
                left -= taken;
            }
        }
    }
}
