//! Connections that are kept between requests, each pool shared by all helpers that can share it.

use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, Weak};
use std::time::{Duration, Instant};

use super::Setup;
use super::connection::Connection;
use super::dial::Dialler;
use super::proxy::{self, Proxy};
use super::server::Server;
use crate::connections::Connections;
use crate::error::Error;
use crate::sync::lock;

/// An idle connection of this age serves no more; the next call closes it, to whichever server it
/// goes. llama.cpp closes idle ones at 5 s: less is safe.
const IDLE_AGE_MAX: Duration = Duration::from_secs(4);
/// Most idle connections kept for one server. Helpers with more threads than this open new
/// ones now and then.
const IDLE_PER_SERVER_MAX: usize = 16;
/// Most idle connections kept altogether. Their buffers are given back while they are idle,
/// but each has a socket (and over TLS a session, and what rustls reads into, 4 KiB or more).
const IDLE_MAX: usize = 32;

/// The settings that all connections of a pool have in common: the proxy, and the file of roots.
type PoolKind = (Option<Proxy>, Option<PathBuf>);

/// Makes and keeps connections.
pub(super) struct Pool {
    kind: PoolKind,
    dialler: Arc<Dialler>,
    /// The oldest first.
    idle: Mutex<Vec<(Instant, Box<Connection>)>>,
}

/// All pools of some helpers. They live as long as a helper holds them.
#[derive(Default)]
struct Pools(Mutex<Vec<Weak<Pool>>>);

/// The pool for this setup.
pub(super) fn find(connections: &Connections, setup: &Setup<'_>) -> Result<Arc<Pool>, Error> {
    let roots = setup.roots.filter(|_| setup.endpoint.is_https());
    let kind: PoolKind = (proxy::choose(setup)?, roots.map(PathBuf::from));
    let pools = connections.shared::<Pools>();
    if let Some(found) = pools.and_then(|pools| pools.find(&kind)) {
        return Ok(found);
    }
    // Outside the list's lock: it may read a file.
    #[cfg(feature = "tls")]
    let secure = super::tls::Secure::new(roots.map(super::roots::read).transpose()?);
    let dialler = Dialler::new(
        kind.0.clone(),
        #[cfg(feature = "tls")]
        secure,
    );
    let made = Arc::new(Pool { kind, dialler, idle: Mutex::default() });
    Ok(match pools {
        Some(pools) => pools.add(made),
        None => made,
    })
}

impl Pools {
    fn find(&self, kind: &PoolKind) -> Option<Arc<Pool>> {
        lock(&self.0).iter().filter_map(Weak::upgrade).find(|pool| pool.kind == *kind)
    }

    /// Adds a pool, unless another thread was quicker.
    fn add(&self, made: Arc<Pool>) -> Arc<Pool> {
        let mut list = lock(&self.0);
        list.retain(|pool| pool.strong_count() > 0);
        if let Some(found) = list.iter().filter_map(Weak::upgrade).find(|p| p.kind == made.kind) {
            return found;
        }
        list.push(Arc::downgrade(&made));
        made
    }
}

impl Pool {
    #[cfg(any(test, feature = "_fuzz"))]
    pub(super) fn of(dialler: Arc<Dialler>) -> Self {
        Self { kind: (None, None), dialler, idle: Mutex::default() }
    }

    /// A connection to this server for the current call: one that was kept, unless it must be a
    /// `fresh` one.
    pub(super) fn connection(&self, server: &Server, fresh: bool) -> io::Result<Box<Connection>> {
        match self.kept(server, fresh) {
            Some(kept) => Ok(kept),
            None => self.dialler.connect(server),
        }
    }

    pub(super) fn kept(&self, server: &Server, fresh: bool) -> Option<Box<Connection>> {
        loop {
            let mut found = self.take(server, fresh)?;
            if found.is_open(true) {
                return Some(found);
            }
        }
    }

    /// Takes out the connection that was kept longest. Those that are too old are closed, and all
    /// to a server that has just closed one: the others will be no better.
    fn take(&self, server: &Server, fresh: bool) -> Option<Box<Connection>> {
        let mut idle = lock(&self.idle);
        let is_out = |(since, kept): &mut (Instant, Box<Connection>)| {
            since.elapsed() >= IDLE_AGE_MAX || (fresh && kept.server == *server)
        };
        let out: Vec<_> = idle.extract_if(.., is_out).collect();
        let at = idle.iter().position(|(_, kept)| kept.server == *server);
        let found = at.map(|at| idle.remove(at).1);
        drop(idle);
        // Only now: closing is the system's.
        drop(out);
        found
    }

    /// Keeps a connection whose reply was read to its end.
    pub(super) fn keep(&self, mut connection: Box<Connection>) {
        if !connection.is_open(false) {
            return;
        }
        let mut idle = lock(&self.idle);
        let is_same = |(_, kept): &(Instant, Box<Connection>)| kept.server == connection.server;
        let surplus = match idle.iter().filter(|kept| is_same(kept)).count() {
            IDLE_PER_SERVER_MAX.. => idle.iter().position(is_same),
            _ => (idle.len() >= IDLE_MAX).then_some(0),
        };
        let surplus = surplus.map(|at| idle.remove(at));
        idle.push((Instant::now(), connection));
        drop(idle);
        drop(surplus);
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write, empty, sink};

    use super::super::socket::Stream;
    use super::*;

    /// A connection on which nothing comes, counted by its pointer while it is open.
    struct Silent {
        _counted: Arc<()>,
    }

    impl Stream for Silent {
        fn is_open(&mut self, _: bool) -> bool {
            true
        }

        fn await_text(&mut self) -> io::Result<()> {
            Ok(())
        }

        fn has_input(&self) -> bool {
            false
        }

        fn has_text(&mut self) -> io::Result<bool> {
            Ok(false)
        }
    }

    impl Read for Silent {
        fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
            empty().read(into)
        }
    }

    impl Write for Silent {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            sink().write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn idle_connections_are_bounded_and_closed_by_age_by_a_fresh_one_and_with_the_pool() {
        let dialler = Dialler::new(
            None,
            #[cfg(feature = "tls")]
            super::super::tls::Secure::new(None),
        );
        let (pool, all) = (Pool::of(dialler), Arc::new(()));
        let open = || Arc::strong_count(&all) - 1;
        let [a, b, c] = ["a", "b", "c"].map(|host| Server::new(host, false, 80).unwrap());
        let keep = |server: &Server, count| {
            for _ in 0..count {
                let stream = Silent { _counted: Arc::clone(&all) };
                pool.keep(Connection::new(Box::new(stream), server.clone(), None));
            }
        };
        keep(&a, IDLE_PER_SERVER_MAX + 5);
        assert_eq!(open(), IDLE_PER_SERVER_MAX);
        keep(&b, IDLE_PER_SERVER_MAX);
        // The oldest are closed.
        keep(&c, 3);
        assert_eq!(open(), IDLE_MAX);
        assert!(pool.kept(&c, false).is_some());
        assert_eq!(open(), IDLE_MAX - 1);
        assert!(pool.kept(&b, true).is_none());
        assert_eq!(open(), IDLE_MAX - 1 - IDLE_PER_SERVER_MAX);
        for (since, _) in lock(&pool.idle).iter_mut() {
            *since = since.checked_sub(IDLE_AGE_MAX).unwrap();
        }
        assert!(pool.kept(&a, false).is_none());
        assert_eq!(open(), 0);
        keep(&a, 2);
        drop(pool);
        assert_eq!(open(), 0);
    }
}
