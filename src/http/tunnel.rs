//! Ways through an http proxy: a tunnel for https (CONNECT, RFC 9110), and for plain http
//! requests that name their whole address.

use ureq::Proxy;
use ureq::http::Uri;

use super::fault::ProxyRefusal;
use super::resolver::default_port;
use super::stream::Stream;

/// Longest headers of a proxy's answer.
const HEAD_BYTES_MAX: usize = 8 << 10;
const HEAD_END: &[u8] = b"\r\n\r\n";

/// The rewrite of a request that is sent through a proxy.
pub(super) struct Rewrite {
    /// Stands before the path.
    address: String,
    /// A header line with the proxy's own name and password, or nothing.
    authorization: String,
}

impl Rewrite {
    pub(super) fn new(proxy: &Proxy, target: &Uri) -> Self {
        let authority = target.authority().map_or("", |authority| authority.as_str());
        Self { address: format!("http://{authority}"), authorization: authorization(proxy) }
    }

    /// Changes the beginning of a request; says how many bytes that brought.
    pub(super) fn apply(&self, request: &mut Vec<u8>) -> usize {
        let place = |byte: u8| request.iter().position(|b| *b == byte).map_or(0, |at| at + 1);
        // After the method, and after the first line.
        let (path, headers) = (place(b' '), place(b'\n'));
        request.splice(headers..headers, self.authorization.bytes());
        request.splice(path..path, self.address.bytes());
        self.address.len() + self.authorization.len()
    }
}

/// Asks the proxy at the other end of this stream for a connection to the target.
pub(super) fn open(
    stream: &mut dyn Stream,
    proxy: &Proxy,
    target: &Uri,
) -> Result<(), ureq::Error> {
    let host = target.host().ok_or(ureq::Error::HostNotFound)?;
    let port = target.port_u16().unwrap_or_else(|| default_port(target));
    let authorization = authorization(proxy);
    let agent = super::USER_AGENT;
    let request = format!(
        "CONNECT {host}:{port} HTTP/1.1\r\nhost: {host}:{port}\r\nuser-agent: {agent}\r\n\
         {authorization}\r\n"
    );
    stream.write_all(request.as_bytes())?;
    stream.flush()?;
    let status = status(stream)?;
    match status {
        200..=299 => Ok(()),
        407 => Err(refused("it wants a name and a password, or others (HTTP 407)", false)),
        // It could not reach the target: that may pass, as it may without a proxy.
        502..=504 => Err(refused(&format!("it cannot reach the server (HTTP {status})"), true)),
        _ => Err(refused(&format!("it refuses the connection (HTTP {status})"), false)),
    }
}

fn refused(what: &str, may_pass: bool) -> ureq::Error {
    ProxyRefusal { what: what.to_owned(), may_pass }.into()
}

/// The status of the proxy's answer, whose headers are read to their end.
fn status(stream: &mut dyn Stream) -> Result<u16, ureq::Error> {
    let mut head = Vec::new();
    let mut piece = [0; 512];
    while !head.windows(HEAD_END.len()).any(|bytes| bytes == HEAD_END) {
        let amount = stream.read(&mut piece)?;
        head.extend_from_slice(&piece[..amount]);
        if amount == 0 || head.len() > HEAD_BYTES_MAX {
            break;
        }
    }
    let text = String::from_utf8_lossy(&head);
    let mut words = text.split_ascii_whitespace();
    let is_http = words.next().is_some_and(|word| word.starts_with("HTTP/1."));
    let status = words.next().and_then(|word| word.parse().ok()).filter(|_| is_http);
    status.ok_or_else(|| match head.is_empty() {
        true => refused("it closed the connection", true),
        false => refused("it does not speak HTTP", false),
    })
}

/// The header line with the proxy's name and password; empty where it has none.
fn authorization(proxy: &Proxy) -> String {
    if proxy.username().is_none() && proxy.password().is_none() {
        return String::new();
    }
    let [name, password] = [proxy.username(), proxy.password()].map(Option::unwrap_or_default);
    let encoded = base64(format!("{name}:{password}").as_bytes());
    format!("proxy-authorization: Basic {encoded}\r\n")
}

fn base64(bytes: &[u8]) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut out = String::new();
    for group in bytes.chunks(3) {
        let byte = |at: usize| u32::from(group.get(at).copied().unwrap_or(0));
        let bits = byte(0) << 16 | byte(1) << 8 | byte(2);
        for at in 0..4 {
            let index = (bits >> (18 - 6 * at) & 63) as usize;
            out.push(if at > group.len() { '=' } else { char::from(ALPHABET[index]) });
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_passwords_are_encoded() {
        for (plain, encoded) in [("", ""), ("a", "YQ=="), ("me", "bWU="), ("me:x", "bWU6eA==")] {
            assert_eq!(base64(plain.as_bytes()), encoded);
        }
    }

    #[test]
    fn a_request_for_a_proxy_names_its_whole_address() {
        let proxy = Proxy::new("http://me:x@proxy:3128").unwrap();
        let target = "http://h:81/v1/x?y".parse().unwrap();
        let mut request = b"POST /v1/x?y HTTP/1.1\r\nhost: h:81\r\n\r\n{}".to_vec();
        let before = request.len();
        let more = Rewrite::new(&proxy, &target).apply(&mut request);
        assert_eq!(
            String::from_utf8_lossy(&request),
            "POST http://h:81/v1/x?y HTTP/1.1\r\nproxy-authorization: Basic bWU6eA==\r\n\
             host: h:81\r\n\r\n{}"
        );
        assert_eq!(before + more, request.len());
    }
}
