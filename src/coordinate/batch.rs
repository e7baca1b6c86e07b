//! Many requests over several helpers: each idle helper takes the next.

use std::collections::VecDeque;
use std::time::Instant;

use super::answer::{Answer, no_helper, not_asked};
use super::call::{CallWatch, Woken};
use super::in_flight::{InFlight, end_all, take_completed, will_repeat};
use super::together::Together;
use crate::error::Error;
use crate::helper::shared::Shared;
use crate::id::HelperId;
use crate::sync::{Arc, earlier};
use crate::task::{Task, TaskRequest};
use crate::task_error::{ErrorKind, TaskError};

/// How often a helper may pause as its provider asks before it leaves the batch: each pause
/// has cost one rejected request.
const PAUSES_MAX: u32 = 3;

/// One of a batch's helpers.
struct Member {
    /// `None` once it has left.
    shared: Option<Arc<Shared>>,
    paused_until: Option<Instant>,
    pauses: u32,
}

impl Member {
    fn new(together: &Together<'_>, helper: HelperId) -> Self {
        let shared = together.manager.shared(helper).ok();
        Self { shared, paused_until: None, pauses: 0 }
    }

    /// Whether it takes part now.
    fn is_ready(&self, now: Instant) -> bool {
        self.shared.is_some() && self.paused_until.is_none_or(|until| until <= now)
    }
}

/// Why a helper left the batch.
enum LeftBecause {
    Failed(ErrorKind),
    Stopped,
}

/// A batch while it runs. Helpers and requests are named by their places in the lists.
struct Batch<'a> {
    together: &'a Together<'a>,
    helpers: &'a [HelperId],
    requests: &'a [TaskRequest],
    waiting: VecDeque<usize>,
    in_flight: Vec<InFlight>,
    members: Vec<Member>,
    /// Of the helper that left last.
    left_because: Option<LeftBecause>,
    answers: Vec<Option<Answer>>,
    call: CallWatch<'a>,
}

impl Together<'_> {
    /// Runs many requests over several helpers; each idle helper takes the next request.
    /// Answers are in the order of the requests, each with the helper that gave it.
    ///
    /// A helper whose failure will repeat (no network, a rejected key) leaves the batch, and
    /// its request goes to another helper, as long as there is one. A helper whose provider
    /// asks to wait pauses that long, at most three times, if the call's deadline allows it.
    /// A helper that is busy with other tasks is passed over while another one is idle or
    /// works for the batch. Callbacks of the requests themselves are not called; use
    /// [`Together::on_text`].
    ///
    /// # Errors
    ///
    /// [`Error::InvalidRequest`] for an empty list of helpers; every other failure is in the
    /// answers.
    pub fn batch(
        &self,
        helpers: &[HelperId],
        requests: &[TaskRequest],
    ) -> Result<Vec<Answer>, Error> {
        if helpers.is_empty() {
            return Err(no_helper());
        }
        let mut batch = Batch {
            together: self,
            helpers,
            requests,
            waiting: (0..requests.len()).collect(),
            in_flight: Vec::new(),
            members: helpers.iter().map(|&helper| Member::new(self, helper)).collect(),
            left_because: None,
            answers: requests.iter().map(|_| None).collect(),
            call: CallWatch::new(self, self.deadline),
        };
        batch.run();
        Ok(batch.into_answers())
    }
}

