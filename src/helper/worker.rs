//! The loop of a helper's thread: receive a ticket, run callbacks, run tasks, repeat.

use std::cell::{Cell, RefCell};
use std::time::Instant;

use crate::backend::{Attempt, AttemptLog, CallContext, CallSettings, Reply};
use crate::foreign::{Foreign, catch_panic};
use crate::helper::shared::{Done, Next, Shared, YIELDS};
use crate::helper::thread;
use crate::id::TaskId;
use crate::sync::{Arc, yield_now};
use crate::task::{OnText, TaskRequest};
use crate::task_error::{ErrorKind, TaskError};

/// Records the calls of one task.
struct TaskLog<'a> {
    shared: &'a Arc<Shared>,
    number: u64,
    request: &'a TaskRequest,
}

impl AttemptLog for TaskLog<'_> {
    fn begin(&self) {
        self.shared.attempt_begins(self.number);
    }

    fn withdraw(&self) {
        self.shared.attempt_withdrawn(self.number);
    }

    fn end(&self, attempt: &Attempt<'_>) {
        self.shared.attempt_ends(self.number, attempt, self.request);
    }
}

/// The main function of a helper's thread. The last thread to end drops the backend: a drop that
/// blocks holds that thread, which a stop then detaches.
pub(crate) fn run(shared: &Arc<Shared>, slot: usize) {
    thread::enter(shared.id);
    work_until_stopped(shared, slot);
    shared.drop_backend();
}

fn work_until_stopped(shared: &Arc<Shared>, slot: usize) {
    let mut yields_left = 0;
    loop {
        match shared.begin_next(slot, yields_left == 0) {
            Next::Stop => break,
            Next::Nothing if yields_left > 0 => {
                yields_left -= 1;
                yield_now();
            }
            // Only here: one ticket may stand for many tasks.
            Next::Nothing => shared.tickets.receive(),
            Next::Ended => {}
            Next::QueuedCallback(callback) => shared.run(callback),
            Next::Task { number, deadline, on_text } => {
                yields_left = YIELDS;
                let done = call_backend(shared, slot, number, deadline, on_text);
                shared.end_own(slot, number, done);
            }
        }
    }
}

/// Calls the backend; panics of all foreign code are caught.
fn call_backend(
    shared: &Arc<Shared>,
    slot: usize,
    number: u64,
    deadline: Option<Instant>,
    on_text: Option<Foreign<OnText>>,
) -> Done {
    let held = shared.slots[slot].request.read().unwrap_or_else(|p| p.into_inner());
    let backend = shared.backend.read().unwrap_or_else(|p| p.into_inner());
    let (Some(request), Some(backend)) = (held.as_ref(), backend.as_ref()) else {
        let outcome = Err(TaskError::new(ErrorKind::Other, "the task has no request"));
        return Done { outcome, first_text: None, on_text };
    };
    let log = TaskLog { shared, number, request };
    let config = &shared.config;
    let settings = CallSettings {
        params: &config.custom_params,
        max_output_tokens: config.http.max_output_tokens,
        max_tool_rounds: config.http.max_tool_rounds,
        max_tool_output_bytes: config.http.max_tool_output_bytes,
    };
    let call = CallContext {
        task_id: TaskId::new(shared.id, number),
        request,
        settings,
        system_prompt: request.system_prompt.as_deref().or(config.system_prompt.as_deref()),
        cancel: &shared.slots[slot].cancel,
        deadline,
        on_text: RefCell::new(on_text.map(Foreign::into_inner)),
        sent: &shared.slots[slot].sent,
        text_sent: Cell::new(false),
        first_text: Cell::new(None),
        in_callback: Cell::new(None),
        text_refused: Cell::new(false),
        attempts: &log,
    };
    let outcome = catch_panic(|| {
        if request.image_count() > 0 && !backend.accepts_images() {
            call.withdraw_attempt();
            return Err(no_images());
        }
        backend.process(&call)
    });
    let callback_error = call.callback_error();
    let first_text = call.first_text.get();
    let on_text = call.on_text.into_inner().map(Foreign::new);
    // Hooks whose guards the backend has forgotten end with their task.
    shared.count_panics(|| shared.slots[slot].cancel.withdraw_all());
    let outcome = decide(shared, callback_error, outcome);
    Done { outcome, first_text, on_text }
}

/// The task's outcome; `outcome` is `None` if the backend panicked. (A function of its own, so that
/// its copies of a reply take no stack below a call that waits.)
#[inline(never)]
fn decide(
    shared: &Shared,
    callback_error: Option<TaskError>,
    outcome: Option<Result<Reply, TaskError>>,
) -> Result<Reply, TaskError> {
    match (callback_error, outcome) {
        // Even if the backend goes on without the callback.
        (Some(error), _) => Err(error),
        (None, Some(reply)) => reply.and_then(|reply| within_bound(shared, reply)),
        (None, None) => {
            let what = "the backend panicked; its message went to the panic hook";
            Err(TaskError::new(ErrorKind::Panicked, what))
        }
    }
}

fn no_images() -> TaskError {
    TaskError::new(
        ErrorKind::Unsupported,
        "the backend takes no pictures: ask a helper whose model sees, or leave them out",
    )
}

/// Rejects a reply that is larger than the helper's limit.
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
