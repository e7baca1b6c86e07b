//! Hosts that are reached without a proxy, as `NO_PROXY` lists them: in no two programs alike.

use std::net::IpAddr;

/// Whether a list holds a host with this port. Its entries stand between commas or white space:
///
/// - a name, for itself and for everything below it, whether it begins with `.`, `*.` or neither;
/// - an address, a network such as `10.0.0.0/8` or `fd00::/8`, or its beginning as `10.*`;
/// - each of them with a port, which then must be the same;
/// - `*` for all hosts, and `<local>` for names without a dot.
pub(super) fn holds(list: &str, host: &str, port: u16) -> bool {
    let host = host.trim_end_matches('.').to_ascii_lowercase();
    let entries = list.split(|sign: char| sign.is_whitespace() || matches!(sign, ',' | ';'));
    entries.filter(|entry| !entry.is_empty()).any(|entry| {
        let entry = entry.to_ascii_lowercase();
        // Some write URLs there.
        let entry = entry.split_once("://").map_or(entry.as_str(), |(_, rest)| rest);
        let (name, its_port) = split(entry.trim_end_matches('/'));
        its_port.is_none_or(|its| its == port) && is_of(name, &host)
    })
}

/// An entry's host, and its port if it has one.
fn split(entry: &str) -> (&str, Option<u16>) {
    let (host, port) = match entry.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((host, rest)) => (host, rest.strip_prefix(':')),
        // More than one colon is an address of version 6.
        None => match entry.split_once(':') {
            Some((host, port)) if !port.contains(':') => (host, Some(port)),
            _ => (entry, None),
        },
    };
    match port.map(str::parse) {
        None => (host, None),
        Some(Ok(port)) => (host, Some(port)),
        // It names nothing that there is.
        Some(Err(_)) => ("", None),
    }
}

fn is_of(name: &str, host: &str) -> bool {
    let address = host.parse::<IpAddr>().ok().map(plain);
    if name == "<local>" {
        return address.is_none() && !host.contains('.');
    }
    if let Some(address) = address {
        let beginning = name.strip_suffix('*').filter(|start| start.ends_with('.'));
        let of_network = name.split_once('/').is_some_and(|(network, bits)| {
            let network = network.parse().map(plain);
            network.is_ok_and(|network| is_within(address, network, bits))
        });
        let is_same = name.parse().map(plain) == Ok(address);
        return name == "*"
            || is_same
            || of_network
            || beginning.is_some_and(|start| host.starts_with(start));
    }
    let domain = name.trim_start_matches('*').trim_start_matches('.').trim_end_matches('.');
    let is_below = || host.strip_suffix(domain).is_some_and(|head| head.ends_with('.'));
    name == "*" || (!domain.is_empty() && (host == domain || is_below()))
}

/// An address of version 4 that is written as one of version 6 is the same address.
fn plain(address: IpAddr) -> IpAddr {
    address.to_canonical()
}

/// Whether the first bits of an address are those of a network.
fn is_within(address: IpAddr, network: IpAddr, bits: &str) -> bool {
    let Ok(bits) = bits.parse::<u32>() else { return false };
    let differ = |a: u128, b: u128, width: u32| {
        let shift = width.checked_sub(bits);
        shift.is_none_or(|shift| (a ^ b).checked_shr(shift).unwrap_or(0) != 0)
    };
    match (address, network) {
        (IpAddr::V4(a), IpAddr::V4(b)) => !differ(a.to_bits().into(), b.to_bits().into(), 32),
        (IpAddr::V6(a), IpAddr::V6(b)) => !differ(a.to_bits(), b.to_bits(), 128),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_name_hosts_in_every_spelling() {
        for (list, hosts, others) in [
            (
                "example.com",
                &["example.com", "api.EXAMPLE.com", "example.com."][..],
                &["badexample.com", "example.com.evil", "\u{e4}example.com"][..],
            ),
            (
                "localhost, *.local,.corp",
                &["box.local", "a.b.local", "local", "a.corp", "corp"],
                &["xlocal", "acorp"],
            ),
            (
                "a.test b.test\tc.test\nd.test;e.test",
                &["a.test", "b.test", "c.test", "d.test", "e.test"],
                &["f.test"],
            ),
            ("Example.COM.", &["example.com"], &["example.org"]),
            ("*", &["anything", "10.0.0.1", "::1"], &[]),
            ("", &[], &["anything", "10.0.0.1"]),
            (" , ,", &[], &["anything"]),
            (
                "10.0.0.0/8",
                &["10.0.0.1", "10.255.255.255"],
                &["11.0.0.1", "10.example.com", "fd00::1"],
            ),
            (
                "192.168.1.0/24,172.16.0.0/12",
                &["192.168.1.77", "172.31.0.1"],
                &["192.168.2.1", "172.32.0.1"],
            ),
            ("0.0.0.0/0", &["8.8.8.8"], &["::1", "host"]),
            ("10.0.0.7/32", &["10.0.0.7"], &["10.0.0.8"]),
            ("10.0.0.0/33,10.0.0.0/x,10.0.0.0/", &[], &["10.0.0.1"]),
            ("10.0.0.1", &["10.0.0.1", "::ffff:10.0.0.1"], &["10.0.0.11", "110.0.0.1"]),
            ("10.*,192.168.*", &["10.1.2.3", "192.168.0.1"], &["100.1.2.3", "192.16.8.1"]),
            ("fd00::/8, [2001:db8::1]", &["fd12::3", "2001:db8:0::1"], &["fe80::1", "2001:db8::2"]),
            ("::1", &["::1", "0:0:0:0:0:0:0:1"], &["::2"]),
            ("<local>", &["box"], &["box.local", "10.0.0.1"]),
            ("https://example.com/", &["example.com"], &["example.org"]),
            (
                "example.com:443,10.0.0.1:443,[fd00::1]:443,*.local:443",
                &["example.com", "10.0.0.1", "fd00::1", "a.local"],
                &[],
            ),
            (
                "example.com:8443,10.0.0.1:8443,[fd00::1]:8443,*:8443",
                &[],
                &["example.com", "10.0.0.1", "fd00::1"],
            ),
            ("example.com:x,.:,*.:", &[], &["example.com"]),
        ] {
            for host in hosts {
                assert!(holds(list, host, 443), "{host} in {list:?}");
            }
            for host in others {
                assert!(!holds(list, host, 443), "{host} not in {list:?}");
            }
        }
    }
}
