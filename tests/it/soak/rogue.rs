//! A provider on loopback that misbehaves in every way it knows, on a schedule that follows
//! from a seed, the task's number and the number of the attempt.

use std::io::ErrorKind;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use serde_json::json;

use crate::support::chance::Chance;
use crate::support::server::{DONE, Line, answer, delta, event, stop};
#[cfg(feature = "tls")]
use crate::support::tls::{FAULTS, TlsLine, server_config};

/// Connections served at once; more than the helpers of a soak can have open.
const WORKERS: usize = 48;
/// Longest wait of the server for a client that stalls: every loop here ends by it.
const PATIENCE: Duration = Duration::from_secs(3);
/// Longest pause with which the server lets a connection idle before it closes it.
const IDLE_MAX_MS: usize = 40;
/// Before this number in a prompt stands the mark, after it a full stop.
pub const MARK: &str = "soak-";

/// How a connection goes on after an exchange.
#[derive(PartialEq)]
enum Next {
    Serve,
    Close,
}

struct Shared {
    seed: u64,
    closing: AtomicBool,
    connections: AtomicU64,
    requests: AtomicU64,
    #[cfg(feature = "tls")]
    tls: Arc<rustls::ServerConfig>,
    /// Attempts seen of each task.
    attempts: Vec<AtomicU8>,
}

pub struct Rogue {
    address: SocketAddr,
    shared: Arc<Shared>,
    workers: Vec<JoinHandle<()>>,
}

impl Rogue {
    /// A provider for this many tasks.
    pub fn start(seed: u64, tasks: usize) -> Self {
        // Under a tracer one call of several is refused; two in a row never are.
        let bind = || TcpListener::bind("127.0.0.1:0");
        let listener = bind().or_else(|_| bind()).unwrap();
        let address = listener.local_addr().unwrap();
        let shared = Arc::new(Shared {
            seed,
            closing: AtomicBool::new(false),
            connections: AtomicU64::new(0),
            requests: AtomicU64::new(0),
            #[cfg(feature = "tls")]
            tls: server_config("localhost"),
            attempts: (0..tasks).map(|_| AtomicU8::new(0)).collect(),
        });
        let work = |listener: TcpListener, shared: Arc<Shared>| {
            move || {
                while let Ok((stream, _)) = listener.accept() {
                    if shared.closing.load(Ordering::SeqCst) {
                        return;
                    }
                    let number = shared.connections.fetch_add(1, Ordering::Relaxed);
                    // An error means that the client went away first.
                    let _ = serve(stream, number, &shared);
                }
            }
        };
        let workers = (0..WORKERS).map(|_| {
            let (listener, shared) = (listener.try_clone().unwrap(), Arc::clone(&shared));
            std::thread::spawn(work(listener, shared))
        });
        let workers = workers.collect();
        Self { address, shared, workers }
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Ends every connection and thread; returns how many connections and requests came.
    pub fn finish(self) -> (u64, u64) {
        self.shared.closing.store(true, Ordering::SeqCst);
        for worker in self.workers {
            // Each connection wakes one worker out of its wait for a client; under a tracer
            // some are never made.
            while !worker.is_finished() {
                drop(TcpStream::connect(self.address));
                std::thread::yield_now();
            }
            worker.join().unwrap();
        }
        let count = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        (count(&self.shared.connections), count(&self.shared.requests))
    }
}

fn serve(mut stream: TcpStream, number: u64, shared: &Shared) -> std::io::Result<()> {
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    stream.set_nodelay(true)?;
    let mut chance = Chance::new(shared.seed, number ^ (1 << 63));
    let mut first = [0];
    if stream.peek(&mut first)? == 0 {
        return Ok(());
    }
    // The first byte of a TLS handshake.
    #[cfg(feature = "tls")]
    if first[0] == 0x16 {
        return match chance.one_in(3) {
            true => bad_tls(&mut stream, &mut chance),
            false => converse(&mut TlsLine::new(&shared.tls, stream)?, shared),
        };
    }
    if chance.one_in(24) {
        // Unread input makes the system send a reset.
        return Ok(());
    }
    converse(&mut stream, shared)
}

/// Answers requests until either side has enough.
fn converse(stream: &mut dyn Line, shared: &Shared) -> std::io::Result<()> {
    let mut first = [0];
    loop {
        let Some((task, streams)) = read_request(stream)? else { return Ok(()) };
        shared.requests.fetch_add(1, Ordering::Relaxed);
        let attempt = shared.attempts.get(task).map_or(0, |n| n.fetch_add(1, Ordering::Relaxed));
        let mut chance = Chance::new(shared.seed, (task as u64) << 8 | u64::from(attempt));
        #[cfg(feature = "tls")]
        if stream.is_tls() && chance.one_in(3) {
            stream.spoil(*chance.pick(&FAULTS));
        }
        if misbehave(stream, &mut chance, streams)? == Next::Close {
            return Ok(());
        }
        if chance.one_in(3) {
            // Closes an idle connection, sometimes just as the next request is on its way.
            let tcp = stream.tcp();
            tcp.set_read_timeout(Some(chance.millis(1, IDLE_MAX_MS)))?;
            let waited = tcp.peek(&mut first);
            tcp.set_read_timeout(Some(PATIENCE))?;
            if !waited.is_ok_and(|amount| amount > 0) {
                return Ok(());
            }
        }
    }
}

/// The number of the task that a request is about, and whether it asks for a stream.
fn read_request(stream: &mut dyn Line) -> std::io::Result<Option<(usize, bool)>> {
    let mut bytes = Vec::new();
    let mut chunk = [0; 4096];
    loop {
        let text = String::from_utf8_lossy(&bytes);
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let head = head.to_ascii_lowercase();
            let length = head.split("content-length:").nth(1).map_or(0, |rest| {
                rest.lines().next().unwrap_or_default().trim().parse().unwrap_or(0)
            });
            if body.len() >= length {
                let number = body.split(MARK).nth(1).and_then(|rest| rest.split('.').next());
                let number = number.and_then(|digits| digits.parse().ok());
                return Ok(Some((number.unwrap_or(usize::MAX), body.contains("\"stream\":true"))));
            }
        }
        match stream.read(&mut chunk)? {
            0 => return Ok(None),
            amount => bytes.extend_from_slice(&chunk[..amount]),
        }
    }
}

