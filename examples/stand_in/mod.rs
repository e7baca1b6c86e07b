//! A stand-in for the providers, on loopback, so that the examples show the real client at
//! work without a key or a network. It speaks the Chat Completions protocol (plain and
//! streamed) at any path that ends in `/chat/completions`; its answers are canned.
//!
//! Not for use outside these examples: one thread a connection, at most a few of them.
#![allow(dead_code, reason = "each example takes what it needs")]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use serde_json::{Value, json};

/// Longest request that the stand-in reads: one with a picture of 5 MiB as base64.
const REQUEST_BYTES_MAX: usize = 8 << 20;
/// A client that says nothing for this long is gone.
const SILENCE_MAX: Duration = Duration::from_secs(5);

/// Pause between the words of a streamed answer: about as fast as a small model writes.
pub(crate) const WORD_PAUSE: Duration = Duration::from_millis(15);

/// What the stand-in answers to a prompt of this model.
pub(crate) type Answer = fn(model: &str, prompt: &str) -> String;

/// What the stand-in says of a picture, by the bytes of its file.
pub(crate) type See = fn(&[u8]) -> String;

/// What a connection needs to answer.
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
        } else if path.ends_with("/chat/completions") {
            complete(&mut writer, &body, mind)?;
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

fn complete(writer: &mut TcpStream, request: &Value, mind: Mind) -> std::io::Result<()> {
    let model = request["model"].as_str().unwrap_or("stand-in");
    let messages = request["messages"].as_array().map(Vec::as_slice).unwrap_or_default();
    let prompt = messages.last().map(|last| read(&last["content"], mind.see)).unwrap_or_default();
    let tool_result = messages.last().is_some_and(|last| last["role"] == "tool");
    let tool = request["tools"][0]["function"]["name"].as_str().filter(|_| !tool_result);
    let text = (mind.answer)(model, &prompt);
    let message = match tool {
        // Offered tools, the stand-in calls the first of them once.
        Some(name) => {
            let arguments = sample_arguments(&request["tools"][0]["function"]["parameters"]);
            json!({"role": "assistant", "content": null, "tool_calls": [{
                "id": "call_1", "type": "function",
                "function": {"name": name, "arguments": arguments.to_string()}}]})
        }
        None => json!({"role": "assistant", "content": text}),
    };
    let reason = if tool.is_some() { "tool_calls" } else { "stop" };
    let (asked, answered) = (prompt.split_whitespace().count(), text.split_whitespace().count());
    let usage = json!({"prompt_tokens": asked, "completion_tokens": answered,
        "total_tokens": asked + answered});
    if request["stream"] != true {
        let body = json!({"id": "chatcmpl-1", "object": "chat.completion", "created": 0,
            "model": model, "usage": usage,
            "choices": [{"index": 0, "message": message, "finish_reason": reason}]});
        return reply(writer, "200 OK", &body);
    }
    writer.write_all(
        b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n",
    )?;
    let chunk = |delta: Value, reason: Value| {
        json!({"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 0,
            "model": model, "choices": [{"index": 0, "delta": delta, "finish_reason": reason}]})
    };
    if let Some(calls) = message["tool_calls"].as_array() {
        let mut call = calls[0].clone();
        call["index"] = json!(0);
        event(writer, &chunk(json!({"role": "assistant", "tool_calls": [call]}), Value::Null))?;
    } else {
        for word in text.split_inclusive(' ') {
            event(writer, &chunk(json!({"content": word}), Value::Null))?;
            std::thread::sleep(WORD_PAUSE);
        }
    }
    event(writer, &chunk(json!({}), json!(reason)))?;
    if request["stream_options"]["include_usage"] == true {
        event(writer, &json!({"model": model, "choices": [], "usage": usage}))?;
    }
    send_chunk(writer, "data: [DONE]\n\n")?;
    writer.write_all(b"0\r\n\r\n")
}

/// A message's text, and what is seen on its pictures.
fn read(content: &Value, see: See) -> String {
    let Some(parts) = content.as_array() else {
        return content.as_str().unwrap_or_default().to_owned();
    };
    let texts = parts.iter().filter_map(|part| part["text"].as_str().map(str::to_owned));
    let pictures = parts.iter().filter_map(|part| {
        let (_, data) = part["image_url"]["url"].as_str()?.split_once(";base64,")?;
        Some(see(&from_base64(data)))
    });
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

fn event(writer: &mut TcpStream, data: &Value) -> std::io::Result<()> {
    send_chunk(writer, &format!("data: {data}\n\n"))
}

fn send_chunk(writer: &mut TcpStream, text: &str) -> std::io::Result<()> {
    writer.write_all(format!("{:x}\r\n{text}\r\n", text.len()).as_bytes())
}
