//! Calls to foreign code (backends, tools, callbacks, observers, cancel hooks, and the drop of
//! their values), isolated so that a panic or a recursion in it does no harm.
//!
//! - A panic is caught ([`catch_panic`], [`fence`]), one in a drop too ([`Foreign`]).
//! - The stack does not grow. A job that foreign code causes in turn (a callback cancels a task
//!   whose callback cancels the next) is queued on its thread, and run by the outermost call
//!   once that has returned.
//!
//! Independent of helpers and tasks.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::ops::{Deref, DerefMut};
use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::sync::thread_local;

/// Runs foreign code; returns `None` if it panicked. If the drop of the panic's payload panics in
/// turn, that is caught too, and the payload of that panic is leaked: to drop it could go on so.
pub(crate) fn catch_panic<T>(call: impl FnOnce() -> T) -> Option<T> {
    match catch_unwind(AssertUnwindSafe(call)) {
        Ok(value) => Some(value),
        Err(payload) => {
            if let Err(second) = catch_unwind(AssertUnwindSafe(|| drop(payload))) {
                std::mem::forget(second);
            }
            None
        }
    }
}

thread_local! {
    /// Panics that [`fence`] has caught on this thread.
    static CAUGHT: Cell<u64> = const { Cell::new(0) };
    static NESTS: [Nest; 2] = const { [Nest::new(), Nest::new()] };
}

/// [`catch_panic`] that also counts the panic; see [`count_caught`].
pub(crate) fn fence<T>(call: impl FnOnce() -> T) -> Option<T> {
    let outcome = catch_panic(call);
    if outcome.is_none() {
        CAUGHT.with(|caught| caught.set(caught.get() + 1));
    }
    outcome
}

/// Runs `work`; returns how many panics were caught by [`fence`] on this thread meanwhile.
pub(crate) fn count_caught(work: impl FnOnce()) -> u64 {
    let before = CAUGHT.with(Cell::get);
    work();
    CAUGHT.with(Cell::get) - before
}

/// A value from foreign code: a panic in its drop is caught wherever it is dropped.
pub(crate) struct Foreign<T>(Option<T>);

impl<T> Foreign<T> {
    pub(crate) fn new(value: T) -> Self {
        Self(Some(value))
    }

    /// The value itself. The caller must catch its panics from then on.
    pub(crate) fn into_inner(mut self) -> T {
        self.0.take().unwrap_or_else(|| gone())
    }
}

fn gone() -> ! {
    // Only `into_inner` and the drop take the value, and both end its owner.
    unreachable!()
}

impl<T> Deref for Foreign<T> {
    type Target = T;

    fn deref(&self) -> &T {
        self.0.as_ref().unwrap_or_else(|| gone())
    }
}

impl<T> DerefMut for Foreign<T> {
    fn deref_mut(&mut self) -> &mut T {
        self.0.as_mut().unwrap_or_else(|| gone())
    }
}

impl<T> Drop for Foreign<T> {
    fn drop(&mut self) {
        if let Some(value) = self.0.take() {
            fence(|| drop(value));
        }
    }
}

type Job = Box<dyn FnOnce()>;

/// The kinds of calls that may nest.
#[derive(Clone, Copy)]
enum Kind {
    /// Observers, and cancel hooks.
    Observer,
    Callback,
}

/// The depth of one kind of calls on one thread, and the jobs deferred until the outermost
/// returns.
struct Nest {
    entered: Cell<bool>,
    deferred: RefCell<VecDeque<Job>>,
}

impl Nest {
    const fn new() -> Self {
        Self { entered: Cell::new(false), deferred: RefCell::new(VecDeque::new()) }
    }
}

/// This thread's calls of a kind. `None` on a thread that is ending, whose thread-locals are
/// destroyed: nothing is deferred there.
fn with_nest<T>(kind: Kind, look: impl FnOnce(&Nest) -> T) -> Option<T> {
    NESTS.try_with(|nests| look(&nests[kind as usize])).ok()
}

fn is_inside(kind: Kind) -> bool {
    with_nest(kind, |nest| nest.entered.get()).unwrap_or(false)
}

