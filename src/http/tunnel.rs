//! Ways through an http proxy: a tunnel for https (CONNECT, RFC 9110), and for plain http
//! requests that name their whole address.

use std::io;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::fault::refused;
use super::head::Head;
use super::proxy::Proxy;
use super::request::USER_AGENT;
use super::server::Server;
use super::socket::Stream;

/// Asks the proxy at the other end of this stream for a connection to the server.
pub(super) fn open(stream: &mut dyn Stream, proxy: &Proxy, server: &Server) -> io::Result<()> {
    let authorization = authorization(proxy);
    let request = format!(
        "CONNECT {server} HTTP/1.1\r\nhost: {server}\r\nuser-agent: {USER_AGENT}\r\n\
         {authorization}\r\n"
    );
    stream.write_all(request.as_bytes())?;
    stream.flush()?;
    let status = status(stream)?;
    match status {
        200..=299 => Ok(()),
        407 => Err(refused("it wants a name and a password, or others (HTTP 407)", false)),
        // It could not reach the target: that may pass, as it may without a proxy.
        502..=504 => Err(refused(format!("it cannot reach the server (HTTP {status})"), true)),
        _ => Err(refused(format!("it refuses the connection (HTTP {status})"), false)),
    }
}

/// The status of the proxy's answer, whose head is read to its end. Interim ones are passed over.
fn status(stream: &mut dyn Stream) -> io::Result<u16> {
    let (mut input, mut chunk) = (Vec::new(), [0; 512]);
    loop {
        match Head::parse(&input) {
            Ok(Some((length, head))) if head.is_interim() => {
                input.drain(..length);
                continue;
            }
            Ok(Some((_, head))) => return Ok(head.status),
            Ok(None) => {}
            Err(_) => return Err(refused("it does not speak HTTP", false)),
        }
        match stream.read(&mut chunk)? {
            0 => return Err(refused("it closed the connection", true)),
            amount => input.extend_from_slice(&chunk[..amount]),
        }
    }
}

/// The header line with the proxy's name and password; empty where it has none.
pub(super) fn authorization(proxy: &Proxy) -> String {
    let Some((name, password)) = &proxy.credentials else { return String::new() };
    let encoded = STANDARD.encode(format!("{name}:{password}"));
    format!("proxy-authorization: Basic {encoded}\r\n")
}