/// Stands still until the client goes away.
fn hold(stream: &mut dyn Line) -> std::io::Result<Next> {
    let mut rest = [0; 256];
    while stream.read(&mut rest).is_ok_and(|amount| amount > 0) {}
    Ok(Next::Close)
}

#[cfg(feature = "tls")]
fn bad_tls(stream: &mut dyn Line, chance: &mut Chance) -> std::io::Result<()> {
    match chance.below(6) {
        0 => return hold(stream).map(drop),
        1 => stream.write_all(b"HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n\r\n")?,
        // A fatal alert: handshake_failure.
        2 => stream.write_all(&[0x15, 3, 3, 0, 2, 2, 40])?,
        // The beginning of a ServerHello that never ends.
        3 => {
            stream.write_all(&[0x16, 3, 3, 0x10, 0, 2, 0])?;
            return hold(stream).map(drop);
        }
        4 => stream.write_all(&garbage(chance, 200))?,
        _ => {}
    }
    stream.tcp().shutdown(std::net::Shutdown::Both)
}

fn garbage(chance: &mut Chance, bytes: usize) -> Vec<u8> {
    (0..bytes).map(|_| chance.roll() as u8).collect()
}

fn reply(status: u16, headers: &str, body: &[u8]) -> Vec<u8> {
    let head = format!("HTTP/1.1 {status} X\r\n{headers}content-length: {}\r\n\r\n", body.len());
    [head.as_bytes(), body].concat()
}

const JSON: &str = "content-type: application/json\r\n";
const SSE: &str = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n";

