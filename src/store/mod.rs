//! The tasks of one helper from submission to removal: the data behind the mutex.
//!
//! A map of the tasks (`tasks`), and lists of their numbers in the order in which they are taken
//! or evicted (`order`): three lanes of queued tasks, unread results, and read results. The
//! number of a task that has left a list stays in it until it reaches the front or is swept out.
//! This module uses no thread, no lock, and no clock but the instants that it is given.
//!
//! The simpler `HashMap<u64, Phase>` was measured: tasks are large (400 bytes), and a hash table
//! leaves up to half of its slots empty, so a program that keeps 1,024 results takes 1,676 KiB
//! instead of 648. Boxing adds an allocation to the four that each task has. A `HashMap<u64,
//! usize>` of places in a vector takes 732 KiB, 2 KB of program (std's hasher and its seed), and
//! 1,049 ns a task instead of 831 (`cargo bench -- rest dispatch`, pipelined; by hand with
//! crossbeam and a map: 1,227).

mod order;
mod tasks;

use std::collections::VecDeque;
use std::time::{Duration, Instant, SystemTime};

use self::order::NumberQueue;
use self::tasks::TaskMap;
use crate::foreign::Foreign;
use crate::queue::{LANES, LaneChoice, lane_of};
use crate::sync::earlier;
use crate::task::{OnDone, OpenAiApi, Task, TaskRequest, Usage};
use crate::task_error::TaskError;

/// How many numbers of dropped results are remembered, so that a wait for one returns
/// `ResultDropped`.
const DROPPED_REMEMBERED: usize = 1024;

/// How many numbers of departed tasks a list may keep, in addition to as many as it has of
/// present ones: sweeping then costs no more than adding them did.
const LEFT_KEPT: usize = 64;

/// A queued task.
pub(crate) struct Queued {
    pub(crate) request: TaskRequest,
    /// Bytes of its pictures.
    pub(crate) image_bytes: usize,
    pub(crate) created_at: SystemTime,
    pub(crate) submitted: Instant,
    pub(crate) deadline: Option<Instant>,
}

/// A running task. Its request is in its thread's slot.
pub(crate) struct Running {
    pub(crate) slot: usize,
    pub(crate) created_at: SystemTime,
    pub(crate) queue_time: Duration,
    pub(crate) began: Instant,
    pub(crate) deadline: Option<Instant>,
    /// The task's own deadline before suspended time is subtracted; `None` where suspended time
    /// does not count.
    pub(crate) own_deadline: Option<Instant>,
    pub(crate) on_done: Option<Foreign<OnDone>>,
    /// When the current call to the provider began; `None` between calls.
    pub(crate) attempt_open: Option<Instant>,
    pub(crate) attempts: u32,
    pub(crate) unreported: Option<Unreported>,
    /// Whether its thread is reporting a call to the observers. Another thread that must end the
    /// task meanwhile leaves the reason in `end_with`, and the task's thread ends it.
    pub(crate) reporting: bool,
    pub(crate) end_with: Option<TaskError>,
}

/// A successful call that was the task's last: it is reported together with the task's end, which
/// follows.
pub(crate) struct Unreported {
    pub(crate) at: SystemTime,
    pub(crate) latency: Duration,
    pub(crate) http_status: Option<u16>,
    pub(crate) usage: Option<Usage>,
    pub(crate) first_byte: Option<Duration>,
    pub(crate) waited: Option<Duration>,
    pub(crate) api: Option<OpenAiApi>,
    pub(crate) oddities: u32,
}

/// The state of a task.
pub(crate) enum Phase {
    Queued(Queued),
    Running(Running),
    /// A thread has claimed its end and notifies the observers. Its callback is called after that.
    Ending(Option<Foreign<OnDone>>),
    Finished {
        task: Task,
        bytes: usize,
        read: bool,
    },
}

/// All tasks of a helper.
#[derive(Default)]
pub(crate) struct Store {
    tasks: TaskMap,
    lanes: [NumberQueue; LANES],
    choice: LaneChoice,
    unread: NumberQueue,
    read: NumberQueue,
    kept_bytes: usize,
    unread_bytes: usize,
    queued_image_bytes: usize,
    last_number: u64,
    dropped: VecDeque<u64>,
    /// Dropped numbers up to this one are no longer remembered individually.
    dropped_forgotten: u64,
    /// No queued task's deadline is before this.
    next_expiry: Option<Instant>,
}

