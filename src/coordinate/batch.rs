//! Many requests over several helpers: whichever is idle takes the next.

use std::collections::VecDeque;
use std::time::Instant;

use super::gather::{Answer, Flight, end_all, land, nobody, will_repeat};
use super::{Together, Vigil, Woken};
use crate::error::Error;
use crate::helper::shared::Shared;
use crate::id::HelperId;
use crate::sync::{Arc, earlier};
use crate::task::{Task, TaskRequest};
use crate::task_error::{ErrorKind, TaskError};

/// How often a helper may rest as its provider asks before it leaves the batch: each time one
/// request was turned away.
const RESTS_MAX: u32 = 3;

/// One of a batch's helpers.
pub(super) struct Member {
    /// Nothing once it has left.
    shared: Option<Arc<Shared>>,
    rests_until: Option<Instant>,
    rests: u32,
}

impl Member {
    pub(super) fn new(together: &Together<'_>, helper: HelperId) -> Self {
        let shared = together.manager.shared(helper).ok();
        Self { shared, rests_until: None, rests: 0 }
    }

    /// Whether it takes part now.
    fn is_ready(&self, now: Instant) -> bool {
        self.shared.is_some() && self.rests_until.is_none_or(|until| until <= now)
    }
}

/// Why a helper left the batch.
pub(super) enum Left {
    Failed(ErrorKind),
    Stopped,
}

/// A batch under way.
pub(super) struct Batch<'a> {
    pub(super) together: &'a Together<'a>,
    pub(super) helpers: &'a [HelperId],
    pub(super) requests: &'a [TaskRequest],
    pub(super) waiting: VecDeque<usize>,
    pub(super) flights: Vec<Flight>,
    pub(super) members: Vec<Member>,
    pub(super) left_last: Option<Left>,
    pub(super) answers: Vec<Option<Answer>>,
    pub(super) vigil: Vigil<'a>,
}

impl Batch<'_> {
    pub(super) fn run(&mut self) {
        // Ends of others' tasks make helpers idle, too.
        for member in &self.members {
            if let Some(shared) = &member.shared {
                self.vigil.add(shared);
            }
        }
        loop {
            self.fill();
            let nobody_left = self.members.iter().all(|member| member.shared.is_none());
            if self.flights.is_empty() && (self.waiting.is_empty() || nobody_left) {
                break;
            }
            let (landed, look_again) = land(&mut self.flights);
            let none = landed.is_empty();
            for (flight, outcome) in landed {
                self.land(flight, outcome);
            }
            if none {
                let rests = self.members.iter().filter_map(|member| member.rests_until);
                let rest_over = rests.filter(|&until| until > Instant::now()).min();
                if let Woken::Over = self.vigil.sleep(earlier(look_again, rest_over)) {
                    break;
                }
            }
        }
        for (flight, outcome) in end_all(std::mem::take(&mut self.flights)) {
            self.answer(flight.place, flight.helper, outcome);
        }
        let over = self.vigil.over();
        for place in std::mem::take(&mut self.waiting) {
            // A helper that left with a request has given its failure as the answer.
            if self.answers[place].is_none() {
                let error = self.never_sent(over, place);
                self.answer(place, 0, Err(error));
            }
        }
    }

    /// Why a request never went out.
    fn never_sent(&self, over: Option<ErrorKind>, place: usize) -> Error {
        let request = Box::new(self.requests[place].clone_without_callbacks());
        match (over, &self.left_last) {
            (Some(why), _) => Error::NotAsked { why, request },
            (None, Some(Left::Failed(why))) => Error::NotAsked { why: *why, request },
            (None, Some(Left::Stopped)) => Error::Stopped(request),
            // Nobody left, because nobody was ever there.
            (None, None) => Error::UnknownHelper(self.helpers[0]),
        }
    }

    /// Gives waiting requests to idle threads. If all are busy with tasks from elsewhere, one
    /// request stands in line.
    fn fill(&mut self) {
        let now = Instant::now();
        for helper in 0..self.members.len() {
            while self.members[helper].is_ready(now) && self.is_idle(helper) {
                if self.waiting.is_empty() || self.vigil.is_over() {
                    return;
                }
                if !self.hand_over(helper) {
                    break;
                }
            }
        }
        for helper in 0..self.members.len() {
            if !self.flights.is_empty() || self.waiting.is_empty() || self.vigil.is_over() {
                return;
            }
            if self.members[helper].is_ready(now) {
                self.hand_over(helper);
            }
        }
    }

    /// Whether a thread of the helper is idle, and was not given a request by us: of one that
    /// fails at once we want to hear before it gets the next.
    fn is_idle(&self, helper: usize) -> bool {
        let ours = self.flights.iter().filter(|flight| flight.helper == helper).count();
        let shared = self.members[helper].shared.as_ref();
        shared.is_some_and(|shared| shared.idle_threads() > 0 && ours < shared.slots.len())
    }

    /// Hands the next request to the helper; `false` if its queue is full of others' tasks.
    fn hand_over(&mut self, helper: usize) -> bool {
        let Some(place) = self.waiting.pop_front() else { return true };
        let id = self.helpers[helper];
        let request = self.together.request_for(&self.requests[place], id, self.vigil.until());
        match self.together.submit(request, id) {
            Ok(pending) => self.flights.push(Flight { place, helper, pending }),
            // It is no use to other helpers either.
            Err(error @ Error::InvalidRequest(_)) => self.answer(place, helper, Err(error)),
            Err(error) => {
                self.waiting.push_front(place);
                if let Error::QueueFull(_) = error {
                    return false;
                }
                self.members[helper].shared = None;
                self.left_last = Some(Left::Stopped);
            }
        }
        true
    }

    fn land(&mut self, flight: Flight, outcome: Result<Task, Error>) {
        let (place, helper) = (flight.place, flight.helper);
        let failure = outcome.as_ref().ok().and_then(|task| task.error.as_ref());
        let repeats = failure.filter(|error| will_repeat(error.kind()));
        let again = repeats.is_some();
        if let Some(error) = repeats {
            self.members[helper].rests_until = self.rest(helper, error);
            if self.members[helper].rests_until.is_none() {
                self.members[helper].shared = None;
                self.left_last = Some(Left::Failed(error.kind()));
            }
        }
        // A failure that will repeat stands unless a helper is left to give a better answer.
        self.answer(place, helper, outcome);
        if again {
            self.waiting.push_front(place);
        }
    }

    /// Until when the helper rests, if its provider says so and there is time for it.
    fn rest(&mut self, helper: usize, error: &TaskError) -> Option<Instant> {
        let until = Instant::now().checked_add(error.retry_after()?)?;
        let member = &mut self.members[helper];
        member.rests += 1;
        let in_time = self.vigil.until().is_none_or(|end| until < end);
        (in_time && member.rests <= RESTS_MAX).then_some(until)
    }

    fn answer(&mut self, place: usize, helper: usize, outcome: Result<Task, Error>) {
        self.answers[place] = Some(Answer { helper_id: self.helpers[helper], outcome });
    }

    /// The answers, in the order of the requests.
    pub(super) fn into_answers(self) -> Vec<Answer> {
        let helper_id = self.helpers[0];
        let answer = |answer: Option<Answer>| {
            answer.unwrap_or_else(|| Answer { helper_id, outcome: Err(nobody()) })
        };
        self.answers.into_iter().map(answer).collect()
    }
}
