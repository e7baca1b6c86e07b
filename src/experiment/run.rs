//! An experiment: its settings and its run.

use std::collections::HashMap;
use std::fmt;
use std::time::{Duration, Instant};

use super::lane::Lane;
use super::report::ExperimentReport;
use crate::error::Error;
use crate::id::{HelperId, TaskId};
use crate::manager::AutomationAssistantManager;
use crate::task::{Task, TaskRequest};
use crate::trace::TraceId;

/// Default time for a whole experiment (10 minutes); tasks still running then are cancelled.
pub const DEFAULT_EXPERIMENT_TIMEOUT: Duration = Duration::from_secs(600);

/// Most tasks of one helper that are queued or running at once, so that no result is dropped
/// before it is read.
const OUTSTANDING_MAX: usize = 32;

/// How long to wait for a free place in a queue that other tasks fill, before attending to the
/// other helpers.
const CAPACITY_WAIT: Duration = Duration::from_millis(100);

type Scorer = Box<dyn Fn(&Task) -> f64>;

/// Asks several helpers the same prompts, and compares latencies, tokens and scores.
///
/// Where the manager traces to Opik ([`ManagerBuilder::opik`](crate::ManagerBuilder::opik)),
/// the traces of helpers that trace get the experiment's name as a tag, and the scores.
///
/// ```
/// use automation_assistant::experiment::Experiment;
/// use automation_assistant::{AutomationAssistantManager, create_local_helper};
///
/// let manager = AutomationAssistantManager::new(2);
/// let report = Experiment::new("greetings")
///     .prompt("Say hello.")
///     .prompt("Say hello in French.")
///     .helper(create_local_helper(&manager, "first")?)
///     .helper(create_local_helper(&manager, "second")?)
///     .score("brief", |task| if task.result.as_ref().is_some_and(|t| t.len() < 80) { 1.0 } else { 0.0 })
///     .run(&manager)?;
/// assert_eq!(report.rows.len(), 2);
/// println!("{report}");
/// # Ok::<(), automation_assistant::Error>(())
/// ```
#[must_use]
pub struct Experiment {
    name: String,
    prompts: Vec<TaskRequest>,
    helpers: Vec<HelperId>,
    scorers: Vec<(String, Scorer)>,
    timeout: Duration,
}

