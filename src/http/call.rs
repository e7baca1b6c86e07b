//! The call that a thread is in: its limits in time, and the one connection it may use.
//!
//! TLS reads and writes its socket by std's traits, which have no place for a call's own limits or
//! cancel signal. Both run on the same thread, so they meet here. A connection belongs to one call
//! at a time, and a canceller can only cut the connection while it still belongs to its call.

use std::cell::{Cell, RefCell};
use std::io;
use std::net::{Shutdown, TcpStream};
use std::rc::Rc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, Weak};
use std::time::{Duration, Instant};

use super::handover::Handover;
use crate::cancel::{CancelGuard, CancelSignal};
use crate::sync::{lock, now};

/// How far a call has come. Each phase has its own limit, on top of the call's deadline.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum CallPhase {
    /// Name look-up, connecting, proxy and TLS.
    Connect,
    /// The request is on its way.
    Send,
    /// The reply's first bytes are awaited: headers, and the first payload.
    FirstByte,
    /// The reply is on its way.
    Body,
}

/// Why a call was ended by our side.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum CallStop {
    /// Its task was cancelled.
    Cancelled,
    /// The call's deadline has passed.
    Deadline,
    /// The limit of this phase has passed.
    Limit(CallPhase),
}

/// A call's limits in time.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    /// When all must be over.
    pub(crate) deadline: Option<Instant>,
    /// From the start to a connection that is ready for the request.
    pub(crate) connect: Duration,
    /// From the sent request to the reply's first payload.
    pub(crate) first_byte: Option<Duration>,
    /// From the reply's headers to its first payload.
    pub(crate) idle_before_payload: Option<Duration>,
    /// Between two chunks of payload.
    pub(crate) idle: Duration,
}

/// The part of a call that other threads can reach: its canceller, and the thread that makes
/// its connection.
#[derive(Default)]
pub(super) struct Link {
    cancelled: AtomicBool,
    held: Mutex<CallWaits>,
    /// The proxy that the connection goes through, until it stands.
    proxy: Mutex<Option<String>>,
}

/// The operation that a call waits in.
#[derive(Default)]
struct CallWaits {
    connection: Option<Arc<Cuttable>>,
    /// A thread makes the connection.
    handover: Option<Arc<Handover>>,
}

impl Link {
    /// Wakes the call out of whatever it waits for. (Where its own thread opens a TCP connection
    /// it cannot be interrupted; the connect time-out ends that.)
    fn cancel(self: &Arc<Self>) {
        // First the flag, then what is held; the call does it the other way round, so that
        // one of the two always sees the other.
        self.cancelled.store(true, Ordering::Release);
        let held = std::mem::take(&mut *lock(&self.held));
        if let Some(connection) = held.connection {
            connection.cut(self);
        }
        if let Some(handover) = held.handover {
            handover.abandon();
        }
    }
}

/// A TCP connection that another thread can cut.
pub(super) struct Cuttable {
    pub(super) stream: TcpStream,
    owner: Mutex<CuttableOwner>,
}

struct CuttableOwner {
    link: Weak<Link>,
    cut: bool,
}

impl Cuttable {
    /// A connection that this call has opened, and that is the call's from the start.
    pub(super) fn new(stream: TcpStream, current: &Current) -> Arc<Self> {
        let owner = CuttableOwner { link: Arc::downgrade(&current.link), cut: false };
        Arc::new(Self { stream, owner: Mutex::new(owner) })
    }

    /// Ends every wait on this connection, unless it has gone over to another call.
    fn cut(&self, link: &Arc<Link>) {
        let mut owner = lock(&self.owner);
        if owner.link.as_ptr() == Arc::as_ptr(link) {
            owner.cut = true;
            // An error means that it is closed already.
            let _ = self.stream.shutdown(Shutdown::Both);
        }
    }

    /// Makes the connection the current call's; `false` if it must not be used. The pool
    /// asks this when it hands a connection out and when it takes it back.
    pub(super) fn claim(&self) -> bool {
        let Some(current) = Current::get() else { return false };
        let mut owner = lock(&self.owner);
        if owner.cut {
            return false;
        }
        owner.link = Arc::downgrade(&current.link);
        true
    }
}

