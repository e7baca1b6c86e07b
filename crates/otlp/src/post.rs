//! One request to the collector, and what its response means for the spans sent.

use std::io::{ErrorKind, Read};
use std::time::{Duration, SystemTime};

use serde_json::{Value, json};
use ureq::http::{HeaderMap, Response};
use ureq::{Agent, Body, Timeout};

use crate::config::Target;
use crate::names;
use crate::retry_after::asked_wait;

/// Limit on one request altogether; OpenTelemetry's default.
pub(crate) const REQUEST_LIMIT: Duration = Duration::from_secs(10);
/// Limit on the look-up of a name, and again on connecting.
pub(crate) const CONNECT_LIMIT: Duration = Duration::from_secs(3);
/// How much of a response is read.
const BODY_BYTES_MAX: u64 = 16 << 10;
const USER_AGENT: &str = concat!(env!("CARGO_PKG_NAME"), "/", env!("CARGO_PKG_VERSION"));

/// The outcome of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// The collector has the spans, but for so many.
    Accepted { rejected: u64 },
    /// The collector will never take them.
    Rejected,
    /// It may work later: after the wait that the server asked for, or our own.
    Later { asked: Option<Duration> },
}

/// An outcome with the facts behind it.
pub(crate) struct Outcome {
    pub(crate) verdict: Verdict,
    pub(crate) status: Option<u16>,
    /// A description of a failure.
    pub(crate) error: Option<&'static str>,
}

/// The collector, and the connections to it.
pub(crate) struct Client {
    agent: Agent,
    target: Target,
    /// The text before and after the spans.
    frame: [String; 2],
}

impl Client {
    pub(crate) fn new(target: Target) -> Self {
        let mut config = Agent::config_builder()
            .user_agent(USER_AGENT)
            .http_status_as_error(false)
            // Headers may hold a key: they go to no other place.
            .max_redirects(0)
            .max_redirects_will_error(false)
            .timeout_resolve(Some(CONNECT_LIMIT))
            .timeout_connect(Some(CONNECT_LIMIT))
            .max_idle_connections(1);
        if target.endpoint.loopback {
            config = config.proxy(None);
        }
        let frame = frame(&target.service);
        Self { agent: config.build().into(), target, frame }
    }

    /// Sends spans as one request, within this time.
    pub(crate) fn send(&self, spans: &[Box<str>], limit: Duration) -> Outcome {
        let [before, after] = &self.frame;
        let texts: usize = spans.iter().map(|span| span.len() + 1).sum();
        let mut body = String::with_capacity(before.len() + texts + after.len());
        body.push_str(before);
        for (at, span) in spans.iter().enumerate() {
            if at > 0 {
                body.push(',');
            }
            body.push_str(span);
        }
        body.push_str(after);
        let request =
            self.agent.post(&self.target.endpoint.url).config().timeout_global(Some(limit)).build();
        let request = request.header("content-type", "application/json");
        let with_header =
            |request: ureq::RequestBuilder<_>, (name, value)| request.header(name, value);
        let request = self.target.headers.iter().map(|(n, v)| (n, v)).fold(request, with_header);
        match request.send(body) {
            Ok(response) => judge(response),
            Err(error) => Outcome {
                verdict: Verdict::Later { asked: None },
                status: None,
                error: Some(no_response(&error, self.target.endpoint.https)),
            },
        }
    }

    /// Ends the request in flight.
    pub(crate) fn shutdown(&self) {
        self.agent.clone().shutdown();
    }
}

/// The text before and after the spans of a request.
fn frame(service: &str) -> [String; 2] {
    let name = json!({ "key": names::SERVICE_NAME, "value": { "stringValue": service } });
    let resource = json!({ "attributes": [name] });
    let scope = json!({ "name": names::SCOPE, "version": env!("CARGO_PKG_VERSION") });
    let before = format!(
        "{{\"resourceSpans\":[{{\"resource\":{resource},\"scopeSpans\":[{{\"scope\":{scope},\
         \"spans\":["
    );
    [before, "]}]}]}".to_owned()]
}

/// Why there is no response.
fn no_response(error: &ureq::Error, https: bool) -> &'static str {
    use ureq::Error as E;
    match error {
        E::Timeout(Timeout::Resolve | Timeout::Connect) => {
            "connecting to the collector took too long: check its address and the network; spans \
             wait until it can be reached"
        }
        E::Timeout(_) => "the collector did not respond in time: spans wait",
        E::Io(error) if https && error.kind() == ErrorKind::InvalidData => TLS,
        #[cfg(feature = "tls")]
        E::Rustls(_) => TLS,
        E::Tls(_) => TLS,
        E::Protocol(_) | E::LargeResponseHeader(..) => {
            "the response is not the HTTP/1.1 of a collector: check the scheme (http or https) and \
             the port (4318 as a rule; gRPC's 4317 is not spoken); spans wait"
        }
        E::Io(error) if broken(error.kind()) => {
            "the connection broke before the collector responded: if it does again, check the \
             scheme (http or https) and the port; spans wait"
        }
        E::ConnectProxyFailed(_) | E::InvalidProxyUrl => {
            "the environment's proxy did not connect to the collector: check the proxy, or name \
             the collector in NO_PROXY; spans wait"
        }
        _ => {
            "the collector cannot be reached: check its address, the network, and that it runs; \
             spans wait until it can"
        }
    }
}

const TLS: &str = "no secure connection (TLS) to the collector: check its certificate (one of a \
                   public authority, for this host name), the device's clock, and that the port \
                   is one of https; spans wait";

/// Whether a connection was there, and is no more.
fn broken(kind: ErrorKind) -> bool {
    use ErrorKind::{BrokenPipe, ConnectionAborted, ConnectionReset, UnexpectedEof};
    matches!(kind, BrokenPipe | ConnectionAborted | ConnectionReset | UnexpectedEof)
}