impl Experiment {
    /// An experiment of this name, without prompts and helpers.
    pub fn new(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            prompts: Vec::new(),
            helpers: Vec::new(),
            scorers: Vec::new(),
            timeout: DEFAULT_EXPERIMENT_TIMEOUT,
        }
    }

    /// Adds a prompt, or a whole request (its callbacks are not called).
    pub fn prompt(mut self, request: impl Into<TaskRequest>) -> Self {
        self.prompts.push(request.into());
        self
    }

    /// Adds several prompts.
    pub fn prompts<R: Into<TaskRequest>>(mut self, requests: impl IntoIterator<Item = R>) -> Self {
        self.prompts.extend(requests.into_iter().map(Into::into));
        self
    }

    /// Adds a helper.
    pub fn helper(mut self, helper: HelperId) -> Self {
        self.helpers.push(helper);
        self
    }

    /// Adds a score of answered tasks, from 0 (bad) to 1 (good). Values outside are clamped;
    /// NaN is no score. The closure is called on the thread of [`run`](Self::run).
    pub fn score(
        mut self,
        name: impl Into<String>,
        score: impl Fn(&Task) -> f64 + 'static,
    ) -> Self {
        self.scorers.push((name.into(), Box::new(score)));
        self
    }

    /// The time for the whole experiment. Tasks that have not ended then are cancelled and
    /// count as failures. Defaults to 10 minutes.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// Submits each prompt once to each helper. The results are removed from the helpers. One that
    /// its helper drops for newer ones before it is read (see
    /// [`Together`](crate::together::Together)) counts as a failure.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidRequest`] without prompts or helpers, or where a helper rejects a
    /// prompt; [`Error::UnknownHelper`]; [`Error::Stopped`]. Tasks in flight are cancelled
    /// then.
    ///
    /// # Panics
    ///
    /// If a score's closure panics; tasks in flight are cancelled then.
    pub fn run(&self, manager: &AutomationAssistantManager) -> Result<ExperimentReport, Error> {
        if self.prompts.is_empty() || self.helpers.is_empty() {
            let what = "an experiment needs a prompt and a helper at least";
            return Err(Error::InvalidRequest(what.into()));
        }
        let mut lanes = Vec::new();
        for &helper in &self.helpers {
            lanes.push(Lane::new(manager, helper, self.scorers.len())?);
        }
        let until = Instant::now().checked_add(self.timeout);
        let mut in_flight = AskedTasks { manager, tasks: HashMap::new() };
        loop {
            let over = until.is_some_and(|until| until <= Instant::now());
            if !over {
                for (at, lane) in lanes.iter_mut().enumerate() {
                    self.submit(at, lane, &mut in_flight)?;
                }
            }
            let waiting: Vec<_> =
                in_flight.tasks.keys().map(|task| (task.helper_id(), *task)).collect();
            let all_asked = lanes.iter().all(|lane| lane.next == self.prompts.len());
            if over || (waiting.is_empty() && all_asked) {
                break;
            }
            if waiting.is_empty() {
                // Every queue is full of other tasks: `submit` has waited briefly.
                continue;
            }
            let left = until
                .map_or(Duration::MAX, |until| until.saturating_duration_since(Instant::now()));
            match manager.wait_any(&waiting, left) {
                Ok(task) => self.take(&task, &mut lanes, &mut in_flight),
                Err(Error::WaitTimedOut { .. }) => {}
                Err(Error::ResultDropped(task) | Error::UnknownTask(task)) => {
                    in_flight.tasks.remove(&task);
                }
                Err(error) => return Err(error),
            }
        }
        drop(in_flight);
        let rows = lanes.into_iter().map(|lane| lane.row(self.prompts.len())).collect();
        let score_names = self.scorers.iter().map(|(name, _)| name.clone()).collect();
        Ok(ExperimentReport { name: self.name.clone(), score_names, rows })
    }

    /// Submits as many prompts to a helper as its queue accepts.
    fn submit(
        &self,
        at: usize,
        lane: &mut Lane,
        in_flight: &mut AskedTasks<'_>,
    ) -> Result<(), Error> {
        let mine = |in_flight: &AskedTasks<'_>| {
            in_flight.tasks.values().filter(|asked| asked.lane == at).count()
        };
        while lane.next < self.prompts.len() && mine(in_flight) < OUTSTANDING_MAX {
            let trace = TraceId::new();
            let request = self.prompts[lane.next].clone();
            let request = request.trace_tag(self.name.clone()).trace_id(trace);
            let wait = if mine(in_flight) == 0 { CAPACITY_WAIT } else { Duration::ZERO };
            match in_flight.manager.submit_task_wait(lane.helper, request, wait) {
                Ok(task) => {
                    in_flight.tasks.insert(task, Asked { lane: at, trace });
                    lane.next += 1;
                }
                // Its queue is full, of these tasks or others: try later.
                Err(Error::QueueFull(_)) => break,
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Adds a finished task to its helper's lane.
    fn take(&self, task: &Task, lanes: &mut [Lane], in_flight: &mut AskedTasks<'_>) {
        let manager = in_flight.manager;
        let Some(asked) = in_flight.tasks.remove(&task.task_id) else { return };
        let Some(lane) = lanes.get_mut(asked.lane) else { return };
        manager.take_task_result(lane.helper, task.task_id);
        if !task.is_success() {
            return;
        }
        lane.add(task);
        for (at, (name, scorer)) in self.scorers.iter().enumerate() {
            let score = scorer(task);
            if score.is_nan() {
                continue;
            }
            let score = score.clamp(0.0, 1.0);
            lane.add_score(at, score);
            if let Some(opik) = manager.opik().filter(|_| lane.traced) {
                opik.score_in(asked.trace, name, score, lane.project.as_deref());
            }
        }
    }
}

impl fmt::Debug for Experiment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Experiment")
            .field("name", &self.name)
            .field("prompts", &self.prompts.len())
            .field("helpers", &self.helpers)
            .field("scores", &self.scorers.len())
            .field("timeout", &self.timeout)
            .finish()
    }
}

/// The lane of a task, and the id of its trace.
struct Asked {
    lane: usize,
    trace: TraceId,
}

/// Tasks that have not ended. Dropping it cancels them.
struct AskedTasks<'a> {
    manager: &'a AutomationAssistantManager,
    tasks: HashMap<TaskId, Asked>,
}

impl Drop for AskedTasks<'_> {
    fn drop(&mut self) {
        for task in self.tasks.keys() {
            self.manager.cancel_task(task.helper_id(), *task);
            self.manager.take_task_result(task.helper_id(), *task);
        }
    }
}
