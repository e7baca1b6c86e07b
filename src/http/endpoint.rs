//! A provider's base URL, checked once.

use std::net::IpAddr;

use super::server::Server;
use crate::error::Error;
use crate::url::shown;

/// Longest base URL.
const URL_BYTES_MAX: usize = 2048;

/// A base URL in its parts. Its parts need no further check.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Endpoint {
    /// Scheme, host, port and path, without a slash at its end.
    url: String,
    /// From the question mark on; empty if there is none.
    query: String,
    server: Server,
    loopback: bool,
}

impl Endpoint {
    /// Reads a base URL, or the full URL of one of the provider's calls (`tail`, such as
    /// `/chat/completions`), which is then cut off.
    pub(crate) fn parse(given: &str, tail: &str) -> Result<Self, Error> {
        let text = given.trim();
        let refuse = |why: &str| {
            let shown = crate::text::clean(&shown(text), 128);
            Err(Error::InvalidConfig(format!("api_endpoint {shown:?}: {why}")))
        };
        if text.len() > URL_BYTES_MAX {
            return Err(Error::InvalidConfig(format!(
                "api_endpoint has {} bytes, at most {URL_BYTES_MAX} are accepted",
                text.len()
            )));
        }
        if text.bytes().any(|b| b <= b' ' || b >= 0x7f || b"\"<>\\^`{|}".contains(&b)) {
            return refuse("it has characters that no URL can have: remove or encode them");
        }
        let Some((scheme, rest)) = text.split_once("://") else {
            return refuse("it is not a URL: write it like http://127.0.0.1:8080/v1");
        };
        let https = scheme.eq_ignore_ascii_case("https");
        if !https && !scheme.eq_ignore_ascii_case("http") {
            return refuse("its scheme must be http or https");
        }
        if rest.contains('#') {
            return refuse("it has a fragment (#): leave that out");
        }
        let (rest, query) = rest.split_at(rest.find('?').unwrap_or(rest.len()));
        let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
        if authority.contains('@') {
            return refuse("it has a user or password before the host: use api_key for keys");
        }
        let path = path.trim_end_matches('/');
        let path = path.strip_suffix(tail).unwrap_or(path).trim_end_matches('/');
        let scheme = if https { "https" } else { "http" };
        let url = format!("{scheme}://{}{path}", authority.to_ascii_lowercase());
        let Some((server, _)) = Server::split(&url) else {
            return refuse(
                "it has no usable host and port: write it like http://127.0.0.1:8080/v1",
            );
        };
        let loopback = is_loopback(&server.host);
        Ok(Self { url, query: query.to_owned(), server, loopback })
    }

    /// Whether its path ends so.
    pub(crate) fn ends_with(&self, end: &str) -> bool {
        self.url.ends_with(end)
    }

    /// The same without this end of its path, if it has it.
    pub(crate) fn without(mut self, end: &str) -> Self {
        if let Some(rest) = self.url.strip_suffix(end) {
            self.url.truncate(rest.trim_end_matches('/').len());
        }
        self
    }

    /// The URL of one call.
    pub(crate) fn join(&self, tail: &str) -> String {
        let mut url = String::with_capacity(self.url.len() + tail.len() + self.query.len());
        url.push_str(&self.url);
        url.push_str(tail);
        match self.query.strip_prefix('?') {
            // The tail may have a query of its own.
            Some(query) if tail.contains('?') => {
                url.push('&');
                url.push_str(query);
            }
            _ => url.push_str(&self.query),
        }
        url
    }

    /// The values of its query that may be keys: any but Azure's version of its API.
    pub(crate) fn keys(&self) -> impl Iterator<Item = &str> {
        let pairs = self.query.trim_start_matches('?').split('&');
        let named = pairs.filter_map(|pair| pair.split_once('='));
        named.filter(|(name, _)| *name != "api-version").map(|(_, value)| value)
    }

    pub(crate) fn is_https(&self) -> bool {
        self.server.is_tls
    }

    /// Whether it is this device itself.
    pub(crate) fn is_loopback(&self) -> bool {
        self.loopback
    }

    /// The host's name, without port.
    pub(crate) fn host(&self) -> &str {
        &self.server.host
    }

    pub(crate) fn port(&self) -> u16 {
        self.server.port
    }
}

/// Whether this host can only be the device itself. A name that merely looks up to 127.0.0.1
/// is not: what it means can change.
fn is_loopback(host: &str) -> bool {
    if host.eq_ignore_ascii_case("localhost") {
        return true;
    }
    match host.parse::<IpAddr>() {
        Ok(IpAddr::V6(v6)) => match v6.to_ipv4_mapped() {
            Some(v4) => v4.is_loopback(),
            None => v6.is_loopback(),
        },
        Ok(IpAddr::V4(v4)) => v4.is_loopback(),
        Err(_) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TAIL: &str = "/chat/completions";

    #[test]
    fn slashes_and_full_urls_mean_the_same_base() {
        for given in [
            "http://127.0.0.1:80/v1",
            " http://127.0.0.1:80/v1/ ",
            "HTTP://127.0.0.1:80/v1//",
            "http://127.0.0.1:80/v1/chat/completions",
            "http://127.0.0.1:80/v1/chat/completions/",
        ] {
            let endpoint = Endpoint::parse(given, TAIL).unwrap();
            assert_eq!(endpoint.join(TAIL), "http://127.0.0.1:80/v1/chat/completions");
            assert!(endpoint.is_loopback() && !endpoint.is_https());
        }
        let azure = Endpoint::parse("https://h/d/chat/completions?api-version=1", TAIL).unwrap();
        assert_eq!(azure.join(TAIL), "https://h/d/chat/completions?api-version=1");
        assert_eq!(azure.join("/x?y=2"), "https://h/d/x?y=2&api-version=1");
        assert_eq!((azure.host(), azure.port()), ("h", 443));
        for (url, host, port, shown) in [
            ("https://[::1]:8443/a", "::1", 8443, "[::1]:8443"),
            ("http://[::1]", "::1", 80, "[::1]"),
            ("https://8080:80/", "8080", 80, "8080:80"),
            ("http://8080/", "8080", 80, "8080"),
        ] {
            let endpoint = Endpoint::parse(url, TAIL).unwrap();
            assert_eq!((endpoint.host(), endpoint.port()), (host, port));
            assert_eq!(endpoint.server.authority(), shown);
        }
    }

    #[test]
    fn what_is_no_base_url_is_refused_without_showing_its_secrets() {
        for bad in [
            "",
            "localhost:8080",
            "ftp://h/",
            "http://",
            "http:///v1",
            "http://h:0/",
            "http://h:99999/",
            "http://h:+80/",
            "http://[::1/",
            "http://h/#f",
            "http://h/\u{7f}",
            "http://h y/",
            "http://h\r\nx: y/",
            "http://ü/",
        ] {
            assert!(Endpoint::parse(bad, TAIL).is_err(), "{bad}");
        }
        let shown = Endpoint::parse("http://me:secret@h/", TAIL).unwrap_err().to_string();
        assert!(!shown.contains("secret"), "{shown}");
    }

    #[test]
    fn only_the_device_itself_is_loopback() {
        for host in ["localhost", "127.9.9.9", "::1", "::ffff:127.0.0.1"] {
            assert!(is_loopback(host), "{host}");
        }
        for host in ["localhost.example", "10.0.0.1", "0.0.0.0", "::2", "127.0.0.1.nip.io"] {
            assert!(!is_loopback(host), "{host}");
        }
    }
}