impl Store {
    pub(crate) fn queued(&self) -> usize {
        self.lanes.iter().map(|lane| lane.len()).sum()
    }

    /// Bytes of the pictures of queued tasks.
    pub(crate) fn queued_image_bytes(&self) -> usize {
        self.queued_image_bytes
    }

    /// Tasks without a readable outcome: queued, running, or being ended.
    pub(crate) fn unfinished(&self) -> usize {
        self.tasks.len() - self.kept()
    }

    pub(crate) fn kept(&self) -> usize {
        self.unread.len() + self.read.len()
    }

    pub(crate) fn unread(&self) -> usize {
        self.unread.len()
    }

    pub(crate) fn unread_bytes(&self) -> usize {
        self.unread_bytes
    }

    /// Adds a task; returns its number. The caller checks the capacity.
    pub(crate) fn insert(&mut self, queued: Queued) -> u64 {
        self.last_number += 1;
        let number = self.last_number;
        if let Some(deadline) = queued.deadline {
            self.next_expiry = earlier(self.next_expiry, Some(deadline));
        }
        self.queued_image_bytes += queued.image_bytes;
        self.lanes[lane_of(queued.request.priority)].push(number);
        self.tasks.push(number, Phase::Queued(queued));
        number
    }

    /// Whether the task's result was dropped for newer ones. (A task that is neither here nor
    /// dropped was never submitted, or its result was taken or cleared.)
    pub(crate) fn was_dropped(&self, number: u64) -> bool {
        (number > 0 && number <= self.dropped_forgotten) || self.dropped.contains(&number)
    }

    pub(crate) fn phase(&mut self, number: u64) -> Option<&mut Phase> {
        self.tasks.get_mut(number)
    }

    /// Claims the next task by lane and order: its phase is `Ending` until the caller starts or
    /// ends it.
    pub(crate) fn take_next(&mut self) -> Option<(u64, Queued)> {
        let waiting = std::array::from_fn(|lane| self.lanes[lane].len());
        let lane = self.choice.next(waiting)?;
        while let Some(number) = self.lanes[lane].pop() {
            if let Some(queued) = self.claim_queued(number) {
                return Some((number, queued));
            }
        }
        None
    }

    /// Removes a queued task from its lane; its phase is then `Ending`.
    pub(crate) fn claim_queued(&mut self, number: u64) -> Option<Queued> {
        let phase = self.tasks.get_mut(number)?;
        let Phase::Queued(queued) = phase else { return None };
        let ending = Phase::Ending(queued.request.on_done.take());
        let Phase::Queued(queued) = std::mem::replace(phase, ending) else { return None };
        self.queued_image_bytes -= queued.image_bytes;
        let tasks = &self.tasks;
        let lane = lane_of(queued.request.priority);
        self.lanes[lane].left(|number| is_queued(tasks, number));
        Some(queued)
    }

    /// Marks a claimed task as running.
    pub(crate) fn set_running(&mut self, number: u64, mut running: Running) {
        let Some(phase) = self.phase(number) else { return };
        if let Phase::Ending(on_done) = phase {
            running.on_done = on_done.take();
            *phase = Phase::Running(running);
        }
    }

    /// Claims the end of a running task.
    pub(crate) fn claim_running(&mut self, number: u64) -> Option<Running> {
        let phase = self.phase(number)?;
        let Phase::Running(running) = phase else { return None };
        let ending = Phase::Ending(running.on_done.take());
        let Phase::Running(running) = std::mem::replace(phase, ending) else { return None };
        Some(running)
    }

    /// Where the callback of an unfinished task is.
    pub(crate) fn on_done(&mut self, number: u64) -> Option<&mut Option<Foreign<OnDone>>> {
        match self.phase(number)? {
            Phase::Queued(queued) => Some(queued.request.on_done.get_mut()),
            Phase::Running(Running { on_done, .. }) | Phase::Ending(on_done) => Some(on_done),
            Phase::Finished { .. } => None,
        }
    }

    /// Makes a claimed task's outcome readable.
    pub(crate) fn publish(&mut self, number: u64, task: Task, bytes: usize) {
        let Some(phase) = self.tasks.get_mut(number) else { return };
        *phase = Phase::Finished { task, bytes, read: false };
        self.kept_bytes += bytes;
        self.unread_bytes += bytes;
        self.unread.push(number);
    }

