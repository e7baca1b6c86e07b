//! An Opik on loopback that answers each request as its test says.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Instant;

use serde_json::Value;

use crate::support::LONG;

/// A request as it came.
#[derive(Debug, Clone)]
pub struct Asked {
    /// `POST /api/v1/private/traces/batch`
    pub line: String,
    pub headers: String,
    pub text: String,
    pub json: Value,
    pub at: Instant,
}

impl Asked {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.lines().find_map(|line| {
            let (key, value) = line.split_once(':')?;
            key.eq_ignore_ascii_case(name).then(|| value.trim())
        })
    }

    pub fn is(&self, list: &str) -> bool {
        let place = if list == "scores" { "traces/feedback-scores" } else { list };
        self.line.contains(&format!("/v1/private/{place}"))
    }

    /// The objects of a list.
    pub fn items(&self, list: &str) -> Vec<Value> {
        self.json[list].as_array().cloned().unwrap_or_default()
    }

    pub fn ids(&self, list: &str) -> Vec<String> {
        let id = |item: &Value| item["id"].as_str().unwrap().to_owned();
        self.items(list).iter().map(id).collect()
    }
}

/// How a request is answered.
pub enum Say {
    /// This status, these header lines (each with `\r\n`), an empty body.
    Status(u16, &'static str),
    /// 200 with this JSON and these header lines.
    Json(String, &'static str),
    /// These bytes.
    Raw(String),
    /// Close without a word.
    Nothing,
    /// Stand still until the client goes away.
    Hold,
}

pub const TAKEN: Say = Say::Status(204, "");

type Answer = Arc<dyn Fn(usize, &Asked) -> Say + Send + Sync>;

pub struct Opik {
    address: SocketAddr,
    asked: Arc<Mutex<Vec<Asked>>>,
    news: Mutex<Receiver<Asked>>,
    closing: Arc<AtomicBool>,
    acceptor: Option<JoinHandle<()>>,
}

impl Opik {
    /// Starts it; `answer` gets the number of the request, from 0, and the request.
    pub fn start(answer: impl Fn(usize, &Asked) -> Say + Send + Sync + 'static) -> Self {
        let listener = crate::support::loopback::listen();
        let address = listener.local_addr().unwrap();
        let asked = Arc::new(Mutex::new(Vec::new()));
        let closing = Arc::new(AtomicBool::new(false));
        let (sender, news) = channel();
        let answer: Answer = Arc::new(answer);
        let (log, closed) = (Arc::clone(&asked), Arc::clone(&closing));
        let acceptor = std::thread::spawn(move || {
            let mut open = Vec::new();
            for stream in listener.incoming() {
                if closed.load(Ordering::SeqCst) {
                    break;
                }
                let Ok(stream) = stream else { continue };
                let closer = stream.try_clone().unwrap();
                let (answer, log, sender) = (Arc::clone(&answer), Arc::clone(&log), sender.clone());
                let thread = std::thread::spawn(move || serve(stream, &answer, &log, &sender));
                open.push((closer, thread));
            }
            for (stream, thread) in open {
                let _ = stream.shutdown(Shutdown::Both);
                thread.join().unwrap();
            }
        });
        let news = Mutex::new(news);
        Self { address, asked, news, closing, acceptor: Some(acceptor) }
    }

    /// One that takes everything.
    pub fn willing() -> Self {
        Self::start(|_, _| TAKEN)
    }

    pub fn url(&self) -> String {
        format!("http://{}/api", self.address)
    }

    /// Waits for the next request.
    pub fn next(&self) -> Asked {
        self.news.lock().unwrap().recv_timeout(LONG).expect("a request comes")
    }

    /// All requests so far.
    pub fn asked(&self) -> Vec<Asked> {
        self.asked.lock().unwrap().clone()
    }

    /// All objects that came to a list so far, in order.
    pub fn items(&self, list: &str) -> Vec<Value> {
        self.asked().iter().filter(|one| one.is(list)).flat_map(|one| one.items(list)).collect()
    }
}

impl Drop for Opik {
    fn drop(&mut self) {
        self.closing.store(true, Ordering::SeqCst);
        let _ = TcpStream::connect(self.address);
        if let Some(acceptor) = self.acceptor.take() {
            let _ = acceptor.join();
        }
    }
}

/// An address where nobody listens.
pub fn nobody() -> String {
    let listener = crate::support::loopback::listen();
    format!("http://{}/api", listener.local_addr().unwrap())
}

fn serve(stream: TcpStream, answer: &Answer, log: &Mutex<Vec<Asked>>, sender: &Sender<Asked>) {
    stream.set_read_timeout(Some(LONG)).unwrap();
    let mut writer = stream.try_clone().unwrap();
    let mut reader = BufReader::new(stream);
    while let Some(asked) = read(&mut reader) {
        let number = {
            let mut log = log.lock().unwrap();
            log.push(asked.clone());
            log.len() - 1
        };
        let say = answer(number, &asked);
        let _ = sender.send(asked);
        let reply = match say {
            Say::Status(204, headers) => format!("HTTP/1.1 204 No Content\r\n{headers}\r\n"),
            Say::Status(status, headers) => {
                format!("HTTP/1.1 {status} X\r\n{headers}content-length: 0\r\n\r\n")
            }
            Say::Json(body, headers) => {
                format!(
                    "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n{headers}\
                     content-length: {}\r\n\r\n{body}",
                    body.len()
                )
            }
            Say::Raw(reply) => reply,
            Say::Nothing => {
                let _ = writer.shutdown(Shutdown::Both);
                return;
            }
            Say::Hold => {
                let _ = reader.read(&mut [0]);
                return;
            }
        };
        if writer.write_all(reply.as_bytes()).is_err() {
            return;
        }
    }
}

fn read(reader: &mut BufReader<TcpStream>) -> Option<Asked> {
    let mut line = String::new();
    if reader.read_line(&mut line).ok()? == 0 {
        return None;
    }
    let at = Instant::now();
    let mut headers = String::new();
    loop {
        let before = headers.len();
        reader.read_line(&mut headers).ok()?;
        if headers[before..].trim().is_empty() {
            break;
        }
    }
    let line = line.trim_end().trim_end_matches(" HTTP/1.1").to_owned();
    let mut asked = Asked { line, headers, text: String::new(), json: Value::Null, at };
    let length = asked.header("content-length").map_or(0, |text| text.parse().unwrap());
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    asked.text = String::from_utf8(body).unwrap();
    asked.json = serde_json::from_str(&asked.text).unwrap_or(Value::Null);
    Some(asked)
}
