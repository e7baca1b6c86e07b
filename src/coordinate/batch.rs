//! Many requests over several helpers: each idle helper receives the next request.

use std::collections::{BTreeSet, VecDeque};
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

/// How often in a row, without a success in between, a helper may pause at its provider's request
/// before it leaves the batch: each pause has cost the requests that were in flight.
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
    /// When the latest pause began, and when it ends.
    pause: Option<(Instant, Instant)>,
    /// The pauses since the last success.
    pauses: u32,
}

impl Member {
    fn new(together: &Together<'_>, helper: HelperId) -> Self {
        let shared = together.manager.shared(helper).ok();
        Self { shared, pause: None, pauses: 0 }
    }

    /// Whether the helper takes part at this moment.
    fn is_ready(&self, now: Instant) -> bool {
        self.shared.is_some() && self.pause.is_none_or(|(_, until)| until <= now)
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
    /// The requests that a helper cannot take, by place and helper; another one may.
    unfit: BTreeSet<(usize, usize)>,
    /// Since when every helper that could take a request has refused it.
    refused_since: Option<Instant>,
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
    /// wait pauses that long, if the deadline allows it, and at most three times without a success
    /// in between. A request that a helper cannot take (it is too long, or has a picture) goes to
    /// another. One whose text was delivered to [`on_text`](Together::on_text) is not asked again: its
    /// failure is its answer. A helper that is busy with other tasks is skipped while another one is
    /// idle or works for the batch.
    ///
    /// Each request has 300 s from its hand-over to a helper. Only a
    /// [`deadline`](Together::deadline) that was set ends the batch as a whole: requests that were
    /// not handed over by then, when the last helper has left, or (without a deadline) when all have
    /// refused them for 300 s (queues full, results unread), are answered with
    /// [`Error::NotAsked`] (with [`Error::Stopped`] where the last helper was stopped, and
    /// [`Error::UnknownHelper`] where no helper is known), and observers are notified of their number
    /// (`not_asked`).
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
        let mut batch = Batch::new(self, helpers, requests);
        batch.run();
        Ok(batch.into_answers())
    }
}

impl<'a, 't> Batch<'a, 't> {
    fn new(
        together: &'a Together<'t>,
        helpers: &'a [HelperId],
        requests: &'a [TaskRequest],
    ) -> Self {
        Self {
            together,
            helpers,
            requests,
            waiting: (0..requests.len()).collect(),
            in_flight: Vec::new(),
            unfit: BTreeSet::new(),
            refused_since: None,
            members: helpers.iter().map(|&helper| Member::new(together, helper)).collect(),
            left_because: None,
            answers: requests.iter().map(|_| None).collect(),
            call: CallWatch::new(together, together.deadline.unwrap_or(Duration::MAX)),
        }
    }

