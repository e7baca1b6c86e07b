//! One set of prompts over several helpers, side by side.

use std::collections::HashMap;
use std::fmt;
use std::time::{Duration, Instant};

use crate::config::TraceMode;
use crate::error::Error;
use crate::id::{HelperId, TaskId};
use crate::manager::AutomationAssistantManager;
use crate::percentile::percentile;
use crate::task::{Task, TaskRequest};
use crate::trace::TraceId;

/// Default limit on a whole experiment; what has not ended then is cancelled.
pub const DEFAULT_EXPERIMENT_TIMEOUT: Duration = Duration::from_secs(600);

/// Most tasks of one helper that wait or run at once, so that no result is dropped before it
/// is read.
const OUTSTANDING_MAX: usize = 32;

/// How long to wait for room in a queue that others fill, before looking after the other
/// helpers.
const ROOM_WAIT: Duration = Duration::from_millis(100);

type Scorer = Box<dyn Fn(&Task) -> f64>;

/// Asks several helpers the same, and compares what came back.
///
/// Where the manager traces to Opik ([`ManagerBuilder::opik`](crate::ManagerBuilder::opik)),
/// the traces of helpers that trace carry the experiment's name as a tag, and the scores.
///
/// ```
/// use automation_assistant::{AutomationAssistantManager, Experiment, create_local_helper};
///
/// let manager = AutomationAssistantManager::new(2);
/// let report = Experiment::new("greetings")
///     .prompt("Say hello.")
///     .prompt("Say goodbye.")
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

/// What an experiment found.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct ExperimentReport {
    /// The experiment's name.
    pub name: String,
    /// The names of the scores, in the order of each row's `scores`.
    pub score_names: Vec<String>,
    /// One row for each helper, in the order they were given.
    pub rows: Vec<ExperimentRow>,
}

/// One helper's part in an experiment.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct ExperimentRow {
    /// The helper.
    pub helper_id: HelperId,
    /// Its name.
    pub helper: String,
    /// The model that answered; the backend's name where no reply told one.
    pub model: String,
    /// Tasks that were asked.
    pub tasks: usize,
    /// Those without an answer, for whatever reason.
    pub failures: usize,
    /// Half of the answers came within this time, in milliseconds: the smallest time that
    /// at least half of them did not exceed. 0 without answers.
    pub latency_p50_ms: f64,
    /// The same for 95 of 100 answers.
    pub latency_p95_ms: f64,
    /// Tokens read, where told.
    pub prompt_tokens: u64,
    /// Tokens written, where told.
    pub completion_tokens: u64,
    /// The mean of each score over the answers; nothing where none was scored.
    pub scores: Vec<Option<f64>>,
}

