//! The signal that a running call should stop.

use std::fmt;
use std::time::Duration;

use crate::foreign::{self, Foreign};
use crate::sync::{Arc, AtomicBool, Condvar, Mutex, MutexGuard, Ordering, lock, now, wait_until};

type Hook = Box<dyn FnOnce() + Send>;

/// Signals a running call that its result is no longer needed.
///
/// A backend polls it ([`is_cancelled`](Self::is_cancelled)), waits on it ([`wait`](Self::wait)),
/// or registers a hook that wakes a blocked thread ([`on_cancel`](Self::on_cancel)).
pub struct CancelSignal(Arc<Signal>);

struct Signal {
    raised: AtomicBool,
    hooks: Mutex<Hooks>,
    changed: Condvar,
}

struct Hooks {
    waiting: Vec<(u64, Foreign<Hook>)>,
    next: u64,
    /// Hooks run outside the lock; withdrawing a hook waits until it has returned.
    run: bool,
    /// Whether those that wait are about to run.
    due: bool,
}

impl CancelSignal {
    pub(crate) fn new() -> Self {
        Self(Arc::new(Signal {
            raised: AtomicBool::new(false),
            hooks: Mutex::new(Hooks { waiting: Vec::new(), next: 0, run: false, due: false }),
            changed: Condvar::new(),
        }))
    }

    /// Whether the call should stop.
    pub fn is_cancelled(&self) -> bool {
        self.0.raised.load(Ordering::Acquire)
    }

    /// Waits until the signal is raised (`true`) or the time is over (`false`). The thread
    /// sleeps; it does not poll.
    pub fn wait(&self, timeout: Duration) -> bool {
        // A wait too long for the clock counts as endless.
        let until = now().checked_add(timeout);
        let mut hooks = lock(&self.0.hooks);
        while !self.is_cancelled() {
            let Some(woken) = wait_until(&self.0.changed, hooks, until) else { return false };
            hooks = woken;
        }
        true
    }

    /// Registers a hook that runs once when the signal is raised, on the thread that raises it
    /// (or immediately, if it is raised already). Dropping the guard withdraws the hook; if it is
    /// running, the drop waits until it has returned. A hook whose guard is forgotten is withdrawn
    /// when the backend returns. A hook must be short and must not block: `cancel_task` waits for
    /// it (a stop does not). A panic in it is caught. A task that a hook ends is ended after the
    /// hook has returned.
    pub fn on_cancel(&self, hook: impl FnOnce() + Send + 'static) -> CancelGuard<'_> {
        let hook: Foreign<Hook> = Foreign::new(Box::new(hook));
        let mut hooks = lock(&self.0.hooks);
        let id = hooks.next;
        hooks.next += 1;
        if self.is_cancelled() {
            drop(hooks);
            run(hook);
        } else {
            hooks.waiting.push((id, hook));
        }
        CancelGuard { signal: &self.0, id }
    }

    /// Raises the signal. Returns the hooks, to be run once the caller holds no lock: they belong
    /// to the task that runs now, and its guards wait for them.
    pub(crate) fn raise(&self) -> RaisedHooks {
        let mut hooks = lock(&self.0.hooks);
        self.0.raised.store(true, Ordering::Release);
        self.0.changed.notify_all();
        let waiting = std::mem::take(&mut hooks.waiting);
        hooks.run |= !waiting.is_empty();
        hooks.due = false;
        RaisedHooks { signal: Arc::clone(&self.0), hooks: waiting }
    }

    /// Raises the signal; returns whether hooks are left to be run, by [`raise`](Self::raise).
    pub(crate) fn raise_without_hooks(&self) -> bool {
        let mut hooks = lock(&self.0.hooks);
        self.0.raised.store(true, Ordering::Release);
        self.0.changed.notify_all();
        hooks.due = !hooks.waiting.is_empty();
        hooks.due
    }

    /// Drops the hooks whose guards were forgotten. The caller holds no lock.
    pub(crate) fn withdraw_all(&self) {
        let waiting = std::mem::take(&mut lock(&self.0.hooks).waiting);
        drop(waiting);
    }

    /// Makes the signal ready for the next task of its thread.
    pub(crate) fn reset(&self) {
        self.0.raised.store(false, Ordering::Release);
    }
}

/// Runs a hook as an observer is called: a task that it ends is ended afterwards.
fn run(hook: Foreign<Hook>) {
    // The panic hook has reported it already; the cancelled call ends in either case.
    foreign::observe(hook.into_inner());
}

impl fmt::Debug for CancelSignal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CancelSignal").field("cancelled", &self.is_cancelled()).finish()
    }
}

