//! The settings of a sink, and where they come from: the program, then the environment, then
//! defaults.

use std::fmt;
use std::time::Duration;

use automation_assistant::Error;
use ureq::http::header::{HeaderName, HeaderValue};

use crate::endpoint::{self, Endpoint};

/// Default bound on spans that wait to be sent.
pub const DEFAULT_QUEUE_SPANS: usize = 4096;
/// Default bound on the memory of what waits to be sent, in bytes (4 MiB).
pub const DEFAULT_QUEUE_BYTES: usize = 4 << 20;
/// Default time for which the close of a sink sends what is left (2 s). A connection that is
/// being opened at its end cannot be interrupted, and takes up to 7 s more.
pub const DEFAULT_CLOSE_TIMEOUT: Duration = Duration::from_secs(2);
/// Least memory for a queue: the longest span fits (256 KiB of JSON, escaped once more).
const QUEUE_BYTES_MIN: usize = 1 << 20;
/// Headers that the sink sets itself.
const OWN_HEADERS: [&str; 5] =
    ["content-type", "content-length", "transfer-encoding", "connection", "host"];

/// Reads a variable of the environment; an empty one counts as none.
pub(crate) type Env<'a> = &'a dyn Fn(&str) -> Option<String>;

/// The collector, its headers, and the bounds of a sink.
///
/// Settings that are not made come from the environment, as OpenTelemetry defines it
/// (`OTEL_EXPORTER_OTLP_ENDPOINT`, `OTEL_EXPORTER_OTLP_HEADERS`, each also with `_TRACES_`, which
/// goes first; `OTEL_SERVICE_NAME`), then from defaults. `Debug` shows the names of headers, not
/// their values.
///
/// ```
/// use automation_assistant_otlp::OtlpConfig;
///
/// let config = OtlpConfig::new().endpoint("http://localhost:4318").service_name("notes");
/// # let _ = config;
/// ```
#[derive(Clone)]
#[must_use]
pub struct OtlpConfig {
    endpoint: Option<String>,
    headers: Option<Vec<(String, String)>>,
    service_name: Option<String>,
    content: bool,
    allow_insecure_http: bool,
    pub(crate) queue_spans: usize,
    pub(crate) queue_bytes: usize,
    pub(crate) close_timeout: Duration,
}

impl Default for OtlpConfig {
    fn default() -> Self {
        Self::new()
    }
}

impl OtlpConfig {
    /// A configuration with every default.
    pub fn new() -> Self {
        Self {
            endpoint: None,
            headers: None,
            service_name: None,
            content: false,
            allow_insecure_http: false,
            queue_spans: DEFAULT_QUEUE_SPANS,
            queue_bytes: DEFAULT_QUEUE_BYTES,
            close_timeout: DEFAULT_CLOSE_TIMEOUT,
        }
    }

    /// A configuration, if the environment names a collector; `None` otherwise. For programs
    /// that trace only where tracing was set up.
    pub fn found() -> Option<Self> {
        let names = ["OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT"];
        names.iter().any(|name| of_process(name).is_some()).then(Self::new)
    }

    /// The collector's base URL, without a query; spans go to `/v1/traces` below it. Defaults to
    /// `OTEL_EXPORTER_OTLP_TRACES_ENDPOINT` (which is taken as it is, its query included), then to
    /// `OTEL_EXPORTER_OTLP_ENDPOINT`, then to `http://localhost:4318`.
    pub fn endpoint(mut self, url: impl Into<String>) -> Self {
        self.endpoint = Some(url.into());
        self
    }

    /// Adds a header to each request, such as a key; those of the environment are not sent then.
    /// Defaults to `OTEL_EXPORTER_OTLP_TRACES_HEADERS`, then to `OTEL_EXPORTER_OTLP_HEADERS`
    /// (`name=value,…`, values percent-encoded).
    pub fn header(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.headers.get_or_insert_default().push((name.into(), value.into()));
        self
    }

    /// The name of this program in traces. Defaults to `OTEL_SERVICE_NAME`, then to
    /// `unknown_service:` and the program's file name.
    pub fn service_name(mut self, name: impl Into<String>) -> Self {
        self.service_name = Some(name.into());
        self
    }

