//! The one place that names ureq: connections, their limits, and their failures in our words.

use std::io::Read;
use std::time::Duration;

use ureq::http::{HeaderMap, HeaderValue, Request as HttpRequest};
use ureq::{Agent, BodyReader};

use crate::backend::build::Env;
use crate::backend::endpoint::Endpoint;
use crate::backend::failure::Failure;
use crate::backend::{CallContext, cancelled, timed_out};
use crate::cancel::CancelSignal;
use crate::connections::Connections;
use crate::error::Error;
use crate::task_error::{ErrorKind, TaskError};

mod agents;
#[cfg(feature = "tls")]
mod algorithms;
mod call;
mod proxy;
mod resolver;
#[cfg(feature = "tls")]
mod roots;
mod socket;
mod socks;
#[cfg(feature = "tls")]
mod tls;
mod transport;

pub(crate) use call::{Limits, Phase};
use call::{Scope, Stop};

/// What a client is made for.
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
    /// What is posted; a request without is a GET.
    pub(crate) body: Option<&'a [u8]>,
    pub(crate) accept: &'static str,
}

impl Client {
    /// Connections to the setup's server, shared with whoever can share them.
    pub(crate) fn new(connections: &Connections, setup: &Setup<'_>) -> Result<Self, Error> {
        let (agent, shared) = agents::find(connections, setup)?;
        Ok(Self { agent, _shared: shared })
    }

    /// Sends a request and waits for the reply's status and headers.
    pub(crate) fn send<'c>(
        &self,
        call: &'c CallContext<'_>,
        limits: Limits,
        request: &Request<'_>,
    ) -> Result<Response<'c>, Failure> {
        self.send_with(call.cancel(), limits, request, false)
    }

    /// The same for a request that belongs to no task; one with a body can be put in place of
    /// posted.
    pub(crate) fn send_with<'c>(
        &self,
        cancel: &'c CancelSignal,
        limits: Limits,
        request: &Request<'_>,
        put: bool,
    ) -> Result<Response<'c>, Failure> {
        match self.send_once(cancel, limits, request, put, false) {
            Ok(response) => Ok(response),
            // A kept connection that the server had closed meanwhile: nobody's fault, and
            // the server has not seen the request.
            Err(Fault { stale: true, .. }) => {
                self.send_once(cancel, limits, request, put, true).map_err(|fault| fault.failure)
            }
            Err(fault) => Err(fault.failure),
        }
    }

    fn send_once<'c>(
        &self,
        cancel: &'c CancelSignal,
        limits: Limits,
        request: &Request<'_>,
        put: bool,
        fresh_only: bool,
    ) -> Result<Response<'c>, Fault> {
        let scope = Scope::enter(cancel, limits, fresh_only);
        let outcome = match request.body {
            Some(body) => {
                let mut out = assemble(request, body);
                if put {
                    *out.method_mut() = ureq::http::Method::PUT;
                }
                self.agent.run(out)
            }
            None => self.agent.run(assemble(request, ())),
        };
        match outcome {
            Ok(response) => {
                let (parts, body) = response.into_parts();
                let status = parts.status.as_u16();
                Ok(Response { status, headers: parts.headers, body: body.into_reader(), scope })
            }
            Err(fault) => {
                let untouched = !scope.current.dialled.get() && scope.first_byte().is_none();
                let stale = untouched && scope.stop().is_none() && is_io(&fault);
                Err(Fault { failure: explain(&scope, &fault), stale })
            }
        }
    }
}

struct Fault {
    failure: Failure,
    /// A pooled connection was dead before the reply began.
    stale: bool,
}

fn is_io(fault: &ureq::Error) -> bool {
    matches!(fault, ureq::Error::Io(_))
}

fn assemble<B>(request: &Request<'_>, body: B) -> HttpRequest<B> {
    let mut out = HttpRequest::new(body);
    let posts = request.body.is_some();
    *out.method_mut() = if posts { ureq::http::Method::POST } else { ureq::http::Method::GET };
    // The endpoint was checked when the backend was made; ureq refuses an empty URL.
    *out.uri_mut() = request.url.parse().unwrap_or_default();
    let headers = out.headers_mut();
    headers.insert("accept", HeaderValue::from_static(request.accept));
    if posts {
        headers.insert("content-type", HeaderValue::from_static("application/json"));
    }
    for (name, value) in request.headers {
        if let Ok(mut value) = HeaderValue::from_str(value) {
            value.set_sensitive(true);
            headers.insert(*name, value);
        }
    }
    out
}

/// Whether ureq accepts this URL; asked once, when a backend is made.
pub(crate) fn is_usable_url(url: &str) -> bool {
    url.parse::<ureq::http::Uri>().is_ok_and(|uri| uri.host().is_some_and(|host| !host.is_empty()))
}

