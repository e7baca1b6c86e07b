//! Errors of the library's own calls.

use std::fmt;
use std::time::Duration;

use crate::id::{HelperId, TaskId};
use crate::number::Rounded;
use crate::task::TaskRequest;
use crate::task_error::{ErrorKind, TaskError};

/// Why a call of the library failed. (Why a *task* failed is a [`TaskError`].)
///
/// # Examples
///
/// A function that returns one error for both:
///
/// ```
/// use automation_assistant::{AutomationHelper, Error};
///
/// fn ask_number(helper: &AutomationHelper) -> Result<u32, Error> {
///     let task = helper.ask("A number, as JSON.")?; // the call failed
///     Ok(task.parse_result()?) // the task failed: `TaskFailed`
/// }
/// ```
#[non_exhaustive]
pub enum Error {
    /// The manager has its maximum number of helpers.
    MaxHelpers {
        /// The limit, as given to the manager.
        max: usize,
    },
    /// The manager has no helper with this id: it never had one, or it was terminated.
    UnknownHelper(HelperId),
    /// The helper never had a task of this id, or its result was taken or cleared.
    UnknownTask(TaskId),
    /// The task ended, but its result was dropped for newer ones.
    ResultDropped(TaskId),
    /// The wait ended before the task did; the task continues.
    WaitTimedOut {
        /// How long the call waited.
        waited: Duration,
    },
    /// The helper's queue is full, or as many callbacks wait for a thread, or its results are unread
    /// ([`RefuseTasks`](crate::WhenResultsFull)). The error returns the request.
    QueueFull(Box<TaskRequest>),
    /// The helper was stopped and accepts no tasks. The error returns the request.
    Stopped(Box<TaskRequest>),
    /// The device is beyond a limit of its admission policy. The error returns the request.
    NotAdmitted {
        /// The limit, in words, and why the task was not submitted to Local instead.
        why: String,
        /// How long the call waited for the device to return within its limits; `None` if its
        /// policy does not let tasks wait.
        waited: Option<Duration>,
        /// Whether a [`CancelHandle`](crate::CancelHandle) ended the wait.
        cancelled: bool,
        /// The request.
        request: Box<TaskRequest>,
    },
    /// A call over several helpers ended before this request was submitted. The error returns the
    /// request.
    NotAsked {
        /// [`Cancelled`](ErrorKind::Cancelled); [`Timeout`](ErrorKind::Timeout) at the call's
        /// deadline; or the failure for which the last of its helpers was left out.
        why: ErrorKind,
        /// The request.
        request: Box<TaskRequest>,
    },
    /// A call that waits for a task's end might wait for ever here. The error returns the
    /// request.
    CannotWait {
        /// Why, and what to do instead.
        why: &'static str,
        /// The request.
        request: Box<TaskRequest>,
    },
    /// The helper's inbox is full until its next task reads it.
    InboxFull,
    /// The request is invalid; the text says why and how to correct it.
    InvalidRequest(String),
    /// The configuration is invalid; the text says why and how to correct it.
    InvalidConfig(String),
    /// No API key was given, and the environment has none.
    MissingKey {
        /// The environment variable that holds the key.
        variable: &'static str,
    },
    /// The program was built without the cargo feature that this needs.
    Unsupported {
        /// The unavailable function.
        what: &'static str,
        /// The cargo feature that enables it.
        feature: &'static str,
    },
    /// The operating system reported an error, for a file or a thread.
    Io {
        /// The operation that failed, with the file's name if there is one.
        what: String,
        /// The system's error.
        source: std::io::Error,
    },
    /// A task failed. No call returns this: `?` makes it of a [`TaskError`].
    TaskFailed(TaskError),
}

impl Error {
    /// The request that was rejected, if the error returns it.
    pub fn into_request(self) -> Option<TaskRequest> {
        match self {
            Self::QueueFull(request)
            | Self::Stopped(request)
            | Self::NotAdmitted { request, .. }
            | Self::NotAsked { request, .. }
            | Self::CannotWait { request, .. } => Some(*request),
            _ => None,
        }
    }

