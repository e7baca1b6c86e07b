//! Connections made on borrowed threads, whose look-ups the tests decide on.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Barrier, Condvar, Mutex, OnceLock};
use std::time::{Duration, Instant};

use super::super::call::{Limits, Scope};
use super::super::loopback_tests::listen;
use super::super::pool::Pool;
use super::*;
use crate::cancel::CancelSignal;

const SHORT: Duration = Duration::from_millis(20);
const LONG: Duration = Duration::from_secs(60);

fn limits(connect: Duration, deadline: Option<Duration>) -> Limits {
    let deadline = deadline.map(|after| Instant::now() + after);
    Limits { deadline, connect, first_byte: None, idle_before_payload: None, idle: LONG }
}

fn dialler(find: Find) -> Arc<Dialler> {
    let made = Dialler::new(
        None,
        #[cfg(feature = "tls")]
        Secure::new(None),
    );
    let made = Arc::into_inner(made).unwrap();
    Arc::new(Dialler { find, ..made })
}

fn to(host: &str) -> Server {
    Server::new(host, false, 80).unwrap()
}

/// How a call to this host ends: whether it gets a connection, and what of ours stops it.
fn call(
    dialler: &Arc<Dialler>,
    host: &str,
    limits: Limits,
    cancel: &CancelSignal,
) -> (bool, Option<CallStop>) {
    let scope = Scope::enter(cancel, limits);
    (dialler.connect_apart(to(host)).is_ok(), scope.stop())
}

#[test]
fn a_look_up_that_hangs_ends_with_its_limits_or_at_once_when_cancelled() {
    let hanging = dialler(|_, _| {
        thread::park();
        Err(io::ErrorKind::NotFound.into())
    });
    let cancel = CancelSignal::new();
    for (limits, stop) in [
        (limits(SHORT, None), CallStop::Limit(CallPhase::Connect)),
        (limits(LONG, Some(SHORT)), CallStop::Deadline),
    ] {
        assert_eq!(call(&hanging, "slow.test", limits, &cancel), (false, Some(stop)));
    }
    let began = Instant::now();
    thread::scope(|scope| {
        scope.spawn(|| drop(cancel.raise()));
        let outcome = call(&hanging, "slow.test", limits(LONG, None), &cancel);
        assert_eq!(outcome, (false, Some(CallStop::Cancelled)));
    });
    assert!(began.elapsed() < LONG / 2);
    assert_eq!(hanging.abandoned.load(Ordering::Relaxed), 3);
}

#[test]
fn abandoned_threads_are_bounded_and_counted_off_when_they_end() {
    static OPEN: (Mutex<bool>, Condvar) = (Mutex::new(false), Condvar::new());
    static SERVER: OnceLock<TcpListener> = OnceLock::new();
    let server = SERVER.get_or_init(listen);
    let gated = dialler(|_, _| {
        let open = OPEN.0.lock().unwrap();
        drop(OPEN.1.wait_while(open, |open| !*open).unwrap());
        Ok(vec![SERVER.get().unwrap().local_addr()?])
    });
    let cancel = CancelSignal::new();
    for _ in 0..ABANDONED_MAX {
        let (_, stop) = call(&gated, "slow.test", limits(SHORT, None), &cancel);
        assert_eq!(stop, Some(CallStop::Limit(CallPhase::Connect)));
    }
    // Refused at once, while an address needs no such thread.
    assert_eq!(call(&gated, "slow.test", limits(LONG, None), &cancel), (false, None));
    let address = server.local_addr().unwrap().to_string();
    assert_eq!(call(&gated, &address, limits(LONG, None), &cancel), (true, None));
    *OPEN.0.lock().unwrap() = true;
    OPEN.1.notify_all();
    let began = Instant::now();
    while gated.abandoned.load(Ordering::Relaxed) > 0 {
        assert!(began.elapsed() < LONG, "an abandoned thread does not end");
        thread::yield_now();
    }
    assert_eq!(call(&gated, "slow.test", limits(LONG, None), &cancel), (true, None));
}

#[test]
fn calls_that_all_connect_at_once_are_not_refused() {
    const CALLS: usize = 64;
    static ALL: OnceLock<Barrier> = OnceLock::new();
    static SERVER: OnceLock<SocketAddr> = OnceLock::new();
    let server = listen();
    SERVER.get_or_init(|| server.local_addr().unwrap());
    let meeting = dialler(|_, _| {
        ALL.get_or_init(|| Barrier::new(CALLS)).wait();
        Ok(vec![*SERVER.get().unwrap()])
    });
    thread::scope(|scope| {
        let call = || call(&meeting, "cold.test", limits(LONG, None), &CancelSignal::new());
        let calls: Vec<_> = (0..CALLS).map(|_| scope.spawn(call)).collect();
        for call in calls {
            assert_eq!(call.join().unwrap(), (true, None));
        }
    });
}

#[test]
fn a_panic_on_a_borrowed_thread_goes_on_in_the_call() {
    let panicking = dialler(|_, _| panic!("of the look-up"));
    let cancel = CancelSignal::new();
    let payload = catch_unwind(AssertUnwindSafe(|| {
        call(&panicking, "any.test", limits(LONG, None), &cancel);
    }));
    assert_eq!(payload.unwrap_err().downcast_ref(), Some(&"of the look-up"));
    assert_eq!(panicking.abandoned.load(Ordering::Relaxed), 0);
}

#[test]
fn a_kept_connection_costs_no_look_up() {
    static FOUND: AtomicUsize = AtomicUsize::new(0);
    static SERVER: OnceLock<SocketAddr> = OnceLock::new();
    let server = listen();
    SERVER.get_or_init(|| server.local_addr().unwrap());
    let counting = dialler(|_, _| {
        FOUND.fetch_add(1, Ordering::Relaxed);
        Ok(vec![*SERVER.get().unwrap()])
    });
    let pool = Pool::of(counting);
    thread::scope(|scope| {
        scope.spawn(|| {
            let (mut stream, _) = server.accept().unwrap();
            for _ in 0..2 {
                let mut head = Vec::new();
                while !head.ends_with(b"\r\n\r\n") {
                    let mut byte = [0];
                    stream.read_exact(&mut byte).unwrap();
                    head.extend(byte);
                }
                stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").unwrap();
            }
        });
        for _ in 0..2 {
            let cancel = CancelSignal::new();
            let _scope = Scope::enter(&cancel, limits(LONG, None));
            let mut connection = pool.connection(&to("kept.test"), false).unwrap();
            connection.send(b"GET / HTTP/1.1\r\n\r\n".to_vec(), None).unwrap();
            assert_eq!(connection.await_head().unwrap().status, 200);
            pool.keep(connection);
        }
    });
    assert_eq!(FOUND.load(Ordering::Relaxed), 1);
}
