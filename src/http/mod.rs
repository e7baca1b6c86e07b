//! HTTP/1.1 over connections of our own: their limits in time, and what can go wrong with them.
//! Knows no backend and no provider.
//!
//! A call's way through the files: a [`Client`] takes a connection from its `pool`, or has the
//! `dial`ler make one (`resolver`, `socket`, `proxy`, `tls`) on a thread that it borrows; the
//! `request`'s head and body go out over the `connection`; what comes in is the reply's `head`,
//! which httparse reads, and then its body, whose end the `framing` finds; there the connection
//! goes back to the pool. Meanwhile the `call` holds the limits in time and the cancel signal for
//! all that waits on its thread.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use crate::cancel::CancelSignal;
use crate::connections::Connections;
use crate::env::Env;
use crate::error::Error;

#[cfg(feature = "tls")]
mod algorithms;
mod call;
mod connection;
mod dial;
mod endpoint;
mod fault;
mod framing;
#[cfg(feature = "_fuzz")]
pub(crate) mod fuzzing;
mod handover;
mod head;
#[cfg(test)]
pub(crate) mod loopback_tests;
mod no_proxy;
mod pool;
mod proxy;
mod request;
mod resolver;
#[cfg(feature = "tls")]
mod roots;
mod server;
mod socket;
mod socks;
#[cfg(feature = "tls")]
mod tls;
mod tunnel;
mod wait;

use call::Scope;
pub(crate) use call::{CallPhase, Limits};
use connection::Connection;
pub(crate) use endpoint::Endpoint;
pub(crate) use fault::Fault;
use head::Head;
use pool::Pool;
pub(crate) use request::{Body, Request, is_header_name};
use server::Server;
use socket::is_gone;
pub(crate) use wait::{asked_retry, asked_wait, duration, until_reset};

/// The settings of a client.
pub(crate) struct Setup<'a> {
    pub(crate) endpoint: &'a Endpoint,
    /// Whether requests carry a key.
    pub(crate) with_key: bool,
    /// A PEM file of roots in place of the bundled ones.
    #[cfg_attr(not(feature = "tls"), allow(dead_code))]
    pub(crate) roots: Option<&'a std::path::Path>,
    pub(crate) env: &'a Env<'a>,
}

/// Connections to one server, shared by a helper's threads.
pub(crate) struct Client {
    pool: Arc<Pool>,
}

impl Client {
    /// Connections to the setup's server, shared with clients of the same settings.
    pub(crate) fn new(connections: &Connections, setup: &Setup<'_>) -> Result<Self, Error> {
        Ok(Self { pool: pool::find(connections, setup)? })
    }

    /// Sends a request and waits for the reply's status and headers. (A reply is one pointer: space
    /// for more, in each function on the way, would be taken from the stack while it is awaited.)
    pub(crate) fn send<'c>(
        &self,
        cancel: &'c CancelSignal,
        limits: Limits,
        request: &Request<'_>,
    ) -> Result<Box<Response<'c>>, Unanswered> {
        match self.send_once(cancel, limits, request, request.fresh) {
            // A kept connection that the server had closed meanwhile, found out before it took
            // a byte: nobody can have read anything.
            Err(Unanswered { is_untouched: true, .. }) => {
                self.send_once(cancel, limits, request, true)
            }
            outcome => outcome,
        }
    }

    fn send_once<'c>(
        &self,
        cancel: &'c CancelSignal,
        limits: Limits,
        request: &Request<'_>,
        fresh: bool,
    ) -> Result<Box<Response<'c>>, Unanswered> {
        let scope = Scope::enter(cancel, limits);
        match self.exchange(request, fresh) {
            Ok((connection, head)) => {
                let (connection, pool) = (Some(connection), Arc::clone(&self.pool));
                let mut response = Response { head, connection, pool, scope };
                response.end();
                Ok(Box::new(response))
            }
            Err(fault) => {
                let is_untouched = scope.stop().is_none() && scope.current.is_untouched();
                let was_kept =
                    !scope.current.dialled.get() && scope.current.first_byte.get().is_none();
                let fault = match explain(&scope, fault) {
                    Fault::ConnectionClosed if was_kept => Fault::KeptConnectionClosed,
                    fault => fault,
                };
                Err(Unanswered { fault, is_untouched, is_sent: scope.awaits_reply() })
            }
        }
    }

    fn exchange(&self, request: &Request<'_>, fresh: bool) -> io::Result<(Box<Connection>, Head)> {
        // (The endpoint was checked when the backend was made.)
        let (server, path) = Server::split(request.url).ok_or(Fault::NameNotFound)?;
        let mut connection = self.pool.connection(&server, fresh)?;
        let head = request::head(request, &server, path, connection.forward.as_deref());
        match request.body {
            None => connection.send(head, None)?,
            Some(body) => connection.send(head, Some(&mut *body.open()))?,
        }
        let head = connection.await_head()?;
        Ok((connection, head))
    }
}

