//! A stand-in server for the providers, on loopback, so that the examples run the real client
//! without a key or a network. It implements Chat Completions, Responses and Anthropic's
//! Messages, plain and streamed, by the end of the path; its answers are canned.
//!
//! Not for use outside these examples: one thread a connection, at most a few of them.
#![allow(dead_code, reason = "each example takes what it needs")]

mod chat_completions;
mod messages;
mod responses;

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use serde_json::{Value, json};

/// Longest request that the stand-in reads: one with a picture of 5 MiB as base64.
const REQUEST_BYTES_MAX: usize = 8 << 20;
/// Longest silence of a client before its connection is closed.
const SILENCE_MAX: Duration = Duration::from_secs(5);

/// Pause between the words of a streamed answer: about as fast as a small model writes.
pub(crate) const WORD_PAUSE: Duration = Duration::from_millis(15);

/// The stand-in's answer to a prompt of this model.
pub(crate) type Answer = fn(model: &str, prompt: &str) -> String;

/// The stand-in's description of a picture, by the bytes of its file.
pub(crate) type See = fn(&[u8]) -> String;

/// An API of the stand-in.
struct Api {
    /// How its path ends.
    path: &'static str,
    read: fn(request: &Value, see: See) -> Asked,
    reply: fn(&Scripted) -> Value,
    stream: fn(&Scripted) -> Stream,
    /// The end marker after a stream's last event.
    end: &'static str,
}

const APIS: [Api; 3] = [chat_completions::API, responses::API, messages::API];

/// A request.
struct Asked {
    /// The text of the last message, and what is seen on its pictures; or a tool's result.
    prompt: String,
    /// The name of the first tool offered and the schema of its arguments, where the last
    /// message is no tool's result.
    tool: Option<(String, Value)>,
}

/// An answer.
struct Scripted {
    model: String,
    text: String,
    /// The name and arguments of the tool called in place of the text.
    call: Option<(String, Value)>,
    /// Words read and written.
    tokens: (usize, usize),
}

/// A streamed answer: events, the text word by word, events.
struct Stream {
    before: Vec<Value>,
    word: fn(&str) -> Value,
    after: Vec<Value>,
}

/// The data that a connection needs to answer.
#[derive(Clone, Copy)]
struct Mind {
    answer: Answer,
    see: See,
}

/// The running server; it stops when dropped.
pub(crate) struct StandIn {
    address: SocketAddr,
    stop: Arc<AtomicBool>,
    offline: Arc<AtomicBool>,
    acceptor: Option<JoinHandle<()>>,
}

impl StandIn {
    /// Starts the server on a free port of 127.0.0.1.
    pub(crate) fn start(answer: Answer) -> std::io::Result<Self> {
        Self::start_seeing(answer, |_| "a picture".to_owned())
    }

    /// The same, for prompts with pictures: what is seen on each follows the prompt's text, on
    /// a line of its own.
    pub(crate) fn start_seeing(answer: Answer, see: See) -> std::io::Result<Self> {
        let mind = Mind { answer, see };
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let address = listener.local_addr()?;
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let offline = Arc::new(AtomicBool::new(false));
        let unreachable = Arc::clone(&offline);
        let acceptor = std::thread::spawn(move || {
            let mut connections = Vec::new();
            for stream in listener.incoming() {
                if stopped.load(Ordering::SeqCst) {
                    break;
                }
                let Ok(stream) = stream else { continue };
                if unreachable.load(Ordering::SeqCst) {
                    // Closed at once: to the client, the connection broke.
                    continue;
                }
                let closer = stream.try_clone();
                let thread = std::thread::spawn(move || {
                    // A client that breaks off is no concern of the stand-in's.
                    let _ = serve(stream, mind);
                });
                connections.push((closer, thread));
            }
            for (closer, thread) in connections {
                if let Ok(stream) = closer {
                    let _ = stream.shutdown(std::net::Shutdown::Both);
                }
                let _ = thread.join();
            }
        });
        Ok(Self { address, stop, offline, acceptor: Some(acceptor) })
    }

    /// The base URL for an OpenAI client.
    pub(crate) fn openai_base(&self) -> String {
        format!("http://{}/v1", self.address)
    }

    /// From now on new connections break at once, or are served again.
    pub(crate) fn set_offline(&self, offline: bool) {
        self.offline.store(offline, Ordering::SeqCst);
    }

    /// The base URL for an Opik client.
    pub(crate) fn opik_base(&self) -> String {
        format!("http://{}/opik/api", self.address)
    }
}

impl Drop for StandIn {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::SeqCst);
        // Wakes the acceptor.
        let _ = TcpStream::connect(self.address);
        if let Some(acceptor) = self.acceptor.take() {
            let _ = acceptor.join();
        }
    }
}

