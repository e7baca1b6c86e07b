//! Whether connections go through a proxy, through which, and how.

use super::server::Server;
use super::{Setup, no_proxy};
use crate::error::Error;
use crate::url::shown;

/// The variables that can name a proxy, in the order in which they are asked. Unlike curl's, any of
/// them serves any scheme.
const VARIABLES: [&str; 6] =
    ["ALL_PROXY", "all_proxy", "HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy"];
/// The variables that name hosts which are reached directly.
const EXCEPTIONS: [&str; 2] = ["NO_PROXY", "no_proxy"];

/// A proxy.
#[derive(Clone, PartialEq)]
pub(super) struct Proxy {
    pub(super) server: Server,
    pub(super) protocol: ProxyProtocol,
    /// A name and a password.
    pub(super) credentials: Option<(String, String)>,
}

#[derive(Clone, Copy, PartialEq)]
pub(super) enum ProxyProtocol {
    Http,
    /// The server's name is looked up here.
    Socks5,
    /// It is looked up by the proxy.
    Socks5h,
}

/// The environment's proxy, or none: loopback never goes through one, and a key over plain
/// http is never shown to one. A proxy that cannot be used is an error, not a way around it.
pub(super) fn choose(setup: &Setup<'_>) -> Result<Option<Proxy>, Error> {
    let endpoint = setup.endpoint;
    if endpoint.is_loopback() || (setup.with_key && !endpoint.is_https()) {
        return Ok(None);
    }
    let variable = |name: &&'static str| setup.env.variable(name).map(|value| (*name, value));
    let Some((name, url)) = VARIABLES.iter().find_map(variable) else { return Ok(None) };
    let exceptions = EXCEPTIONS.iter().find_map(variable);
    if exceptions.is_some_and(|(_, list)| no_proxy::holds(&list, endpoint.host(), endpoint.port()))
    {
        return Ok(None);
    }
    let refuse = |why: &str| {
        let shown = crate::text::clean(&shown(&url), 128);
        Error::InvalidConfig(format!(
            "the proxy {shown:?} of the environment variable {name} {why}: correct or unset it"
        ))
    };
    let (scheme, rest) = url.split_once("://").unwrap_or(("http", &url));
    let (is_tls, port, protocol) = match scheme.to_ascii_lowercase().as_str() {
        "http" => (false, 80, ProxyProtocol::Http),
        "https" if cfg!(feature = "tls") => (true, 443, ProxyProtocol::Http),
        "https" => return Err(Error::Unsupported { what: "an https proxy", feature: "tls" }),
        "socks" | "socks5" => (false, 1080, ProxyProtocol::Socks5),
        "socks5h" => (false, 1080, ProxyProtocol::Socks5h),
        _ => return Err(refuse("must be of the kind http, https, socks5 or socks5h")),
    };
    let is_plain = rest.bytes().all(|byte| byte.is_ascii_graphic());
    let authority = rest.split(['/', '?', '#']).next().filter(|_| is_plain).unwrap_or_default();
    let (user, host) = match authority.rsplit_once('@') {
        Some((user, host)) => (Some(user), host),
        None => (None, authority),
    };
    let server = Server::new(host, is_tls, port).ok_or_else(|| refuse("is not a proxy's URL"))?;
    let part = |text| decoded(text).ok_or_else(|| refuse("is not a proxy's URL"));
    let credentials = match user.map(|user| user.split_once(':').unwrap_or((user, ""))) {
        Some((name, password)) => Some((part(name)?, part(password)?)),
        None => None,
    };
    Ok(Some(Proxy { server, protocol, credentials }))
}

/// A part of a URL with its `%` escapes resolved, if that is text; what only looks like one stays.
fn decoded(text: &str) -> Option<String> {
    let (mut bytes, mut rest) = (Vec::new(), text);
    while let Some((before, after)) = rest.split_once('%') {
        bytes.extend_from_slice(before.as_bytes());
        let digits = after.get(..2).filter(|two| two.bytes().all(|b| b.is_ascii_hexdigit()));
        let byte = digits.and_then(|digits| u8::from_str_radix(digits, 16).ok());
        bytes.push(byte.unwrap_or(b'%'));
        rest = if byte.is_some() { &after[2..] } else { after };
    }
    bytes.extend_from_slice(rest.as_bytes());
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_passwords_are_decoded_once() {
        for (text, plain) in [
            ("a+b", "a+b"),
            ("%25%34x", "%4x"),
            ("%c3%a4", "\u{e4}"),
            ("%zz%%41%\u{e4}", "%zz%A%\u{e4}"),
            ("1%2", "1%2"),
        ] {
            assert_eq!(decoded(text).as_deref(), Some(plain));
        }
        assert_eq!(decoded("%e4"), None);
    }
}
