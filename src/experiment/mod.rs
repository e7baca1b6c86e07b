//! One set of prompts over several helpers, side by side.

mod lane;
mod report;
mod run;

pub use report::{ExperimentReport, ExperimentRow};
pub use run::{DEFAULT_EXPERIMENT_TIMEOUT, Experiment};
