//! The URL that spans are sent to.

use std::net::IpAddr;

use automation_assistant::Error;
use ureq::http::Uri;
use ureq::http::uri::Authority;

/// Where a collector listens by default.
pub(crate) const DEFAULT: &str = "http://localhost:4318";
/// The path after a base address.
const TRACES_PATH: &str = "/v1/traces";

/// A validated URL.
pub(crate) struct Endpoint {
    pub(crate) url: String,
    pub(crate) https: bool,
    /// Whether it is this device.
    pub(crate) loopback: bool,
}

impl Endpoint {
    /// This URL as it is.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidConfig`], without the URL, which may hold a secret.
    pub(crate) fn new(url: String) -> Result<Self, Error> {
        if url.contains('#') {
            return refuse("holds a fragment (#), which is never sent: leave it out");
        }
        let (https, authority) = read(&url)?;
        let loopback = is_loopback(authority.host());
        Ok(Self { url, https, loopback })
    }

    /// The path of traces below this base address.
    ///
    /// # Errors
    ///
    /// As of [`new`](Self::new); and for a query, after which no path can stand.
    pub(crate) fn below(base: &str) -> Result<Self, Error> {
        if base.contains('?') {
            return refuse(
                "is a base address with a query (?): leave it out, or set the complete URL, with \
                 its path, as OTEL_EXPORTER_OTLP_TRACES_ENDPOINT",
            );
        }
        Self::new(format!("{}{TRACES_PATH}", base.trim().trim_end_matches('/')))
    }
}

/// The host of a URL, if both are valid.
pub(crate) fn host(url: &str) -> Option<String> {
    read(url).ok().map(|(_, authority)| authority.host().to_owned())
}

/// Whether a URL is https, and its host with the port.
fn read(url: &str) -> Result<(bool, Authority), Error> {
    let Ok(uri) = url.parse::<Uri>() else {
        return refuse("is no URL: give it as http://localhost:4318");
    };
    let https = match uri.scheme_str() {
        Some("https") => true,
        Some("http") => false,
        _ => return refuse("must begin with http:// or https:// (gRPC is not spoken)"),
    };
    let Some(authority) = uri.authority().filter(|authority| !authority.host().is_empty()) else {
        return refuse("names no host");
    };
    if authority.as_str().contains('@') {
        return refuse("holds a user name: send it as a header instead");
    }
    let has_port = authority.as_str().len() > authority.host().len();
    if has_port && authority.port_u16().is_none_or(|port| port == 0) {
        return refuse("has a port that is no number from 1 to 65535");
    }
    Ok((https, authority.clone()))
}

fn refuse<T>(what: &str) -> Result<T, Error> {
    Err(Error::InvalidConfig(format!("the OTLP endpoint {what}")))
}

fn is_loopback(host: &str) -> bool {
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    host.eq_ignore_ascii_case("localhost")
        || bare.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_that_cannot_work_are_refused_without_secrets() {
        // The URL, and a word of the refusal: of a base address, of a complete URL.
        let cases: [(&str, Option<&str>, Option<&str>); 19] = [
            ("http://localhost", None, None),
            ("HTTP://localhost:4318/secret/", None, None),
            ("http://[::1]:65535", None, None),
            ("secret", Some("http"), Some("http")),
            ("", Some("http"), Some("URL")),
            ("grpc://secret:4317", Some("gRPC"), Some("gRPC")),
            ("http://", Some("URL"), Some("URL")),
            ("http://:4318", Some("host"), Some("host")),
            ("http://user:secret@127.0.0.1", Some("user name"), Some("user name")),
            ("http://localhost:99999", Some("port"), Some("port")),
            ("http://localhost:99999999999999999999/", Some("port"), Some("port")),
            ("http://localhost:0", Some("port"), Some("port")),
            ("http://localhost:", Some("port"), Some("port")),
            ("http://localhost:port", Some("port"), Some("port")),
            ("http://[::1]:65536", Some("port"), Some("port")),
            ("http://localhost/base?key=secret", Some("TRACES_ENDPOINT"), None),
            ("http://localhost?", Some("query"), None),
            ("http://localhost/base#secret", Some("fragment"), Some("fragment")),
            ("http://localhost/#?secret", Some("query"), Some("fragment")),
        ];
        for (url, of_base, of_url) in cases {
            let made = [Endpoint::below(url), Endpoint::new(url.to_owned())];
            for (made, word) in made.into_iter().zip([of_base, of_url]) {
                let why = made.err().map(|why| why.to_string());
                assert_eq!(why.is_some(), word.is_some(), "{url}: {why:?}");
                let (why, word) = (why.unwrap_or_default(), word.unwrap_or_default());
                assert!(why.contains(word) && !why.contains("secret"), "{url}: {why}");
            }
        }
    }

    #[test]
    fn this_device_is_known_by_its_names() {
        for (host, expect) in [
            ("localhost", true),
            ("LOCALHOST", true),
            ("127.0.0.1", true),
            ("127.9.9.9", true),
            ("[::1]", true),
            ("128.0.0.1", false),
            ("[::2]", false),
            ("localhost.example", false),
        ] {
            let endpoint = Endpoint::below(&format!("http://{host}:4318")).unwrap();
            assert_eq!(endpoint.loopback, expect, "{host}");
        }
    }
}
