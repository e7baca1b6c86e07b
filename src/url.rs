//! URLs: the part that may be shown, and the host.

use std::net::Ipv6Addr;

/// Shown in place of a URL that cannot be separated from its secrets.
const NOT_SHOWN: &str = "[a URL that cannot be parsed is not shown]";

/// A URL without the parts that can hold a secret: user and password, query and fragment. A URL
/// that cannot be parsed is not shown at all.
pub(crate) fn shown(url: &str) -> String {
    parts(url).unwrap_or_else(|| NOT_SHOWN.to_owned())
}

fn parts(url: &str) -> Option<String> {
    let (scheme, rest) = url.trim().split_once("://")?;
    let is_scheme = !scheme.is_empty() && scheme.bytes().all(|b| b.is_ascii_alphanumeric());
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let (authority, tail) = rest.split_at(end);
    let host = match authority.split_once('@') {
        Some((_, host)) => host,
        None => authority,
    };
    // A password with a slash or question mark ends the host too early.
    let is_whole = !tail.contains('@') && !tail.contains("://");
    let path = tail.split(['?', '#']).next().unwrap_or_default();
    let can_be_shown = is_scheme && is_whole && host_and_port(host).is_some();
    can_be_shown.then(|| format!("{scheme}://{host}{path}"))
}

/// The host and port of `host`, `host:port` or `[v6]:port`; `None` if one of them is invalid.
pub(crate) fn host_and_port(authority: &str) -> Option<(&str, Option<u16>)> {
    let (host, port) = if let Some(rest) = authority.strip_prefix('[') {
        let (host, after) = rest.split_once(']')?;
        host.parse::<Ipv6Addr>().ok()?;
        (host, after)
    } else {
        authority.split_at(authority.find(':').unwrap_or(authority.len()))
    };
    let port = match port.strip_prefix(':') {
        Some(digits) if digits.bytes().all(|b| b.is_ascii_digit()) => {
            Some(digits.parse().ok().filter(|port| *port > 0)?)
        }
        None if port.is_empty() => None,
        _ => return None,
    };
    let named = !host.is_empty() && !host.contains([',', ';', '%', '@', '[', ']']);
    named.then_some((host, port))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_lose_their_secrets() {
        assert_eq!(shown("https://u:p@h:1/v1?key=k#f"), "https://h:1/v1");
        assert_eq!(shown(" http://127.0.0.1:9/v1"), "http://127.0.0.1:9/v1");
        assert_eq!(shown("http://u:p%40x@[::1]:9/"), "http://[::1]:9/");
        for hostile in [
            "u:pw@h",
            "http://user:hunter/pw@h/",
            "http://user:hunter?pw@h/",
            "http://user:hunter#pw@h/",
            "http://user:hunter",
            "http://http://user:pw@h",
            "http://user:pw@x@h/",
            "http://u:pw%40h/",
            "http://u:pw@h/?next=http://a:pw@b/",
            "://pw",
            "pw",
        ] {
            assert!(!shown(hostile).contains("pw"), "{hostile}: {}", shown(hostile));
            assert!(!shown(hostile).contains("hunter"), "{hostile}: {}", shown(hostile));
        }
    }
}
