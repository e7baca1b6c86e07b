//! HTTP over ureq, which is named here alone: connections, their limits in time, and what can go
//! wrong with them. Knows no backend and no provider.

use std::io::Read;
use std::time::Duration;

pub(crate) use ureq::http::HeaderName;
use ureq::http::{HeaderMap, HeaderValue, Request as HttpRequest, Response as HttpResponse};
use ureq::{Agent, AsSendBody, SendBody};

use crate::cancel::CancelSignal;
use crate::connections::Connections;
use crate::env::Env;
use crate::error::Error;

mod agents;
#[cfg(feature = "tls")]
mod algorithms;
mod body;
mod call;
mod connection;
mod dial;
mod endpoint;
mod fault;
mod handover;
mod no_proxy;
mod proxy;
mod resolver;
#[cfg(feature = "tls")]
mod roots;
mod socket;
mod socks;
mod stream;
#[cfg(feature = "tls")]
mod tls;
mod tunnel;
mod wait;

pub(crate) use body::Body;
use call::Scope;
pub(crate) use call::{CallPhase, Limits};
pub(crate) use endpoint::Endpoint;
pub(crate) use fault::Fault;
pub(crate) use wait::{asked_retry, asked_wait, duration, until_reset, until_rfc3339};

/// How we name ourselves to servers and proxies.
const USER_AGENT: &str = concat!("automation-assistant/", env!("CARGO_PKG_VERSION"));

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
    agent: Agent,
    /// Lets other helpers find the agent.
    _shared: agents::Shared,
}

/// One request.
pub(crate) struct Request<'a> {
    pub(crate) url: &'a str,
    /// Names in lower case; values checked when the backend was made.
    pub(crate) headers: &'a [(&'static str, String)],
    /// Of the program; each replaces one of the same name.
    pub(crate) further: &'a [(HeaderName, String)],
    /// The body of a POST; a request without one is a GET.
    pub(crate) body: Option<Body<'a>>,
    /// Whether the body is put instead of posted.
    pub(crate) put: bool,
    pub(crate) accept: &'static str,
    /// Whether it must go over a new connection: one that was kept turned out to be closed.
    pub(crate) fresh: bool,
}

impl Client {
    /// Connections to the setup's server, shared with clients of the same settings.
    pub(crate) fn new(connections: &Connections, setup: &Setup<'_>) -> Result<Self, Error> {
        let (agent, shared) = agents::find(connections, setup)?;
        Ok(Self { agent, _shared: shared })
    }

    /// Sends a request and waits for the reply's status and headers. (A reply is one pointer: room
    /// for more, in each function on the way, would be taken from the stack while it is awaited.)
    pub(crate) fn send<'c>(
        &self,
        cancel: &'c CancelSignal,
        limits: Limits,
        request: &Request<'_>,
    ) -> Result<Box<Response<'c>>, Fault> {
        let outcome = match self.send_once(cancel, limits, request, request.fresh) {
            // A kept connection that the server had closed meanwhile, found out before it took
            // a byte: nobody can have read anything.
            Err(Unsent { is_untouched: true, .. }) => self.send_once(cancel, limits, request, true),
            outcome => outcome,
        };
        outcome.map_err(|unsent| unsent.fault)
    }

    fn send_once<'c>(
        &self,
        cancel: &'c CancelSignal,
        limits: Limits,
        request: &Request<'_>,
        fresh_only: bool,
    ) -> Result<Box<Response<'c>>, Unsent> {
        let scope = Scope::enter(cancel, limits, fresh_only);
        let outcome = match request.body {
            None => self.run(request, SendBody::none()),
            Some(Body::Bytes(mut bytes)) => self.run(request, bytes.as_body()),
            Some(Body::Streamed(body)) => {
                self.run(request, SendBody::from_reader(&mut *(body.open)()))
            }
        };
        match outcome {
            Ok(response) => {
                let (parts, body) = response.into_parts();
                let status = parts.status.as_u16();
                let (headers, body) = (parts.headers, body.into_reader());
                Ok(Box::new(Response { status, headers, body, scope }))
            }
            Err(fault) => {
                let broke = scope.stop().is_none() && matches!(fault, ureq::Error::Io(_));
                let is_untouched = broke && scope.current.is_untouched();
                let was_kept = !scope.current.dialled.get() && scope.first_byte().is_none();
                let fault = match explain(&scope, &fault) {
                    Fault::ConnectionClosed if was_kept => Fault::KeptConnectionClosed,
                    fault => fault,
                };
                Err(Unsent { fault, is_untouched })
            }
        }
    }

    /// Hands a request to ureq. (All bodies are of one type: another would be ureq's code for it
    /// once more.)
    #[inline(never)]
    fn run(
        &self,
        request: &Request<'_>,
        body: SendBody<'_>,
    ) -> Result<HttpResponse<ureq::Body>, ureq::Error> {
        self.agent.run(assemble(request, body))
    }
}

