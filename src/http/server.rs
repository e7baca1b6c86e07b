//! The server of a URL.

use std::fmt;

use crate::url::host_and_port;

/// A server, or a proxy: what a connection leads to.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Server {
    /// Whether TLS is spoken with it.
    pub(super) is_tls: bool,
    /// Its name or address; one of version 6 has no brackets here.
    pub(super) host: String,
    pub(super) port: u16,
}

impl Server {
    /// The server of `host`, `host:port` or `[v6]:port`.
    pub(super) fn new(authority: &str, is_tls: bool, default_port: u16) -> Option<Self> {
        let (host, port) = host_and_port(authority)?;
        Some(Self { is_tls, host: host.to_owned(), port: port.unwrap_or(default_port) })
    }

    /// The server of an http or https URL, and the URL's path with its query.
    pub(super) fn split(url: &str) -> Option<(Self, &str)> {
        let (scheme, rest) = url.split_once("://")?;
        let (authority, path) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
        let is_tls = scheme == "https";
        Some((Self::new(authority, is_tls, if is_tls { 443 } else { 80 })?, path))
    }

    /// Its host, and its port where a URL must name it.
    pub(super) fn authority(&self) -> String {
        let shown = self.to_string();
        let default = if self.is_tls { ":443" } else { ":80" };
        shown.strip_suffix(default).map(str::to_owned).unwrap_or(shown)
    }
}

/// Its host and port.
impl fmt::Display for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (open, close) = if self.host.contains(':') { ("[", "]") } else { ("", "") };
        write!(f, "{open}{}{close}:{}", self.host, self.port)
    }
}