    /// Whether spans carry prompts, contexts and answers, of those helpers whose configuration
    /// traces [`Content`](automation_assistant::opik::TraceMode::Content): both must allow it.
    /// Defaults to `false`.
    pub fn content(mut self, content: bool) -> Self {
        self.content = content;
        self
    }

    /// Allows to send headers or content over plain http to another host. Others on the path
    /// can read them. Defaults to `false`.
    pub fn allow_insecure_http(mut self, allow: bool) -> Self {
        self.allow_insecure_http = allow;
        self
    }

    /// How many spans may be queued; at least 1. When the queue is full, the oldest are dropped
    /// and counted. Defaults to 4096.
    pub fn queue_spans(mut self, spans: usize) -> Self {
        self.queue_spans = spans;
        self
    }

    /// How much memory the queue may take, in bytes; at least 1 MiB. The request in flight takes
    /// up to 512 KiB more. Defaults to 4 MiB.
    pub fn queue_bytes(mut self, bytes: usize) -> Self {
        self.queue_bytes = bytes;
        self
    }

    /// How long the close of the sink (the drop of its last handle) may take to send what is
    /// left. Defaults to 2 s.
    pub fn close_timeout(mut self, timeout: Duration) -> Self {
        self.close_timeout = timeout;
        self
    }

    /// Checks the settings, with what the environment adds.
    pub(crate) fn target(&self, env: Env<'_>) -> Result<Target, Error> {
        let refuse = |what: &str| Err(Error::InvalidConfig(what.to_owned()));
        if self.queue_spans == 0 || self.queue_bytes < QUEUE_BYTES_MIN {
            return refuse("queue_spans must be at least 1, and queue_bytes at least 1 MiB");
        }
        let endpoint = match (&self.endpoint, env("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")) {
            (Some(base), _) => Endpoint::below(base),
            (None, Some(url)) => Endpoint::new(url),
            (None, None) => {
                let base = env("OTEL_EXPORTER_OTLP_ENDPOINT");
                Endpoint::below(base.as_deref().unwrap_or(endpoint::DEFAULT))
            }
        }?;
        if endpoint.https && !cfg!(feature = "tls") {
            return Err(Error::Unsupported { what: "an https endpoint", feature: "tls" });
        }
        let pairs = match &self.headers {
            Some(pairs) => pairs.clone(),
            None => {
                let list = env("OTEL_EXPORTER_OTLP_TRACES_HEADERS");
                parse_headers(
                    &list.or_else(|| env("OTEL_EXPORTER_OTLP_HEADERS")).unwrap_or_default(),
                )?
            }
        };
        let mut headers = Vec::new();
        for (name, value) in pairs {
            headers.push(check_header(&name, &value)?);
        }
        let private = self.content || !headers.is_empty();
        let readable = !endpoint.https && !endpoint.loopback;
        if private && readable && !self.allow_insecure_http {
            return refuse(
                "headers (a key among them, maybe) or content would go over plain http to another \
                 host, where anyone on the way can read them: use https, or allow it with \
                 allow_insecure_http",
            );
        }
        let service = self.service_name.clone().or_else(|| env("OTEL_SERVICE_NAME"));
        let service = service.unwrap_or_else(|| format!("unknown_service:{}", program()));
        Ok(Target { endpoint, headers, service, content: self.content })
    }
}

/// Everything but the headers' values; of the endpoint, what cannot hold a secret.
impl fmt::Debug for OtlpConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = |pairs: &Vec<(String, String)>| {
            pairs.iter().map(|(name, _)| name.clone()).collect::<Vec<_>>()
        };
        let host = |url: &String| endpoint::host(url).unwrap_or_default();
        f.debug_struct("OtlpConfig")
            .field("endpoint_host", &self.endpoint.as_ref().map(host))
            .field("headers", &self.headers.as_ref().map(names))
            .field("service_name", &self.service_name)
            .field("content", &self.content)
            .field("queue_spans", &self.queue_spans)
            .field("queue_bytes", &self.queue_bytes)
            .field("close_timeout", &self.close_timeout)
            .finish_non_exhaustive()
    }
}

