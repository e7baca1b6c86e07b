//! Several helpers at once, or one after the other.

use std::collections::VecDeque;
use std::time::Instant;

use super::{Pending, Together, Vigil, Woken};
use crate::error::Error;
use crate::helper::shared::earlier;
use crate::id::HelperId;
use crate::task::{Task, TaskRequest};
use crate::task_error::ErrorKind;

/// How many successes a fan-out waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Want {
    /// Every answer, good or not.
    All,
    /// So many successes; the rest is cancelled then.
    First(usize),
}

/// What became of a request at one helper.
#[derive(Debug)]
#[non_exhaustive]
pub struct Answer {
    /// The helper asked.
    pub helper_id: HelperId,
    /// The ended task (which may have failed), or why there is none.
    pub outcome: Result<Task, Error>,
}

impl Answer {
    /// The text, if the task succeeded.
    pub fn text(&self) -> Option<&str> {
        self.outcome.as_ref().ok().and_then(|task| task.result.as_deref())
    }

    /// Whether the task succeeded.
    pub fn is_success(&self) -> bool {
        self.text().is_some()
    }
}

/// How a race ended.
#[derive(Debug)]
#[non_exhaustive]
pub struct Race {
    /// Every helper's answer, in the order asked; losers end as cancelled.
    pub answers: Vec<Answer>,
    winner: Option<usize>,
}

impl Race {
    /// The first success.
    pub fn winner(&self) -> Option<&Answer> {
        self.winner.map(|at| &self.answers[at])
    }
}

/// One step of a pipeline.
#[derive(Debug)]
#[must_use]
pub struct Stage {
    helper: HelperId,
    request: TaskRequest,
    context_key: String,
}

/// Under this key a stage finds the answer of the one before it.
const PREVIOUS_KEY: &str = "previous_result";

impl Stage {
    /// This request to this helper; the answer of the stage before comes as context
    /// `previous_result`.
    pub fn new(helper: HelperId, request: impl Into<TaskRequest>) -> Self {
        Self { helper, request: request.into(), context_key: PREVIOUS_KEY.to_owned() }
    }

    /// Another name for the answer of the stage before.
    pub fn context_key(mut self, key: impl Into<String>) -> Self {
        self.context_key = key.into();
        self
    }
}

/// How a pipeline ended.
#[derive(Debug)]
#[non_exhaustive]
pub struct Pipeline {
    /// The ended tasks, in order; the last may have failed.
    pub tasks: Vec<Task>,
    /// Why there is no further task, if a stage could not be submitted or waited for.
    pub stopped_by: Option<Error>,
    stages: usize,
}

impl Pipeline {
    /// The last stage's text, if every stage succeeded.
    pub fn result(&self) -> Option<&str> {
        let all = self.tasks.len() == self.stages && self.tasks.iter().all(Task::is_success);
        self.tasks.last().filter(|_| all).and_then(|task| task.result.as_deref())
    }
}

/// A request under way at one of the helpers of a call.
struct Flight {
    /// Where its answer goes.
    place: usize,
    /// Which of the call's helpers has it.
    helper: usize,
    pending: Pending,
}

/// A request that has come back.
type Landed = (Flight, Result<Task, Error>);

/// One round of looking: what ended, and when to look again.
fn land(flights: &mut Vec<Flight>) -> (Vec<Landed>, Option<Instant>) {
    let mut landed = Vec::new();
    let mut look_again = None;
    let mut at = 0;
    while at < flights.len() {
        match flights[at].pending.shared.poll(flights[at].pending.id) {
            Ok(Err(moment)) => {
                look_again = earlier(look_again, moment);
                at += 1;
            }
            Ok(Ok(task)) => landed.push((flights.swap_remove(at), Ok(task))),
            Err(error) => landed.push((flights.swap_remove(at), Err(error))),
        }
    }
    (landed, look_again)
}

fn nobody() -> Error {
    Error::InvalidRequest("there is no helper to ask".into())
}

