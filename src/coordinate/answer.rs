//! One helper's answer in a coordinated call.

use crate::error::Error;
use crate::id::HelperId;
use crate::task::{Task, TaskRequest};
use crate::task_error::ErrorKind;

/// One helper's answer to a request.
#[derive(Debug)]
#[non_exhaustive]
pub struct Answer {
    /// The index, from 0, of the request in a batch, of the helper in a fan-out or race, of the
    /// stage in a pipeline.
    pub index: usize,
    /// The helper that was asked; for [`Error::NotAsked`], one of the call's that did not get the
    /// request.
    pub helper_id: HelperId,
    /// The ended task (which may have failed), or the reason why there is none.
    pub outcome: Result<Task, Error>,
}

impl Answer {
    /// The text, if the task succeeded.
    pub fn text(&self) -> Option<&str> {
        self.outcome.as_ref().ok().and_then(|task| task.result.as_deref())
    }

    /// Whether the embedded engine answered, which returns its input: no model answered.
    pub fn echoed(&self) -> bool {
        self.outcome.as_ref().is_ok_and(|task| task.echoed)
    }

    /// Whether the task succeeded.
    pub fn is_success(&self) -> bool {
        self.text().is_some()
    }
}

/// The error of a request that was not submitted, since the call was over for this reason.
/// Returns a copy of the request.
pub(super) fn not_asked(why: ErrorKind, request: &TaskRequest) -> Error {
    Error::NotAsked { why, request: Box::new(request.clone()) }
}

/// The error of a call that was given no helper.
pub(super) fn no_helper() -> Error {
    Error::InvalidRequest("there is no helper to ask".into())
}