/// Answers one connection's requests until it closes.
fn serve(stream: TcpStream, mind: Mind) -> std::io::Result<()> {
    stream.set_read_timeout(Some(SILENCE_MAX))?;
    stream.set_nodelay(true)?;
    let mut writer = stream.try_clone()?;
    let mut reader = BufReader::new(stream);
    while let Some((path, body)) = read_request(&mut reader)? {
        if path.ends_with("/models") {
            let list = json!({"object": "list", "data": [{"id": "stand-in", "object": "model"}]});
            reply(&mut writer, "200 OK", &list)?;
        } else if let Some(api) = APIS.iter().find(|api| path.ends_with(api.path)) {
            answer(&mut writer, api, &body, mind)?;
        } else if path.contains("/v1/private/") {
            // Opik's traces, spans and scores are taken with an empty answer.
            writer.write_all(b"HTTP/1.1 204 No Content\r\n\r\n")?;
        } else {
            let error = json!({"error": {"message": format!("no such path: {path}"),
                "type": "invalid_request_error", "code": "not_found"}});
            reply(&mut writer, "404 Not Found", &error)?;
        }
    }
    Ok(())
}

fn read_request(reader: &mut BufReader<TcpStream>) -> std::io::Result<Option<(String, Value)>> {
    let mut line = String::new();
    if reader.read_line(&mut line)? == 0 {
        return Ok(None);
    }
    let path = line.split_whitespace().nth(1).unwrap_or_default().to_owned();
    let mut length = 0;
    loop {
        let mut header = String::new();
        if reader.read_line(&mut header)? == 0 || header.trim().is_empty() {
            break;
        }
        if let Some((name, value)) = header.split_once(':') {
            if name.eq_ignore_ascii_case("content-length") {
                length = value.trim().parse().unwrap_or(0);
            }
        }
    }
    let mut body = vec![0; length.min(REQUEST_BYTES_MAX)];
    reader.read_exact(&mut body)?;
    Ok(Some((path, serde_json::from_slice(&body).unwrap_or(Value::Null))))
}

fn reply(writer: &mut TcpStream, status: &str, body: &Value) -> std::io::Result<()> {
    let body = body.to_string();
    // One write a message: a message in several small ones waits for the peer's delayed ACK.
    let message = format!(
        "HTTP/1.1 {status}\r\nContent-Type: application/json\r\nx-request-id: req_stand_in\r\n\
         Content-Length: {}\r\n\r\n{body}",
        body.len()
    );
    writer.write_all(message.as_bytes())
}

fn answer(writer: &mut TcpStream, api: &Api, request: &Value, mind: Mind) -> std::io::Result<()> {
    let asked = (api.read)(request, mind.see);
    let model = request["model"].as_str().unwrap_or("stand-in").to_owned();
    // Offered tools, the stand-in calls the first of them once.
    let call = asked.tool.map(|(name, schema)| (name, sample_arguments(&schema)));
    let text = match call {
        Some(_) => String::new(),
        None => (mind.answer)(&model, &asked.prompt),
    };
    let words = |text: &str| text.split_whitespace().count();
    let tokens = (words(&asked.prompt), words(&text));
    let plan = Scripted { model, text, call, tokens };
    if request["stream"] != true {
        return reply(writer, "200 OK", &(api.reply)(&plan));
    }
    writer.write_all(
        b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n",
    )?;
    let stream = (api.stream)(&plan);
    stream.before.iter().try_for_each(|data| event(writer, data))?;
    for word in plan.text.split_inclusive(' ') {
        event(writer, &(stream.word)(word))?;
        std::thread::sleep(WORD_PAUSE);
    }
    stream.after.iter().try_for_each(|data| event(writer, data))?;
    if !api.end.is_empty() {
        send_chunk(writer, api.end)?;
    }
    writer.write_all(b"0\r\n\r\n")
}

/// The text of a message's parts, and what is seen on its pictures; `base64` finds a picture's
/// data in its part.
fn read_parts(content: &Value, see: See, base64: fn(&Value) -> Option<&str>) -> String {
    let Some(parts) = content.as_array() else {
        return content.as_str().unwrap_or_default().to_owned();
    };
    let texts = parts.iter().filter_map(|part| part["text"].as_str().map(str::to_owned));
    let pictures = parts.iter().filter_map(|part| Some(see(&from_base64(base64(part)?))));
    texts.chain(pictures).collect::<Vec<_>>().join("\n")
}

/// Bytes from base64; what is none of it is skipped.
fn from_base64(text: &str) -> Vec<u8> {
    const LETTERS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let values = text.bytes().filter_map(|byte| LETTERS.iter().position(|letter| *letter == byte));
    let (mut bits, mut count, mut bytes) = (0_usize, 0, Vec::new());
    for value in values {
        bits = bits << 6 & 0xffff | value;
        count += 6;
        if count >= 8 {
            count -= 8;
            bytes.push((bits >> count) as u8);
        }
    }
    bytes
}

/// Arguments that fit a tool's schema: the first value that each property allows, if the
/// schema lists them.
fn sample_arguments(schema: &Value) -> Value {
    let properties = schema["properties"].as_object();
    let first = |(name, property): (&String, &Value)| {
        Some((name.clone(), property["enum"].as_array()?.first()?.clone()))
    };
    Value::Object(properties.into_iter().flatten().filter_map(first).collect())
}

/// An event, named as its data's type where that has one.
fn event(writer: &mut TcpStream, data: &Value) -> std::io::Result<()> {
    let name = data["type"].as_str().map(|name| format!("event: {name}\n"));
    send_chunk(writer, &format!("{}data: {data}\n\n", name.unwrap_or_default()))
}

fn send_chunk(writer: &mut TcpStream, text: &str) -> std::io::Result<()> {
    writer.write_all(format!("{:x}\r\n{text}\r\n", text.len()).as_bytes())
}