impl Together<'_> {
    /// Asks several helpers the same, and gathers all answers or the first few successes.
    /// Answers stand in the order of the helpers.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidRequest`] for an empty list; all else stands in the answers.
    pub fn fan_out(
        &self,
        helpers: &[HelperId],
        template: &TaskRequest,
        want: Want,
    ) -> Result<Vec<Answer>, Error> {
        self.ask_all(helpers, template, want).map(|(answers, _)| answers)
    }

    /// Asks several helpers the same; the first success wins, the others are cancelled.
    ///
    /// # Errors
    ///
    /// As [`fan_out`](Self::fan_out).
    pub fn race(&self, helpers: &[HelperId], template: &TaskRequest) -> Result<Race, Error> {
        let (answers, winner) = self.ask_all(helpers, template, Want::First(1))?;
        Ok(Race { answers, winner })
    }

    /// The answers, and which success came first.
    fn ask_all(
        &self,
        helpers: &[HelperId],
        template: &TaskRequest,
        want: Want,
    ) -> Result<(Vec<Answer>, Option<usize>), Error> {
        if helpers.is_empty() {
            return Err(nobody());
        }
        let until = self.until();
        let mut vigil = Vigil::new(&self.cancel, until);
        let mut outcomes: Vec<Option<Result<Task, Error>>> = Vec::new();
        let mut flights = Vec::new();
        for (place, &helper) in helpers.iter().enumerate() {
            match self.submit(self.request_for(template, helper, until), helper) {
                Ok(pending) => {
                    vigil.add(&pending.shared);
                    flights.push(Flight { place, helper: place, pending });
                    outcomes.push(None);
                }
                Err(error) => outcomes.push(Some(Err(error))),
            }
        }
        let enough = match want {
            Want::All => usize::MAX,
            Want::First(successes) => successes,
        };
        let (mut successes, mut first) = (0, None);
        while !flights.is_empty() && successes < enough {
            let (landed, look_again) = land(&mut flights);
            for (flight, outcome) in landed {
                if outcome.as_ref().is_ok_and(Task::is_success) {
                    successes += 1;
                    first = first.or(Some(flight.place));
                }
                outcomes[flight.place] = Some(outcome);
            }
            if flights.is_empty() || successes >= enough {
                break;
            }
            if let Woken::Over = vigil.sleep(look_again) {
                break;
            }
        }
        for flight in flights {
            outcomes[flight.place] = Some(flight.pending.end());
        }
        let answer = |(outcome, &helper_id): (Option<_>, &HelperId)| Answer {
            helper_id,
            outcome: outcome.unwrap_or_else(|| Err(nobody())),
        };
        Ok((outcomes.into_iter().zip(helpers).map(answer).collect(), first))
    }

    /// Runs many requests over several helpers; whichever is idle takes the next. Answers
    /// stand in the order of the requests, each with the helper that gave it.
    ///
    /// A helper that fails in a way that will repeat (no network, a refused key) leaves the
    /// batch, and its request goes to another one, as long as there is one. Callbacks of the
    /// requests themselves are not called; use [`Together::on_text`].
    ///
    /// # Errors
    ///
    /// [`Error::InvalidRequest`] for an empty list of helpers; all else stands in the
    /// answers.
    pub fn batch(
        &self,
        helpers: &[HelperId],
        requests: &[TaskRequest],
    ) -> Result<Vec<Answer>, Error> {
        if helpers.is_empty() {
            return Err(nobody());
        }
        let until = self.until();
        let mut batch = Batch {
            together: self,
            helpers,
            requests,
            until,
            waiting: (0..requests.len()).collect(),
            flights: Vec::new(),
            free: helpers.iter().map(|&helper| self.threads_of(helper)).collect(),
            answers: requests.iter().map(|_| None).collect(),
            vigil: Vigil::new(&self.cancel, until),
        };
        batch.run();
        let answer = |answer: Option<Answer>| {
            answer.unwrap_or_else(|| Answer { helper_id: helpers[0], outcome: Err(nobody()) })
        };
        Ok(batch.answers.into_iter().map(answer).collect())
    }

    fn threads_of(&self, helper: HelperId) -> usize {
        self.manager.shared(helper).map_or(0, |shared| shared.slots.len())
    }

    /// Runs stages one after the other; each finds the answer before it in its context.
    /// Ends at the first failure.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidRequest`] if there is no stage; all else stands in the pipeline.
    pub fn pipeline(&self, stages: Vec<Stage>) -> Result<Pipeline, Error> {
        if stages.is_empty() {
            return Err(Error::InvalidRequest("a pipeline needs at least one stage".into()));
        }
        let until = self.until();
        let mut vigil = Vigil::new(&self.cancel, until);
        let mut pipeline = Pipeline { tasks: Vec::new(), stopped_by: None, stages: stages.len() };
        for stage in stages {
            let mut request = self.request_for(&stage.request, stage.helper, until);
            let before = pipeline.tasks.last().and_then(|task| task.result.clone());
            if let Some(text) = before {
                request = request.context(stage.context_key, text);
            }
            match self.submit(request, stage.helper).and_then(|task| await_one(&mut vigil, task)) {
                Ok(task) => {
                    let failed = !task.is_success();
                    pipeline.tasks.push(task);
                    if failed {
                        break;
                    }
                }
                Err(error) => {
                    pipeline.stopped_by = Some(error);
                    break;
                }
            }
        }
        Ok(pipeline)
    }
}

