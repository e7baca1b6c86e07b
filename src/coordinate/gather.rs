//! Several helpers at once, or one after the other.

use std::time::Instant;

use super::batch::{Batch, Member};
use super::{Pending, Together, Vigil, Woken};
use crate::error::Error;
use crate::id::HelperId;
use crate::sync::earlier;
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
pub(super) struct Flight {
    /// Where its answer goes.
    pub(super) place: usize,
    /// Which of the call's helpers has it.
    pub(super) helper: usize,
    pub(super) pending: Pending,
}

/// A request that has come back.
pub(super) type Landed = (Flight, Result<Task, Error>);

/// One round of looking: what ended, and when to look again.
pub(super) fn land(flights: &mut Vec<Flight>) -> (Vec<Landed>, Option<Instant>) {
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

/// Cancels all at once, then gathers what became of them.
pub(super) fn end_all(flights: Vec<Flight>) -> Vec<Landed> {
    for flight in &flights {
        flight.pending.shared.cancel(flight.pending.id);
    }
    let end = |flight: Flight| {
        let outcome = flight.pending.end();
        (flight, outcome)
    };
    flights.into_iter().map(end).collect()
}

fn not_asked(why: ErrorKind, request: &TaskRequest) -> Error {
    Error::NotAsked { why, request: Box::new(request.clone_without_callbacks()) }
}

pub(super) fn nobody() -> Error {
    Error::InvalidRequest("there is no helper to ask".into())
}

impl Together<'_> {
    /// Asks several helpers the same, and gathers all answers or the first few successes.
    /// Answers stand in the order of the helpers. The template's own callbacks are not
    /// called; use [`Together::on_text`].
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

    /// Asks several helpers the same; the first success wins, the others are cancelled. The
    /// template's own callbacks are not called; use [`Together::on_text`].
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
        let mut vigil = Vigil::new(self, self.deadline);
        let mut outcomes: Vec<Option<Result<Task, Error>>> = Vec::new();
        let mut flights = Vec::new();
        for (place, &helper) in helpers.iter().enumerate() {
            if let Some(why) = vigil.over() {
                outcomes.push(Some(Err(not_asked(why, template))));
                continue;
            }
            match self.submit(self.request_for(template, helper, vigil.until()), helper) {
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
        for (flight, outcome) in end_all(flights) {
            outcomes[flight.place] = Some(outcome);
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
    /// batch, and its request goes to another one, as long as there is one. One whose provider
    /// says when to come back rests until then, if the call's time allows it. Helpers busy with
    /// tasks from elsewhere are passed by while another one is idle or works for the batch.
    /// Callbacks of the requests themselves are not called; use [`Together::on_text`].
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
        let mut batch = Batch {
            together: self,
            helpers,
            requests,
            waiting: (0..requests.len()).collect(),
            flights: Vec::new(),
            members: helpers.iter().map(|&helper| Member::new(self, helper)).collect(),
            left_last: None,
            answers: requests.iter().map(|_| None).collect(),
            vigil: Vigil::new(self, self.deadline),
        };
        batch.run();
        Ok(batch.into_answers())
    }

    /// Runs stages one after the other; each finds the answer before it in its context.
    /// Ends at the first failure. A stage's own `on_done` is called; its `on_text` too, unless
    /// [`Together::on_text`] takes its place.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidRequest`] if there is no stage; all else stands in the pipeline.
    pub fn pipeline(&self, stages: Vec<Stage>) -> Result<Pipeline, Error> {
        if stages.is_empty() {
            return Err(Error::InvalidRequest("a pipeline needs at least one stage".into()));
        }
        let mut vigil = Vigil::new(self, self.deadline);
        let mut pipeline = Pipeline { tasks: Vec::new(), stopped_by: None, stages: stages.len() };
        for stage in stages {
            if let Some(why) = vigil.over() {
                let request = Box::new(stage.request);
                pipeline.stopped_by = Some(Error::NotAsked { why, request });
                break;
            }
            let mut request = self.ready(stage.request, stage.helper, vigil.until());
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

/// Whether the next task at that helper will fail the same way for now.
pub(super) fn will_repeat(kind: ErrorKind) -> bool {
    kind.repeats_without_human() || matches!(kind, ErrorKind::Network | ErrorKind::RateLimited)
}