fn judge(mut response: Response<Body>) -> Outcome {
    let status = response.status().as_u16();
    let asked = asked_wait(response.headers(), SystemTime::now());
    // Read in any case, so that the connection can be used again.
    let mut body = Vec::new();
    let read = response.body_mut().as_reader().take(BODY_BYTES_MAX).read_to_end(&mut body);
    let is_page = is_page(response.headers(), &body, read.is_ok());
    let (verdict, error) = match status {
        // A page in the place of a collector's response, a redirect (to such a page), a proxy or
        // network that wants a login first (407, 511).
        200..=299 if is_page => (Verdict::Later { asked }, Some(FOREIGN)),
        300..=399 | 407 | 511 => (Verdict::Later { asked }, Some(FOREIGN)),
        200..=299 => match rejected(&body) {
            0 => (Verdict::Accepted { rejected: 0 }, None),
            rejected => {
                (Verdict::Accepted { rejected }, Some("the collector rejected some of the spans"))
            }
        },
        429 | 502..=504 => {
            (Verdict::Later { asked }, Some("the collector is not ready for now: spans wait"))
        }
        401 | 403 => (
            Verdict::Rejected,
            Some("the collector refused the key: check OTEL_EXPORTER_OTLP_HEADERS"),
        ),
        404 | 405 => (
            Verdict::Rejected,
            Some("there is no OTLP collector at this address: check OTEL_EXPORTER_OTLP_ENDPOINT"),
        ),
        _ => (Verdict::Rejected, Some("the collector refused the spans as they are")),
    };
    Outcome { verdict, status: Some(status), error }
}

const FOREIGN: &str = "something else answers at the collector's address, such as a web server or \
                       the login page of a network: check OTEL_EXPORTER_OTLP_ENDPOINT and the \
                       network; spans wait";

/// Whether the body is a web page or other markup, which no collector sends. `complete`: this is
/// all of it, or its begin of [`BODY_BYTES_MAX`].
fn is_page(headers: &HeaderMap, body: &[u8], complete: bool) -> bool {
    let kind = headers.get("content-type").and_then(|value| value.to_str().ok());
    let is_html = kind.is_some_and(|kind| kind.to_ascii_lowercase().contains("html"));
    let body = body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(body);
    match body.trim_ascii_start().first() {
        Some(b'<') => true,
        Some(_) => is_html,
        // Some servers name this type for a response without a body.
        None => is_html && !complete,
    }
}

/// How many spans the collector rejected of a request that it took.
fn rejected(body: &[u8]) -> u64 {
    let body: Value = serde_json::from_slice(body).unwrap_or_default();
    let count = &body["partialSuccess"]["rejectedSpans"];
    // protobuf's JSON writes an int64 as a text, and reads both.
    count.as_u64().or_else(|| count.as_str()?.parse().ok()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::retry_after::tests::headers;

    #[test]
    fn a_page_is_known_by_its_type_or_its_begin() {
        let (html, json) = ("Text/HTML; charset=utf-8", "application/json");
        // The type, the body, whether it is complete.
        let cases: [(&str, &[u8], bool, bool); 12] = [
            (html, b"<html>", true, true),
            (html, b"Please log in", true, true),
            ("application/xhtml+xml", b"x", true, true),
            ("", b"\xef\xbb\xbf \r\n<!DOCTYPE html>", true, true),
            (json, b"<html>", true, true),
            (html, b"", false, true),
            (html, b"", true, false),
            ("", b"", true, false),
            (json, b"{}", true, false),
            ("application/x-protobuf", b"\x0a\x02", true, false),
            ("text/plain", b"ok", true, false),
            (json, b"", false, false),
        ];
        for (kind, body, complete, expect) in cases {
            let found = is_page(&headers(&[("content-type", kind)]), body, complete);
            assert_eq!(found, expect, "{kind} {}", String::from_utf8_lossy(body));
        }
    }

    #[test]
    fn a_failure_without_a_response_is_described_by_its_kind() {
        use ureq::Error as E;
        let io = |kind: ErrorKind| E::Io(std::io::Error::new(kind, "FOREIGN"));
        let cases = [
            (E::Timeout(Timeout::Connect), "connecting"),
            (E::Timeout(Timeout::Resolve), "connecting"),
            (E::Timeout(Timeout::Global), "in time"),
            (io(ErrorKind::InvalidData), "certificate"),
            (E::Tls("FOREIGN"), "certificate"),
            (E::LargeResponseHeader(2, 1), "HTTP/1.1"),
            (io(ErrorKind::ConnectionReset), "broke"),
            (E::ConnectProxyFailed("FOREIGN".into()), "proxy"),
            (io(ErrorKind::ConnectionRefused), "cannot be reached"),
            (E::HostNotFound, "cannot be reached"),
        ];
        for (error, word) in cases {
            let found = no_response(&error, true);
            assert!(found.contains(word) && found.contains("spans wait"), "{error:?}: {found}");
        }
        let plain = no_response(&io(ErrorKind::InvalidData), false);
        assert!(!plain.contains("TLS"), "{plain}");
    }

    #[test]
    fn partial_success_is_read_in_each_spelling() {
        let cases = [
            ("", 0),
            ("{}", 0),
            ("not json", 0),
            (r#"{"partialSuccess":{}}"#, 0),
            (r#"{"partialSuccess":{"rejectedSpans":"3","errorMessage":"x"}}"#, 3),
            (r#"{"partialSuccess":{"rejectedSpans":2}}"#, 2),
        ];
        for (body, expect) in cases {
            assert_eq!(rejected(body.as_bytes()), expect, "{body}");
        }
    }
}
