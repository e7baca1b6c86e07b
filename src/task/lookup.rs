//! What a look-up says of a task, and how the plain enums of a task are printed.

use std::fmt;

use super::{Priority, Role, Task, TaskState};

/// Where a task is; see [`AutomationHelper::look_up`](crate::AutomationHelper::look_up).
#[derive(Debug, Clone)]
pub enum TaskLookup {
    /// It waits for a helper's thread.
    Queued,
    /// A helper's thread works on it.
    Running,
    /// It has ended, well or not. The helper keeps its own copy.
    Finished(Box<Task>),
    /// It has ended, but its result had to make room for newer ones.
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

    /// The ended task, if it has ended and its result is there.
    pub fn finished(self) -> Option<Task> {
        match self {
            Self::Finished(task) => Some(*task),
            _ => None,
        }
    }
}

impl fmt::Display for TaskLookup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Display for TaskState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Queued => "queued",
            Self::Running => "running",
            Self::Finished => "finished",
        })
    }
}

impl fmt::Display for Priority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::High => "high",
            Self::Normal => "normal",
            Self::Low => "low",
        })
    }
}
