//! Host names to addresses.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, ToSocketAddrs};

use ureq::config::Config;
use ureq::http::Uri;
use ureq::unversioned::resolver::{ResolvedSocketAddrs, Resolver};
use ureq::unversioned::transport::NextTimeout;

/// Most addresses of one host that are tried.
const ADDRESSES_MAX: usize = 8;

/// Port of a URL that names none.
pub(super) fn default_port(uri: &Uri) -> u16 {
    match uri.scheme_str() {
        Some("https") => 443,
        Some("socks5" | "socks5h" | "socks") => 1080,
        _ => 80,
    }
}

/// A host without the brackets that an IPv6 address has in a URL.
pub(super) fn bare(host: &str) -> &str {
    host.trim_start_matches('[').trim_end_matches(']')
}

/// Gives ureq no addresses: ureq resolves before it looks for a kept connection, which needs none.
#[derive(Debug)]
pub(super) struct Later;

impl Resolver for Later {
    fn resolve(
        &self,
        _: &Uri,
        _: &Config,
        _: NextTimeout,
    ) -> Result<ResolvedSocketAddrs, ureq::Error> {
        Ok(self.empty())
    }
}

/// Asks the system for a name's addresses; blocks for as long as it likes.
pub(super) type Find = fn(&str, u16) -> io::Result<Vec<SocketAddr>>;

pub(super) fn find(name: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
    (name, port).to_socket_addrs().map(|found| found.take(ADDRESSES_MAX).collect())
}

/// The addresses of a URL's host, which is looked up unless it needs none.
pub(super) fn addresses(uri: &Uri, find: Find) -> Result<Vec<SocketAddr>, ureq::Error> {
    let found = match of_literal(uri) {
        Some(addresses) => addresses,
        None => {
            let host = uri.host().ok_or(ureq::Error::HostNotFound)?;
            find(host, port(uri)).unwrap_or_default()
        }
    };
    if found.is_empty() { Err(ureq::Error::HostNotFound) } else { Ok(found) }
}

/// The addresses of a URL whose host needs no look-up.
#[inline(never)]
pub(super) fn of_literal(uri: &Uri) -> Option<Vec<SocketAddr>> {
    literal(uri.host()?, port(uri))
}

fn port(uri: &Uri) -> u16 {
    uri.port_u16().unwrap_or_else(|| default_port(uri))
}

fn literal(host: &str, port: u16) -> Option<Vec<SocketAddr>> {
    if let Ok(address) = bare(host).parse::<IpAddr>() {
        return Some(vec![SocketAddr::new(address, port)]);
    }
    host.eq_ignore_ascii_case("localhost").then(|| {
        // IPv4 first: most model servers listen on 127.0.0.1 alone.
        let v4 = IpAddr::V4(Ipv4Addr::LOCALHOST);
        let v6 = IpAddr::V6(Ipv6Addr::LOCALHOST);
        vec![SocketAddr::new(v4, port), SocketAddr::new(v6, port)]
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_and_localhost_need_no_look_up() {
        assert_eq!(literal("127.0.0.1", 80).unwrap().len(), 1);
        assert_eq!(literal("[::1]", 80).unwrap().len(), 1);
        assert_eq!(literal("LocalHost", 80).unwrap().len(), 2);
        assert!(literal("example.com", 80).is_none());
    }
}
