//! The result of an experiment, and its table.

use std::fmt;

use crate::config::MAX_NAME_BYTES;
use crate::id::HelperId;
use crate::text::clean;

/// The result of an experiment.
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

/// One helper's results in an experiment.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct ExperimentRow {
    /// The helper.
    pub helper_id: HelperId,
    /// Its name.
    pub helper: String,
    /// The model that answered; the backend's name where no reply named a model.
    pub model: String,
    /// Tasks submitted.
    pub tasks: usize,
    /// Tasks without an answer, for any reason.
    pub failures: usize,
    /// The 50th percentile of the answers' latencies, in milliseconds, by nearest rank: at
    /// least half of the answers took at most this long. 0 without answers.
    pub latency_p50_ms: f64,
    /// The 95th percentile.
    pub latency_p95_ms: f64,
    /// Tokens of the prompts, as far as they were reported.
    pub prompt_tokens: u64,
    /// Tokens of the answers, as far as they were reported.
    pub completion_tokens: u64,
    /// The mean of each score over the answers; `None` where no answer was scored.
    pub scores: Vec<Option<f64>>,
}

/// A table, with times in milliseconds; a score without a value is `-`.
impl fmt::Display for ExperimentReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut header: Vec<String> =
            ["helper", "model", "tasks", "failed", "p50 ms", "p95 ms", "tokens in", "out"]
                .map(str::to_owned)
                .into();
        // Models are named by servers: none ends a line, or steers a terminal.
        let name = |text: &String| clean(text, MAX_NAME_BYTES);
        header.extend(self.score_names.iter().map(name));
        let mut table = vec![header];
        for row in &self.rows {
            let mut line = vec![
                name(&row.helper),
                name(&row.model),
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
                // Names are left-aligned, numbers right-aligned.
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
