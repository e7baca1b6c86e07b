//! Host names to addresses, with an end to the wait.

use std::fmt;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, ToSocketAddrs};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use ureq::config::Config;
use ureq::http::Uri;
use ureq::unversioned::resolver::{ResolvedSocketAddrs, Resolver};
use ureq::unversioned::transport::NextTimeout;

use super::call::{CallStop, Current};
use super::lookup::{Found, Reporting, Slot};
use crate::sync::now;

/// Most look-ups of one pool of connections that may be under way. The system's resolver
/// cannot be interrupted: a look-up whose call has given up still holds its thread for a
/// while, and without a bound a dead network would collect threads.
const LOOKUPS_MAX: usize = 16;

/// Stack of a look-up's thread: address space. The resolvers of the C libraries use tens of
/// kilobytes; a plug-in of the system's name service may use more.
const LOOKUP_STACK_BYTES: usize = 256 << 10;

/// Most addresses of one host that are tried. (ureq's list holds 16.)
const ADDRESSES_MAX: usize = 8;

/// Port of a URL that names none.
pub(super) fn default_port(uri: &Uri) -> u16 {
    match uri.scheme_str() {
        Some("https") => 443,
        Some("socks5" | "socks5h" | "socks") => 1080,
        _ => 80,
    }
}

/// Asks the system for a name's addresses; blocks for as long as it likes.
type Find = fn(&str, u16) -> io::Result<Vec<SocketAddr>>;

/// Looks a name up on a short-lived thread; an address costs none.
pub(super) struct Lookup {
    under_way: Arc<AtomicUsize>,
    find: Find,
}

impl Default for Lookup {
    fn default() -> Self {
        let find: Find = |name, port| {
            (name, port).to_socket_addrs().map(|found| found.take(ADDRESSES_MAX).collect())
        };
        Self { under_way: Arc::default(), find }
    }
}

impl fmt::Debug for Lookup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Lookup")
    }
}

/// Counts one look-up as under way until it is dropped.
struct Ticket(Arc<AtomicUsize>);

impl Ticket {
    fn take(count: &Arc<AtomicUsize>) -> Option<Self> {
        let before = count.fetch_add(1, Ordering::Relaxed);
        let ticket = Self(Arc::clone(count));
        (before < LOOKUPS_MAX).then_some(ticket)
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Resolver for Lookup {
    fn resolve(
        &self,
        uri: &Uri,
        _: &Config,
        _: NextTimeout,
    ) -> Result<ResolvedSocketAddrs, ureq::Error> {
        let host = uri.host().ok_or(ureq::Error::HostNotFound)?;
        let port = uri.port_u16().unwrap_or_else(|| default_port(uri));
        let found = match literal(host) {
            Some(addresses) => addresses,
            None => self.look_up(host, port)?,
        };
        let mut addresses = self.empty();
        for mut address in found.into_iter().take(ADDRESSES_MAX) {
            address.set_port(port);
            addresses.push(address);
        }
        if addresses.is_empty() { Err(ureq::Error::HostNotFound) } else { Ok(addresses) }
    }
}

/// A host without the brackets that an IPv6 address has in a URL.
pub(super) fn bare(host: &str) -> &str {
    host.trim_start_matches('[').trim_end_matches(']')
}

/// The addresses of a host that needs no look-up.
fn literal(host: &str) -> Option<Vec<SocketAddr>> {
    if let Ok(address) = bare(host).parse::<IpAddr>() {
        return Some(vec![SocketAddr::new(address, 0)]);
    }
    host.eq_ignore_ascii_case("localhost").then(|| {
        // IPv4 first: most model servers listen on 127.0.0.1 alone.
        let v4 = IpAddr::V4(Ipv4Addr::LOCALHOST);
        let v6 = IpAddr::V6(Ipv6Addr::LOCALHOST);
        vec![SocketAddr::new(v4, 0), SocketAddr::new(v6, 0)]
    })
}

impl Lookup {
    fn look_up(&self, host: &str, port: u16) -> Result<Vec<SocketAddr>, ureq::Error> {
        let current = Current::here()?;
        let ticket = Ticket::take(&self.under_way).ok_or(ureq::Error::HostNotFound)?;
        let (name, find) = (host.to_owned(), self.find);
        let slot = Slot::new();
        current.hold_lookup(Arc::clone(&slot))?;
        let reporting = Reporting(Arc::clone(&slot));
        thread::Builder::new()
            .name("aa-lookup".to_owned())
            .stack_size(LOOKUP_STACK_BYTES)
            .spawn(move || {
                let answer = find(&name, port).map_or(Found::Failed, Found::Addresses);
                drop(ticket);
                reporting.0.put(answer);
            })
            .map_err(ureq::Error::Io)?;
        let answer = slot.take(current.left()?.and_then(|left| now().checked_add(left)));
        current.let_go();
        match answer {
            Some(Found::Addresses(addresses)) => Ok(addresses),
            Some(Found::Cancelled) => Err(current.stopped(CallStop::Cancelled)),
            Some(Found::Failed) => Err(ureq::Error::HostNotFound),
            // `left` notes which limit it was; a hair's breadth early is as good.
            None => match current.left() {
                Err(stopped) => Err(stopped),
                Ok(_) => Err(current.stopped(CallStop::Limit(super::call::CallPhase::Connect))),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::super::call::{CallPhase, Limits, Scope};
    use super::*;
    use crate::cancel::CancelSignal;

    #[test]
    fn addresses_and_localhost_need_no_look_up() {
        assert_eq!(literal("127.0.0.1").unwrap().len(), 1);
        assert_eq!(literal("[::1]").unwrap().len(), 1);
        assert_eq!(literal("LocalHost").unwrap().len(), 2);
        assert!(literal("example.com").is_none());
    }

    /// A look-up that takes for ever, and the call that waits for it: how it ends.
    fn never_found(limits: Limits, cancel: &CancelSignal) -> Option<CallStop> {
        let find: Find = |_, _| {
            thread::park();
            Err(io::ErrorKind::NotFound.into())
        };
        let lookup = Lookup { under_way: Arc::default(), find };
        let scope = Scope::enter(cancel, limits, false);
        lookup.look_up("slow.test", 80).unwrap_err();
        scope.stop()
    }

    #[test]
    fn a_look_up_that_hangs_ends_with_the_limit_or_at_once_when_cancelled() {
        let limit = Duration::from_millis(20);
        let limits = |connect| Limits {
            deadline: None,
            connect,
            first_byte: None,
            idle_before_payload: None,
            idle: limit,
        };
        let cancel = CancelSignal::new();
        let stop = never_found(limits(limit), &cancel);
        assert_eq!(stop, Some(CallStop::Limit(CallPhase::Connect)));
        let began = Instant::now();
        thread::scope(|scope| {
            scope.spawn(|| drop(cancel.raise()));
            let stop = never_found(limits(Duration::from_secs(60)), &cancel);
            assert_eq!(stop, Some(CallStop::Cancelled));
        });
        assert!(began.elapsed() < Duration::from_secs(5));
    }

    #[test]
    fn look_ups_under_way_are_bounded_and_counted_off() {
        let count = Arc::default();
        let tickets: Vec<_> = (0..LOOKUPS_MAX).map(|_| Ticket::take(&count).unwrap()).collect();
        assert!(Ticket::take(&count).is_none());
        drop(tickets);
        assert!(Ticket::take(&count).is_some());
        assert_eq!(count.load(Ordering::Relaxed), 0);
    }
}
