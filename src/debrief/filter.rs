//! Which lines of an audit file a report takes in.

use std::sync::Arc;
use std::time::SystemTime;

use super::fold::LineScope;
use super::record::{LineFields, NumberField, TextField};
use crate::calendar::unix_time;

/// Which lines of an audit file a [`LiveDebrief`](super::LiveDebrief) takes in: those that meet
/// every condition. Defaults to all lines.
///
/// Lines that cannot be read, and lines of other programs, belong to no time, run or backend:
/// they are counted whatever the conditions are.
#[derive(Debug, Clone, Default)]
pub struct LineFilter {
    since: Option<f64>,
    until: Option<f64>,
    run: Option<String>,
    backend: Option<String>,
}

impl LineFilter {
    /// A filter that reads all lines.
    pub fn new() -> Self {
        Self::default()
    }

    /// Reads lines of this moment or a later one. Defaults to no beginning.
    pub fn since(mut self, moment: SystemTime) -> Self {
        self.since = Some(unix_time(moment));
        self
    }

    /// Reads lines from before this moment. Defaults to no end.
    pub fn until(mut self, moment: SystemTime) -> Self {
        self.until = Some(unix_time(moment));
        self
    }

    /// Reads lines of the run with this id. Defaults to all runs.
    pub fn run(mut self, id: impl Into<String>) -> Self {
        self.run = Some(id.into());
        self
    }

    /// Reads lines of the backend with this name, and lines that name none. Of other
    /// backends' lines the run and the sequence number still count, so that they are not
    /// missed. Defaults to all backends.
    pub fn backend(mut self, name: impl Into<String>) -> Self {
        self.backend = Some(name.into());
        self
    }

    pub(super) fn into_hook(self) -> Arc<dyn Fn(&LineFields<'_>) -> LineScope + Send + Sync> {
        Arc::new(move |line| self.judge(line))
    }

    fn judge(&self, line: &LineFields<'_>) -> LineScope {
        let at = line.number(NumberField::Timestamp);
        let early = self.since.is_some_and(|since| !at.is_some_and(|at| at >= since));
        let late = self.until.is_some_and(|until| !at.is_some_and(|at| at < until));
        let is = |name, text: &String| line.text(name).is_some_and(|found| found.decode() == *text);
        let other_run = self.run.as_ref().is_some_and(|run| !is(TextField::RunId, run));
        if early || late || other_run {
            return LineScope::Nothing;
        }
        let named = line.text(TextField::Backend).is_some();
        match &self.backend {
            Some(backend) if named && !is(TextField::Backend, backend) => LineScope::RunAlone,
            _ => LineScope::All,
        }
    }
}
