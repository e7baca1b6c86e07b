//! Duties that call foreign code for which the calling thread must not wait: cancel hooks of a
//! custom backend, and observers of tasks that end and of a stop.
//!
//! A stop keeps its bound, and a wait, a look-up, a status call and a submit keep theirs,
//! whatever that code does. So where it may block, a duty runs on a short-lived thread of its own
//! ([`Shared::on_own_thread`]), which is counted, joined and detached as the helper's other
//! threads. Programs whose observers and backends are all the library's own start none.

use super::Shared;
use crate::foreign;
use crate::helper::thread;
use crate::sync::{Arc, JoinHandle, lock, spawn_thread};

/// Work that may call foreign code.
#[derive(Clone, Copy)]
pub(crate) enum Duty {
    /// Runs the cancel hooks of the tasks that a stop cancels.
    Hooks,
    /// Ends all tasks of a helper that was signalled to stop, and reports the stop.
    Ends,
    /// Ends the tasks that are due or called off. Several threads may do so: foreign code in the
    /// end of one task does not hold up the others.
    Due,
}

/// How many threads of their own a helper's duties may have: one for each of a stop's, the
/// others for tasks that are due.
pub(super) const DUTY_THREADS_MAX: usize = 6;

/// A way to do a duty.
pub(crate) type Perform = fn(&Arc<Shared>, Duty);

/// Whether the current thread may wait for a helper's threads, which may in turn wait for a
/// helper's thread, a callback or an observer.
pub(super) fn may_wait() -> bool {
    !thread::is_of_any() && !foreign::in_callback() && !foreign::in_observer()
}

impl Shared {
    /// Does a duty on this thread.
    pub(super) fn here(self: &Arc<Self>, duty: Duty) {
        match duty {
            Duty::Hooks => self.run_hooks(),
            Duty::Ends => self.end_and_report(0),
            Duty::Due => self.end_those_due(),
        }
    }

    fn run_hooks(&self) {
        self.slots.iter().for_each(|slot| drop(slot.cancel.raise()));
    }

    /// Does a duty; if foreign code in it may block, on a thread of its own, which a stop joins or
    /// detaches, unless the system cannot create one. The end of a stop needs none where this
    /// thread need not wait for it.
    pub(crate) fn on_own_thread(self: &Arc<Self>, duty: Duty) {
        // Hooks of the library's own backends do not block.
        let (hooks, observers) = (self.provider.is_none(), self.observers.any());
        let (may_block, work): (bool, fn(&Arc<Self>, usize)) = match duty {
            Duty::Hooks => (hooks, |shared, _| shared.run_hooks()),
            Duty::Ends => (observers && may_wait(), |shared, _| shared.end_and_report(1)),
            Duty::Due => (hooks || observers, |shared, _| {
                shared.end_those_due();
                // Those that it queued after a stop's last look.
                shared.run_abandoned();
            }),
        };
        if !may_block {
            return self.here(duty);
        }
        let mut handles = lock(&self.handles);
        let mut state = self.lock();
        let first = self.slots.len() + duty as usize;
        let place = match duty {
            Duty::Hooks | Duty::Ends => Some(first),
            // Others have ended them meanwhile.
            Duty::Due if state.store.unfinished() == 0 => return,
            Duty::Due => (first..state.exited.len()).find(|place| state.exited[*place]),
        };
        let Some(place) = place else {
            state.due_again = true;
            return;
        };
        state.exited[place] = false;
        state.threads += 1;
        drop(state);
        // The place's earlier thread has ended.
        handles.retain(|(other, _)| *other != place);
        if self.spawn(&mut handles, place, work).is_ok() {
            return;
        }
        drop(handles);
        let mut state = self.lock();
        state.exited[place] = true;
        state.threads -= 1;
        drop(state);
        self.here(duty);
    }

    /// Starts a thread that is already counted as running, which does this work at this place.
    /// `handles` are the helper's.
    pub(crate) fn spawn(
        self: &Arc<Self>,
        handles: &mut Vec<(usize, JoinHandle<()>)>,
        place: usize,
        work: fn(&Arc<Self>, usize),
    ) -> std::io::Result<()> {
        let shared = Arc::clone(self);
        // Linux shows 15 bytes of a thread's name.
        let name = format!("aa-{}-{place}", self.id);
        let handle = spawn_thread(name, self.config.stack_bytes, move || {
            loop {
                work(&shared, place);
                let mut state = shared.lock();
                let again = place >= shared.slots.len() + Duty::Due as usize
                    && std::mem::take(&mut state.due_again);
                if !again {
                    state.exited[place] = true;
                    state.threads -= 1;
                    shared.stop_goes_on.notify_all();
                    return;
                }
            }
        })?;
        handles.push((place, handle));
        Ok(())
    }
}
