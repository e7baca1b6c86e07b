//! A stand-in for a collector on loopback: it records requests, and answers as a script says.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use serde_json::Value;

/// Longer than anything here takes.
pub(crate) const LONG: Duration = Duration::from_secs(60);

/// An answer of the collector.
#[derive(Clone, Copy)]
pub(crate) enum Answer {
    /// A status, further headers (each with its line's end), a body.
    Says(u16, &'static str, &'static str),
    /// These bytes as they are, then the end of the connection.
    Raw(&'static str),
    /// Nothing, until the collector ends.
    Silence,
}

/// The answer to all that the script does not reach.
const TAKEN: Answer = Answer::Says(200, "", "{}");

/// A request as it came.
pub(crate) struct Request {
    pub(crate) at: Instant,
    pub(crate) line: String,
    pub(crate) headers: String,
    pub(crate) body: String,
}

impl Request {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap()
    }

    pub(crate) fn spans(&self) -> Vec<Value> {
        self.json()["resourceSpans"][0]["scopeSpans"][0]["spans"].as_array().unwrap().clone()
    }
}

pub(crate) struct Collector {
    address: SocketAddr,
    requests: Receiver<Request>,
    end: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
    /// Dropped at the end: what waits in silence goes on then.
    _silence: Sender<()>,
}

impl Collector {
    pub(crate) fn new(script: &[Answer]) -> Self {
        Self::at("127.0.0.1:0".parse().unwrap(), script)
    }

    pub(crate) fn at(address: SocketAddr, script: &[Answer]) -> Self {
        let listener = TcpListener::bind(address).unwrap();
        let address = listener.local_addr().unwrap();
        let script = Arc::new(Mutex::new(script.iter().copied().rev().collect::<Vec<_>>()));
        let (sender, requests) = channel();
        let (silence, until) = channel();
        let until = Arc::new(Mutex::new(until));
        let end = Arc::new(AtomicBool::new(false));
        let ended = Arc::clone(&end);
        let thread = std::thread::spawn(move || {
            for stream in listener.incoming() {
                if ended.load(Ordering::SeqCst) {
                    return;
                }
                let (script, sender, until) = (script.clone(), sender.clone(), until.clone());
                std::thread::spawn(move || serve(stream.unwrap(), &script, &sender, &until));
            }
        });
        Self { address, requests, end, thread: Some(thread), _silence: silence }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    pub(crate) fn next(&self) -> Request {
        self.requests.recv_timeout(LONG).expect("a request")
    }

    /// Requests that have come and were not taken.
    pub(crate) fn left(&self) -> usize {
        self.requests.try_iter().count()
    }
}

impl Drop for Collector {
    fn drop(&mut self) {
        self.end.store(true, Ordering::SeqCst);
        drop(TcpStream::connect(self.address));
        drop(self.thread.take().map(JoinHandle::join));
    }
}

/// An address where nobody listens.
pub(crate) fn nowhere() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}

fn serve(
    mut stream: TcpStream,
    script: &Mutex<Vec<Answer>>,
    requests: &Sender<Request>,
    until: &Mutex<Receiver<()>>,
) {
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    while let Some(request) = read(&mut reader) {
        let answer = script.lock().unwrap().pop().unwrap_or(TAKEN);
        if requests.send(request).is_err() {
            return;
        }
        let (status, headers, body) = match answer {
            Answer::Says(status, headers, body) => (status, headers, body),
            Answer::Raw(bytes) => return drop(stream.write_all(bytes.as_bytes())),
            Answer::Silence => {
                let _ = until.lock().unwrap().recv();
                return;
            }
        };
        let length = body.len();
        let head = format!("HTTP/1.1 {status} X\r\n{headers}content-length: {length}\r\n\r\n");
        if stream.write_all(format!("{head}{body}").as_bytes()).is_err() {
            return;
        }
    }
}

fn read(reader: &mut BufReader<TcpStream>) -> Option<Request> {
    let mut line = String::new();
    reader.read_line(&mut line).ok().filter(|read| *read > 0)?;
    let at = Instant::now();
    let mut headers = String::new();
    while !headers.ends_with("\r\n\r\n") && headers != "\r\n" {
        reader.read_line(&mut headers).ok().filter(|read| *read > 0)?;
    }
    let headers = headers.to_ascii_lowercase();
    let length = headers.split_once("content-length: ")?.1.split("\r\n").next()?.parse().ok()?;
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    let line = line.trim().to_owned();
    Some(Request { at, line, headers, body: String::from_utf8(body).unwrap() })
}
