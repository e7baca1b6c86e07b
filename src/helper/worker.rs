//! What a helper's thread does: take a ticket, work on a task, again.

use std::cell::{Cell, RefCell};

use crate::backend::{Attempt, AttemptLog, CallContext, Reply};
use crate::helper::shared::{Next, Shared, YIELDS};
use crate::id::TaskId;
use crate::observers::quietly;
use crate::sync::{Arc, thread_local, yield_now};
use crate::task_error::{ErrorKind, TaskError};

thread_local! {
    /// Whether this thread is a helper's: such a thread never waits for helpers to end.
    static ON_HELPER_THREAD: Cell<bool> = const { Cell::new(false) };
}

/// Whether the current thread is a helper's.
pub(crate) fn on_helper_thread() -> bool {
    ON_HELPER_THREAD.with(Cell::get)
}

/// Writes down the calls of one task.
struct TaskLog<'a> {
    shared: &'a Shared,
    number: u64,
}

impl AttemptLog for TaskLog<'_> {
    fn begin(&self) {
        self.shared.attempt_begins(self.number);
    }

    fn withdraw(&self) {
        self.shared.attempt_withdrawn(self.number);
    }

    fn end(&self, attempt: &Attempt<'_>) {
        self.shared.attempt_ends(self.number, attempt);
    }
}

/// The life of a helper's thread.
pub(crate) fn run(shared: &Arc<Shared>, slot: usize) {
    ON_HELPER_THREAD.with(|flag| flag.set(true));
    take_tickets(shared, slot);
    let mut state = shared.lock();
    state.exited[slot] = true;
    state.threads -= 1;
    shared.thread_ended.notify_all();
}

/// Works until told to stop.
fn take_tickets(shared: &Shared, slot: usize) {
    let mut yields_left = 0;
    loop {
        match shared.begin_next(slot, yields_left == 0) {
            Next::Stop => break,
            Next::Nothing if yields_left > 0 => {
                yields_left -= 1;
                yield_now();
            }
            // Only now: one ticket may stand for many tasks.
            Next::Nothing => shared.tickets.receive(),
            Next::Late => {}
            Next::Task { number, deadline, on_text } => {
                yields_left = YIELDS;
                let (outcome, first_text) = work(shared, slot, number, deadline, on_text);
                let (claim, leftover) = shared.claim_own(slot, number);
                drop(leftover);
                if let Some(mut claim) = claim {
                    claim.first_text = first_text;
                    shared.finish(claim, outcome);
                }
            }
        }
    }
}

/// How a task's call came out, and when its first piece of text came.
type Outcome = (Result<Reply, TaskError>, Option<std::time::Instant>);

/// Calls the backend, with everything foreign fenced in.
fn work(
    shared: &Shared,
    slot: usize,
    number: u64,
    deadline: Option<std::time::Instant>,
    on_text: Option<crate::task::OnText>,
) -> Outcome {
    let place = shared.slots[slot].request.read().unwrap_or_else(|p| p.into_inner());
    let Some(request) = place.as_ref() else {
        return (Err(TaskError::new(ErrorKind::Other, "the task has no request")), None);
    };
    let log = TaskLog { shared, number };
    let call = CallContext {
        task_id: TaskId::new(shared.id, number),
        request,
        system_prompt: request.system_prompt.as_deref().or(shared.config.system_prompt.as_deref()),
        cancel: &shared.slots[slot].cancel,
        deadline,
        on_text: RefCell::new(on_text),
        text_sent: Cell::new(false),
        first_text: Cell::new(None),
        in_callback: Cell::new(false),
        attempts: &log,
    };
    let outcome = quietly(|| {
        if request.image_count() > 0 && !shared.backend.accepts_images() {
            call.withdraw_attempt();
            return Err(no_images());
        }
        shared.backend.process(&call)
    });
    let in_callback = call.in_callback.get();
    let first_text = call.first_text.get();
    // The callback is user data: its drop may panic too.
    let callback = call.on_text;
    quietly(move || drop(callback));
    let reply = outcome.unwrap_or_else(|| {
        let what = if in_callback {
            "the on_text callback panicked"
        } else {
            "the backend panicked; its message went to the panic hook"
        };
        Err(TaskError::new(ErrorKind::Panicked, what))
    });
    (reply.and_then(|reply| within_bound(shared, reply)), first_text)
}

fn no_images() -> TaskError {
    TaskError::new(
        ErrorKind::Unsupported,
        "the backend takes no pictures: ask a helper whose model sees, or leave them out",
    )
}

/// Refuses a reply that is larger than the helper takes.
fn within_bound(shared: &Shared, reply: Reply) -> Result<Reply, TaskError> {
    let bytes_max = shared.config.max_reply_bytes;
    if reply.text.len() > bytes_max {
        let summary = format!(
            "the answer has {} bytes, the helper takes {bytes_max}: ask for less, \
             or raise max_reply_bytes",
            reply.text.len()
        );
        return Err(TaskError::new(ErrorKind::ResponseTooLarge, summary));
    }
    Ok(reply)
}