/// Makes the call. The outermost call then also runs the deferred jobs, one after the other.
fn enter(kind: Kind, call: &mut dyn FnMut()) {
    /// Leaves the nest, even if a deferred job panics.
    struct Leave(Kind);

    impl Drop for Leave {
        fn drop(&mut self) {
            with_nest(self.0, |nest| nest.entered.set(false));
        }
    }

    if with_nest(kind, |nest| nest.entered.replace(true)) != Some(false) {
        return call();
    }
    let _leave = Leave(kind);
    call();
    let next = || with_nest(kind, |nest| nest.deferred.borrow_mut().pop_front()).flatten();
    while let Some(job) = next() {
        job();
    }
}

/// Runs the job once no call of this kind runs on this thread.
fn after(kind: Kind, job: Job) {
    with_nest(kind, |nest| nest.deferred.borrow_mut().push_back(job));
}

/// Calls an observer or a cancel hook; `None` if it panicked.
pub(crate) fn observe(call: impl FnOnce()) -> Option<()> {
    let (mut call, mut outcome) = (Some(call), None);
    enter(Kind::Observer, &mut || outcome = call.take().and_then(catch_panic));
    outcome
}

/// Whether an observer or a cancel hook runs on this thread.
pub(crate) fn in_observer() -> bool {
    is_inside(Kind::Observer)
}

/// Runs the job as soon as no observer runs on this thread.
pub(crate) fn after_observers(job: impl FnOnce() + 'static) {
    if in_observer() { after(Kind::Observer, Box::new(job)) } else { job() }
}

/// Runs a callback now, or once the one that runs on this thread has returned.
pub(crate) fn call_back(job: impl FnOnce() + 'static) {
    if in_callback() {
        return after(Kind::Callback, Box::new(job));
    }
    let mut job = Some(job);
    enter(Kind::Callback, &mut || job.take().map_or((), |job| job()));
}

/// Whether a callback runs on this thread.
pub(crate) fn in_callback() -> bool {
    is_inside(Kind::Callback)
}

#[cfg(all(test, not(shuttle)))]
mod tests {
    #![allow(clippy::panic)]
    use super::*;
    use std::rc::Rc;

    struct DropPanics;

    impl Drop for DropPanics {
        fn drop(&mut self) {
            panic!("planted");
        }
    }

    #[test]
    fn a_panic_in_a_drop_is_caught_and_counted_and_the_other_values_are_dropped() {
        let several = vec![Foreign::new(DropPanics), Foreign::new(DropPanics)];
        assert_eq!(count_caught(|| drop(several)), 2);
        let payload = || std::panic::panic_any(DropPanics);
        assert_eq!(count_caught(|| assert!(fence(payload).is_none())), 1);
        // Even while its thread is already unwinding.
        let unwinds = catch_panic(|| {
            let _held = Foreign::new(DropPanics);
            panic!("planted");
        });
        assert!(unwinds.is_none());
        assert_eq!(count_caught(|| std::mem::forget(Foreign::new(DropPanics).into_inner())), 0);
    }

    #[test]
    fn what_a_callback_causes_comes_after_it_on_a_flat_stack() {
        const LINKS: usize = 100_000;
        fn link(left: usize, ran: Rc<Cell<usize>>) {
            ran.set(ran.get() + 1);
            if left > 0 {
                call_back(move || link(left - 1, ran));
            }
        }
        let ran = Rc::new(Cell::new(0));
        let counter = Rc::clone(&ran);
        call_back(move || link(LINKS, counter));
        assert_eq!((ran.get(), in_callback()), (LINKS + 1, false));
    }

    #[test]
    fn what_an_observer_defers_is_done_when_the_outermost_has_returned() {
        let order = Rc::new(RefCell::new(Vec::new()));
        let note = |word: &'static str| {
            let order = Rc::clone(&order);
            move || order.borrow_mut().push(word)
        };
        after_observers(note("at once"));
        observe(|| {
            assert!(in_observer());
            after_observers(note("deferred"));
            observe(|| after_observers(note("deferred too")));
            note("observer")();
        });
        assert!(!in_observer());
        assert!(observe(|| panic!("planted")).is_none());
        assert!(!in_observer(), "a panic leaves nothing behind");
        assert_eq!(*order.borrow(), ["at once", "observer", "deferred", "deferred too"]);
    }
}