/// The hooks of a raised signal; they run when this is dropped.
#[must_use = "the hooks run when this is dropped: drop it outside every lock"]
pub(crate) struct RaisedHooks {
    signal: Arc<Signal>,
    hooks: Vec<(u64, Foreign<Hook>)>,
}

impl Drop for RaisedHooks {
    fn drop(&mut self) {
        if self.hooks.is_empty() {
            return;
        }
        for (_, hook) in self.hooks.drain(..) {
            run(hook);
        }
        lock(&self.signal.hooks).run = false;
        self.signal.changed.notify_all();
    }
}

fn wait<'a>(changed: &Condvar, hooks: MutexGuard<'a, Hooks>) -> MutexGuard<'a, Hooks> {
    changed.wait(hooks).unwrap_or_else(|poisoned| poisoned.into_inner())
}

/// Withdraws a hook when dropped; see [`CancelSignal::on_cancel`].
#[must_use = "dropping the guard withdraws the hook"]
pub struct CancelGuard<'a> {
    signal: &'a Signal,
    id: u64,
}

impl fmt::Debug for CancelGuard<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CancelGuard").field("id", &self.id).finish_non_exhaustive()
    }
}

impl Drop for CancelGuard<'_> {
    fn drop(&mut self) {
        let mut hooks = lock(&self.signal.hooks);
        while hooks.due {
            hooks = wait(&self.signal.changed, hooks);
        }
        let at = hooks.waiting.iter().position(|(id, _)| *id == self.id);
        if let Some(withdrawn) = at.map(|at| hooks.waiting.remove(at)) {
            drop(hooks);
            drop(withdrawn);
            return;
        }
        while hooks.run {
            hooks = wait(&self.signal.changed, hooks);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc;

    #[test]
    fn a_hook_runs_once_and_a_withdrawn_one_never() {
        let signal = CancelSignal::new();
        let (sender, receiver) = mpsc::channel();
        let kept = sender.clone();
        let guard = signal.on_cancel(move || kept.send("kept").unwrap());
        drop(signal.on_cancel(move || sender.send("withdrawn").unwrap()));
        drop(signal.raise());
        drop(signal.raise());
        drop(guard);
        assert_eq!(receiver.iter().collect::<Vec<_>>(), ["kept"]);
    }

    #[test]
    fn withdrawing_a_running_hook_waits_until_it_has_returned() {
        let signal = CancelSignal::new();
        let ((sender, receiver), (go, wait)) = (mpsc::channel(), mpsc::channel::<()>());
        let hook = sender.clone();
        let guard = signal.on_cancel(move || {
            hook.send("runs").unwrap();
            let _ = wait.recv();
            hook.send("through").unwrap();
        });
        std::thread::scope(|scope| {
            scope.spawn(|| drop(signal.raise()));
            assert_eq!(receiver.recv().unwrap(), "runs");
            scope.spawn(move || {
                drop(guard);
                sender.send("withdrawn").unwrap();
            });
            // A guard that did not wait would be dropped within microseconds.
            assert!(receiver.recv_timeout(Duration::from_millis(20)).is_err());
            drop(go);
            assert_eq!(receiver.iter().collect::<Vec<_>>(), ["through", "withdrawn"]);
        });
    }

    #[test]
    fn a_hook_of_the_next_task_is_withdrawn_while_those_of_the_last_wait_to_run() {
        let signal = CancelSignal::new();
        let (sender, receiver) = mpsc::channel();
        let last = sender.clone();
        let first = signal.on_cancel(move || last.send("last").unwrap());
        let raised = signal.raise();
        signal.reset();
        drop(signal.on_cancel(move || sender.send("next").unwrap()));
        drop(raised);
        drop(first);
        assert_eq!(receiver.iter().collect::<Vec<_>>(), ["last"]);
    }

    #[test]
    fn a_hook_that_is_due_is_not_withdrawn_by_its_guard() {
        let signal = CancelSignal::new();
        let (sender, receiver) = mpsc::channel();
        let guard = signal.on_cancel(move || sender.send("ran").unwrap());
        assert!(signal.raise_without_hooks());
        std::thread::scope(|scope| {
            scope.spawn(move || drop(guard));
            drop(signal.raise());
        });
        assert_eq!(receiver.iter().collect::<Vec<_>>(), ["ran"]);
        assert!(!signal.raise_without_hooks());
    }

    #[test]
    fn a_raised_signal_ends_every_wait_at_once() {
        let signal = CancelSignal::new();
        assert!(!signal.wait(Duration::ZERO));
        drop(signal.raise());
        assert!(signal.wait(Duration::MAX));
        signal.reset();
        assert!(!signal.is_cancelled());
    }
}
