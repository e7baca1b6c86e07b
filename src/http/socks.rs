//! SOCKS 5 (RFC 1928, with a name and password as in RFC 1929) over a connection of ours,
//! so that it keeps to the call's limits and can be cut like any other.

use std::io::{self, ErrorKind};
use std::net::{IpAddr, SocketAddr};

use super::fault::refused;
use super::proxy::Proxy;
use super::server::Server;
use super::socket::Stream;

const VERSION: u8 = 5;
const NO_AUTHENTICATION: u8 = 0;
const PASSWORD: u8 = 2;
const PASSWORD_VERSION: u8 = 1;
const CONNECT: u8 = 1;
const ADDRESS_V4: u8 = 1;
const ADDRESS_NAME: u8 = 3;
const ADDRESS_V6: u8 = 4;
const PORT_BYTES: usize = 2;

/// Asks the proxy at the other end of this connection for one to the server: by its address
/// where it was looked up here, by its name otherwise.
pub(super) fn open(
    proxy_end: &mut dyn Stream,
    proxy: &Proxy,
    server: &Server,
    address: Option<SocketAddr>,
) -> io::Result<()> {
    let offer: &[u8] = match proxy.credentials {
        Some(_) => &[VERSION, 2, NO_AUTHENTICATION, PASSWORD],
        None => &[VERSION, 1, NO_AUTHENTICATION],
    };
    proxy_end.write_all(offer)?;
    let [version, method] = receive(proxy_end)?;
    match (version, method, &proxy.credentials) {
        (VERSION, NO_AUTHENTICATION, _) => {}
        (VERSION, PASSWORD, Some((name, password))) => {
            let mut message = vec![PASSWORD_VERSION];
            push_text(&mut message, name)?;
            push_text(&mut message, password)?;
            proxy_end.write_all(&message)?;
            let [_, status] = receive(proxy_end)?;
            if status != 0 {
                return Err(refused("it refused name and password", false));
            }
        }
        (VERSION, ..) => return Err(refused("it wants a name and a password", false)),
        _ => return Err(refused("it does not speak SOCKS 5", false)),
    }
    proxy_end.write_all(&request(server, address)?)?;
    let [_, status, _, kind] = receive(proxy_end)?;
    if status != 0 {
        let (what, may_pass) = reason(status);
        return Err(refused(what, may_pass));
    }
    // The address that the proxy uses itself, which nobody needs.
    let length = match kind {
        ADDRESS_V4 => 4,
        ADDRESS_V6 => 16,
        ADDRESS_NAME => {
            let [length] = receive(proxy_end)?;
            usize::from(length)
        }
        _ => return Err(refused("its answer makes no sense", false)),
    };
    for _ in 0..length + PORT_BYTES {
        let [_] = receive(proxy_end)?;
    }
    Ok(())
}

fn request(server: &Server, address: Option<SocketAddr>) -> io::Result<Vec<u8>> {
    let mut message = vec![VERSION, CONNECT, 0];
    match address.map(|address| address.ip()).or_else(|| server.host.parse().ok()) {
        Some(IpAddr::V4(v4)) => {
            message.push(ADDRESS_V4);
            message.extend(v4.octets());
        }
        Some(IpAddr::V6(v6)) => {
            message.push(ADDRESS_V6);
            message.extend(v6.octets());
        }
        None => {
            message.push(ADDRESS_NAME);
            push_text(&mut message, &server.host)?;
        }
    }
    message.extend(server.port.to_be_bytes());
    Ok(message)
}

/// A text after its length, in one byte.
fn push_text(message: &mut Vec<u8>, text: &str) -> io::Result<()> {
    let length =
        u8::try_from(text.len()).map_err(|_| refused("a name is too long for it", false))?;
    message.push(length);
    message.extend_from_slice(text.as_bytes());
    Ok(())
}

fn receive<const N: usize>(from: &mut dyn Stream) -> io::Result<[u8; N]> {
    let mut bytes = [0; N];
    match from.read_exact(&mut bytes) {
        Ok(()) => Ok(bytes),
        Err(fault) if fault.kind() == ErrorKind::UnexpectedEof => {
            Err(refused("it closed the connection", true))
        }
        Err(fault) => Err(fault),
    }
}

/// The text of a status, and whether a retry may succeed: a fault between the proxy and the server
/// would be one of ours too.
fn reason(status: u8) -> (&'static str, bool) {
    match status {
        2 => ("its rules forbid the connection", false),
        3 => ("it cannot reach the network", true),
        4 => ("it cannot reach the host", true),
        5 => ("the host refused the connection", true),
        6 => ("its connection took too long", true),
        8 => ("it does not take this kind of address", false),
        _ => ("it failed", true),
    }
}
