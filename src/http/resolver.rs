//! Host names to addresses.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, ToSocketAddrs};

use super::fault::Fault;
use super::server::Server;

/// Most addresses of one host that are tried.
const ADDRESSES_MAX: usize = 8;

/// Asks the system for a name's addresses; blocks for as long as it likes.
pub(super) type Find = fn(&str, u16) -> io::Result<Vec<SocketAddr>>;

pub(super) fn find(name: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
    (name, port).to_socket_addrs().map(|found| found.take(ADDRESSES_MAX).collect())
}

/// The addresses of a server, whose host is looked up unless it needs none.
pub(super) fn addresses(server: &Server, find: Find) -> io::Result<Vec<SocketAddr>> {
    let found = match literal(server) {
        Some(addresses) => addresses,
        None => find(&server.host, server.port).unwrap_or_default(),
    };
    if found.is_empty() { Err(Fault::NameNotFound.into()) } else { Ok(found) }
}

/// The addresses of a server whose host needs no look-up.
#[inline(never)]
pub(super) fn literal(server: &Server) -> Option<Vec<SocketAddr>> {
    let at = |address| SocketAddr::new(address, server.port);
    if let Ok(address) = server.host.parse::<IpAddr>() {
        return Some(vec![at(address)]);
    }
    // IPv4 first: most model servers listen on 127.0.0.1 alone.
    let (v4, v6) = (IpAddr::V4(Ipv4Addr::LOCALHOST), IpAddr::V6(Ipv6Addr::LOCALHOST));
    server.host.eq_ignore_ascii_case("localhost").then(|| vec![at(v4), at(v6)])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_and_localhost_need_no_look_up() {
        let count = |host: &str| {
            let server = Server::new(host, false, 80).unwrap();
            literal(&server).map(|addresses| addresses.len())
        };
        assert_eq!(count("127.0.0.1"), Some(1));
        assert_eq!(count("[::1]"), Some(1));
        assert_eq!(count("LocalHost"), Some(2));
        assert_eq!(count("example.com"), None);
    }
}