    /// For `map_err`: an I/O error together with the operation that failed.
    pub(crate) fn io(what: impl Into<String>) -> impl FnOnce(std::io::Error) -> Self {
        let what = what.into();
        move |source| Self::Io { what, source }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::MaxHelpers { max } => write!(f, "Maximum number of helpers ({max}) reached"),
            Self::UnknownHelper(id) => write!(f, "Helper ID not found: {id}"),
            Self::UnknownTask(id) => {
                write!(f, "Task ID not found: {id} (never submitted here, taken, or cleared)")
            }
            Self::ResultDropped(id) => write!(
                f,
                "the result of task {id} was dropped for newer ones: read results sooner, \
                 or raise max_results or max_result_bytes"
            ),
            Self::WaitTimedOut { waited } => {
                write!(f, "not finished after {}; the task goes on", Rounded(*waited))
            }
            Self::QueueFull(_) => f.write_str(
                "the helper's queue is full, or its results are unread: wait with submit_task_wait, \
                 read results, or raise queue_capacity (for pictures, max_queued_image_bytes)",
            ),
            Self::Stopped(_) => f.write_str("the helper was stopped and takes no more tasks"),
            Self::NotAdmitted { why, waited, cancelled, .. } => {
                write!(f, "not sent to the cloud now: {why}")?;
                match waited.map(Rounded) {
                    Some(waited) if *cancelled => {
                        write!(f, "; its wait was cancelled after {waited}")
                    }
                    Some(waited) => write!(f, "; it waited {waited} for that to get better"),
                    None => Ok(()),
                }
            }
            Self::NotAsked { why, .. } => f.write_str(match why {
                ErrorKind::Cancelled => "not asked: the call was cancelled before",
                ErrorKind::Timeout => {
                    "not asked: the call's time was over before; give it a longer deadline"
                }
                why => return write!(f, "not asked: no helper is left after a failure ({why})"),
            }),
            Self::CannotWait { why, .. } => {
                write!(f, "not asked, for it might wait for ever: {why}")
            }
            Self::InboxFull => f.write_str(
                "the helper's inbox is full: its next task empties it, so submit one first",
            ),
            Self::InvalidRequest(why) => write!(f, "invalid request: {why}"),
            Self::InvalidConfig(why) => write!(f, "invalid configuration: {why}"),
            Self::MissingKey { variable } => write!(
                f,
                "no API key: set the environment variable {variable}, \
                 or pass one with HelperConfig::api_key"
            ),
            Self::Unsupported { what, feature } => write!(
                f,
                "{what} is not built in: enable the cargo feature \"{feature}\" \
                 of automation-assistant"
            ),
            Self::Io { what, source } => write!(f, "{what}: {source}"),
            Self::TaskFailed(error) => error.fmt(f),
        }
    }
}

impl From<TaskError> for Error {
    fn from(error: TaskError) -> Self {
        Self::TaskFailed(error)
    }
}

/// The variant's name and the text of `Display`: requests hold prompts and are never shown.
impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = match self {
            Self::MaxHelpers { .. } => "MaxHelpers",
            Self::UnknownHelper(_) => "UnknownHelper",
            Self::UnknownTask(_) => "UnknownTask",
            Self::ResultDropped(_) => "ResultDropped",
            Self::WaitTimedOut { .. } => "WaitTimedOut",
            Self::QueueFull(_) => "QueueFull",
            Self::Stopped(_) => "Stopped",
            Self::NotAdmitted { .. } => "NotAdmitted",
            Self::NotAsked { .. } => "NotAsked",
            Self::CannotWait { .. } => "CannotWait",
            Self::InboxFull => "InboxFull",
            Self::InvalidRequest(_) => "InvalidRequest",
            Self::InvalidConfig(_) => "InvalidConfig",
            Self::MissingKey { .. } => "MissingKey",
            Self::Unsupported { .. } => "Unsupported",
            Self::Io { .. } => "Io",
            Self::TaskFailed(_) => "TaskFailed",
        };
        write!(f, "{name}({self})")
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Io { source, .. } => Some(source),
            _ => None,
        }
    }
}
