//! One helper in an experiment.

use super::report::ExperimentRow;
use crate::config::TraceMode;
use crate::error::Error;
use crate::id::HelperId;
use crate::manager::AutomationAssistantManager;
use crate::percentile::percentile;
use crate::task::Task;

/// One helper's progress through the prompts, and its sums.
pub(super) struct Lane {
    pub(super) helper: HelperId,
    name: String,
    backend: String,
    pub(super) traced: bool,
    pub(super) project: Option<String>,
    pub(super) next: usize,
    latencies: Vec<f64>,
    prompt_tokens: u64,
    completion_tokens: u64,
    model: Option<String>,
    /// Sum and number of each score.
    scores: Vec<(f64, usize)>,
}

impl Lane {
    pub(super) fn new(
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

    /// Adds an answer.
    pub(super) fn add(&mut self, task: &Task) {
        self.latencies.push(task.latency_ms);
        if let Some(usage) = &task.usage {
            self.prompt_tokens = self.prompt_tokens.saturating_add(usage.prompt_tokens);
            self.completion_tokens = self.completion_tokens.saturating_add(usage.completion_tokens);
        }
        self.model = task.model.clone().or(self.model.take());
    }

    /// Adds a score of an answer, by its place in the list of scores.
    pub(super) fn add_score(&mut self, at: usize, score: f64) {
        if let Some((sum, number)) = self.scores.get_mut(at) {
            *sum += score;
            *number += 1;
        }
    }

    pub(super) fn row(mut self, tasks: usize) -> ExperimentRow {
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
