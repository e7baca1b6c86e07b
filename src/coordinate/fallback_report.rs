//! The result of a request over ordered helpers.

use std::fmt;
use std::time::Duration;

use crate::error::Error;
use crate::id::HelperId;
use crate::number::Rounded;
use crate::task::Task;
use crate::task_error::ErrorKind;

/// Why a helper gave no answer.
#[derive(Debug)]
#[non_exhaustive]
pub enum WhyNot {
    /// Its task failed.
    Failed(Box<Task>),
    /// The task could not be submitted or waited for.
    Refused(Error),
    /// It was left out after failures that will repeat; the duration is the rest of its
    /// cool-down.
    CoolingDown(Duration),
}

impl WhyNot {
    /// A short name in snake case, as in telemetry: the kind of the task's error, or one of
    /// `queue_full`, `stopped`, `unknown_helper`, `invalid_request`, `refused`,
    /// `cooling_down`.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Failed(task) => task.error.as_ref().map_or("other", |e| e.kind().as_str()),
            Self::Refused(Error::QueueFull(_)) => "queue_full",
            Self::Refused(Error::Stopped(_)) => "stopped",
            Self::Refused(Error::UnknownHelper(_)) => "unknown_helper",
            Self::Refused(Error::InvalidRequest(_)) => "invalid_request",
            Self::Refused(_) => "refused",
            Self::CoolingDown(_) => "cooling_down",
        }
    }
}

impl fmt::Display for WhyNot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Failed(task) => match &task.error {
                Some(error) => write!(f, "{error}"),
                None => f.write_str("the task failed"),
            },
            Self::Refused(error) => write!(f, "{error}"),
            Self::CoolingDown(left) => {
                let left = Rounded(*left);
                write!(f, "left out for another {left} after failures that will repeat")
            }
        }
    }
}

/// A helper that was asked, or left out, and did not answer.
#[derive(Debug)]
#[non_exhaustive]
pub struct Tried {
    /// The helper.
    pub helper_id: HelperId,
    /// Why it gave no answer.
    pub why: WhyNot,
}

/// The result of a request over ordered helpers.
#[derive(Debug)]
#[non_exhaustive]
pub struct FallbackReport {
    /// The successful task, if any helper had one.
    pub task: Option<Task>,
    /// The helpers without an answer, in the order in which they were asked or left out.
    pub tried: Vec<Tried>,
    /// Why no helper answered although not all were asked or waited for:
    /// [`ErrorKind::Cancelled`], or [`ErrorKind::Timeout`] if the call's deadline had passed. `None`
    /// also where a failure after delivered text has ended the call
    /// ([`Fallback::restart_after_text`](crate::Fallback::restart_after_text)).
    pub ended_early: Option<ErrorKind>,
}

impl FallbackReport {
    /// The text, if any helper answered.
    pub fn text(&self) -> Option<&str> {
        self.task.as_ref().and_then(|task| task.result.as_deref())
    }

    /// Whether the embedded engine answered, which returns its input: no model answered.
    pub fn echoed(&self) -> bool {
        self.task.as_ref().is_some_and(|task| task.echoed)
    }

    /// The helper that answered.
    pub fn helper(&self) -> Option<HelperId> {
        self.task.as_ref().map(|task| task.helper_id)
    }
}
