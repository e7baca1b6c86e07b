//! New connections, most of them made on a short-lived thread: it looks the name up, connects,
//! goes through the proxy, does the TLS handshake, hands the connection over, and ends. The
//! stack that this takes is given back with the thread, while a helper's own keeps every page that
//! it ever touched; and a call can give up while the system lets nothing interrupt it.

use std::io;
use std::net::SocketAddr;
use std::panic;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use super::call::{CallPhase, CallStop, Current};
use super::connection::Connection;
use super::fault::Fault;
use super::handover::{Ending, Handover};
use super::proxy::{Proxy, ProxyProtocol};
use super::resolver::{self, Find, addresses, literal};
use super::server::Server;
use super::socket::{Socket, Stream};
#[cfg(feature = "tls")]
use super::tls::Secure;
use super::{socks, tunnel};

/// From so many threads on whose calls have given up, a pool starts no further one until one
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

/// Makes connections, through a proxy where there is one.
pub(super) struct Dialler {
    proxy: Option<Proxy>,
    #[cfg(feature = "tls")]
    secure: Secure,
    find: Find,
    abandoned: Arc<AtomicUsize>,
}

impl Dialler {
    pub(super) fn new(proxy: Option<Proxy>, #[cfg(feature = "tls")] secure: Secure) -> Arc<Self> {
        Arc::new(Self {
            proxy,
            #[cfg(feature = "tls")]
            secure,
            find: resolver::find,
            abandoned: Arc::default(),
        })
    }

    /// A connection for the current call. (Only what needs no thread happens here: nowhere does
    /// the stack of a helper that speaks plain HTTP get deeper.)
    pub(super) fn connect(self: &Arc<Self>, server: &Server) -> io::Result<Box<Connection>> {
        if !server.is_tls && self.proxy.is_none() {
            if let Some(addresses) = literal(server) {
                return Ok(Connection::new(open(&addresses)?, server.clone(), None));
            }
        }
        self.connect_apart(server.clone())
    }

    /// Makes the connection on a thread of its own, unless too many are abandoned.
    #[inline(never)]
    fn connect_apart(self: &Arc<Self>, server: Server) -> io::Result<Box<Connection>> {
        let current = Current::here()?;
        current.dialled.set(true);
        match self.abandoned.load(Ordering::Relaxed) >= ABANDONED_MAX {
            false => self.borrow_thread(&current, server),
            // A connection without a look-up keeps to the call's limits on any thread.
            true if self.needs_no_look_up(&server) => self.make(&current, server),
            true => Err(Fault::NameNotFound.into()),
        }
    }

    fn needs_no_look_up(&self, server: &Server) -> bool {
        let (proxy, is_literal) = (self.proxy.as_ref(), |server| literal(server).is_some());
        let looks_up = proxy.is_none_or(|proxy| proxy.protocol == ProxyProtocol::Socks5);
        proxy.is_none_or(|proxy| is_literal(&proxy.server)) && (!looks_up || is_literal(server))
    }

    fn borrow_thread(
        self: &Arc<Self>,
        current: &Current,
        server: Server,
    ) -> io::Result<Box<Connection>> {
        let handover = Handover::new(&self.abandoned);
        let (dialler, lent, ending) = (Arc::clone(self), current.lend(), Arc::clone(&handover));
        let work = move || {
            let _ending = Ending(ending);
            let current = lent.enter();
            (dialler.make(&current, server), current.stop())
        };
        let thread = thread::Builder::new().name("aa-connect".to_owned()).stack_size(STACK_BYTES);
        let thread = thread.spawn(work)?;
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
    fn make(&self, current: &Current, server: Server) -> io::Result<Box<Connection>> {
        let Some(proxy) = &self.proxy else {
            let stream = self.secured(self.socket(&server)?, &server)?;
            return Ok(Connection::new(stream, server, None));
        };
        let address = match proxy.protocol {
            ProxyProtocol::Socks5 => addresses(&server, self.find)?.first().copied(),
            _ => None,
        };
        current.set_proxy(Some(proxy.server.to_string()));
        let mut stream = self.secured(self.socket(&proxy.server)?, &proxy.server)?;
        let mut forward = None;
        match proxy.protocol {
            ProxyProtocol::Http if server.is_tls => tunnel::open(&mut *stream, proxy, &server)?,
            ProxyProtocol::Http => forward = Some(tunnel::authorization(proxy)),
            _ => socks::open(&mut *stream, proxy, &server, address)?,
        }
        current.set_proxy(None);
        let stream = self.secured(stream, &server)?;
        Ok(Connection::new(stream, server, forward))
    }

    fn socket(&self, server: &Server) -> io::Result<Box<dyn Stream>> {
        open(&addresses(server, self.find)?)
    }

    /// The stream, with TLS over it where that is wanted.
    #[cfg(feature = "tls")]
    fn secured(&self, stream: Box<dyn Stream>, server: &Server) -> io::Result<Box<dyn Stream>> {
        if !server.is_tls {
            return Ok(stream);
        }
        let mut tls = self.secure.wrap(stream, server)?;
        tls.handshake()?;
        Ok(tls)
    }

    /// (An https endpoint is refused long before this.)
    #[cfg(not(feature = "tls"))]
    fn secured(&self, stream: Box<dyn Stream>, server: &Server) -> io::Result<Box<dyn Stream>> {
        if server.is_tls { Err(io::ErrorKind::Unsupported.into()) } else { Ok(stream) }
    }
}

#[inline(never)]
fn open(addresses: &[SocketAddr]) -> io::Result<Box<dyn Stream>> {
    Ok(Box::new(Socket::dial(addresses)?))
}

#[cfg(test)]
#[path = "dial_tests.rs"]
mod tests;
