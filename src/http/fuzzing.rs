//! The entry point of the fuzz target of replies as they come over a connection. It panics where a
//! promise is broken.

use std::io::{self, Read, Write};
use std::sync::Arc;
use std::time::Duration;

use super::call::Current;
use super::connection::Connection;
use super::dial::Dialler;
use super::pool::Pool;
use super::server::Server;
use super::socket::Stream;
use super::{Client, Fault, Limits, Request};
use crate::cancel::CancelSignal;

/// Nobody is asked there: each request has a kept connection.
const URL: &str = "http://127.0.0.1:9/";
/// More time than any input takes.
const ENDLESS: Duration = Duration::from_secs(3600);

/// A server that reads a request, says what the input is, so many bytes at once, and ends.
struct Peer {
    unread: Vec<u8>,
    at: usize,
    step: usize,
    is_asked: bool,
}

impl Stream for Peer {
    fn is_open(&mut self, look: bool) -> bool {
        !(look && self.has_input())
    }

    fn await_text(&mut self) -> io::Result<()> {
        Ok(())
    }

    fn has_input(&self) -> bool {
        self.is_asked && self.at < self.unread.len()
    }

    fn has_text(&mut self) -> io::Result<bool> {
        Ok(self.has_input())
    }
}

impl Read for Peer {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let step = self.step.min(into.len());
        let amount = (&self.unread[self.at..]).read(&mut into[..step])?;
        self.at += amount;
        Ok(amount)
    }
}

impl Write for Peer {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.is_asked = true;
        Current::here()?.note_sent(bytes.len());
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A reply's status, its body until its end or its fault, that fault, and whether its connection can
/// serve another request.
type Outcome = (Option<u16>, Vec<u8>, Option<String>, bool);

/// Reads this reply by a client, in steps of so many bytes.
fn exchange(reply: &[u8], step: usize) -> Outcome {
    let dialler = Dialler::new(
        None,
        #[cfg(feature = "tls")]
        super::tls::Secure::new(None),
    );
    let client = Client { pool: Arc::new(Pool::of(dialler)) };
    let Some((server, _)) = Server::split(URL) else { return Outcome::default() };
    let peer = Peer { unread: reply.to_vec(), at: 0, step, is_asked: false };
    client.pool.keep(Connection::new(Box::new(peer), server.clone(), None));
    let (cancel, mut outcome) = (CancelSignal::new(), Outcome::default());
    let read = || {
        let limits = Limits {
            deadline: None,
            connect: ENDLESS,
            first_byte: None,
            idle_before_payload: None,
            idle: ENDLESS,
        };
        let (headers, further, accept) = (&[][..], &[][..], "*/*");
        let request =
            Request { url: URL, headers, further, body: None, put: false, accept, fresh: false };
        let mut response =
            client.send(&cancel, limits, &request).map_err(|unanswered| unanswered.fault)?;
        outcome.0 = Some(response.status());
        let _ = response.header("content-type");
        let mut buffer = vec![0; step];
        while let amount @ 1.. = response.read(&mut buffer)? {
            outcome.1.extend_from_slice(&buffer[..amount]);
        }
        Ok(())
    };
    let fault: Result<(), Fault> = { read }();
    outcome.2 = fault.err().map(|fault| match fault {
        // A head may be both, and which of it shows first depends on the steps.
        Fault::HeadersTooLong => format!("{:?}", Fault::NotHttp),
        fault => format!("{fault:?}"),
    });
    outcome.3 = client.pool.kept(&server, false).is_some();
    outcome
}

/// A reply that comes at once and one that comes in steps are the same; the first byte is the step.
pub fn http_reply(input: &[u8]) {
    let Some((step, reply)) = input.split_first() else { return };
    let whole = exchange(reply, reply.len().max(1));
    assert_eq!(whole, exchange(reply, usize::from(*step).max(1)), "steps read otherwise");
    let (status, body, fault, is_kept) = whole;
    assert!(body.len() <= reply.len(), "more came out than went in");
    assert!(status.is_none_or(|status| (200..=999).contains(&status) || status == 101));
    assert!(!is_kept || fault.is_none(), "kept in spite of {fault:?}");
}