/// A reply that is being read. Reading it to its end gives its connection back to the pool;
/// dropping it before closes the connection.
pub(crate) struct Response<'c> {
    status: u16,
    headers: HeaderMap,
    // Before `scope`: closing the connection is still part of the call.
    body: BodyReader<'static>,
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

    /// Says that something useful came: the idle limit begins anew.
    pub(crate) fn progress(&self) {
        self.scope.progress();
    }

    /// Ends the reply after this time at the latest.
    pub(crate) fn end_by(&self, limit: Duration) {
        self.scope.end_by(limit);
    }

    /// Reads a piece of the body; zero bytes at its end.
    pub(crate) fn read(&mut self, buffer: &mut [u8]) -> Result<usize, Failure> {
        let outcome = self.body.read(buffer);
        if let (Ok(_), Some(stop)) = (&outcome, self.scope.stop()) {
            return Err(stopped(stop));
        }
        outcome.map_err(|fault| {
            let fault = fault.downcast::<ureq::Error>().unwrap_or_else(ureq::Error::Io);
            let failure = explain(&self.scope, &fault);
            match failure.error.kind() {
                ErrorKind::Network => Failure::again(TaskError::new(
                    ErrorKind::Truncated,
                    "the connection broke in the middle of the answer",
                )),
                _ => failure,
            }
        })
    }
}

/// Our own side ended the call.
fn stopped(stop: Stop) -> Failure {
    match stop {
        Stop::Cancelled => Failure::last(cancelled()),
        Stop::Deadline => Failure::last(timed_out()),
        Stop::Limit(Phase::Connect) => network(
            "no connection within connect_timeout: check api_endpoint and the network, \
             or raise the limit",
        ),
        Stop::Limit(Phase::Send | Phase::FirstByte) => Failure::last(TaskError::new(
            ErrorKind::Timeout,
            "the server accepted the request, but its answer did not begin in time: raise \
             first_byte_timeout (or idle_timeout), or ask for less",
        )),
        Stop::Limit(Phase::Body) => Failure::last(TaskError::new(
            ErrorKind::Timeout,
            "the answer began, but then the server fell silent: raise idle_timeout if it is \
             just slow",
        )),
    }
}

fn network(what: &'static str) -> Failure {
    Failure::again(TaskError::new(ErrorKind::Network, what))
}

/// What went wrong, in words that say what to do.
fn explain(scope: &Scope<'_>, fault: &ureq::Error) -> Failure {
    use std::io::ErrorKind as Io;
    if let Some(stop) = scope.stop() {
        return stopped(stop);
    }
    let protocol = |what| Failure::last(TaskError::new(ErrorKind::Protocol, what));
    match fault {
        ureq::Error::Io(fault) => match fault.kind() {
            Io::ConnectionRefused => network(
                "connection refused: is the server running, and is api_endpoint's port right?",
            ),
            Io::UnexpectedEof
            | Io::ConnectionReset
            | Io::ConnectionAborted
            | Io::BrokenPipe
            | Io::NotConnected => network("the server closed the connection before it answered"),
            Io::HostUnreachable | Io::NetworkUnreachable | Io::NetworkDown => {
                network("the network is unreachable: is the device online?")
            }
            // TLS's refusals come so.
            #[cfg(feature = "tls")]
            Io::InvalidData => {
                let refused = fault.get_ref().and_then(|inner| inner.downcast_ref());
                let unknown = tls::Refused { why: "TLS failed", lasts: false };
                insecure(scope, refused.unwrap_or(&unknown))
            }
            _ => {
                let error = TaskError::new(ErrorKind::Network, "the connection failed");
                Failure::again(error.with_message(&fault.kind().to_string()))
            }
        },
        ureq::Error::HostNotFound => network(
            "the host name could not be looked up: check api_endpoint, and that the device \
             is online",
        ),
        #[cfg(feature = "tls")]
        ureq::Error::Tls(why) => insecure(scope, &tls::Refused { why, lasts: true }),
        ureq::Error::ConnectProxyFailed(what) => Failure::last(
            TaskError::new(ErrorKind::Network, "the proxy refused to connect: check its variables")
                .with_message(what),
        ),
        ureq::Error::LargeResponseHeader(..) => protocol("the reply's headers are too long"),
        ureq::Error::Protocol(_) => protocol(
            "the server does not speak HTTP as expected: check api_endpoint's scheme and port",
        ),
        _ => network("the connection failed"),
    }
}

/// TLS failed.
#[cfg(feature = "tls")]
fn insecure(scope: &Scope<'_>, refused: &tls::Refused) -> Failure {
    let why = refused.why;
    if scope.awaits_reply() {
        let what = format!("the secure connection broke: {why}");
        let error = TaskError::new(ErrorKind::Network, what);
        return if refused.lasts { Failure::last(error) } else { Failure::again(error) };
    }
    Failure::last(TaskError::new(
        ErrorKind::Network,
        format!(
            "no secure connection: {why}; check the device's clock, the host name, and (for a \
             company or self-signed certificate) root_certificates or SSL_CERT_FILE"
        ),
    ))
}