/// A request without a reply.
pub(crate) struct Unanswered {
    pub(crate) fault: Fault,
    /// The whole request went out: the model may be running.
    pub(crate) is_sent: bool,
    /// A kept connection was dead before it took anything.
    is_untouched: bool,
}

/// The end of a call: by our own side, or else the error.
fn explain(scope: &Scope<'_>, fault: io::Error) -> Fault {
    let fault = match scope.stop() {
        Some(stop) => stop.into(),
        None => match Fault::of(fault) {
            Fault::TlsBroken { why, .. } if !scope.awaits_reply() => Fault::HandshakeFailed(why),
            fault => fault,
        },
    };
    match (scope.current.take_proxy(), fault) {
        (_, fault @ (Fault::Cancelled | Fault::DeadlinePassed)) | (None, fault) => fault,
        (Some(name), why) => Fault::Proxy { name, why: Box::new(why) },
    }
}

/// A reply that is being read. Reading it to its end gives its connection back to the pool;
/// dropping it before closes the connection.
pub(crate) struct Response<'c> {
    head: Head,
    // Before `scope`: closing the connection is still part of the call.
    connection: Option<Box<Connection>>,
    pool: Arc<Pool>,
    scope: Scope<'c>,
}

impl Response<'_> {
    pub(crate) fn status(&self) -> u16 {
        self.head.status
    }

    /// A header's value, if it is plain text.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.head.header(name)
    }

    /// Time from the start of the call to the reply's first byte.
    pub(crate) fn first_byte(&self) -> Option<Duration> {
        self.scope.current.first_byte.get()
    }

    /// Says that the server is working and may continue in silence: no limit but the
    /// deadline holds until there is progress.
    pub(crate) fn working(&self) {
        self.scope.current.enter(CallPhase::Body, None);
    }

    /// Says that something useful came: the idle limit begins anew.
    pub(crate) fn progress(&self) {
        self.end_by(self.scope.current.limits.idle);
    }

    /// Ends the reply after this time at the latest.
    pub(crate) fn end_by(&self, limit: Duration) {
        self.scope.current.enter(CallPhase::Body, Some(limit));
    }

    /// Reads a chunk of the body; zero bytes at its end.
    pub(crate) fn read(&mut self, buffer: &mut [u8]) -> Result<usize, Fault> {
        let outcome = self.read_on(buffer);
        if let (Ok(_), Some(stop)) = (&outcome, self.scope.stop()) {
            return Err(stop.into());
        }
        outcome.map_err(|fault| match explain(&self.scope, fault) {
            fault @ (Fault::Cancelled
            | Fault::DeadlinePassed
            | Fault::PhaseTimedOut(_)
            | Fault::NotHttp) => fault,
            _ => Fault::BodyCutOff,
        })
    }

    fn read_on(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            self.end();
            let Some(connection) = &mut self.connection else { return Ok(0) };
            let (used, made) = self.head.framing.decode(connection.input(), buffer)?;
            connection.consume(used);
            if made > 0 {
                return Ok(made);
            }
            let is_over = used == 0 && is_at_end(connection)?;
            if is_over && !self.head.framing.may_end() {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            if is_over {
                self.connection = None;
            }
        }
    }

    /// Gives the connection back at the body's end.
    fn end(&mut self) {
        if self.head.framing.is_complete()
            && let Some(connection) = self.connection.take()
            && self.head.keeps()
        {
            self.pool.keep(connection);
        }
    }
}

/// Waits for more; says whether the connection has ended instead. (Over TLS as well if the server
/// did not say so: many do not.)
fn is_at_end(connection: &mut Connection) -> io::Result<bool> {
    match connection.fill() {
        Err(fault) if is_gone(&fault) || fault.kind() == io::ErrorKind::UnexpectedEof => Ok(true),
        filled => Ok(filled? == 0),
    }
}
