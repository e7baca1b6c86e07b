//! One connection to the server: all that is written and read on it ends by a moment, and no answer
//! has more bytes than it may.

use std::io::{self, Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::time::{Duration, Instant};

use redis::{Cmd, ErrorKind, Parser, RedisError, Value};

/// The detail of an error about an answer that is too long.
pub(super) const TOO_LONG: &str = "too long";

/// Bytes that a slow link moves in a second: each as many give a call a second more. Without it a
/// picture could never cross a link on which it takes longer than the time-out.
const BYTES_PER_SECOND: u32 = 32 << 10;

/// Where a server listens.
pub(super) enum Address {
    Tcp(String, u16),
    #[cfg(unix)]
    Unix(std::path::PathBuf),
}

/// Makes a connection a secure one.
pub(super) type Secure = Box<dyn Fn(Timed) -> io::Result<Box<dyn Stream>> + Send + Sync>;

/// A server, and how to get in.
pub(super) struct Server {
    pub(super) address: Address,
    pub(super) secure: Option<Secure>,
    pub(super) auth: Option<Cmd>,
    pub(super) select: Option<Cmd>,
    /// Most bytes of one answer.
    pub(super) answer_bytes_max: usize,
}

impl Server {
    /// Connects; the system's look-up of a host's name has a time limit of its own.
    pub(super) fn connect(&self, until: Instant) -> io::Result<Transport> {
        let socket: Box<dyn Socket> = match &self.address {
            Address::Tcp(host, port) => {
                let tcp = connect_tcp(host, *port, until)?;
                // Else a long push's last segment waits for the acknowledgement of those before.
                tcp.set_nodelay(true)?;
                Box::new(tcp)
            }
            #[cfg(unix)]
            Address::Unix(path) => Box::new(std::os::unix::net::UnixStream::connect(path)?),
        };
        let timed = Timed { socket, until, left: 0 };
        let stream = match &self.secure {
            Some(secure) => secure(timed)?,
            None => Box::new(timed),
        };
        Ok(Transport { stream, parser: Parser::new(), answer_bytes_max: self.answer_bytes_max })
    }
}

fn connect_tcp(host: &str, port: u16, until: Instant) -> io::Result<TcpStream> {
    let mut failure = io::ErrorKind::NotFound.into();
    for address in (host, port).to_socket_addrs()? {
        match TcpStream::connect_timeout(&address, time_left(until)?) {
            Ok(tcp) => return Ok(tcp),
            Err(error) => failure = error,
        }
    }
    Err(failure)
}

fn time_left(until: Instant) -> io::Result<Duration> {
    let left = until.saturating_duration_since(Instant::now());
    if left.is_zero() { Err(io::ErrorKind::TimedOut.into()) } else { Ok(left) }
}

/// A connection to the server.
pub(super) struct Transport {
    stream: Box<dyn Stream>,
    parser: Parser,
    answer_bytes_max: usize,
}

impl Transport {
    /// Sets the moment by which all that follows has to end.
    pub(super) fn set_until(&mut self, until: Instant) {
        self.stream.timed().until = until;
    }

    /// Moves that moment.
    pub(super) fn give(&mut self, time: Duration) {
        self.stream.timed().until += time;
    }

    pub(super) fn send(&mut self, command: &Cmd) -> Result<(), RedisError> {
        // TLS may read while it writes.
        self.stream.timed().left = self.answer_bytes_max;
        self.stream.write_all(&command.get_packed_command())?;
        Ok(self.stream.flush()?)
    }

    /// Reads the answer to what was sent; an error that the server says is one here.
    pub(super) fn receive(&mut self) -> Result<Value, RedisError> {
        let answer = self.parser.parse_value(&mut self.stream);
        if answer.is_err() && self.stream.timed().left == 0 {
            return Err((ErrorKind::Parse, "the answer is too long", TOO_LONG.to_owned()).into());
        }
        answer.and_then(Value::extract_error)
    }

    pub(super) fn query(&mut self, command: &Cmd) -> Result<Value, RedisError> {
        self.send(command)?;
        self.receive()
    }
}

/// The way of a connection's bytes.
pub(super) trait Stream: Read + Write + Send {
    /// The connection below.
    fn timed(&mut self) -> &mut Timed;
}

impl Stream for Timed {
    fn timed(&mut self) -> &mut Timed {
        self
    }
}

/// A socket of which all reads and writes end by one moment, however few bytes come at a time. Bytes
/// that go through move it by what they take on a slow link.
pub(super) struct Timed {
    socket: Box<dyn Socket>,
    until: Instant,
    /// How many bytes more may be read.
    left: usize,
}

impl Timed {
    fn moved(&mut self, bytes: usize) {
        self.until += Duration::from_secs(bytes as u64) / BYTES_PER_SECOND;
    }
}

impl Read for Timed {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        self.socket.set_read_time(time_left(self.until)?)?;
        let most = out.len().min(self.left);
        if most == 0 && !out.is_empty() {
            return Err(io::ErrorKind::InvalidData.into());
        }
        let len = self.socket.read(&mut out[..most])?;
        self.left -= len;
        self.moved(len);
        Ok(len)
    }
}

impl Write for Timed {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.socket.set_write_time(time_left(self.until)?)?;
        let len = self.socket.write(bytes)?;
        self.moved(len);
        Ok(len)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.socket.flush()
    }
}

trait Socket: Read + Write + Send {
    /// Sets how long one read may take.
    fn set_read_time(&self, time: Duration) -> io::Result<()>;
    /// Sets how long one write may take.
    fn set_write_time(&self, time: Duration) -> io::Result<()>;
}

macro_rules! socket {
    ($kind:ty) => {
        impl Socket for $kind {
            fn set_read_time(&self, time: Duration) -> io::Result<()> {
                self.set_read_timeout(Some(time))
            }

            fn set_write_time(&self, time: Duration) -> io::Result<()> {
                self.set_write_timeout(Some(time))
            }
        }
    };
}
socket!(TcpStream);
#[cfg(unix)]
socket!(std::os::unix::net::UnixStream);
