//! A scripted HTTP server on loopback: each connection plays its script and ends.
//!
//! ```ignore
//! let server = Server::start([vec![Act::read(), Act::json(200, r#"{"choices":[]}"#)]]);
//! // … a client calls server.base() …
//! let requests = server.finish(); // joins every thread; what was asked, in order
//! ```
//!
//! The script of connection `n` is the `n`-th of the list; a connection beyond the list is
//! closed at once. All waits end after [`LONG`]: a script that does not come to its end makes
//! `finish` panic with the connection's number and step.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

use super::LONG;

/// One step of a connection's script.
pub enum Act {
    /// Reads one request, with its body.
    Read,
    /// Reads this many bytes, whatever they are.
    Take(usize),
    /// Writes these bytes.
    Write(Vec<u8>),
    /// Says that this point is reached, then waits for a word.
    Meet(Sender<()>, Receiver<()>),
    /// Waits until the client closes or cuts the connection; says so.
    AwaitClose(Sender<()>),
    /// Closes so that the client sees a reset.
    Reset,
    /// Lets the next write go wrong, on a connection over TLS.
    #[cfg(feature = "tls")]
    Spoil(super::tls::Fault),
    /// Takes new keys for what is written from here on, on a connection over TLS 1.3.
    #[cfg(feature = "tls")]
    NewKeys,
    /// Gives every request this reply, until the client goes away.
    Serve(Vec<u8>),
    /// Writes these bytes, again and again, until the client goes away.
    Flood(Vec<u8>),
    /// The same, with a pause after each.
    Trickle(Vec<u8>),
}

/// The test's end of an [`Act::Meet`].
pub struct Meeting {
    reached: Receiver<()>,
    go: Sender<()>,
}

impl Meeting {
    /// Waits until the server is there.
    pub fn reached(&self) {
        self.reached.recv_timeout(LONG).expect("the server comes to the meeting");
    }

    /// Lets the server go on.
    pub fn go(&self) {
        let _ = self.go.send(());
    }
}

impl Act {
    pub fn read() -> Self {
        Self::Read
    }

    pub fn write(bytes: impl Into<Vec<u8>>) -> Self {
        Self::Write(bytes.into())
    }

    /// A whole reply with a JSON body.
    pub fn json(status: u16, body: &str) -> Self {
        Self::reply(status, "content-type: application/json\r\n", body)
    }

    /// A whole reply with these header lines (each with its `\r\n`) and body.
    pub fn reply(status: u16, headers: &str, body: impl AsRef<[u8]>) -> Self {
        let body = body.as_ref();
        let head =
            format!("HTTP/1.1 {status} X\r\n{headers}content-length: {}\r\n\r\n", body.len());
        Self::Write([head.as_bytes(), body].concat())
    }

    /// The head of a stream; its end is the connection's end.
    pub fn stream_head() -> Self {
        Self::write(
            "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n",
        )
    }

    /// The head of a stream in chunks; see [`chunk`].
    pub fn chunked_head() -> Self {
        Self::write(
            "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\
             transfer-encoding: chunked\r\n\r\n",
        )
    }

    /// A point where test and server meet.
    pub fn meet() -> (Self, Meeting) {
        let (there, reached) = channel();
        let (go, word) = channel();
        (Self::Meet(there, word), Meeting { reached, go })
    }

    /// Answers every request with this text.
    pub fn serve(text: &str) -> Self {
        match Self::json(200, &answer(text)) {
            Self::Write(reply) => Self::Serve(reply),
            other => other,
        }
    }

    /// Says something now and then, until the client goes away.
    pub fn trickle(text: &str) -> Self {
        Self::Trickle(text.as_bytes().to_vec())
    }

    /// Stands still until the client goes away.
    pub fn hold() -> Self {
        Self::await_close().0
    }

    /// Waits until the client closes the connection; the test gets the receiver.
    pub fn await_close() -> (Self, Receiver<()>) {
        let (closed, receiver) = channel();
        (Self::AwaitClose(closed), receiver)
    }
}

/// A chunk of a chunked body; an empty one ends it.
pub fn chunk(text: &str) -> Act {
    Act::Write(format!("{:x}\r\n{text}\r\n", text.len()).into_bytes())
}

/// One event of a stream.
pub fn event(json: &str) -> String {
    format!("data: {json}\n\n")
}

/// A text delta as a chunk of the OpenAI protocol.
pub fn delta(text: &str) -> String {
    let text = serde_json::to_string(text).unwrap();
    event(&format!(r#"{{"model":"m","choices":[{{"index":0,"delta":{{"content":{text}}}}}]}}"#))
}

/// The end of an answer as a chunk of the OpenAI protocol.
pub fn stop() -> String {
    event(r#"{"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}"#)
}

/// The end of a stream.
pub const DONE: &str = "data: [DONE]\n\n";

/// A whole answer of the OpenAI protocol.
pub fn answer(text: &str) -> String {
    let text = serde_json::to_string(text).unwrap();
    format!(
        r#"{{"id":"c1","object":"chat.completion","model":"m-1","choices":[{{"index":0,
        "message":{{"role":"assistant","content":{text}}},"finish_reason":"stop"}}],
        "usage":{{"prompt_tokens":3,"completion_tokens":2,"total_tokens":5}}}}"#
    )
}

