//! The signal that a running call should stop.

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use crate::sync::{AtomicBool, Condvar, Mutex, Ordering, lock, now, wait_until};

type Hook = Box<dyn FnOnce() + Send>;

/// Tells a running call that nobody waits for it any more.
///
/// A backend asks it ([`is_cancelled`](Self::is_cancelled)), waits on it
/// ([`wait`](Self::wait)), or leaves a hook with it that wakes what blocks the thread
/// ([`on_cancel`](Self::on_cancel)).
pub struct CancelSignal {
    raised: AtomicBool,
    state: Mutex<State>,
    changed: Condvar,
}

struct State {
    hooks: Vec<(u64, Hook)>,
    next_hook: u64,
    /// Hooks run outside the lock; whoever withdraws one waits until they are through.
    hooks_run: bool,
}

impl CancelSignal {
    pub(crate) fn new() -> Self {
        Self {
            raised: AtomicBool::new(false),
            state: Mutex::new(State { hooks: Vec::new(), next_hook: 0, hooks_run: false }),
            changed: Condvar::new(),
        }
    }

    /// Whether the call should stop.
    pub fn is_cancelled(&self) -> bool {
        self.raised.load(Ordering::Acquire)
    }

    /// Waits until the signal is raised (`true`) or the time is over (`false`). Sleeps in
    /// between; never polls.
    pub fn wait(&self, timeout: Duration) -> bool {
        // A wait that overflows the clock is as good as one without end.
        let until = now().checked_add(timeout);
        let mut state = lock(&self.state);
        while !self.is_cancelled() {
            let Some(woken) = wait_until(&self.changed, state, until) else { return false };
            state = woken;
        }
        true
    }

    /// Leaves a hook that runs once when the signal is raised, on the thread that raises it
    /// (or here and now, if it is raised already). Dropping the guard withdraws it, and waits
    /// until it is through if it just runs. A hook must be short and must not block; a panic
    /// in it is caught.
    pub fn on_cancel(&self, hook: impl FnOnce() + Send + 'static) -> CancelGuard<'_> {
        let mut state = lock(&self.state);
        let id = state.next_hook;
        state.next_hook += 1;
        if self.is_cancelled() {
            drop(state);
            run(Box::new(hook));
        } else {
            state.hooks.push((id, Box::new(hook)));
        }
        CancelGuard { signal: self, id }
    }

    /// Raises the signal. The hooks are handed out, to be run once the caller holds no lock:
    /// they belong to the task that runs now, and its guards wait for them.
    pub(crate) fn raise(&self) -> RaisedHooks<'_> {
        let mut state = lock(&self.state);
        self.raised.store(true, Ordering::Release);
        self.changed.notify_all();
        let hooks = std::mem::take(&mut state.hooks);
        state.hooks_run |= !hooks.is_empty();
        RaisedHooks { signal: self, hooks }
    }

    /// Makes the signal ready for the next task of its thread.
    pub(crate) fn reset(&self) {
        self.raised.store(false, Ordering::Release);
    }
}

fn run(hook: Hook) {
    // The panic hook has told of it already; the cancelled call is over either way.
    let _ = catch_unwind(AssertUnwindSafe(hook));
}

impl fmt::Debug for CancelSignal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CancelSignal").field("cancelled", &self.is_cancelled()).finish()
    }
}

/// The hooks of a raised signal; they run when this is dropped.
#[must_use = "the hooks run when this is dropped: drop it outside every lock"]
pub(crate) struct RaisedHooks<'a> {
    signal: &'a CancelSignal,
    hooks: Vec<(u64, Hook)>,
}

impl Drop for RaisedHooks<'_> {
    fn drop(&mut self) {
        if self.hooks.is_empty() {
            return;
        }
        for (_, hook) in self.hooks.drain(..) {
            run(hook);
        }
        lock(&self.signal.state).hooks_run = false;
        self.signal.changed.notify_all();
    }
}

/// Withdraws a hook when dropped; see [`CancelSignal::on_cancel`].
#[derive(Debug)]
#[must_use = "dropping the guard withdraws the hook"]
pub struct CancelGuard<'a> {
    signal: &'a CancelSignal,
    id: u64,
}

impl Drop for CancelGuard<'_> {
    fn drop(&mut self) {
        let mut state = lock(&self.signal.state);
        let before = state.hooks.len();
        state.hooks.retain(|(id, _)| *id != self.id);
        if state.hooks.len() < before {
            return;
        }
        while state.hooks_run {
            state = match self.signal.changed.wait(state) {
                Ok(state) => state,
                Err(poisoned) => poisoned.into_inner(),
            };
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
        let (told, heard) = mpsc::channel();
        let kept = told.clone();
        let guard = signal.on_cancel(move || kept.send("kept").unwrap());
        drop(signal.on_cancel(move || told.send("withdrawn").unwrap()));
        drop(signal.raise());
        drop(signal.raise());
        drop(guard);
        assert_eq!(heard.iter().collect::<Vec<_>>(), ["kept"]);
    }

    #[test]
    fn whoever_withdraws_a_hook_that_runs_waits_until_it_is_through() {
        let signal = CancelSignal::new();
        let ((told, heard), (go, wait)) = (mpsc::channel(), mpsc::channel::<()>());
        let hook = told.clone();
        let guard = signal.on_cancel(move || {
            hook.send("runs").unwrap();
            let _ = wait.recv();
            hook.send("through").unwrap();
        });
        std::thread::scope(|scope| {
            scope.spawn(|| drop(signal.raise()));
            assert_eq!(heard.recv().unwrap(), "runs");
            scope.spawn(move || {
                drop(guard);
                told.send("withdrawn").unwrap();
            });
            // A guard that did not wait would be heard of in microseconds.
            assert!(heard.recv_timeout(Duration::from_millis(20)).is_err());
            drop(go);
            assert_eq!(heard.iter().collect::<Vec<_>>(), ["through", "withdrawn"]);
        });
    }

    #[test]
    fn a_hook_of_the_next_task_is_withdrawn_while_those_of_the_last_wait_to_run() {
        let signal = CancelSignal::new();
        let (told, heard) = mpsc::channel();
        let last = told.clone();
        let first = signal.on_cancel(move || last.send("last").unwrap());
        let raised = signal.raise();
        signal.reset();
        drop(signal.on_cancel(move || told.send("next").unwrap()));
        drop(raised);
        drop(first);
        assert_eq!(heard.iter().collect::<Vec<_>>(), ["last"]);
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