/// Answers one request, seldom as it should be.
fn misbehave(stream: &mut dyn Line, chance: &mut Chance, streams: bool) -> std::io::Result<Next> {
    match chance.below(20) {
        0..=6 if streams => good_stream(stream, chance),
        0..=6 => {
            let body = answer(&"word ".repeat(1 + chance.below(40)));
            stream.write_all(&reply(200, JSON, body.as_bytes()))?;
            Ok(Next::Serve)
        }
        7 | 8 => refuse(stream, chance),
        9 => stall(stream, chance),
        10 | 11 => wrong_frame(stream, chance),
        12 => wrong_json(stream, chance),
        13 => wrong_head(stream, chance),
        14 => tools(stream, chance),
        15 => huge(stream, chance),
        16 => {
            stream.write_all(&garbage(chance, 300))?;
            Ok(Next::Close)
        }
        // Closed without a word.
        17 => Ok(Next::Close),
        _ => bad_stream(stream, chance),
    }
}

fn good_stream(stream: &mut dyn Line, chance: &mut Chance) -> std::io::Result<Next> {
    let words: String = (0..1 + chance.below(20)).map(|n| delta(&format!("w{n} "))).collect();
    let body = format!("{words}{}{DONE}", stop());
    if chance.one_in(2) {
        stream.write_all(format!("{SSE}{body}").as_bytes())?;
        return Ok(Next::Close);
    }
    stream.write_all(
        b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n",
    )?;
    let size = 1 + chance.below(200);
    for chunk in body.as_bytes().chunks(size) {
        stream
            .write_all(&[format!("{:x}\r\n", chunk.len()).as_bytes(), chunk, b"\r\n"].concat())?;
    }
    stream.write_all(b"0\r\n\r\n")?;
    Ok(Next::Serve)
}

/// A status of refusal, of every number and with every kind of body and wait.
fn refuse(stream: &mut dyn Line, chance: &mut Chance) -> std::io::Result<Next> {
    let status = *chance.pick(&[4, 4, 5]) * 100 + chance.below(32) as u16;
    let wait = *chance.pick(&[
        "",
        "",
        "retry-after: 0\r\n",
        "retry-after: 0.01\r\n",
        "retry-after: 1\r\n",
        "retry-after: 86400\r\n",
        "retry-after: 99999999999999999999\r\n",
        "retry-after: -1\r\n",
        "retry-after: soon\r\n",
        "retry-after: \r\n",
        "retry-after: Sun, 06 Nov 1994 08:49:37 GMT\r\n",
        "retry-after: Fri, 31 Dec 9999 23:59:59 GMT\r\n",
        "retry-after-ms: 3\r\n",
        "retry-after-ms: nan\r\nretry-after: 0.02\r\n",
        "x-should-retry: true\r\n",
        "x-should-retry: false\r\n",
        "date: nonsense\r\nretry-after: Sun, 99 Nov 1994 08:49:37 GMT\r\n",
    ]);
    let code = *chance.pick(&[
        "null",
        "\"rate_limit_exceeded\"",
        "\"insufficient_quota\"",
        "\"context_length_exceeded\"",
        "\"content_filter\"",
        "\"invalid_api_key\"",
        "500",
        "{}",
        "[[]]",
    ]);
    let body = match chance.below(7) {
        0 => String::new(),
        1 => "<html>Bad Gateway</html>".to_owned(),
        2 => "{\"error\":\"flat text\"}".to_owned(),
        3 => format!("{{\"message\":\"m\",\"code\":{code}}}"),
        4 => "{\"error\":{\"message\":\"half".to_owned(),
        5 => "x".repeat(40_000),
        _ => format!("{{\"error\":{{\"message\":\"no\",\"type\":\"t\",\"code\":{code}}}}}"),
    };
    stream.write_all(&reply(status, wait, body.as_bytes()))?;
    Ok(if chance.one_in(3) { Next::Close } else { Next::Serve })
}

