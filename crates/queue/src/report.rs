//! Events of jobs in the audit file, and the section "Jobs" of a debrief.

use std::time::Duration;

use automation_assistant::Telemetry;

use crate::engine::{End, Ended, Lapsed, Prepared, Pushed};
use crate::outcome::JobOutcome;

/// Where events go.
#[derive(Clone, Debug, Default)]
pub(crate) struct Events(Option<Telemetry>);

impl Events {
    pub(crate) const fn none() -> Self {
        Self(None)
    }

    pub(crate) const fn to(telemetry: Telemetry) -> Self {
        Self(Some(telemetry))
    }

    pub(crate) fn pushed(&self, job: &Prepared, pushed: &Pushed) {
        let _ = (job, pushed, &self.0, Duration::ZERO);
    }

    pub(crate) fn lapsed(&self, _worker: &str, _lapsed: Lapsed) {}

    pub(crate) fn ended(
        &self,
        _end: &End,
        _outcome: Option<&JobOutcome>,
        _deliveries: u32,
        _pushed_ms: u64,
        _ended: Ended,
    ) {
    }
}