/// Waits for one task; cancels it when the call is over.
pub(super) fn await_one(vigil: &mut Vigil<'_>, pending: Pending) -> Result<Task, Error> {
    vigil.add(&pending.shared);
    loop {
        match pending.shared.poll(pending.id)? {
            Ok(task) => return Ok(task),
            Err(look_again) => {
                if let Woken::Over = vigil.sleep(look_again) {
                    return pending.end();
                }
            }
        }
    }
}

/// A batch under way.
struct Batch<'a> {
    together: &'a Together<'a>,
    helpers: &'a [HelperId],
    requests: &'a [TaskRequest],
    until: Option<Instant>,
    waiting: VecDeque<usize>,
    flights: Vec<Flight>,
    /// Idle threads of each helper, by our count; zero for good once it has left.
    free: Vec<usize>,
    answers: Vec<Option<Answer>>,
    vigil: Vigil<'a>,
}

impl Batch<'_> {
    fn run(&mut self) {
        loop {
            self.fill();
            if self.flights.is_empty() {
                break;
            }
            let (landed, look_again) = land(&mut self.flights);
            let none = landed.is_empty();
            for (flight, outcome) in landed {
                self.land(flight, outcome);
            }
            if none {
                if let Woken::Over = self.vigil.sleep(look_again) {
                    break;
                }
            }
        }
        for flight in std::mem::take(&mut self.flights) {
            let outcome = flight.pending.end();
            self.answer(flight.place, flight.helper, outcome);
        }
        // No helper is left, or no time: said for each request that never went out.
        for place in std::mem::take(&mut self.waiting) {
            if self.answers[place].is_some() {
                continue;
            }
            let request = self.requests[place].clone_without_callbacks();
            self.answer(place, 0, Err(Error::Stopped(Box::new(request))));
        }
    }

    /// Gives waiting requests to idle threads.
    fn fill(&mut self) {
        for helper in 0..self.helpers.len() {
            while self.free[helper] > 0 && !self.vigil.is_over() {
                let Some(place) = self.waiting.pop_front() else { return };
                let id = self.helpers[helper];
                let request = self.together.request_for(&self.requests[place], id, self.until);
                match self.together.submit(request, id) {
                    Ok(pending) => {
                        self.vigil.add(&pending.shared);
                        self.free[helper] -= 1;
                        self.flights.push(Flight { place, helper, pending });
                    }
                    // It is no use to other helpers either.
                    Err(error @ Error::InvalidRequest(_)) => {
                        self.answer(place, helper, Err(error));
                    }
                    Err(_) => {
                        // Stopped, gone, or full of others' tasks: it takes no part.
                        self.free[helper] = 0;
                        self.waiting.push_front(place);
                    }
                }
            }
        }
    }

    fn land(&mut self, flight: Flight, outcome: Result<Task, Error>) {
        let leaves = match &outcome {
            Ok(task) => task.error.as_ref().is_some_and(|error| will_repeat(error.kind())),
            Err(_) => false,
        };
        if !leaves {
            self.free[flight.helper] += 1;
            self.answer(flight.place, flight.helper, outcome);
            return;
        }
        self.free[flight.helper] = 0;
        // Stands unless a helper is left to give a better one. Whether one is cannot be told
        // here: others that landed together with this one are not counted as free yet.
        self.answer(flight.place, flight.helper, outcome);
        self.waiting.push_front(flight.place);
    }

    fn answer(&mut self, place: usize, helper: usize, outcome: Result<Task, Error>) {
        self.answers[place] = Some(Answer { helper_id: self.helpers[helper], outcome });
    }
}

/// Whether the next task at that helper will fail the same way for now.
pub(super) fn will_repeat(kind: ErrorKind) -> bool {
    kind.repeats_without_human() || matches!(kind, ErrorKind::Network | ErrorKind::RateLimited)
}