    /// A copy of a finished task, which counts as read afterwards.
    pub(crate) fn read(&mut self, number: u64) -> Option<Task> {
        let Phase::Finished { task, bytes, read } = self.tasks.get_mut(number)? else {
            return None;
        };
        let copy = task.clone();
        let (first_time, bytes) = (!std::mem::replace(read, true), *bytes);
        if first_time {
            self.unread_bytes -= bytes;
            self.result_left(false);
            self.read.push(number);
        }
        Some(copy)
    }

    /// Removes a finished task.
    pub(crate) fn remove(&mut self, number: u64) -> Option<Task> {
        self.release(number).map(|(task, _)| task)
    }

    /// Removes the oldest read result, or the oldest unread one.
    fn release_first(&mut self, was_read: bool) -> Option<(Task, bool)> {
        loop {
            let order = if was_read { &mut self.read } else { &mut self.unread };
            let number = order.pop()?;
            if is_result(&self.tasks, number, was_read) {
                return self.release(number);
            }
        }
    }

    /// Removes a finished task; returns it and whether it had been read.
    fn release(&mut self, number: u64) -> Option<(Task, bool)> {
        let Phase::Finished { .. } = self.tasks.get(number)? else { return None };
        let Phase::Finished { task, bytes, read } = self.tasks.remove(number)? else {
            return None;
        };
        self.kept_bytes -= bytes;
        if !read {
            self.unread_bytes -= bytes;
        }
        self.result_left(read);
        Some((task, read))
    }

    fn result_left(&mut self, read: bool) {
        let tasks = &self.tasks;
        let order = if read { &mut self.read } else { &mut self.unread };
        order.left(|number| is_result(tasks, number, read));
    }

    /// Removes one result if the bounds are exceeded: the oldest read one, else the oldest unread
    /// one if those may be dropped. The newest is kept, whatever its size. The flag is `true` if
    /// the removed result was unread.
    pub(crate) fn evict(
        &mut self,
        tasks_max: usize,
        bytes_max: usize,
        unread_too: bool,
    ) -> Option<(Task, bool)> {
        let kept = self.kept();
        if kept <= tasks_max && (self.kept_bytes <= bytes_max || kept <= 1) {
            return None;
        }
        let (task, read) = match self.release_first(true) {
            None if unread_too => self.release_first(false),
            read => read,
        }?;
        if self.dropped.len() >= DROPPED_REMEMBERED {
            if let Some(oldest) = self.dropped.pop_front() {
                self.dropped_forgotten = self.dropped_forgotten.max(oldest);
            }
        }
        self.dropped.push_back(task.task_id.number());
        Some((task, !read))
    }

    /// Removes every finished task.
    pub(crate) fn clear(&mut self) -> Vec<Task> {
        let numbers: Vec<_> = self.unread.numbers().chain(self.read.numbers()).collect();
        numbers.into_iter().filter_map(|number| self.remove(number)).collect()
    }

    /// The earliest deadline of the queued tasks, or an earlier moment.
    pub(crate) fn next_expiry(&self) -> Option<Instant> {
        self.next_expiry
    }

    /// Adds the queued tasks whose deadline has passed by this moment; `None`: all queued tasks.
    pub(crate) fn expired(&mut self, by: Option<Instant>, expired: &mut Vec<u64>) {
        let is_late = |deadline: Option<Instant>| match (deadline, by) {
            (Some(deadline), Some(by)) => deadline <= by,
            (_, by) => by.is_none(),
        };
        if !is_late(self.next_expiry) {
            return;
        }
        self.next_expiry = None;
        for number in self.lanes.iter().flat_map(NumberQueue::numbers) {
            let Some(Phase::Queued(queued)) = self.tasks.get(number) else { continue };
            self.next_expiry = earlier(self.next_expiry, queued.deadline);
            if is_late(queued.deadline) {
                expired.push(number);
            }
        }
    }
}

fn is_queued(tasks: &TaskMap, number: u64) -> bool {
    matches!(tasks.get(number), Some(Phase::Queued(_)))
}

/// Whether the task is a finished one that was read (`was_read`), or one that was not.
fn is_result(tasks: &TaskMap, number: u64, was_read: bool) -> bool {
    matches!(tasks.get(number), Some(Phase::Finished { read, .. }) if *read == was_read)
}

#[cfg(test)]
mod tests;