struct Unsent {
    fault: Fault,
    /// A kept connection was dead before it took anything.
    is_untouched: bool,
}

/// The end of a call: by our own side, or else ureq's error.
fn explain(scope: &Scope<'_>, fault: &ureq::Error) -> Fault {
    let fault = match scope.stop() {
        Some(stop) => stop.into(),
        None => Fault::of(
            fault,
            #[cfg(feature = "tls")]
            scope,
        ),
    };
    match (scope.current.take_proxy(), fault) {
        (_, fault @ (Fault::Cancelled | Fault::DeadlinePassed)) | (None, fault) => fault,
        (Some(name), why) => Fault::Proxy { name, why: Box::new(why) },
    }
}

#[inline(never)]
fn assemble<'b>(request: &Request<'_>, body: SendBody<'b>) -> HttpRequest<SendBody<'b>> {
    let mut out = HttpRequest::new(body);
    let posts = request.body.is_some();
    *out.method_mut() = match (posts, request.put) {
        (false, _) => ureq::http::Method::GET,
        (true, false) => ureq::http::Method::POST,
        (true, true) => ureq::http::Method::PUT,
    };
    // The endpoint was checked when the backend was made; ureq refuses an empty URL.
    *out.uri_mut() = request.url.parse().unwrap_or_default();
    let headers = out.headers_mut();
    headers.insert("accept", HeaderValue::from_static(request.accept));
    if posts {
        headers.insert("content-type", HeaderValue::from_static("application/json"));
    }
    // ureq cannot know how long a body is that it only reads.
    let length = match request.body {
        None => None,
        Some(Body::Bytes(bytes)) => Some(HeaderValue::from(bytes.len())),
        Some(Body::Streamed(body)) => HeaderValue::from_str(&body.content_length).ok(),
    };
    if let Some(length) = length {
        headers.insert("content-length", length);
    }
    let hidden = |value: &str| {
        let mut value = HeaderValue::from_str(value).ok()?;
        value.set_sensitive(true);
        Some(value)
    };
    for (name, value) in request.headers {
        hidden(value).and_then(|value| headers.insert(*name, value));
    }
    for (name, value) in request.further {
        hidden(value).and_then(|value| headers.insert(name, value));
    }
    out
}

/// A reply that is being read. Reading it to its end gives its connection back to the pool;
/// dropping it before closes the connection.
pub(crate) struct Response<'c> {
    status: u16,
    headers: HeaderMap,
    // Before `scope`: closing the connection is still part of the call.
    body: ureq::BodyReader<'static>,
    scope: Scope<'c>,
}

impl Response<'_> {
    pub(crate) fn status(&self) -> u16 {
        self.status
    }

    /// A header's value, if it is plain text.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// Time from the start of the call to the reply's first byte.
    pub(crate) fn first_byte(&self) -> Option<Duration> {
        self.scope.first_byte()
    }

    /// Says that the server is working and may continue in silence: no limit but the
    /// deadline holds until there is progress.
    pub(crate) fn working(&self) {
        self.scope.working();
    }

    /// Says that something useful came: the idle limit begins anew.
    pub(crate) fn progress(&self) {
        self.scope.progress();
    }

    /// Ends the reply after this time at the latest.
    pub(crate) fn end_by(&self, limit: Duration) {
        self.scope.end_by(limit);
    }

    /// Reads a chunk of the body; zero bytes at its end.
    pub(crate) fn read(&mut self, buffer: &mut [u8]) -> Result<usize, Fault> {
        let outcome = self.body.read(buffer);
        if let (Ok(_), Some(stop)) = (&outcome, self.scope.stop()) {
            return Err(stop.into());
        }
        outcome.map_err(|fault| {
            let fault = fault.downcast::<ureq::Error>().unwrap_or_else(ureq::Error::Io);
            match explain(&self.scope, &fault) {
                Fault::ConnectionClosed
                | Fault::ConnectionRefused
                | Fault::Unreachable
                | Fault::NameNotFound
                | Fault::Proxy { .. }
                | Fault::HandshakeFailed(_)
                | Fault::TlsBroken { .. }
                | Fault::Failed(_) => Fault::BodyCutOff,
                fault => fault,
            }
        })
    }
}
