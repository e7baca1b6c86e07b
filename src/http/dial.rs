//! New connections, most of them made on a short-lived thread: it looks the name up, connects,
//! goes through the proxy, does the TLS handshake, hands the connection over, and ends. The
//! stack that this takes is given back with the thread, while a helper's own keeps every page that
//! it ever touched; and a call can give up while the system lets nothing interrupt it.

use std::fmt;
use std::net::SocketAddr;
use std::panic;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use ureq::http::Uri;
use ureq::unversioned::transport::ConnectionDetails;
use ureq::{Error, Proxy};

use super::call::{CallPhase, CallStop, Current};
use super::handover::{Ending, Handover};
use super::proxy::{self, Rewrite};
use super::resolver::{self, Find, addresses, of_literal};
use super::socket::Socket;
use super::stream::Stream;
#[cfg(feature = "tls")]
use super::tls::Secure;

/// From so many threads on whose calls have given up, an agent starts no further one until one
/// of them has ended. The system's resolver cannot be interrupted: without a bound a dead network
/// would collect threads. A thread whose call waits for it counts for nothing, as that call has a
/// thread of a helper.
const ABANDONED_MAX: usize = 16;

/// Stack of such a thread: address space. A handshake takes up to 110 KiB in debug builds, the
/// resolvers of the C libraries tens, a plug-in of the system's name service may take more.
/// glibc keeps up to 40 MiB of the stacks of ended threads, each with up to 20 KiB still resident:
/// of this size, twice its default, it keeps two.
const STACK_BYTES: usize =
    if cfg!(all(target_env = "gnu", target_pointer_width = "64")) { 16 << 20 } else { 256 << 10 };

/// Where a connection leads.
struct Route {
    target: Uri,
    proxy: Option<Proxy>,
    is_tls: bool,
}

impl Route {
    /// Whether nothing is to be looked up.
    fn is_literal(&self) -> bool {
        let is_literal = |uri: &Uri| of_literal(uri).is_some();
        match &self.proxy {
            Some(proxy) => {
                is_literal(proxy.uri()) && (!proxy.resolve_target() || is_literal(&self.target))
            }
            None => is_literal(&self.target),
        }
    }
}

/// A connection, and what requests over it must say more, if anything.
pub(super) type Made = (Box<dyn Stream>, Option<Rewrite>);

/// Makes connections.
pub(super) struct Dialler {
    #[cfg(feature = "tls")]
    secure: Secure,
    find: Find,
    abandoned: Arc<AtomicUsize>,
}

impl fmt::Debug for Dialler {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Dialler")
    }
}

impl Dialler {
    pub(super) fn new(#[cfg(feature = "tls")] secure: Secure) -> Arc<Self> {
        Arc::new(Self {
            #[cfg(feature = "tls")]
            secure,
            find: resolver::find,
            abandoned: Arc::default(),
        })
    }

    /// A connection for the current call. (Only what needs no thread happens here: nowhere does
    /// the stack of a helper that speaks plain HTTP get deeper.)
    pub(super) fn connect(self: &Arc<Self>, details: &ConnectionDetails) -> Result<Made, Error> {
        if !details.needs_tls() && details.config.proxy().is_none() {
            if let Some(addresses) = of_literal(details.uri) {
                return Ok((open(&addresses)?, None));
            }
        }
        self.connect_apart(details)
    }

    #[inline(never)]
    fn connect_apart(self: &Arc<Self>, details: &ConnectionDetails) -> Result<Made, Error> {
        self.connect_by(Route {
            target: details.uri.clone(),
            proxy: details.config.proxy().cloned(),
            is_tls: details.needs_tls(),
        })
    }

    /// Makes the connection on a thread of its own, unless too many are abandoned.
    fn connect_by(self: &Arc<Self>, route: Route) -> Result<Made, Error> {
        let current = Current::here()?;
        current.dialled.set(true);
        let is_full = self.abandoned.load(Ordering::Relaxed) >= ABANDONED_MAX;
        match is_full {
            false => self.borrow_thread(&current, route),
            // A connection without a look-up keeps to the call's limits on any thread.
            true if route.is_literal() => self.make(&current, &route),
            true => Err(Error::HostNotFound),
        }
    }

    fn borrow_thread(self: &Arc<Self>, current: &Current, route: Route) -> Result<Made, Error> {
        let handover = Handover::new(&self.abandoned);
        let (dialler, lent, ending) = (Arc::clone(self), current.lend(), Arc::clone(&handover));
        let thread = thread::Builder::new()
            .name("aa-connect".to_owned())
            .stack_size(STACK_BYTES)
            .spawn(move || {
                let _ending = Ending(ending);
                let current = lent.enter();
                (dialler.make(&current, &route), current.stop())
            })
            .map_err(Error::Io)?;
        if !current.await_end(&handover)? {
            // `left` notes which limit it was; a hair's breadth early is as good.
            current.check_cancelled()?;
            current.left()?;
            return Err(current.stopped(CallStop::Limit(CallPhase::Connect)));
        }
        let (made, stop) = thread.join().unwrap_or_else(|payload| panic::resume_unwind(payload));
        current.check_cancelled()?;
        made.map_err(|fault| stop.map_or(fault, |stop| current.stopped(stop)))
    }

    #[inline(never)]
    fn make(&self, current: &Current, route: &Route) -> Result<Made, Error> {
        let Some(proxy) = &route.proxy else {
            let stream = self.socket(&route.target)?;
            return Ok((self.secured(route.is_tls, stream, &route.target)?, None));
        };
        let address = match proxy.resolve_target() {
            true => addresses(&route.target, self.find)?.first().copied(),
            false => None,
        };
        current.set_proxy(Some(proxy::name(proxy)));
        let stream = self.socket(proxy.uri())?;
        let mut stream = self.secured(proxy::is_secure(proxy), stream, proxy.uri())?;
        let rewrite = proxy::open(&mut *stream, proxy, &route.target, address, route.is_tls)?;
        current.set_proxy(None);
        Ok((self.secured(route.is_tls, stream, &route.target)?, rewrite))
    }

    fn socket(&self, uri: &Uri) -> Result<Box<dyn Stream>, Error> {
        open(&addresses(uri, self.find)?)
    }

    /// The stream, with TLS over it where that is wanted.
    #[cfg(feature = "tls")]
    fn secured(
        &self,
        is_tls: bool,
        stream: Box<dyn Stream>,
        target: &Uri,
    ) -> Result<Box<dyn Stream>, Error> {
        if !is_tls {
            return Ok(stream);
        }
        let mut tls = self.secure.wrap(stream, target)?;
        tls.handshake()?;
        Ok(tls)
    }

    /// (For https ureq itself refuses a connection that has no TLS.)
    #[cfg(not(feature = "tls"))]
    fn secured(&self, _: bool, stream: Box<dyn Stream>, _: &Uri) -> Result<Box<dyn Stream>, Error> {
        Ok(stream)
    }
}

#[inline(never)]
fn open(addresses: &[SocketAddr]) -> Result<Box<dyn Stream>, Error> {
    Ok(Box::new(Socket::dial(addresses)?))
}

#[cfg(test)]
#[path = "dial_tests.rs"]
mod tests;