/// A sink's destination, validated.
pub(crate) struct Target {
    pub(crate) endpoint: Endpoint,
    pub(crate) headers: Vec<(HeaderName, HeaderValue)>,
    pub(crate) service: String,
    pub(crate) content: bool,
}

/// Reads the process's environment.
pub(crate) fn of_process(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.trim().is_empty())
}

fn program() -> String {
    let path = std::env::current_exe().ok();
    let name = path.as_deref().and_then(|path| path.file_name());
    name.map_or_else(|| "rust".into(), |name| name.to_string_lossy().into_owned())
}

/// The pairs of a list `name=value,…`, as W3C's Baggage writes it: white space around names and
/// values is dropped, values are percent-decoded.
fn parse_headers(list: &str) -> Result<Vec<(String, String)>, Error> {
    let mut pairs = Vec::new();
    for (at, item) in list.split(',').enumerate().filter(|(_, item)| !item.trim().is_empty()) {
        let pair = item.split_once('=').and_then(|(name, value)| {
            Some((name.trim().to_owned(), percent_decoded(value.trim())?))
        });
        // By its place: what stands there may be a key.
        pairs.push(pair.ok_or_else(|| {
            Error::InvalidConfig(format!(
                "entry {} of OTEL_EXPORTER_OTLP_HEADERS is not name=value with a percent-encoded \
                 value",
                at + 1
            ))
        })?);
    }
    Ok(pairs)
}

fn percent_decoded(text: &str) -> Option<String> {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, after @ ..] = rest {
        let (byte, left) = match (first, after) {
            (b'%', [high, low, left @ ..]) => (digit(*high)? << 4 | digit(*low)?, left),
            (b'%', _) => return None,
            _ => (*first, after),
        };
        out.push(byte);
        rest = left;
    }
    String::from_utf8(out).ok()
}

fn digit(hex: u8) -> Option<u8> {
    char::from(hex).to_digit(16).and_then(|digit| u8::try_from(digit).ok())
}