impl Experiment {
    /// An experiment of this name, without prompts and helpers yet.
    pub fn new(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            prompts: Vec::new(),
            helpers: Vec::new(),
            scorers: Vec::new(),
            timeout: DEFAULT_EXPERIMENT_TIMEOUT,
        }
    }

    /// Adds a prompt, or a whole request (its callbacks are left out).
    pub fn prompt(mut self, request: impl Into<TaskRequest>) -> Self {
        self.prompts.push(request.into());
        self
    }

    /// Adds several prompts.
    pub fn prompts<R: Into<TaskRequest>>(mut self, requests: impl IntoIterator<Item = R>) -> Self {
        self.prompts.extend(requests.into_iter().map(Into::into));
        self
    }

    /// Adds a helper: a model, or a model with other parameters.
    pub fn helper(mut self, helper: HelperId) -> Self {
        self.helpers.push(helper);
        self
    }

    /// Adds a score: from 0 (bad) to 1 (good) for an answered task; what lies outside is
    /// moved to the nearer end, and what is no number is no score. Called on the thread that
    /// runs the experiment.
    pub fn score(
        mut self,
        name: impl Into<String>,
        score: impl Fn(&Task) -> f64 + 'static,
    ) -> Self {
        self.scorers.push((name.into(), Box::new(score)));
        self
    }

    /// Limit on the whole experiment; tasks that have not ended then are cancelled, and count
    /// as failures. Defaults to 10 minutes.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// Runs it: each helper is asked each prompt once. Results are taken from the helpers.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidRequest`] without prompts or helpers, or where a helper does not take
    /// a prompt; [`Error::UnknownHelper`]; [`Error::Stopped`]. Tasks under way are cancelled
    /// then.
    ///
    /// # Panics
    ///
    /// With whatever a score's closure panics; tasks under way are cancelled then too.
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
        let mut under_way = UnderWay { manager, tasks: HashMap::new() };
        loop {
            let over = until.is_some_and(|until| until <= Instant::now());
            if !over {
                for (at, lane) in lanes.iter_mut().enumerate() {
                    self.submit(at, lane, &mut under_way)?;
                }
            }
            let waiting: Vec<_> =
                under_way.tasks.keys().map(|task| (task.helper_id(), *task)).collect();
            let all_asked = lanes.iter().all(|lane| lane.next == self.prompts.len());
            if over || (waiting.is_empty() && all_asked) {
                break;
            }
            if waiting.is_empty() {
                // Others' work fills every queue: `submit` has waited a moment for room.
                continue;
            }
            let left = until
                .map_or(Duration::MAX, |until| until.saturating_duration_since(Instant::now()));
            match manager.wait_any(&waiting, left) {
                Ok(task) => self.take(&task, &mut lanes, &mut under_way),
                Err(Error::WaitTimedOut { .. }) => {}
                Err(Error::ResultDropped(task) | Error::UnknownTask(task)) => {
                    under_way.tasks.remove(&task);
                }
                Err(error) => return Err(error),
            }
        }
        drop(under_way);
        let rows = lanes.into_iter().map(|lane| lane.row(self.prompts.len())).collect();
        let score_names = self.scorers.iter().map(|(name, _)| name.clone()).collect();
        Ok(ExperimentReport { name: self.name.clone(), score_names, rows })
    }

    /// Gives a helper as many of its prompts as it takes just now.
    fn submit(
        &self,
        at: usize,
        lane: &mut Lane,
        under_way: &mut UnderWay<'_>,
    ) -> Result<(), Error> {
        let mine = |under_way: &UnderWay<'_>| {
            under_way.tasks.values().filter(|place| place.lane == at).count()
        };
        while lane.next < self.prompts.len() && mine(under_way) < OUTSTANDING_MAX {
            let trace = TraceId::new();
            let request = self.prompts[lane.next].clone_without_callbacks();
            let request = request.trace_tag(self.name.clone()).trace_id(trace);
            let room = if mine(under_way) == 0 { ROOM_WAIT } else { Duration::ZERO };
            match under_way.manager.submit_task_wait(lane.helper, request, room) {
                Ok(task) => {
                    under_way.tasks.insert(task, Place { lane: at, trace });
                    lane.next += 1;
                }
                // Other work fills its queue, or ours does: later.
                Err(Error::QueueFull(_)) => break,
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Takes a finished task into its helper's row.
    fn take(&self, task: &Task, lanes: &mut [Lane], under_way: &mut UnderWay<'_>) {
        let manager = under_way.manager;
        let Some(place) = under_way.tasks.remove(&task.task_id) else { return };
        let Some(lane) = lanes.get_mut(place.lane) else { return };
        manager.take_task_result(lane.helper, task.task_id);
        if !task.is_success() {
            return;
        }
        lane.latencies.push(task.latency_ms);
        if let Some(usage) = &task.usage {
            lane.prompt_tokens = lane.prompt_tokens.saturating_add(usage.prompt_tokens);
            lane.completion_tokens = lane.completion_tokens.saturating_add(usage.completion_tokens);
        }
        lane.model = task.model.clone().or(lane.model.take());
        for ((name, scorer), sum) in self.scorers.iter().zip(&mut lane.scores) {
            let score = scorer(task);
            if score.is_nan() {
                continue;
            }
            let score = score.clamp(0.0, 1.0);
            sum.0 += score;
            sum.1 += 1;
            if let Some(opik) = manager.opik().filter(|_| lane.traced) {
                opik.score_in(place.trace, name, score, lane.project.as_deref());
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

/// Whose task it is, and the id of its trace.
struct Place {
    lane: usize,
    trace: TraceId,
}

/// Tasks that have not ended; cancelled when dropped.
struct UnderWay<'a> {
    manager: &'a AutomationAssistantManager,
    tasks: HashMap<TaskId, Place>,
}

impl Drop for UnderWay<'_> {
    fn drop(&mut self) {
        for task in self.tasks.keys() {
            self.manager.cancel_task(task.helper_id(), *task);
            self.manager.take_task_result(task.helper_id(), *task);
        }
    }
}

/// One helper's way through the prompts.
struct Lane {
    helper: HelperId,
    name: String,
    backend: String,
    traced: bool,
    project: Option<String>,
    next: usize,
    latencies: Vec<f64>,
    prompt_tokens: u64,
    completion_tokens: u64,
    model: Option<String>,
    /// Sum and number of each score.
    scores: Vec<(f64, usize)>,
}

impl Lane {
    fn new(
        manager: &AutomationAssistantManager,
        helper: HelperId,
        scores: usize,
    ) -> Result<Self, Error> {
        let handle = manager.get_helper(helper).ok_or(Error::UnknownHelper(helper))?;
        let config = &handle.shared().config;
        Ok(Self {
            helper,
            name: handle.name().to_owned(),
            backend: handle.backend_name().to_owned(),
            traced: config.effective_trace() != TraceMode::Off,
            project: config.trace_project().map(str::to_owned),
            next: 0,
            latencies: Vec::new(),
            prompt_tokens: 0,
            completion_tokens: 0,
            model: None,
            scores: vec![(0.0, 0); scores],
        })
    }

    fn row(mut self, tasks: usize) -> ExperimentRow {
        self.latencies.sort_by(f64::total_cmp);
        let mean = |(sum, number)| (number > 0).then(|| sum / number as f64);
        ExperimentRow {
            helper_id: self.helper,
            helper: self.name,
            model: self.model.unwrap_or(self.backend),
            tasks,
            failures: tasks - self.latencies.len(),
            latency_p50_ms: percentile(&self.latencies, 50),
            latency_p95_ms: percentile(&self.latencies, 95),
            prompt_tokens: self.prompt_tokens,
            completion_tokens: self.completion_tokens,
            scores: self.scores.into_iter().map(mean).collect(),
        }
    }
}

/// The table, with times in milliseconds; a score without a value is a dash.
impl fmt::Display for ExperimentReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut header: Vec<String> =
            ["helper", "model", "tasks", "failed", "p50 ms", "p95 ms", "tokens in", "out"]
                .map(str::to_owned)
                .into();
        header.extend(self.score_names.iter().cloned());
        let mut table = vec![header];
        for row in &self.rows {
            let mut line = vec![
                row.helper.clone(),
                row.model.clone(),
                row.tasks.to_string(),
                row.failures.to_string(),
                format!("{:.1}", row.latency_p50_ms),
                format!("{:.1}", row.latency_p95_ms),
                row.prompt_tokens.to_string(),
                row.completion_tokens.to_string(),
            ];
            let score = |score: &Option<f64>| score.map_or("-".into(), |mean| format!("{mean:.2}"));
            line.extend(row.scores.iter().map(score));
            table.push(line);
        }
        let width = |column: usize| {
            let cells = table.iter().filter_map(|line| line.get(column));
            cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
        };
        let widths: Vec<usize> = (0..table[0].len()).map(width).collect();
        writeln!(f, "Experiment {}", self.name)?;
        for line in &table {
            let mut text = String::new();
            for (column, (cell, width)) in line.iter().zip(&widths).enumerate() {
                if column > 0 {
                    text.push_str("  ");
                }
                // Names to the left, numbers to the right.
                let width = *width;
                match column {
                    0 | 1 => text.push_str(&format!("{cell:<width$}")),
                    _ => text.push_str(&format!("{cell:>width$}")),
                }
            }
            writeln!(f, "{}", text.trim_end())?;
        }
        Ok(())
    }
}
