//! The thread that wakes a worker which waits for the server.

use std::sync::{Mutex, PoisonError};
use std::thread::{Builder, JoinHandle};

/// A call that the caller does not wait for, made at most once, and joined at the worker's end.
#[derive(Default)]
pub(super) struct Waking(Mutex<State>);

#[derive(Default)]
struct State {
    thread: Option<JoinHandle<()>>,
    has_ended: bool,
}

impl Waking {
    /// Makes the call on a thread of its own, unless that was done or the worker has ended. Where
    /// no thread can be had, the call is left out.
    pub(super) fn begin(&self, call: impl FnOnce() + Send + 'static) {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if state.thread.is_none() && !state.has_ended {
            state.thread = Builder::new().spawn(call).ok();
        }
    }

    /// Waits for the call to return, and admits no further one.
    pub(super) fn end(&self) {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        state.has_ended = true;
        let thread = state.thread.take();
        drop(state);
        // The call does not panic: it is a command to the server.
        let _ = thread.map(JoinHandle::join);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU32, Ordering};
    use std::sync::mpsc::channel;

    use super::*;

    #[test]
    fn the_end_joins_the_one_call_and_admits_no_other() {
        let (waking, calls) = (Arc::new(Waking::default()), Arc::new(AtomicU32::new(0)));
        let (go, gone) = channel::<()>();
        let count = |wait: Option<std::sync::mpsc::Receiver<()>>| {
            let calls = Arc::clone(&calls);
            move || {
                wait.map(|gone| gone.recv());
                calls.fetch_add(1, Ordering::SeqCst);
            }
        };
        waking.begin(count(Some(gone)));
        waking.begin(count(None));
        let ended = Arc::clone(&waking);
        let counted = Arc::clone(&calls);
        let end = std::thread::spawn(move || {
            ended.end();
            counted.load(Ordering::SeqCst)
        });
        go.send(()).unwrap();
        assert_eq!(end.join().unwrap(), 1);
        waking.begin(count(None));
        waking.end();
        assert_eq!(calls.load(Ordering::SeqCst), 1);
    }
}