/// Reads a request and answers it: the script of a plain call.
pub fn answers(text: &str) -> Vec<Act> {
    vec![Act::read(), Act::json(200, &answer(text))]
}

/// A request as it came.
#[derive(Debug, Clone)]
pub struct Seen {
    /// Which connection it came on, from 0.
    pub connection: usize,
    /// Request line and headers; empty for what an [`Act::Take`] read.
    pub head: String,
    /// The body, or the bytes taken, with `\x00` and the like escaped.
    pub body: String,
}

impl Seen {
    /// The body as JSON.
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.body).unwrap()
    }

    /// A header's value.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| {
            let (key, value) = line.split_once(':')?;
            key.eq_ignore_ascii_case(name).then(|| value.trim())
        })
    }

    /// `POST /v1/chat/completions`.
    pub fn line(&self) -> &str {
        self.head.lines().next().unwrap().trim_end_matches(" HTTP/1.1")
    }
}

/// The server. Dropping it closes it too.
pub struct Server {
    address: SocketAddr,
    seen: Arc<Mutex<Vec<Seen>>>,
    /// Connections that came, those beyond the script included.
    came: Arc<AtomicUsize>,
    /// Connections whose scripts have ended, and which are closed.
    closed: Arc<AtomicUsize>,
    closing: Arc<AtomicBool>,
    thread: Option<JoinHandle<Vec<String>>>,
}

impl Server {
    /// Starts a server; script `n` is connection `n`'s.
    pub fn start(scripts: impl IntoIterator<Item = Vec<Act>>) -> Self {
        Self::start_over(scripts, |stream| Ok(Box::new(stream)))
    }

    /// Starts a server whose connections `wrap` puts another layer over.
    pub fn start_over(
        scripts: impl IntoIterator<Item = Vec<Act>>,
        wrap: impl Fn(TcpStream) -> std::io::Result<Box<dyn Line>> + Send + Sync + 'static,
    ) -> Self {
        let wrap = Arc::new(wrap);
        let listener = super::loopback::listen();
        let address = listener.local_addr().unwrap();
        let scripts: Vec<_> = scripts.into_iter().collect();
        let seen = Arc::new(Mutex::new(Vec::new()));
        let came = Arc::new(AtomicUsize::new(0));
        let closing = Arc::new(AtomicBool::new(false));
        let closed = Arc::new(AtomicUsize::new(0));
        let (seen_in, came_in, closing_in) =
            (Arc::clone(&seen), Arc::clone(&came), Arc::clone(&closing));
        let closed_in = Arc::clone(&closed);
        let thread = std::thread::spawn(move || {
            let mut players = Vec::new();
            let mut scripts = scripts.into_iter();
            for stream in listener.incoming() {
                if closing_in.load(Ordering::SeqCst) {
                    break;
                }
                let number = came_in.fetch_add(1, Ordering::SeqCst);
                let (Ok(stream), Some(script)) = (stream, scripts.next()) else { continue };
                let (seen, wrap) = (Arc::clone(&seen_in), Arc::clone(&wrap));
                let closed = Arc::clone(&closed_in);
                players.push(std::thread::spawn(move || {
                    stream.set_read_timeout(Some(LONG)).unwrap();
                    stream.set_write_timeout(Some(LONG)).unwrap();
                    stream.set_nodelay(true).unwrap();
                    let played = match wrap(stream) {
                        Ok(mut line) => play(number, &mut *line, script, &seen),
                        Err(error) => Err(format!("connection {number}: {error}")),
                    };
                    closed.fetch_add(1, Ordering::SeqCst);
                    played
                }));
            }
            players.into_iter().filter_map(|player| player.join().unwrap().err()).collect()
        });
        Self { address, seen, came, closed, closing, thread: Some(thread) }
    }

    /// The base URL, with `/v1`.
    pub fn base(&self) -> String {
        format!("http://{}/v1", self.address)
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The requests that came so far.
    pub fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }

    /// How many connections came so far.
    pub fn connections(&self) -> usize {
        self.came.load(Ordering::SeqCst)
    }

    /// How many connections were closed so far, as their scripts had ended.
    pub fn closed(&self) -> usize {
        self.closed.load(Ordering::SeqCst)
    }

    /// Takes no more connections, waits for the scripts to end, and gives what was asked.
    /// Drop the client first: a script may wait for its connection's end.
    pub fn finish(mut self) -> Vec<Seen> {
        let faults = self.close();
        assert!(faults.is_empty(), "scripts that went wrong: {faults:?}");
        self.seen()
    }