thread_local! {
    static CURRENT: RefCell<Option<Rc<Current>>> = const { RefCell::new(None) };
}

/// The call that this thread is in.
pub(super) struct Current {
    link: Arc<Link>,
    pub(super) limits: Limits,
    started: Instant,
    phase: Cell<CallPhase>,
    /// When the phase must be over.
    until: Cell<Option<Instant>>,
    stop: Cell<Option<CallStop>>,
    /// This call opened a connection of its own.
    pub(super) dialled: Cell<bool>,
    /// The system has taken bytes of the request: the server may have read them.
    sent: Cell<bool>,
    /// Time from the start to the reply's first byte.
    pub(super) first_byte: Cell<Option<Duration>>,
    /// The connection that `link` holds, to spare the lock on every read.
    held: RefCell<Option<Arc<Cuttable>>>,
}

/// A call on its way to a thread that makes its connection.
pub(super) struct Lent {
    link: Arc<Link>,
    limits: Limits,
    until: Option<Instant>,
}

impl Lent {
    /// Makes the call this thread's own for the rest of the thread.
    pub(super) fn enter(self) -> Rc<Current> {
        let current = Current::new(self.link, self.limits, self.until);
        CURRENT.with(|slot| slot.replace(Some(Rc::clone(&current))));
        current
    }
}

impl Current {
    fn new(link: Arc<Link>, limits: Limits, until: Option<Instant>) -> Rc<Self> {
        Rc::new(Self {
            link,
            limits,
            started: Instant::now(),
            phase: Cell::new(CallPhase::Connect),
            until: Cell::new(until),
            stop: Cell::new(None),
            dialled: Cell::new(false),
            sent: Cell::new(false),
            first_byte: Cell::new(None),
            held: RefCell::new(None),
        })
    }

    /// The call, for a thread that makes its connection.
    pub(super) fn lend(&self) -> Lent {
        Lent { link: Arc::clone(&self.link), limits: self.limits, until: self.until.get() }
    }

    pub(super) fn get() -> Option<Rc<Self>> {
        CURRENT.with(|current| current.borrow().clone())
    }

    /// The same for code that can only fail: there is always a call where connections are used.
    pub(super) fn here() -> io::Result<Rc<Self>> {
        Self::get().ok_or_else(|| io::ErrorKind::NotConnected.into())
    }

    /// Passes this connection to the threads that may cancel the call.
    pub(super) fn hold(&self, connection: &Arc<Cuttable>) -> io::Result<()> {
        let mut held = self.held.borrow_mut();
        if !held.as_ref().is_some_and(|held| Arc::ptr_eq(held, connection)) {
            connection.claim();
            lock(&self.link.held).connection = Some(Arc::clone(connection));
            *held = Some(Arc::clone(connection));
        }
        self.check_cancelled()
    }

    /// Waits until the thread that makes the connection ends (`true`), or the call is over.
    pub(super) fn await_end(&self, handover: &Arc<Handover>) -> io::Result<bool> {
        lock(&self.link.held).handover = Some(Arc::clone(handover));
        let left = self.check_cancelled().and_then(|()| self.left());
        let until = match left {
            Ok(left) => left.and_then(|left| now().checked_add(left)),
            Err(stopped) => {
                handover.abandon();
                return Err(stopped);
            }
        };
        let ended = handover.wait(until);
        lock(&self.link.held).handover = None;
        Ok(ended)
    }

    /// Notes the proxy that the connection goes through, or that it stands.
    pub(super) fn set_proxy(&self, name: Option<String>) {
        *lock(&self.link.proxy) = name;
    }

    /// The proxy that the connection did not get through.
    pub(super) fn take_proxy(&self) -> Option<String> {
        lock(&self.link.proxy).take()
    }

    pub(super) fn check_cancelled(&self) -> io::Result<()> {
        if self.link.cancelled.load(Ordering::Acquire) {
            return Err(self.stopped(CallStop::Cancelled));
        }
        Ok(())
    }

    /// Why the call was ended by our side, if it was.
    pub(super) fn stop(&self) -> Option<CallStop> {
        self.stop.get()
    }

