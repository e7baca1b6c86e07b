//! How jobs begin: their tasks on the helpers.

use std::time::{Instant, SystemTime};

use automation_assistant::{Error as CoreError, ErrorKind, TaskError};

use super::Phase;
use super::held::{Arrived, Capacity, Held};
use super::pace::AHEAD_WAIT;
use super::run::Run;
use crate::clock::now_ms;
use crate::engine::{Delivery, How};
use crate::record;

impl Run<'_> {
    /// Chooses a helper for each new job.
    pub(super) fn arrive(
        &mut self,
        jobs: Vec<Delivery>,
        mut capacities: Vec<Capacity>,
        now: Instant,
    ) {
        for job in jobs {
            let idle = capacities.iter().position(|capacity| capacity.idle > 0);
            let ahead = capacities.iter().position(|capacity| capacity.ahead > 0);
            let (slot, ahead_since) = match (idle, ahead) {
                (Some(slot), _) => {
                    capacities[slot].idle -= 1;
                    (slot, None)
                }
                (None, Some(slot)) => {
                    capacities[slot].ahead -= 1;
                    self.hand_on_at.get_or_insert(now + AHEAD_WAIT);
                    (slot, Some(now))
                }
                (None, None) => {
                    // The engine gives no more than was asked for; recovered ones may come on top.
                    self.end_early(job, How::HandBack, None);
                    continue;
                }
            };
            self.slots.arrive(slot);
            self.arrived.push(Arrived { job, slot, ahead_since });
        }
    }

    /// Begins the tasks of the jobs that have come; gives whether there were any.
    pub(super) fn start(&mut self) -> bool {
        let arrived = std::mem::take(&mut self.arrived);
        let any = !arrived.is_empty();
        for Arrived { job, slot, ahead_since } in arrived {
            self.slots.begin(slot);
            self.begin(job, slot, ahead_since);
        }
        if any {
            self.phase(Phase::Running);
        }
        any
    }

    /// Gives jobs to others that were given ahead and for which no thread came free.
    pub(super) fn hand_on(&mut self, now: Instant) {
        self.hand_on_at = None;
        for held in self.held.values_mut() {
            match held.ahead_since {
                Some(since) if now - since < AHEAD_WAIT => {
                    self.hand_on_at = Some(now + AHEAD_WAIT);
                }
                Some(_) => self.slots.hand_on(held),
                None => {}
            }
        }
        self.drain();
    }

    fn begin(&mut self, job: Delivery, slot: usize, ahead_since: Option<Instant>) {
        let request = match record::read_job(&job.record) {
            Ok(read) => read.into_request(&self.worker.tools, SystemTime::now()),
            Err(why) => {
                let error = TaskError::new(ErrorKind::InvalidRequest, why);
                return self.fail_early(job, &error);
            }
        };
        let request = match request {
            Ok(request) => request,
            Err(error) => return self.fail_early(job, &error),
        };
        match self.slots.submit(slot, job.hold, request, self.sender.clone()) {
            Ok(task) => {
                let held = Held {
                    hold: job.hold,
                    key: job.key,
                    deliveries: job.deliveries,
                    waited_ms: now_ms().saturating_sub(job.pushed_ms),
                    slot,
                    task,
                    ahead_since,
                    handed_on: false,
                    cancelled: false,
                    lost: false,
                };
                self.held.insert(job.hold.id, held);
            }
            Err(CoreError::InvalidRequest(why)) => {
                self.fail_early(job, &TaskError::new(ErrorKind::InvalidRequest, why));
            }
            // Full because of others, or stopped.
            Err(_) => self.end_early(job, How::HandBack, None),
        }
    }
}