    fn close(&mut self) -> Vec<String> {
        let Some(thread) = self.thread.take() else { return Vec::new() };
        self.closing.store(true, Ordering::SeqCst);
        // Wakes the thread that accepts.
        let _ = TcpStream::connect(self.address);
        thread.join().unwrap_or_default()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.close();
    }
}

/// A connection: TCP, or a layer over it.
pub trait Line: Read + Write {
    fn tcp(&self) -> &TcpStream;

    /// Whether it can [`spoil`](Self::spoil).
    #[cfg(feature = "tls")]
    fn is_tls(&self) -> bool {
        false
    }

    /// Lets the next write go wrong in this way.
    #[cfg(feature = "tls")]
    fn spoil(&mut self, fault: super::tls::Fault) {
        panic!("{fault:?} on a connection without TLS");
    }

    /// Takes new keys for what is written from here on.
    #[cfg(feature = "tls")]
    fn renew_keys(&mut self) {
        panic!("new keys on a connection without TLS");
    }

    /// Says that nothing more will be sent.
    fn close(&mut self) {
        let _ = self.tcp().shutdown(Shutdown::Write);
    }
}

impl Line for TcpStream {
    fn tcp(&self) -> &TcpStream {
        self
    }
}

fn play(
    number: usize,
    stream: &mut dyn Line,
    script: Vec<Act>,
    seen: &Mutex<Vec<Seen>>,
) -> Result<(), String> {
    for (step, act) in script.into_iter().enumerate() {
        let fault = |what: &str| format!("connection {number}, step {step}: {what}");
        match act {
            Act::Read => {
                let Some(request) = read_request(number, stream) else {
                    return Err(fault("no whole request came"));
                };
                seen.lock().unwrap().push(request);
            }
            Act::Take(count) => {
                let mut bytes = vec![0; count];
                if stream.read_exact(&mut bytes).is_err() {
                    return Err(fault("fewer bytes came"));
                }
                let (head, body) = (String::new(), bytes.escape_ascii().to_string());
                seen.lock().unwrap().push(Seen { connection: number, head, body });
            }
            // The client may have gone away: that is the test's business.
            Act::Write(bytes) => drop(stream.write_all(&bytes)),
            Act::Meet(there, word) => {
                let _ = there.send(());
                // An error: the test dropped its end, which is a word too.
                if let Err(std::sync::mpsc::RecvTimeoutError::Timeout) = word.recv_timeout(LONG) {
                    return Err(fault("nobody said go"));
                }
            }
            Act::AwaitClose(closed) => {
                let mut rest = [0; 256];
                loop {
                    match stream.read(&mut rest) {
                        Ok(0) => break,
                        Ok(_) => {}
                        Err(error) if is_end(&error) => break,
                        Err(error) => return Err(fault(&format!("the client stayed: {error}"))),
                    }
                }
                let _ = closed.send(());
            }
            Act::Reset => {
                // Unread input makes the system send a reset when the socket closes: leave
                // some of it there by not reading the request.
                let mut one = [0];
                let _ = stream.tcp().peek(&mut one);
                return Ok(());
            }
            #[cfg(feature = "tls")]
            Act::Spoil(fault) => stream.spoil(fault),
            #[cfg(feature = "tls")]
            Act::NewKeys => stream.renew_keys(),
            Act::Serve(reply) => {
                while let Some(request) = read_request(number, stream) {
                    seen.lock().unwrap().push(request);
                    let _ = stream.write_all(&reply);
                }
            }
            Act::Flood(bytes) => while stream.write_all(&bytes).is_ok() {},
            Act::Trickle(bytes) => {
                // The pause sets the pace only: nothing here depends on its length.
                while stream.write_all(&bytes).is_ok() {
                    std::thread::sleep(std::time::Duration::from_millis(10));
                }
            }
        }
    }
    stream.close();
    Ok(())
}

/// A connection that was cut, or that ended without the layer's own close_notify.
fn is_end(error: &std::io::Error) -> bool {
    use std::io::ErrorKind;
    matches!(error.kind(), ErrorKind::ConnectionReset | ErrorKind::UnexpectedEof)
}

fn read_request(connection: usize, stream: &mut dyn Line) -> Option<Seen> {
    let mut bytes = Vec::new();
    let mut buffer = [0; 4096];
    loop {
        if let Some(end) = find(&bytes, b"\r\n\r\n") {
            let head = String::from_utf8_lossy(&bytes[..end]).into_owned();
            let seen = Seen { connection, head, body: String::new() };
            let length = seen.header("content-length").map_or(0, |text| text.parse().unwrap());
            if bytes.len() >= end + 4 + length {
                let body = String::from_utf8(bytes[end + 4..end + 4 + length].to_vec()).unwrap();
                return Some(Seen { body, ..seen });
            }
        }
        match stream.read(&mut buffer) {
            Ok(0) | Err(_) => return None,
            Ok(amount) => bytes.extend_from_slice(&buffer[..amount]),
        }
    }
}

fn find(bytes: &[u8], what: &[u8]) -> Option<usize> {
    bytes.windows(what.len()).position(|window| window == what)
}
