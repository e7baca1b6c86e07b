//! One request to the collector, and what its response means for the spans sent.

use std::time::Duration;

use serde_json::{Value, json};
use ureq::Agent;
use ureq::Body;
use ureq::http::Response;

use crate::config::Target;
use crate::names;

/// Limit on one request altogether; OpenTelemetry's default.
pub(crate) const REQUEST_LIMIT: Duration = Duration::from_secs(10);
/// Limit on the look-up of a name, and again on connecting.
pub(crate) const CONNECT_LIMIT: Duration = Duration::from_secs(3);
/// Shortest and longest wait that a server can ask for.
const ASKED_WAIT: [Duration; 2] = [Duration::from_secs(1), Duration::from_secs(300)];
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
            Err(_) => Outcome {
                verdict: Verdict::Later { asked: None },
                status: None,
                error: Some(
                    "the collector cannot be reached: check its address, and that it runs; spans \
                     wait until it can",
                ),
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

fn judge(mut response: Response<Body>) -> Outcome {
    let status = response.status().as_u16();
    let asked = asked_wait(response.headers().get("retry-after").map(|value| value.as_bytes()));
    // Read in any case, so that the connection can be used again.
    let body = response.body_mut().with_config().limit(BODY_BYTES_MAX).read_to_vec();
    let (verdict, error) = match status {
        200..=299 => match rejected(&body.unwrap_or_default()) {
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
        300..=399 | 404 | 405 => (
            Verdict::Rejected,
            Some("there is no OTLP collector at this address: check OTEL_EXPORTER_OTLP_ENDPOINT"),
        ),
        _ => (Verdict::Rejected, Some("the collector refused the spans as they are")),
    };
    Outcome { verdict, status: Some(status), error }
}

/// How many spans the collector rejected of a request that it took.
fn rejected(body: &[u8]) -> u64 {
    let body: Value = serde_json::from_slice(body).unwrap_or_default();
    let count = &body["partialSuccess"]["rejectedSpans"];
    // protobuf's JSON writes an int64 as a text, and reads both.
    count.as_u64().or_else(|| count.as_str()?.parse().ok()).unwrap_or_default()
}

/// The wait of a `Retry-After` in seconds, within bounds.
fn asked_wait(header: Option<&[u8]>) -> Option<Duration> {
    let seconds = std::str::from_utf8(header?).ok()?.trim().parse().ok()?;
    let [least, most] = ASKED_WAIT;
    Some(Duration::from_secs(seconds).clamp(least, most))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_wait_is_bounded_and_none_is_zero() {
        let wait = |text: &str| asked_wait(Some(text.as_bytes())).map(|wait| wait.as_secs());
        let cases = [
            ("7", Some(7)),
            (" 0 ", Some(1)),
            ("99999999999", Some(300)),
            ("soon", None),
            ("-1", None),
            ("Wed, 21 Oct 2026 07:28:00 GMT", None),
        ];
        for (text, expect) in cases {
            assert_eq!(wait(text), expect, "{text}");
        }
        assert_eq!(asked_wait(None), None);
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