    fn run(&mut self) {
        // A helper also becomes idle when another caller's task ends.
        for member in &self.members {
            if let Some(shared) = &member.shared {
                self.call.add(shared);
            }
        }
        loop {
            self.fill();
            let hopeless = |place: &usize| !self.has_helper_for(*place);
            if self.in_flight.is_empty() && (self.waiting.iter().all(hopeless) || self.gives_up()) {
                break;
            }
            let (completed, look_again) = take_completed(&mut self.in_flight);
            let none = completed.is_empty();
            for (request, outcome) in completed {
                self.complete(request, outcome);
            }
            if none {
                let pauses = self.members.iter().filter_map(|member| member.pause);
                let pauses = pauses.map(|(_, until)| until);
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
        let over = self.call.over().or(self.gives_up().then_some(ErrorKind::Timeout));
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
        if self.refused_since.is_some() { REFUSED_PAUSE } else { LOOK_AGAIN }
    }

    /// Whether no helper has taken a request for as long as one may take to be answered.
    fn gives_up(&self) -> bool {
        let is_long = |since: Instant| since.elapsed() >= DEFAULT_TOGETHER_DEADLINE;
        self.together.deadline.is_none() && self.refused_since.is_some_and(is_long)
    }

    /// Whether a helper of the batch may take this request, now or later.
    fn has_helper_for(&self, place: usize) -> bool {
        let is_fit = |helper: usize| !self.unfit.contains(&(place, helper));
        (0..self.members.len()).any(|at| self.members[at].shared.is_some() && is_fit(at))
    }

    /// Hands requests to idle threads. If all threads are busy with other callers' tasks, one
    /// request waits in a helper's queue.
    fn fill(&mut self) {
        self.fill_idle();
        let now = Instant::now();
        let refused = self.in_flight.is_empty() && self.members.iter().any(|m| m.is_ready(now));
        self.refused_since = self.refused_since.or(Some(now)).filter(|_| refused);
    }

    fn fill_idle(&mut self) {
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

    /// Hands the next request to the helper; `false` if it takes none.
    fn hand_over(&mut self, helper: usize) -> bool {
        let is_fit = |place: &usize| !self.unfit.contains(&(*place, helper));
        let Some(at) = self.waiting.iter().position(is_fit) else { return false };
        let Some(place) = self.waiting.remove(at) else { return false };
        let id = self.helpers[helper];
        let own_end = Instant::now().checked_add(DEFAULT_TOGETHER_DEADLINE);
        let until = if self.together.deadline.is_some() { self.call.until() } else { own_end };
        let request = self.together.request_for(&self.requests[place], id, until);
        match self.together.submit(request, id) {
            Ok(task) => self.in_flight.push(InFlight { place, helper, task }),
            Err(error @ Error::InvalidRequest(_)) => self.pass_on(place, helper, Err(error)),
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

    /// Answers a request with a helper's refusal, unless another one may take it.
    fn pass_on(&mut self, place: usize, helper: usize, refusal: Result<Task, Error>) {
        self.unfit.insert((place, helper));
        // A failure of a helper that could take it says more.
        if self.answers[place].is_none() {
            self.answer(place, helper, refusal);
        }
        match self.has_helper_for(place) {
            true => self.waiting.push_front(place),
            false => self.settle(place),
        }
    }

    fn complete(&mut self, request: InFlight, outcome: Result<Task, Error>) {
        let InFlight { place, helper, task, .. } = request;
        let failure = outcome.as_ref().ok().and_then(|task| task.error.as_ref());
        let Some(error) = failure else {
            if outcome.is_ok() {
                self.members[helper].pauses = 0;
            }
            self.answer(place, helper, outcome);
            return self.settle(place);
        };
        let is_delivered = self.together.speech_callback().is_some() && error.partial().is_some();
        let repeats = will_repeat(error.kind()) || error.retry_after().is_some();
        if repeats && !self.pause(helper, task.submitted, error) {
            self.leave(helper, LeftBecause::Failed(error.kind()));
        }
        let is_unfit =
            matches!(error.kind(), ErrorKind::Unsupported | ErrorKind::ContextLengthExceeded);
        if is_unfit && !is_delivered {
            return self.pass_on(place, helper, outcome);
        }
        // A failure that will repeat is kept unless another helper gives a better answer.
        self.answer(place, helper, outcome);
        match repeats && !is_delivered {
            true => self.waiting.push_front(place),
            false => self.settle(place),
        }
    }

    /// Lets the helper pause if its provider asks for that and there is time for it: up to the
    /// call's deadline, or as long as one request may take. Requests that were in flight when a
    /// pause began prolong that pause.
    fn pause(&mut self, helper: usize, submitted: Instant, error: &TaskError) -> bool {
        let now = Instant::now();
        let until = error.retry_after().and_then(|wait| Some((wait, now.checked_add(wait)?)));
        let Some((wait, until)) = until else { return false };
        let member = &mut self.members[helper];
        let same = member.pause.filter(|(began, _)| submitted <= *began);
        member.pauses += u32::from(same.is_none());
        let (began, earlier_end) = same.unwrap_or((now, until));
        member.pause = Some((began, until.max(earlier_end)));
        let in_time = match self.call.until() {
            Some(end) => until < end,
            None => wait <= DEFAULT_TOGETHER_DEADLINE,
        };
        in_time && member.pauses <= PAUSES_MAX
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

#[cfg(all(test, not(shuttle)))]
#[path = "batch_tests.rs"]
mod tests;