    /// Notes why the call ends, and makes the error that says no more than that. (Its kind is one
    /// that no layer takes for the end of a body.)
    pub(super) fn stopped(&self, stop: CallStop) -> io::Error {
        if self.stop.get().is_none() {
            self.stop.set(Some(stop));
        }
        io::ErrorKind::TimedOut.into()
    }

    /// Time left for the next wait; `None` if there is no limit.
    pub(super) fn left(&self) -> io::Result<Option<Duration>> {
        let deadline = self.limits.deadline.map(|at| (at, CallStop::Deadline));
        let phase = self.until.get().map(|at| (at, CallStop::Limit(self.phase.get())));
        let first = match (deadline, phase) {
            (Some(a), Some(b)) => Some(if b.0 < a.0 { b } else { a }),
            (a, b) => a.or(b),
        };
        let Some((at, stop)) = first else { return Ok(None) };
        let left = at.saturating_duration_since(Instant::now());
        if left.is_zero() { Err(self.stopped(stop)) } else { Ok(Some(left)) }
    }

    /// Begins a phase, which this limit ends.
    pub(super) fn enter(&self, phase: CallPhase, limit: Option<Duration>) {
        self.phase.set(phase);
        // A limit beyond the clock's end is none.
        self.until.set(limit.and_then(|limit| Instant::now().checked_add(limit)));
    }

    /// The connection stands; the request goes out.
    pub(super) fn sending(&self) {
        self.enter(CallPhase::Send, None);
    }

    pub(super) fn is_sending(&self) -> bool {
        self.phase.get() == CallPhase::Send
    }

    /// Notes that so many bytes went out.
    pub(super) fn note_sent(&self, bytes: usize) {
        if bytes > 0 && self.is_sending() {
            self.sent.set(true);
        }
    }

    /// Whether this call has a kept connection that has taken nothing of the request yet.
    pub(super) fn is_untouched(&self) -> bool {
        !self.dialled.get() && !self.sent.get()
    }

    /// The request is out; the reply is awaited.
    pub(super) fn awaiting(&self) {
        if self.phase.get() == CallPhase::Send {
            self.enter(CallPhase::FirstByte, self.limits.first_byte);
        }
    }

    /// Something came.
    pub(super) fn received(&self) {
        if self.first_byte.get().is_none() && self.phase.get() == CallPhase::FirstByte {
            self.first_byte.set(Some(self.started.elapsed()));
            if self.limits.first_byte.is_none() {
                self.enter(CallPhase::FirstByte, self.limits.idle_before_payload);
            }
        }
    }
}

/// One call, from here to its drop: registered with the thread and with the cancel signal.
pub(super) struct Scope<'a> {
    pub(super) current: Rc<Current>,
    outer: Option<Rc<Current>>,
    _guard: CancelGuard<'a>,
}

impl<'a> Scope<'a> {
    pub(super) fn enter(cancel: &'a CancelSignal, limits: Limits) -> Self {
        let link = Arc::new(Link::default());
        let hook = Arc::clone(&link);
        let current = Current::new(link, limits, None);
        current.enter(CallPhase::Connect, Some(limits.connect));
        let guard = cancel.on_cancel(move || hook.cancel());
        let outer = CURRENT.with(|slot| slot.replace(Some(Rc::clone(&current))));
        Self { current, outer, _guard: guard }
    }

    /// Why our side ended the call, if it did.
    pub(super) fn stop(&self) -> Option<CallStop> {
        // A cut connection can look like the clean end of a body: the flag distinguishes them.
        if self.current.link.cancelled.load(Ordering::Acquire) {
            return Some(CallStop::Cancelled);
        }
        self.current.stop.get()
    }

    /// Whether the request is out, and so the connection stood.
    pub(super) fn awaits_reply(&self) -> bool {
        matches!(self.current.phase.get(), CallPhase::FirstByte | CallPhase::Body)
    }
}

impl Drop for Scope<'_> {
    fn drop(&mut self) {
        *lock(&self.current.link.held) = CallWaits::default();
        let outer = self.outer.take();
        CURRENT.with(|slot| *slot.borrow_mut() = outer);
    }
}
