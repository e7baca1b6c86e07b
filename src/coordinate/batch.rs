//! Many requests over several helpers: each idle helper receives the next request.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use super::answer::{Answer, no_helper, not_asked};
use super::call::{CallWatch, Woken};
use super::in_flight::{InFlight, end_all, is_late, take_completed, will_repeat};
use super::together::{DEFAULT_TOGETHER_DEADLINE, Together};
use crate::error::Error;
use crate::event::{Event, EventFacts, EventKind, Fact};
use crate::helper::shared::Shared;
use crate::id::HelperId;
use crate::sync::{Arc, earlier};
use crate::task::{Task, TaskRequest};
use crate::task_error::{ErrorKind, TaskError};

/// How often a helper may pause at its provider's request before it leaves the batch: each pause
/// has cost one rejected request.
const PAUSES_MAX: u32 = 3;

/// The longest sleep of a batch before it tries again to hand over requests.
const LOOK_AGAIN: Duration = Duration::from_secs(10);
/// The same where no task of its own is in flight, whose end would wake it: its helpers are full of
/// others' tasks, callbacks or results.
const REFUSED_PAUSE: Duration = Duration::from_millis(100);

/// One of a batch's helpers.
struct Member {
    /// `None` once the helper has left.
    shared: Option<Arc<Shared>>,
    paused_until: Option<Instant>,
    pauses: u32,
}

impl Member {
    fn new(together: &Together<'_>, helper: HelperId) -> Self {
        let shared = together.manager.shared(helper).ok();
        Self { shared, paused_until: None, pauses: 0 }
    }

    /// Whether the helper takes part at this moment.
    fn is_ready(&self, now: Instant) -> bool {
        self.shared.is_some() && self.paused_until.is_none_or(|until| until <= now)
    }
}

/// Why a helper left the batch.
enum LeftBecause {
    Failed(ErrorKind),
    Stopped,
}

/// A running batch. Helpers and requests are identified by their places in the lists.
struct Batch<'a, 't> {
    together: &'a Together<'t>,
    helpers: &'a [HelperId],
    requests: &'a [TaskRequest],
    waiting: VecDeque<usize>,
    in_flight: Vec<InFlight>,
    members: Vec<Member>,
    /// The reason of the helper that left last.
    left_because: Option<LeftBecause>,
    answers: Vec<Option<Answer>>,
    call: CallWatch<'a>,
}

impl Together<'_> {
    /// Runs many requests over several helpers; each idle helper takes the next request.
    /// Answers are in the order of the requests, each with the helper that gave it.
    ///
    /// A helper whose failure will repeat (no network, a rejected key) leaves the batch, and its
    /// request goes to another helper, as long as there is one. A helper whose provider asks to
    /// wait pauses that long, at most three times, if the deadline allows it. A helper that is
    /// busy with other tasks is skipped while another one is idle or works for the batch.
    ///
    /// Each request has 300 s from its hand-over to a helper. Only a
    /// [`deadline`](Together::deadline) that was set ends the batch as a whole: requests that were
    /// not handed over by then, or when the last helper has left, are answered with
    /// [`Error::NotAsked`], and observers are notified of their number (`not_asked`).
    ///
    /// A request's `on_done` is called with its final task, on this thread, before
    /// [`on_answer`](Together::on_answer); not for a request without a task. Its `on_text` and
    /// `on_reasoning` are not called; use [`Together::on_text`].
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
            call: CallWatch::new(self, self.deadline.unwrap_or(Duration::MAX)),
        };
        batch.run();
        Ok(batch.into_answers())
    }
}

