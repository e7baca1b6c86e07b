//! Shared by the tests of providers: backends of given variables, and a small server.
#![allow(clippy::unwrap_used)]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use serde_json::Value;

use crate::backend::AiBackend;
use crate::config::HelperConfig;
use crate::env::Env;
use crate::error::Error;
use crate::helper::AutomationHelper;
use crate::http::loopback_tests::listen;
use crate::task::{Task, TaskRequest};

/// Longer than anything here takes on a slow phone.
const LONG: Duration = Duration::from_secs(20);

/// The backend of this configuration, where the environment has these variables alone.
pub(super) fn build(
    config: &HelperConfig,
    variables: &[(&str, &str)],
) -> Result<Box<dyn AiBackend>, Error> {
    let read = |name: &str| {
        let found = variables.iter().find(|(key, _)| *key == name);
        found.map(|(_, value)| (*value).to_owned())
    };
    (config.provider().build)(config, &Env { read: &read })
}

/// One task of a helper of this configuration.
pub(super) fn ask(config: HelperConfig, request: TaskRequest) -> Task {
    let helper = AutomationHelper::new(config).unwrap();
    helper.start().unwrap();
    let id = helper.submit_task(request).unwrap();
    helper.wait_task(id, LONG).unwrap()
}

/// A request that came.
pub(super) struct Seen {
    /// Its first line and headers.
    pub(super) head: String,
    pub(super) body: Vec<u8>,
}

impl Seen {
    pub(super) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }
}

/// A server that gives replies, one a connection.
pub(super) struct Server {
    address: SocketAddr,
    thread: JoinHandle<Vec<Seen>>,
}

impl Server {
    pub(super) fn start(replies: Vec<String>) -> Self {
        let listener = listen();
        let address = listener.local_addr().unwrap();
        let serve = move |reply: String| answer(&listener.accept().unwrap().0, &reply);
        let thread = thread::spawn(move || replies.into_iter().map(serve).collect());
        Self { address, thread }
    }

    pub(super) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The requests that came: as many as there were replies.
    pub(super) fn finish(self) -> Vec<Seen> {
        // Ends the wait for a request that did not come: the server then fails.
        let _ = TcpStream::connect(self.address);
        self.thread.join().unwrap()
    }
}

/// Reads one request and replies.
fn answer(mut stream: &TcpStream, reply: &str) -> Seen {
    stream.set_read_timeout(Some(LONG)).unwrap();
    let mut reader = BufReader::new(stream);
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        assert_ne!(reader.read_line(&mut head).unwrap(), 0, "a whole request");
    }
    let (_, length) = head.split_once("content-length: ").unwrap();
    let mut body = vec![0; length.split_once('\r').unwrap().0.parse().unwrap()];
    reader.read_exact(&mut body).unwrap();
    stream.write_all(reply.as_bytes()).unwrap();
    Seen { head, body }
}

/// A complete reply.
pub(super) fn reply(status: u16, json: &Value) -> String {
    with_headers(status, &format!("content-length: {}", json.to_string().len()), &json.to_string())
}

/// A stream of these events.
pub(super) fn stream(events: &str) -> String {
    with_headers(200, "content-type: text/event-stream", events)
}

fn with_headers(status: u16, header: &str, body: &str) -> String {
    format!("HTTP/1.1 {status} X\r\n{header}\r\nconnection: close\r\n\r\n{body}")
}
