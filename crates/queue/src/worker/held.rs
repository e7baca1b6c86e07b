//! The jobs that a worker has or is through with, and the helpers that do them.

use std::sync::Arc;
use std::sync::mpsc::Sender;
use std::time::{Duration, Instant};

use automation_assistant::{
    AutomationAssistantManager, AutomationHelper, Error as CoreError, HelperId, TaskError, TaskId,
    TaskRequest, TaskState,
};

use super::pace::Pace;
use super::verdict::PAUSE_MAX;
use crate::engine::{Delivery, End, Hold};
use crate::outcome::JobOutcome;

/// First pause of a helper after a failure that asks for a human.
const HELPER_PAUSE: Duration = Duration::from_secs(1);

/// A message that wakes a worker.
pub(super) enum Message {
    /// A task has ended.
    Done(Box<Done>),
    /// There may be work, or a stop.
    Look,
}

/// How a task ended.
pub(super) struct Done {
    pub(super) hold: Hold,
    pub(super) outcome: JobOutcome,
    pub(super) error: Option<TaskError>,
}

/// A job whose task runs.
pub(super) struct Held {
    pub(super) hold: Hold,
    pub(super) key: Option<String>,
    pub(super) deliveries: u32,
    /// From its push to this delivery, by the wall clocks of both ends.
    pub(super) waited_ms: u64,
    /// Its helper's place in the list.
    pub(super) slot: usize,
    pub(super) task: TaskId,
    /// Since when it waits for a thread, if it was given ahead.
    pub(super) ahead_since: Option<Instant>,
    /// It waited for too long, and goes to others.
    pub(super) handed_on: bool,
    /// The queue asked to cancel it.
    pub(super) cancelled: bool,
    /// Another has it by now: whatever comes of the task is of no use.
    pub(super) lost: bool,
}

/// An end that is to be recorded, with what is needed once it is.
pub(super) struct Ending {
    pub(super) end: End,
    pub(super) outcome: Option<JobOutcome>,
    /// From the job's push to this delivery.
    pub(super) waited_ms: u64,
}

/// A job that has come and whose task is yet to begin.
pub(super) struct Arrived {
    pub(super) job: Delivery,
    /// The helper it is for: its place in the list.
    pub(super) slot: usize,
    /// Since when it waits for a thread, if it was given ahead.
    pub(super) ahead_since: Option<Instant>,
}

/// How many jobs a helper can take: for idle threads, and ahead.
#[derive(Clone, Copy)]
pub(super) struct Capacity {
    pub(super) idle: usize,
    pub(super) ahead: usize,
}

/// A helper as its worker sees it.
pub(super) struct Slot {
    handle: AutomationHelper,
    pace: Pace,
    /// Takes no jobs before then.
    rests_until: Option<Instant>,
    pause: Duration,
    gone: bool,
    /// Jobs that have come for it and are yet to begin.
    arrived: usize,
}

/// All helpers of a worker.
pub(super) struct Slots(Vec<Slot>);

impl Slots {
    pub(super) fn new(manager: &AutomationAssistantManager, helpers: &[HelperId]) -> Self {
        let handles = helpers.iter().filter_map(|id| manager.get_helper(*id));
        Self(
            handles
                .map(|handle| Slot {
                    handle,
                    pace: Pace::new(),
                    rests_until: None,
                    pause: HELPER_PAUSE,
                    gone: false,
                    arrived: 0,
                })
                .collect(),
        )
    }

    /// The capacity of each helper, where a call to the queue takes so long; and all threads.
    pub(super) fn capacities(&mut self, now: Instant, call: Duration) -> (Vec<Capacity>, usize) {
        let mut all_threads = 0;
        let mut capacity = |slot: &mut Slot| {
            if slot.gone || slot.rests_until.is_some_and(|until| until > now) {
                return Capacity { idle: 0, ahead: 0 };
            }
            let status = slot.handle.get_status();
            let threads = status.threads;
            let tasks = status.active_tasks + status.queued_tasks + slot.arrived;
            all_threads += threads;
            Capacity {
                idle: threads.saturating_sub(tasks),
                ahead: slot.pace.ahead(threads, call).saturating_sub(tasks.saturating_sub(threads)),
            }
        };
        let capacities = self.0.iter_mut().map(&mut capacity).collect();
        (capacities, all_threads)
    }

    /// When the first resting helper takes jobs again.
    pub(super) fn rests_until(&self, now: Instant) -> Option<Instant> {
        self.0.iter().filter_map(|slot| slot.rests_until).filter(|until| *until > now).min()
    }

    pub(super) fn all_gone(&self) -> bool {
        self.0.iter().all(|slot| slot.gone)
    }

    /// A job has come for a helper, which takes so many fewer until it has begun.
    pub(super) fn arrive(&mut self, at: usize) {
        self.0[at].arrived += 1;
    }

    /// It begins now.
    pub(super) fn begin(&mut self, at: usize) {
        self.0[at].arrived -= 1;
    }

    /// Hands a request to a helper; its end comes as a message.
    pub(super) fn submit(
        &mut self,
        at: usize,
        hold: Hold,
        request: TaskRequest,
        sender: Sender<Message>,
    ) -> Result<TaskId, CoreError> {
        let slot = &mut self.0[at];
        let request = request.on_done(move |task| {
            let outcome = JobOutcome::of_task(hold.id, task);
            let done = Done { hold, outcome, error: task.error.clone() };
            // A worker that has ended receives nothing.
            let _ = sender.send(Message::Done(Box::new(done)));
        });
        let submitted = slot.handle.submit_task(request);
        match submitted {
            Err(CoreError::Stopped(_)) => slot.gone = true,
            Err(CoreError::QueueFull(_)) => slot.pace.refused(),
            _ => {}
        }
        submitted
    }

    pub(super) fn cancel(&self, held: &Held) {
        self.0[held.slot].handle.cancel_task(held.task);
    }

    /// Ends a task for which no thread came free, if it waits still: its job goes to others.
    pub(super) fn hand_on(&mut self, held: &mut Held) {
        let slot = &mut self.0[held.slot];
        if slot.handle.task_state(held.task) == Some(TaskState::Queued) {
            held.handed_on = true;
            slot.pace.waited();
            slot.handle.cancel_task(held.task);
        }
    }

    /// Frees the result that the helper keeps, and notes how the helper fares.
    pub(super) fn settle(&mut self, held: &Held, ran: Option<Duration>, rests: bool, now: Instant) {
        let slot = &mut self.0[held.slot];
        slot.handle.take_task_result(held.task);
        if let Some(ran) = ran {
            slot.pace.ended(ran);
        }
        if rests {
            slot.rests_until = Some(now + slot.pause);
            slot.pause = (slot.pause * 2).min(PAUSE_MAX);
        } else {
            slot.rests_until = None;
            slot.pause = HELPER_PAUSE;
        }
    }

    /// Whether a helper was stopped meanwhile.
    pub(super) fn look(&mut self) {
        for slot in &mut self.0 {
            let status = slot.handle.status();
            slot.gone |= status == automation_assistant::HelperStatus::Terminated;
        }
    }
}

/// A wake-up call into a worker's channel.
pub(super) fn waker(sender: Sender<Message>) -> crate::engine::Notify {
    Arc::new(move || sender.send(Message::Look).is_ok())
}