/// Says nothing, a part, or very little at a time.
fn stall(stream: &mut dyn Line, chance: &mut Chance) -> std::io::Result<Next> {
    let whole = reply(200, JSON, answer("late").as_bytes());
    let body_starts = whole.windows(4).position(|four| four == b"\r\n\r\n").unwrap() + 4;
    let part = match chance.below(4) {
        0 => 0,
        1 => chance.below(body_starts),
        2 => body_starts + chance.below(whole.len() - body_starts),
        _ => {
            // The pause sets the pace only.
            for byte in whole.chunks(1) {
                stream.write_all(byte)?;
                std::thread::sleep(Duration::from_millis(2));
            }
            return Ok(Next::Serve);
        }
    };
    stream.write_all(&whole[..part])?;
    hold(stream)
}

/// Lengths, chunks and encodings that are not what comes.
fn wrong_frame(stream: &mut dyn Line, chance: &mut Chance) -> std::io::Result<Next> {
    let body = answer("framed");
    let (length, ok) = (body.len(), "HTTP/1.1 200 OK\r\n");
    let text = match chance.below(12) {
        0 => format!("{ok}content-length: {}\r\n\r\n{body}", length + 1 + chance.below(5000)),
        1 => format!("{ok}content-length: {}\r\n\r\n{body}", chance.below(length)),
        2 => format!("{ok}content-length: abc\r\n\r\n{body}"),
        3 => format!("{ok}content-length: -5\r\n\r\n{body}"),
        4 => format!("{ok}content-length: {length}\r\ncontent-length: 3\r\n\r\n{body}"),
        5 => format!("{ok}content-length: 99999999999999999999999\r\n\r\n{body}"),
        6 => format!("{ok}transfer-encoding: chunked\r\n\r\nzz\r\n{body}\r\n0\r\n\r\n"),
        7 => format!("{ok}transfer-encoding: chunked\r\n\r\n{length:x}\r\n{body}"),
        8 => format!("{ok}transfer-encoding: chunked\r\n\r\nffffffffffffffffff\r\n{body}"),
        9 => format!("{ok}content-encoding: gzip\r\ncontent-length: {length}\r\n\r\n{body}"),
        10 => format!("{ok}transfer-encoding: gzip, chunked\r\n\r\n{body}"),
        // Two answers to one request: the second must not answer the next task.
        _ => {
            let twice = format!("{ok}content-length: {length}\r\n\r\n{body}").repeat(2);
            stream.write_all(twice.as_bytes())?;
            return Ok(Next::Serve);
        }
    };
    stream.write_all(text.as_bytes())?;
    Ok(Next::Close)
}

/// Bodies that are no answer.
fn wrong_json(stream: &mut dyn Line, chance: &mut Chance) -> std::io::Result<Next> {
    let deep = "[".repeat(5000);
    let nested = format!("{{\"choices\":{deep}");
    let body: &[u8] = match chance.below(12) {
        0 => b"",
        1 => b"{}",
        2 => b"[]",
        3 => b"null",
        4 => b"{\"choices\":[]}",
        5 => b"{\"choices\":[{}]}",
        6 => b"{\"choices\":{\"a\":1}}",
        7 => b"{\"choices\":[{\"message\":{\"content\":42}}]}",
        8 => b"{\"choices\":[{\"message\":{\"content\":\"\xff\xfe\"}}]}",
        9 => deep.as_bytes(),
        10 => nested.as_bytes(),
        _ => b"\xef\xbb\xbf{\"choices\":[{\"message\":{\"content\":\"bom\"}}]}",
    };
    stream.write_all(&reply(200, JSON, body))?;
    Ok(Next::Serve)
}

