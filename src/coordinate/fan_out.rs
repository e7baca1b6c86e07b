//! One request to several helpers at once.

use std::fmt;

use super::answer::{Answer, no_helper, not_asked};
use super::call::{CallWatch, Woken};
use super::in_flight::{InFlight, end_all, is_late, take_completed};
use super::together::Together;
use crate::error::Error;
use crate::id::HelperId;
use crate::task::{Task, TaskRequest};

/// How many successes a fan-out waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Want {
    /// Every answer, successful or not.
    All,
    /// This many successes; the other tasks are then cancelled.
    First(usize),
}

impl fmt::Display for Want {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::All => f.write_str("all"),
            Self::First(successes) => write!(f, "first {successes}"),
        }
    }
}

/// The result of a race.
#[derive(Debug)]
#[non_exhaustive]
pub struct Race {
    /// The answers of all helpers, in the order of the helpers; losers end as cancelled.
    pub answers: Vec<Answer>,
    winner: Option<usize>,
}

impl Race {
    /// The first success.
    pub fn winner(&self) -> Option<&Answer> {
        self.winner.map(|at| &self.answers[at])
    }
}

impl Together<'_> {
    /// Asks several helpers the same request, and collects all answers or the first few
    /// successes. Answers are in the order of the helpers. The template's `on_done` is called
    /// once, on this thread: with the first success, or else the first helper's failed task. Its
    /// `on_text` and `on_reasoning` are not called; use [`Together::on_text`].
    ///
    /// # Errors
    ///
    /// [`Error::InvalidRequest`] for an empty list; every other failure is in the answers.
    #[doc(alias = "parallel")]
    pub fn fan_out(
        &self,
        helpers: &[HelperId],
        template: &TaskRequest,
        want: Want,
    ) -> Result<Vec<Answer>, Error> {
        self.ask_all(helpers, template, want).map(|(answers, _)| answers)
    }

    /// Asks several helpers the same request; the first success wins, the other tasks are
    /// cancelled. The template's callbacks are called as by [`fan_out`](Self::fan_out).
    ///
    /// # Errors
    ///
    /// As [`fan_out`](Self::fan_out).
    pub fn race(&self, helpers: &[HelperId], template: &TaskRequest) -> Result<Race, Error> {
        let (answers, winner) = self.ask_all(helpers, template, Want::First(1))?;
        Ok(Race { answers, winner })
    }

    /// The answers, and the place of the first success.
    fn ask_all(
        &self,
        helpers: &[HelperId],
        template: &TaskRequest,
        want: Want,
    ) -> Result<(Vec<Answer>, Option<usize>), Error> {
        if helpers.is_empty() {
            return Err(no_helper());
        }
        let mut call = CallWatch::new(self, self.whole());
        let mut answers: Vec<Option<Answer>> = helpers.iter().map(|_| None).collect();
        let answer = |place: usize, outcome| {
            let answer = Answer { index: place, helper_id: helpers[place], outcome };
            self.report_answer(&answer);
            Some(answer)
        };
        let mut in_flight = Vec::new();
        for (place, &helper) in helpers.iter().enumerate() {
            if let Some(why) = call.over() {
                answers[place] = answer(place, Err(not_asked(why, template)));
                continue;
            }
            match self.submit(self.request_for(template, helper, call.until()), helper) {
                Ok(task) => {
                    call.add(&task.shared);
                    in_flight.push(InFlight { place, helper: place, task });
                }
                Err(error) => answers[place] = answer(place, Err(error)),
            }
        }
        let enough = match want {
            Want::All => usize::MAX,
            Want::First(successes) => successes,
        };
        let (mut successes, mut first) = (0, None);
        while !in_flight.is_empty() && successes < enough {
            let (completed, look_again) = take_completed(&mut in_flight);
            for (request, outcome) in completed {
                if outcome.as_ref().is_ok_and(Task::is_success) {
                    successes += 1;
                    first = first.or(Some(request.place));
                }
                answers[request.place] = answer(request.place, outcome);
            }
            if in_flight.is_empty() || successes >= enough {
                break;
            }
            if let Woken::Over = call.sleep(look_again) {
                break;
            }
        }
        let mut late = Vec::new();
        for (request, outcome) in end_all(in_flight) {
            let is_late = is_late(&outcome);
            answers[request.place] = answer(request.place, outcome);
            late.extend(is_late.then_some(request.task));
        }
        // Every place has an answer here.
        let answers: Vec<Answer> = answers.into_iter().flatten().collect();
        let mut tasks = first.iter().map(|&place| &answers[place]).chain(&answers);
        if let Some(task) = tasks.find_map(|answer| answer.outcome.as_ref().ok()) {
            self.call_on_done(template, task);
        }
        late.iter().for_each(|task| task.leave(Some(template)));
        Ok((answers, first))
    }
}
