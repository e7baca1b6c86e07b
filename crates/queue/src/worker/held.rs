//! The jobs that a worker has, and the helpers that do them.

use std::sync::Arc;
use std::sync::mpsc::Sender;
use std::time::{Duration, Instant};

use automation_assistant::{
    AutomationAssistantManager, AutomationHelper, Error as CoreError, HelperId, TaskError, TaskId,
    TaskRequest,
};

use super::verdict::PAUSE_MAX;
use crate::engine::Hold;
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
    /// The queue asked to cancel it.
    pub(super) cancelled: bool,
    /// Another has it by now: whatever comes of the task is of no use.
    pub(super) lost: bool,
}

/// A helper as its worker sees it.
pub(super) struct Slot {
    handle: AutomationHelper,
    /// Takes no jobs before then.
    rests_until: Option<Instant>,
    pause: Duration,
    gone: bool,
}

/// All helpers of a worker.
pub(super) struct Slots(Vec<Slot>);

impl Slots {
    pub(super) fn new(manager: &AutomationAssistantManager, helpers: &[HelperId]) -> Self {
        let handles = helpers.iter().filter_map(|id| manager.get_helper(*id));
        Self(
            handles
                .map(|handle| Slot { handle, rests_until: None, pause: HELPER_PAUSE, gone: false })
                .collect(),
        )
    }

    /// Idle threads of each helper.
    pub(super) fn idle(&self, now: Instant) -> Vec<usize> {
        let idle = |slot: &Slot| {
            if slot.gone || slot.rests_until.is_some_and(|until| until > now) {
                return 0;
            }
            let status = slot.handle.get_status();
            status.threads.saturating_sub(status.active_tasks + status.queued_tasks)
        };
        self.0.iter().map(idle).collect()
    }

    /// When the first resting helper takes jobs again.
    pub(super) fn rests_until(&self, now: Instant) -> Option<Instant> {
        self.0.iter().filter_map(|slot| slot.rests_until).filter(|until| *until > now).min()
    }

    pub(super) fn all_gone(&self) -> bool {
        self.0.iter().all(|slot| slot.gone)
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
        if let Err(CoreError::Stopped(_)) = submitted {
            slot.gone = true;
        }
        submitted
    }

    pub(super) fn cancel(&self, held: &Held) {
        self.0[held.slot].handle.cancel_task(held.task);
    }

    /// Frees the result that the helper keeps, and notes how the helper fares.
    pub(super) fn settle(&mut self, held: &Held, rests: bool, now: Instant) {
        let slot = &mut self.0[held.slot];
        slot.handle.take_task_result(held.task);
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
