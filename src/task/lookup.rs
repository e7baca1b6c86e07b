//! The result of a look-up, and how the plain enums of a task are printed.

use std::fmt;

use super::{Priority, Role, Task, TaskState};

/// The state of a task; see [`AutomationHelper::look_up`](crate::AutomationHelper::look_up).
#[derive(Debug, Clone)]
pub enum TaskLookup {
    /// It waits for a helper's thread.
    Queued,
    /// As [`TaskState::Running`].
    Running,
    /// It has ended, with success or failure. The helper keeps its own copy.
    Finished(Box<Task>),
    /// It has ended, but its result was dropped for newer ones. (Also said of results that were taken
    /// or cleared long ago: the helper remembers which 1024 it dropped last, and takes older ones
    /// for dropped.)
    Dropped,
    /// The helper never had this task, or its result was taken or cleared.
    Unknown,
}

impl TaskLookup {
    /// The state's name: `queued`, `running`, `finished`, `dropped` or `unknown`.
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Running => "running",
            Self::Finished(_) => "finished",
            Self::Dropped => "dropped",
            Self::Unknown => "unknown",
        }
    }

    /// The finished task, if its result is available.
    pub fn finished(self) -> Option<Task> {
        match self {
            Self::Finished(task) => Some(*task),
            _ => None,
        }
    }
}

impl fmt::Display for TaskLookup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl fmt::Display for TaskState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Queued => "queued",
            Self::Running => "running",
            Self::Finished => "finished",
        })
    }
}

impl fmt::Display for Priority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::High => "high",
            Self::Normal => "normal",
            Self::Low => "low",
        })
    }
}
