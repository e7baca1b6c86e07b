//! Whether connections go through a proxy.

use ureq::Proxy;
use ureq::http::Uri;

use super::Setup;
use crate::error::Error;

/// The proxy of the environment (`ALL_PROXY`, `HTTPS_PROXY`, `HTTP_PROXY`, minus what
/// `NO_PROXY` lists), or none: loopback never goes through one, and a key over plain http is
/// never shown to one.
pub(super) fn choose(setup: &Setup<'_>) -> Result<Option<Proxy>, Error> {
    let endpoint = setup.endpoint;
    if endpoint.is_loopback() || (setup.with_key && !endpoint.is_https()) {
        return Ok(None);
    }
    let Some(proxy) = Proxy::try_from_env() else { return Ok(None) };
    if endpoint.url().parse::<Uri>().is_ok_and(|uri| proxy.is_no_proxy(&uri)) {
        return Ok(None);
    }
    let scheme = proxy.uri().scheme_str().unwrap_or_default();
    if scheme.starts_with("socks") {
        return Err(Error::InvalidConfig(
            "the proxy of the environment is a SOCKS proxy, which is not supported: unset \
             ALL_PROXY, or name an http proxy"
                .to_owned(),
        ));
    }
    if !cfg!(feature = "tls") && scheme == "https" {
        return Err(Error::Unsupported { what: "an https proxy", feature: "tls" });
    }
    Ok(Some(proxy))
}