impl Batch<'_> {
    fn run(&mut self) {
        // A helper becomes idle when a task from elsewhere ends, too.
        for member in &self.members {
            if let Some(shared) = &member.shared {
                self.call.add(shared);
            }
        }
        loop {
            self.fill();
            let all_left = self.members.iter().all(|member| member.shared.is_none());
            if self.in_flight.is_empty() && (self.waiting.is_empty() || all_left) {
                break;
            }
            let (completed, look_again) = take_completed(&mut self.in_flight);
            let none = completed.is_empty();
            for (request, outcome) in completed {
                self.complete(request, outcome);
            }
            if none {
                let pauses = self.members.iter().filter_map(|member| member.paused_until);
                let pause_over = pauses.filter(|&until| until > Instant::now()).min();
                if let Woken::Over = self.call.sleep(earlier(look_again, pause_over)) {
                    break;
                }
            }
        }
        for (request, outcome) in end_all(std::mem::take(&mut self.in_flight)) {
            self.answer(request.place, request.helper, outcome);
        }
        let over = self.call.over();
        for place in std::mem::take(&mut self.waiting) {
            // A helper that left has given its failure as the answer to its last request.
            if self.answers[place].is_none() {
                let error = self.never_submitted(over, place);
                self.answer(place, 0, Err(error));
            }
        }
    }

    /// Why a request was never submitted.
    fn never_submitted(&self, over: Option<ErrorKind>, place: usize) -> Error {
        let request = &self.requests[place];
        match (&over, &self.left_because) {
            (Some(why), _) | (None, Some(LeftBecause::Failed(why))) => not_asked(*why, request),
            (None, Some(LeftBecause::Stopped)) => {
                Error::Stopped(Box::new(request.clone()))
            }
            // No helper left, because none was there.
            (None, None) => Error::UnknownHelper(self.helpers[0]),
        }
    }

    /// Gives waiting requests to idle threads. If all threads are busy with tasks from
    /// elsewhere, one request waits in a helper's queue.
    fn fill(&mut self) {
        let now = Instant::now();
        for helper in 0..self.members.len() {
            while self.members[helper].is_ready(now) && self.is_idle(helper) {
                if self.waiting.is_empty() || self.call.is_over() {
                    return;
                }
                if !self.hand_over(helper) {
                    break;
                }
            }
        }
        for helper in 0..self.members.len() {
            if !self.in_flight.is_empty() || self.waiting.is_empty() || self.call.is_over() {
                return;
            }
            if self.members[helper].is_ready(now) {
                self.hand_over(helper);
            }
        }
    }

    /// Whether a thread of the helper is idle, and has not just been given a request of this
    /// batch: the outcome of one that fails at once is needed before the next is given.
    fn is_idle(&self, helper: usize) -> bool {
        let ours = self.in_flight.iter().filter(|request| request.helper == helper).count();
        let shared = self.members[helper].shared.as_ref();
        shared.is_some_and(|shared| shared.idle_threads() > 0 && ours < shared.slots.len())
    }

    /// Hands the next request to the helper; `false` if its queue is full of other tasks.
    fn hand_over(&mut self, helper: usize) -> bool {
        let Some(place) = self.waiting.pop_front() else { return true };
        let id = self.helpers[helper];
        let request = self.together.request_for(&self.requests[place], id, self.call.until());
        match self.together.submit(request, id) {
            Ok(task) => self.in_flight.push(InFlight { place, helper, task }),
            // Other helpers would not accept it either.
            Err(error @ Error::InvalidRequest(_)) => self.answer(place, helper, Err(error)),
            Err(error) => {
                self.waiting.push_front(place);
                if let Error::QueueFull(_) = error {
                    return false;
                }
                self.leave(helper, LeftBecause::Stopped);
            }
        }
        true
    }

    fn complete(&mut self, request: InFlight, outcome: Result<Task, Error>) {
        let InFlight { place, helper, .. } = request;
        let failure = outcome.as_ref().ok().and_then(|task| task.error.as_ref());
        let repeats = failure.filter(|error| will_repeat(error.kind()));
        let again = repeats.is_some();
        if let Some(error) = repeats {
            self.members[helper].paused_until = self.pause(helper, error);
            if self.members[helper].paused_until.is_none() {
                self.leave(helper, LeftBecause::Failed(error.kind()));
            }
        }
        // A failure that will repeat stands unless another helper gives a better answer.
        self.answer(place, helper, outcome);
        if again {
            self.waiting.push_front(place);
        }
    }

    /// Until when the helper pauses, if its provider asks for it and the deadline allows it.
    fn pause(&mut self, helper: usize, error: &TaskError) -> Option<Instant> {
        let until = Instant::now().checked_add(error.retry_after()?)?;
        let member = &mut self.members[helper];
        member.pauses += 1;
        let in_time = self.call.until().is_none_or(|end| until < end);
        (in_time && member.pauses <= PAUSES_MAX).then_some(until)
    }

    fn leave(&mut self, helper: usize, why: LeftBecause) {
        self.members[helper].shared = None;
        self.left_because = Some(why);
    }

    fn answer(&mut self, place: usize, helper: usize, outcome: Result<Task, Error>) {
        self.answers[place] = Some(Answer { helper_id: self.helpers[helper], outcome });
    }

    /// The answers, in the order of the requests.
    fn into_answers(self) -> Vec<Answer> {
        let helper_id = self.helpers[0];
        let answer = |answer: Option<Answer>| {
            answer.unwrap_or_else(|| Answer { helper_id, outcome: Err(no_helper()) })
        };
        self.answers.into_iter().map(answer).collect()
    }
}
