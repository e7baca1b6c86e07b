//! Whether connections go through a proxy, through which, and how.

use std::net::SocketAddr;

use ureq::Proxy;
use ureq::http::Uri;

use super::resolver::default_port;
use super::stream::Stream;
pub(super) use super::tunnel::Rewrite;
use super::{Setup, no_proxy, socks, tunnel};
use crate::error::Error;
use crate::url::{host_of, shown};

/// The variables that can name a proxy, in the order in which they are asked. Like ureq, and
/// unlike curl, any of them serves any scheme.
const VARIABLES: [&str; 6] =
    ["ALL_PROXY", "all_proxy", "HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy"];
/// The variables that name hosts which are reached directly.
const EXCEPTIONS: [&str; 2] = ["NO_PROXY", "no_proxy"];

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
    let proxy = Proxy::new(&url).map_err(|_| refuse("is not a proxy's URL"))?;
    let authority = proxy.uri().authority().map_or("", |authority| authority.as_str());
    if host_of(authority.rsplit('@').next().unwrap_or_default()).is_none() {
        return Err(refuse("has no usable host and port"));
    }
    match proxy.uri().scheme_str().unwrap_or_default() {
        "http" | "socks" | "socks5" | "socks5h" => {}
        "https" if cfg!(feature = "tls") => {}
        "https" => return Err(Error::Unsupported { what: "an https proxy", feature: "tls" }),
        _ => return Err(refuse("must be of the kind http, https, socks5 or socks5h")),
    }
    Ok(Some(proxy))
}

/// A proxy's host and port, for errors.
pub(super) fn name(proxy: &Proxy) -> String {
    let port = proxy.uri().port_u16().unwrap_or_else(|| default_port(proxy.uri()));
    format!("{}:{port}", proxy.uri().host().unwrap_or_default())
}

/// Whether TLS is spoken with the proxy itself.
pub(super) fn is_secure(proxy: &Proxy) -> bool {
    proxy.uri().scheme_str() == Some("https")
}

/// Opens the way through the proxy at the other end of this stream, to the target's address
/// where it was looked up here; gives what requests must
/// say more on that way, if anything.
pub(super) fn open(
    stream: &mut dyn Stream,
    proxy: &Proxy,
    target: &Uri,
    address: Option<SocketAddr>,
    is_tls: bool,
) -> Result<Option<Rewrite>, ureq::Error> {
    let is_socks = proxy.uri().scheme_str().is_some_and(|scheme| scheme.starts_with("socks"));
    if is_socks {
        socks::open(stream, proxy, target, address)?;
    } else if is_tls {
        tunnel::open(stream, proxy, target)?;
    } else {
        return Ok(Some(Rewrite::new(proxy, target)));
    }
    Ok(None)
}