impl Batch<'_, '_> {
    fn run(&mut self) {
        // A helper also becomes idle when another caller's task ends.
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
                // Queues may be full of tasks that nobody waits for: a submit ends those that are
                // due.
                let longest = Instant::now().checked_add(self.longest_sleep());
                let look_again = earlier(look_again, longest);
                if let Woken::Over = self.call.sleep(earlier(look_again, pause_over)) {
                    break;
                }
            }
        }
        for (request, outcome) in end_all(std::mem::take(&mut self.in_flight)) {
            if is_late(&outcome) {
                request.task.leave(Some(&self.requests[request.place]));
            }
            self.answer(request.place, request.helper, outcome);
            self.settle(request.place);
        }
        let over = self.call.over();
        let mut not_asked = 0;
        for place in std::mem::take(&mut self.waiting) {
            // A helper that left has given its failure as the answer to its last request.
            if self.answers[place].is_none() {
                let error = self.never_submitted(over, place);
                self.answer(place, 0, Err(error));
                not_asked += 1;
            }
            self.settle(place);
        }
        if not_asked > 0 {
            self.report_not_asked(not_asked, over);
        }
    }

    /// Notifies the observers of the number of requests that were submitted to no helper.
    fn report_not_asked(&self, requests: u64, over: Option<ErrorKind>) {
        let why = match (over, &self.left_because) {
            (Some(why), _) => why.as_str(),
            (None, Some(LeftBecause::Failed(why))) => why.as_str(),
            (None, Some(LeftBecause::Stopped)) => "stopped",
            (None, None) => "unknown_helper",
        };
        let facts = [("requests", Fact::Count(requests)), ("why", Fact::Text(why))];
        let mut event = Event::new(EventKind::NotAsked);
        event.success = false;
        event.facts = EventFacts::Named(&facts);
        self.together.manager.observers().notify(&event);
    }

    /// Why a request was never submitted.
    fn never_submitted(&self, over: Option<ErrorKind>, place: usize) -> Error {
        let request = &self.requests[place];
        match (&over, &self.left_because) {
            (Some(why), _) | (None, Some(LeftBecause::Failed(why))) => not_asked(*why, request),
            (None, Some(LeftBecause::Stopped)) => Error::Stopped(Box::new(request.clone())),
            // No helper left the batch: every id was unknown.
            (None, None) => Error::UnknownHelper(self.helpers[0]),
        }
    }

    /// How long it may sleep before it tries again to hand over requests.
    fn longest_sleep(&self) -> Duration {
        let now = Instant::now();
        let refused = self.in_flight.is_empty() && self.members.iter().any(|m| m.is_ready(now));
        if refused { REFUSED_PAUSE } else { LOOK_AGAIN }
    }

    /// Hands requests to idle threads. If all threads are busy with other callers' tasks, one
    /// request waits in a helper's queue.
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

    /// Whether a thread of the helper is idle and was not just given a request of this batch: if
    /// that request fails at once, its outcome is needed before the next one.
    fn is_idle(&self, helper: usize) -> bool {
        let ours = self.in_flight.iter().filter(|request| request.helper == helper).count();
        let shared = self.members[helper].shared.as_ref();
        shared.is_some_and(|shared| shared.idle_threads() > 0 && ours < shared.slots.len())
    }

    /// Hands the next request to the helper; `false` if its queue is full of other tasks.
    fn hand_over(&mut self, helper: usize) -> bool {
        let Some(place) = self.waiting.pop_front() else { return true };
        let id = self.helpers[helper];
        let own_end = Instant::now().checked_add(DEFAULT_TOGETHER_DEADLINE);
        let until = if self.together.deadline.is_some() { self.call.until() } else { own_end };
        let request = self.together.request_for(&self.requests[place], id, until);
        match self.together.submit(request, id) {
            Ok(task) => self.in_flight.push(InFlight { place, helper, task }),
            // Other helpers would reject it too.
            Err(error @ Error::InvalidRequest(_)) => {
                self.answer(place, helper, Err(error));
                self.settle(place);
            }
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
        // A failure that will repeat is kept unless another helper gives a better answer.
        self.answer(place, helper, outcome);
        if again {
            self.waiting.push_front(place);
        } else {
            self.settle(place);
        }
    }

    /// The end of the helper's pause, if its provider asks for one and there is time for it: up
    /// to the call's deadline, or as long as one request may take.
    fn pause(&mut self, helper: usize, error: &TaskError) -> Option<Instant> {
        let wait = error.retry_after()?;
        let until = Instant::now().checked_add(wait)?;
        let member = &mut self.members[helper];
        member.pauses += 1;
        let in_time = match self.call.until() {
            Some(end) => until < end,
            None => wait <= DEFAULT_TOGETHER_DEADLINE,
        };
        (in_time && member.pauses <= PAUSES_MAX).then_some(until)
    }

    fn leave(&mut self, helper: usize, why: LeftBecause) {
        self.members[helper].shared = None;
        self.left_because = Some(why);
    }

    fn answer(&mut self, place: usize, helper: usize, outcome: Result<Task, Error>) {
        let helper_id = self.helpers[helper];
        self.answers[place] = Some(Answer { index: place, helper_id, outcome });
    }

    fn settle(&self, place: usize) {
        if let Some(answer) = &self.answers[place] {
            self.together.settle(&self.requests[place], answer);
        }
    }

    /// The answers, in the order of the requests.
    fn into_answers(self) -> Vec<Answer> {
        let helper_id = self.helpers[0];
        let answer = |(index, answer): (usize, Option<Answer>)| {
            answer.unwrap_or_else(|| Answer { index, helper_id, outcome: Err(no_helper()) })
        };
        self.answers.into_iter().enumerate().map(answer).collect()
    }
}