/// Status lines and headers that no server should send.
fn wrong_head(stream: &mut dyn Line, chance: &mut Chance) -> std::io::Result<Next> {
    let body = answer("head");
    let length = body.len();
    let text = match chance.below(10) {
        0 => format!("HTTP/1.1 999 X\r\ncontent-length: {length}\r\n\r\n{body}"),
        1 => format!("HTTP/2 200\r\ncontent-length: {length}\r\n\r\n{body}"),
        2 => format!("HTTP/1.0 200 OK\r\n\r\n{body}"),
        3 => format!("HTTP/1.1 200 OK\r\nx: {}\r\n\r\n{body}", "y".repeat(20_000)),
        4 => format!("HTTP/1.1 200 OK\r\n{}\r\n{body}", "a: b\r\n".repeat(3000)),
        5 => "HTTP/1.1 302 Found\r\nlocation: http://127.0.0.1:1/\r\ncontent-length: 0\r\n\r\n"
            .to_owned(),
        6 => "HTTP/1.1 204 No Content\r\n\r\n".to_owned(),
        7 => format!(
            "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length: {length}\r\n\r\n{body}"
        ),
        8 => format!("HTTP/1.1 103 Hints\r\n\r\nHTTP/1.1 200 OK\r\n\r\n{body}"),
        _ => format!("HTTP/1.1 200 OK\r\nno colon here\r\n\r\n{body}"),
    };
    stream.write_all(text.as_bytes())?;
    Ok(Next::Close)
}

/// Wishes for tools, those on offer and others.
fn tools(stream: &mut dyn Line, chance: &mut Chance) -> std::io::Result<Next> {
    let name = *chance.pick(&["echo", "breaks", "unknown", ""]);
    let arguments = *chance.pick(&["{}", "{\"a\":1}", "{\"half", "7", ""]);
    let calls: Vec<_> = (0..1 + chance.below(3))
        .map(|n| json!({"id": n.to_string(), "function": {"name": name, "arguments": arguments}}))
        .collect();
    let body = json!({"choices": [{"message": {"content": null, "tool_calls": calls}}]});
    stream.write_all(&reply(200, JSON, body.to_string().as_bytes()))?;
    Ok(Next::Serve)
}

/// More than anybody can take.
fn huge(stream: &mut dyn Line, chance: &mut Chance) -> std::io::Result<Next> {
    match chance.below(3) {
        0 => stream
            .write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 10000000000000\r\n\r\n{\"choices\":")?,
        1 => stream.write_all(&reply(200, JSON, answer(&"y".repeat(200_000)).as_bytes()))?,
        _ => {
            stream.write_all(b"HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n")?;
            let chunk = [b'z'; 16 << 10];
            let written = (0..64).try_for_each(|_| stream.write_all(&chunk));
            // The client is expected to hang up.
            if written.is_err_and(|e| e.kind() == ErrorKind::InvalidInput) {
                return Ok(Next::Close);
            }
        }
    }
    Ok(Next::Close)
}

/// Streams that break, lie, or never say anything.
fn bad_stream(stream: &mut dyn Line, chance: &mut Chance) -> std::io::Result<Next> {
    let half = delta("half ");
    let text = match chance.below(11) {
        0 => half,
        1 => {
            format!("{half}{}", event("{\"error\":{\"message\":\"x\",\"code\":\"server_error\"}}"))
        }
        2 => format!("{half}event: error\ndata: {{\"message\":\"x\"}}\n\n"),
        3 => format!("{half}error: {{\"code\":429}}\n\n"),
        4 => format!("{half}data: {{nonsense\n\n"),
        5 => format!("{half}data: {}\n\n", "[".repeat(3000)),
        6 => ": ping\n\n".repeat(50),
        7 => format!("data: {}", "x".repeat(100_000)),
        8 => format!("{half}{}", event("{\"choices\":[{\"finish_reason\":\"content_filter\"}]}")),
        9 => String::new(),
        _ => {
            stream.write_all(format!("{SSE}{half}").as_bytes())?;
            return hold(stream);
        }
    };
    stream.write_all(format!("{SSE}{text}").as_bytes())?;
    if chance.one_in(6) {
        stream.write_all(b"data: \xff\xfe\xfd\n\n")?;
    }
    Ok(Next::Close)
}