/// A header that can be sent; an error without its value.
fn check_header(name: &str, value: &str) -> Result<(HeaderName, HeaderValue), Error> {
    let refuse = |what: &str| Err(Error::InvalidConfig(format!("an OTLP header {what}")));
    let Ok(name) = name.parse::<HeaderName>() else {
        return refuse("has a name that HTTP does not allow");
    };
    if OWN_HEADERS.contains(&name.as_str()) {
        return refuse(&format!("is {name}, which the sink sets itself: leave it out"));
    }
    let Ok(mut value) = value.parse::<HeaderValue>() else {
        return refuse(&format!("({name}) has a value with characters that HTTP does not allow"));
    };
    value.set_sensitive(true);
    Ok((name, value))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn target(config: OtlpConfig, set: &[(&str, &str)]) -> Result<Target, Error> {
        let read = |name: &str| {
            set.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned())
        };
        config.target(&read)
    }

    #[test]
    fn the_program_goes_before_the_environment_and_that_before_defaults() {
        let base = ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:1/base/");
        let traces = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "http://127.0.0.1:2/as/it/is");
        let said = OtlpConfig::new().endpoint("http://127.0.0.1:3/");
        let cases: [(OtlpConfig, &[_], &str); 4] = [
            (OtlpConfig::new(), &[], "http://localhost:4318/v1/traces"),
            (OtlpConfig::new(), &[base], "http://127.0.0.1:1/base/v1/traces"),
            (OtlpConfig::new(), &[base, traces], "http://127.0.0.1:2/as/it/is"),
            (said, &[base, traces], "http://127.0.0.1:3/v1/traces"),
        ];
        for (config, set, expect) in cases {
            assert_eq!(target(config, set).unwrap().endpoint.url, expect);
        }
        let service = [("OTEL_SERVICE_NAME", "found")];
        assert_eq!(target(OtlpConfig::new(), &service).unwrap().service, "found");
        let said = OtlpConfig::new().service_name("said");
        assert_eq!(target(said, &service).unwrap().service, "said");
        let unknown = target(OtlpConfig::new(), &[]).unwrap().service;
        assert!(unknown.starts_with("unknown_service:automation_assistant_otlp"), "{unknown}");
    }

    #[test]
    fn headers_of_the_environment_are_percent_decoded_once() {
        /// The list, and its headers or nothing for an error.
        type Case<'a> = (&'a str, Option<&'a [(&'a str, &'a str)]>);
        let cases: [Case<'_>; 12] = [
            ("", Some(&[])),
            ("a=b", Some(&[("a", "b")])),
            (" a = b , c=d ,", Some(&[("a", "b"), ("c", "d")])),
            ("authorization=Basic%20dTpw", Some(&[("authorization", "Basic dTpw")])),
            ("authorization=Bearer x==", Some(&[("authorization", "Bearer x==")])),
            ("a=1%2C2%3D3", Some(&[("a", "1,2=3")])),
            ("a=%2520", Some(&[("a", "%20")])),
            ("a=x+y", Some(&[("a", "x+y")])),
            ("a=", Some(&[("a", "")])),
            ("a=50%", None),
            ("a=%zz", None),
            ("no pair", None),
        ];
        for (list, expect) in cases {
            for name in ["OTEL_EXPORTER_OTLP_HEADERS", "OTEL_EXPORTER_OTLP_TRACES_HEADERS"] {
                let found = target(OtlpConfig::new(), &[(name, list)]).ok().map(|target| {
                    let text = |value: &HeaderValue| value.to_str().unwrap().to_owned();
                    let all = target.headers.iter();
                    all.map(|(name, value)| (name.to_string(), text(value))).collect::<Vec<_>>()
                });
                let expect = expect.map(|pairs| {
                    pairs.iter().map(|(n, v)| ((*n).into(), (*v).into())).collect::<Vec<_>>()
                });
                assert_eq!(found, expect, "{list}");
            }
        }
        let set =
            [("OTEL_EXPORTER_OTLP_HEADERS", "a=1"), ("OTEL_EXPORTER_OTLP_TRACES_HEADERS", "b=2")];
        assert_eq!(target(OtlpConfig::new(), &set).unwrap().headers[0].0, "b");
        assert_eq!(target(OtlpConfig::new().header("c", "3"), &set).unwrap().headers[0].0, "c");
    }

    #[test]
    fn what_cannot_work_is_refused_without_secrets() {
        let new = OtlpConfig::new;
        let cases: [(OtlpConfig, &str); 12] = [
            (new().endpoint("http://user:secret@127.0.0.1"), "user name"),
            (new().header("a b", "secret"), "name"),
            (new().header("a", "secret\n"), "value"),
            (new().header("a", "secr\u{e9}t\u{1}"), "value"),
            (new().header("Content-Type", "secret"), "content-type"),
            (new().endpoint("http://h.example").header("a", "secret"), "plain http"),
            (new().endpoint("http://h.example").content(true), "plain http"),
            (new().endpoint("http://localhost.example").header("a", "secret"), "plain http"),
            (new().queue_spans(0), "queue_spans"),
            (new().queue_bytes(1000), "queue_bytes"),
            (new().endpoint("http://[::2]:1").content(true), "plain http"),
            (new().endpoint("http://128.0.0.1:1").content(true), "plain http"),
        ];
        for (config, word) in cases {
            let shown = format!("{config:?}");
            let why = target(config, &[]).err().expect(word).to_string();
            assert!(why.contains(word) && !why.contains("secret"), "{why}");
            assert!(!shown.contains("secret") || !shown.contains("headers: Some"), "{shown}");
        }
        let list = [("OTEL_EXPORTER_OTLP_HEADERS", "authorization=secret%")];
        let why = format!("{:?}", target(new(), &list).err().unwrap());
        assert!(why.contains("InvalidConfig") && !why.contains("secret"), "{why}");

        let open = new().endpoint("http://h.example").header("a", "x").allow_insecure_http(true);
        assert!(target(open, &[]).is_ok());
        let near = new().endpoint("http://[::1]:4318").header("a", "x").content(true);
        assert!(target(near, &[]).is_ok());
        let far = target(new().endpoint("https://h.example").header("a", "x"), &[]);
        match far {
            Ok(target) => assert!(cfg!(feature = "tls") && target.endpoint.https),
            Err(why) => assert!(!cfg!(feature = "tls") && matches!(why, Error::Unsupported { .. })),
        }
    }
}
